package files

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"weir/codec/http1"
)

// fresh is how long what was found is believed without looking again.
const fresh = time.Second

// kind is what a key stands for.
type kind uint8

const (
	found    kind = iota // a file
	redirect             // a directory that was asked for without its slash
	listing              // a directory without an index, which may be shown
	refused              // answered with entry.status
)

// entry is what a loop knows of one key. It does not change, but for the last group.
type entry struct {
	key    string
	kind   kind
	status int // of refused

	// Of a file.
	file     *file
	name     string    // its path below the root
	siblings encodings // compressed forms that are there and not older
	ctype    string
	etag     string
	weak     bool
	modified time.Time // whole seconds
	lastMod  string    // as HTTP writes it
	validity []byte    // fields of 200, 206 and 304
	shape    []byte    // fields of 200 and 206 beside: what the body is

	// The cache's.
	checked, used time.Duration
	change        uint64 // Site.changes of the key when it was looked at
	prev, next    *entry
	cached        bool
}

// result is what a worker has found out about a key.
type result struct {
	same  bool   // nothing has changed
	entry *entry // else
}

func (r *result) drop() {
	if r.entry != nil && r.entry.file != nil {
		r.entry.file.release()
	}
}

// load looks a key up in the file system. old is what was known of it, nil for nothing; now is the loop's
// time when it asked. On a worker.
func (s *Site) load(o *opener, key string, old *entry, now time.Duration) result {
	root, err := s.tree.current()
	if err != nil {
		return refuse(key, 500)
	}
	enc, path := splitVariant(key)
	isDir := enc == 0 && (path == "" || strings.HasSuffix(path, "/"))
	name := strings.TrimSuffix(path, "/")
	if name == "" {
		name = "."
	}
	open := name
	if enc != 0 {
		open += enc.suffix()
	}
	fi, err := root.Stat(open)
	switch {
	case err != nil:
		return refuse(key, statusOf(err))
	case fi.IsDir() && enc != 0:
		return refuse(key, 404)
	case fi.IsDir() && !isDir:
		return result{entry: &entry{key: key, kind: redirect}}
	case fi.IsDir():
		if fi, name, err = s.index(root, name); err != nil {
			return refuse(key, statusOf(err))
		}
		if fi == nil {
			if s.cfg.List {
				return result{entry: &entry{key: key, kind: listing, name: name}}
			}
			return refuse(key, 403)
		}
		open = name
	case isDir:
		return refuse(key, 404)
	}
	if !fi.Mode().IsRegular() { // opening a FIFO waits, opening a device does things
		return refuse(key, 404)
	}
	var siblings encodings
	if enc == 0 {
		siblings = siblingsOf(root, name, fi)
	}
	if old != nil && old.file != nil && old.name == name && old.siblings == siblings && !old.weak && old.file.is == identityOf(fi) {
		return result{same: true}
	}
	// Between stat and open the name may come to stand for something else: what has been opened is
	// what counts, and O_NONBLOCK sees to it that even a FIFO does not hold us.
	f, err := root.OpenFile(open, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return refuse(key, statusOf(err))
	}
	if fi, err = f.Stat(); err != nil || !fi.Mode().IsRegular() {
		_ = f.Close()
		return refuse(key, 404)
	}
	e := &entry{key: key, kind: found, name: name, siblings: siblings, file: newFile(f, fi, s.howToAsk, &o.count.open)}
	o.count.opened.Add(1)
	if e.file.asks == cannotAsk { // small files are then there, and large ones begin at once
		e.file.touch(0, min(touchBytes, fi.Size()))
		e.file.saw(0, min(touchBytes, fi.Size()), now)
	}
	e.describe(fi, enc, s.cache, s.safe)
	return result{entry: e}
}

// index is the index of a directory, nil without one.
func (s *Site) index(root *os.Root, dir string) (fi os.FileInfo, name string, err error) {
	if s.cfg.Index == "" {
		return nil, dir, nil
	}
	name = s.cfg.Index
	if dir != "." {
		name = dir + "/" + name
	}
	fi, err = root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, dir, nil
	case err != nil:
		return nil, name, err
	}
	return fi, name, nil
}

// siblingsOf are the compressed forms of a file that lie beside it and are not older: an older one may
// be that of an earlier content.
func siblingsOf(root *os.Root, name string, of os.FileInfo) (list encodings) {
	for _, e := range allEncodings {
		if strings.HasSuffix(name, e.suffix()) {
			return 0 // it is one itself
		}
		if fi, err := root.Stat(name + e.suffix()); err == nil && fi.Mode().IsRegular() && !fi.ModTime().Before(of.ModTime()) {
			list |= e
		}
	}
	return list
}

// weakFor is how young a file is taken for one that may still be written to: two contents of the same
// size within one tick of the file system's clock would have the same tag (9110 8.8.1).
const weakFor = time.Second

// describe fills in what answers about a file say.
func (e *entry) describe(fi os.FileInfo, enc encodings, cache, safe string) {
	e.ctype = typeOf(e.name)
	e.modified = fi.ModTime().UTC().Truncate(time.Second)
	e.lastMod = e.modified.Format(httpTime)
	tag := plainTag(fi.ModTime().UnixNano(), fi.Size())
	if enc != 0 {
		tag += "-" + enc.name()
	}
	e.etag = `"` + tag + `"`
	age := time.Since(fi.ModTime())
	e.weak = age >= 0 && age < weakFor

	b := append([]byte(nil), "ETag: "...)
	if e.weak {
		b = append(b, "W/"...)
	}
	b = append(b, e.etag...)
	b = append(b, "\r\nLast-Modified: "...)
	b = append(b, e.lastMod...)
	b = append(b, "\r\nCache-Control: "...)
	b = append(b, cache...)
	if enc != 0 || e.siblings != 0 {
		b = append(b, "\r\nVary: Accept-Encoding"...)
	}
	e.validity = append(append(b, "\r\n"...), safe...)

	b = append([]byte(nil), "Accept-Ranges: bytes\r\n"...)
	if enc != 0 {
		b, _ = http1.AppendField(b, "Content-Encoding", enc.name())
	}
	e.shape = b
}

func refuse(key string, status int) result {
	return result{entry: &entry{key: key, kind: refused, status: status}}
}

// statusOf is the answer to an error of the file system. What os.Root refuses because it would leave
// the root is not there, as far as anybody is told.
func statusOf(err error) int {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return 403
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return 503
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ESTALE), errors.Is(err, syscall.ETIMEDOUT):
		return 500
	}
	return 404
}
