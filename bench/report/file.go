package report

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Writable returns why [Put] could not write a file there, or nil. It is for before a run, which a mistaken path would
// make worthless; it leaves nothing behind.
func Writable(path string) error {
	if asItIs(path) { // opening a pipe waits for its reader, and closing it tells that one that all has come
		return unix.Access(path, unix.W_OK)
	}
	file, err := aside(path)
	if err != nil {
		return err
	}
	return cmp.Or(file.Close(), os.Remove(file.Name()))
}

// Put writes a file whole or not at all: a disk that is full leaves what stood there before. What is no regular file, such as
// a pipe or /dev/stdout, is written to as it is.
func Put(path string, b []byte) error {
	file, err := aside(path)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	err = cmp.Or(err, file.Close())
	if !file.whole {
		return err
	}
	if err == nil {
		err = os.Rename(file.Name(), file.to)
	}
	if err != nil {
		os.Remove(file.Name())
	}
	return err
}

// draft is an open file that is to become another one.
type draft struct {
	*os.File
	to    string
	whole bool // false: it is that one already
}

// asItIs reports whether what is at path is not to be replaced: it is no regular file, or a name for an open one, whatever
// that is.
func asItIs(path string) bool {
	path = filepath.Clean(path)
	if path == "/dev/stdout" || path == "/dev/stderr" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/") {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// aside opens a new file beside the one at path, with the mode that one has.
func aside(path string) (*draft, error) {
	if asItIs(path) {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		return &draft{f, path, false}, err
	}
	// Of a link, what it points to is replaced.
	if to, err := filepath.EvalSymlinks(path); err == nil {
		path = to
	}
	mode := fs.FileMode(0o644)
	before, err := os.Stat(path)
	switch {
	case err != nil: // most likely there is none; if it is something else, creating tells
	case before.IsDir():
		return nil, fmt.Errorf("%s is a directory", path)
	default:
		mode = before.Mode().Perm()
	}
	f, err := os.OpenFile(fmt.Sprintf("%s.new-%d", path, os.Getpid()), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	var why *fs.PathError
	if errors.As(err, &why) {
		why.Path = path // not that name, which says nothing to anybody
	}
	return &draft{f, path, true}, err
}
