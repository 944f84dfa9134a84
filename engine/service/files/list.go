package files

import (
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"weir/engine/service"
)

// mostNames bounds how many names of a directory are read: with more, the page says so.
const mostNames = 4096

const (
	// pageRoom is what stays free of the room for an answer: its head, and the end of the page.
	pageRoom = 1 << 10
	// frameRoom is what the page is without its title, its names and its end. A test holds it.
	frameRoom = 400
)

// list answers with the names in a directory: at most as many as there is room for, so that a page is
// bounded as all queued output is.
func (s *session) list(c service.Conn, key []byte, name string) bool {
	if s.wait == nil {
		s.wait = &asking{}
	}
	a := s.wait
	if a.page == nil {
		title, room, site := "/"+string(key), c.Room()-pageRoom, s.o.site
		var page []byte
		if !c.Work(func() { page = site.page(title, name, room) }, func() { a.page = page }) {
			s.o.count.busy.Add(1)
			s.problem(c, 503)
			return true
		}
		return false
	}
	if len(a.page) == 0 {
		s.problem(c, 404)
		return true
	}
	s.start(c, 200, "text/html; charset=utf-8", int64(len(a.page)))
	s.o.buf = append(s.o.buf, "Cache-Control: no-cache\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\nReferrer-Policy: same-origin\r\n"...)
	s.o.buf = append(s.o.buf, s.o.site.safe...)
	s.end(c)
	if !s.o.req.Head {
		c.Write(a.page)
	}
	return true
}

// page is the listing of a directory as HTML of at most room bytes; empty, not nil, when there is none.
// On a worker.
func (s *Site) page(title, dir string, room int) []byte {
	names, more := s.names(dir)
	if names == nil {
		return []byte{}
	}
	if len(appendText(nil, title))*2+frameRoom > room {
		title = "/…/" // a path of 4,000 bytes, of which each may take six, is no title
	}
	var b []byte
	b = append(b, "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>"...)
	b = appendText(b, title)
	b = append(b, "</title>\n<style>body{font:1em/1.5 sans-serif;margin:1em}a{overflow-wrap:anywhere}:root{color-scheme:light dark}</style>\n<h1>"...)
	b = appendText(b, title)
	b = append(b, "</h1>\n<ul>\n"...)
	if title != "/" {
		b = append(b, "<li><a href=\"../\">../</a>\n"...)
	}
	for i, name := range names {
		before := len(b)
		b = append(b, "<li><a href=\"./"...)
		b = appendEscaped(b, []byte(name))
		b = append(b, "\">"...)
		b = appendText(b, name)
		if b = append(b, "</a>\n"...); len(b) > room {
			b = b[:before]
			names, more = names[:i], true
			break
		}
	}
	b = append(b, "</ul>\n"...)
	if more {
		b = append(b, "<p>and more: these are "...)
		b = strconv.AppendInt(b, int64(len(names)), 10)
		b = append(b, "</p>\n"...)
	}
	return b
}

// names are what a listing shows of a directory, sorted, directories first and with a slash: what can
// be asked for, so neither what is hidden nor what is neither file nor directory. nil is an error.
func (s *Site) names(dir string) (names []string, more bool) {
	root, err := s.tree.current()
	if err != nil {
		return nil, false
	}
	d, err := root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer d.Close()
	list, err := d.ReadDir(mostNames + 1)
	if err != nil && err != io.EOF {
		return nil, false
	}
	if more = len(list) > mostNames; more {
		list = list[:mostNames]
	}
	names = make([]string, 0, len(list))
	var scratch []byte
	for _, e := range list {
		name := e.Name()
		if _, status := clean(append([]byte("/"), appendEscaped(nil, []byte(name))...), &scratch, s.cfg.DotFiles || dir == "." && name == ".well-known"); status != 0 {
			continue
		}
		mode := e.Type()
		if mode&os.ModeSymlink != 0 {
			path := name
			if dir != "." {
				path = dir + "/" + name
			}
			fi, err := root.Stat(path)
			if err != nil {
				continue
			}
			mode = fi.Mode().Type()
		}
		switch {
		case mode.IsDir():
			names = append(names, name+"/")
		case mode.IsRegular():
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if da, db := strings.HasSuffix(a, "/"), strings.HasSuffix(b, "/"); da != db {
			if da {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	return names, more
}

// appendText appends text for HTML.
func appendText(dst []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; c {
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		case '&':
			dst = append(dst, "&amp;"...)
		case '"':
			dst = append(dst, "&#34;"...)
		case '\'':
			dst = append(dst, "&#39;"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
