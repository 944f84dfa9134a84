package files

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// mostDirs bounds the directories that a count has still to look into, and mostDepth how deep it
	// goes: below a tree that is wider or deeper than that nothing is counted or swept.
	mostDirs  = 1 << 16
	mostDepth = 128
	scanBatch = 512 // names that are read at once
)

// errStopped says that the store was closed meanwhile.
var errStopped = errors.New("stopped")

// place is a directory that is to be scanned.
type place struct {
	path  string
	depth int
}

// scan adds up what the regular files below the root cost, and removes what a crash has left. It follows
// no symbolic link; where one is swapped in for a directory while it looks, os.Root sees to it that it stays
// inside, where something is then counted twice.
func (l *ledger) scan() (sum int64, err error) {
	root, err := l.tree.current()
	if err != nil {
		return 0, err
	}
	list := []place{{".", 0}}
	for len(list) > 0 {
		at := list[len(list)-1]
		list = list[:len(list)-1]
		d, err := root.OpenFile(at.path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue // gone, or not ours to read
		}
		for {
			names, err := d.ReadDir(scanBatch)
			for _, e := range names {
				select {
				case <-l.closed:
					_ = d.Close()
					return 0, errStopped
				default:
				}
				path := e.Name()
				if at.path != "." {
					path = at.path + "/" + e.Name()
				}
				switch {
				case e.IsDir():
					if at.depth < mostDepth && len(list) < mostDirs {
						list = append(list, place{path, at.depth + 1})
					}
				case !e.Type().IsRegular():
				case isOurTemp(e.Name()):
					l.sweep(root, path)
				default:
					if fi, err := root.Lstat(path); err == nil && fi.Mode().IsRegular() {
						sum += cost(fi.Size())
					}
				}
			}
			if err == io.EOF || err != nil || len(names) == 0 {
				break
			}
		}
		_ = d.Close()
	}
	return sum, nil
}

// sweep removes a leftover, unless whoever writes it is alive: they hold a lock.
func (l *ledger) sweep(root *os.Root, path string) {
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	if root.Remove(path) == nil {
		l.swept.Add(1)
	}
}
