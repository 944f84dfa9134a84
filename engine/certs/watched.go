package certs

import (
	"slices"
	"time"
)

// watched are the files of one pair, or of the client CA, as they were at the last look.
type watched struct {
	role  []string // of each path
	paths []string

	stamps []stamp
	again  bool // look at the content next time too, whatever the stamps say
	loaded sum  // of the content that is served
	failed sum  // of content that could not be loaded, zero for none
	told   bool // of failed
}

// look reads the files if they may have changed, and gives content that is new to take. took reports
// that it was taken. err says why not: at each look with all, else once for each content, and only
// when it has stood for two looks, because whoever renews a certificate writes two files.
func (w *watched) look(all bool, take func(content [][]byte) error) (took bool, err error) {
	pending := w.failed != sum{} && !w.told
	if !all && !pending && !w.again && slices.Equal(w.stamps, w.stampsNow()) {
		return false, nil
	}
	content, is, err := w.read()
	switch {
	case is == w.loaded: // or is so again
		w.failed = sum{}
		return false, nil
	case is == w.failed && w.told && !all:
		return false, nil
	}
	if err == nil {
		err = take(content)
	}
	if err == nil {
		w.loaded, w.failed = is, sum{}
		return true, nil
	}
	stood := is == w.failed
	w.failed, w.told = is, all || stood
	if !w.told {
		return false, nil
	}
	return false, err
}

func (w *watched) stampsNow() []stamp {
	list := make([]stamp, len(w.paths))
	for i, path := range w.paths {
		list[i] = stampOf(path)
	}
	return list
}

// read reads the files, remembers what they looked like before, and identifies their content; files
// that cannot be read have the content of the reason.
func (w *watched) read() (content [][]byte, is sum, err error) {
	now := time.Now() // the files' clock, whatever the tests' is
	w.stamps = w.stampsNow()
	w.again = slices.ContainsFunc(w.stamps, func(s stamp) bool { return s.fresh(now) })
	for i, path := range w.paths {
		b, err := read(w.role[i], path)
		if err != nil {
			return nil, sumOf([]byte("unreadable"), []byte(err.Error())), err
		}
		content = append(content, b)
	}
	return content, sumOf(content...), nil
}
