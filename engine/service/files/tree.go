package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// rootFresh is how long a root is believed to be still the directory of its name.
const rootFresh = time.Second

// tree is a directory below which names are looked up. Any goroutine, but no loop: looking may block.
type tree struct {
	dir string // absolute

	mu     sync.Mutex // of what follows
	root   *os.Root
	info   os.FileInfo // the root's
	looked time.Time   // when it was last compared with dir
}

// openTree opens a directory. Its errors are one line for the operator.
func openTree(dir string) (*tree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	t := &tree{dir: dir}
	if _, err := t.current(); err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, fmt.Errorf("open directory %s: %w", dir, err)
	}
	return t, nil
}

// current is the root, opened anew when its name has come to be another directory: releases are often
// put in place by pointing a link at them.
func (t *tree) current() (*os.Root, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.root != nil && now.Sub(t.looked) < rootFresh && now.After(t.looked) {
		return t.root, nil
	}
	t.looked = now
	info, err := os.Stat(t.dir)
	if t.root != nil && (err != nil || os.SameFile(info, t.info)) {
		return t.root, nil // also while a new one is being put in place
	}
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		if t.root != nil {
			return t.root, nil
		}
		return nil, err
	}
	if info, err = root.Stat("."); err != nil {
		_ = root.Close()
		return nil, err
	}
	if old := t.root; old != nil {
		time.AfterFunc(time.Minute, func() { _ = old.Close() }) // workers may be at it
	}
	t.root, t.info = root, info
	return root, nil
}

// close gives the root back. When nobody uses it any more.
func (t *tree) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.root != nil {
		_ = t.root.Close()
		t.root = nil
	}
}
