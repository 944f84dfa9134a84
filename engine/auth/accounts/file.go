package accounts

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// FileError is a file that cannot be used, in one line.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return "accounts " + e.Path + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// ReadFile reads and checks a file. Only a regular file is read, and only one that belongs to this
// user, or to root, and that nobody else may read or write: what was opened is asked, not the path.
func ReadFile(path string) (*Set, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	s, err := Parse(text)
	if err != nil {
		return nil, &FileError{path, err}
	}
	return s, nil
}

func read(path string) ([]byte, error) {
	// O_NONBLOCK, so that a pipe in the file's place does not stop the reader.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &FileError{path, plain(err)}
	}
	defer f.Close()
	text, err := readFrom(f)
	if err != nil {
		return nil, &FileError{path, err}
	}
	return text, nil
}

func readFrom(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, plain(err)
	}
	if err := checkMode(st); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	return text, nil
}

func checkMode(st fs.FileInfo) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.Mode().IsRegular():
		return errors.New("is no regular file")
	case st.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read or write it (mode %04o): chmod 600 it", st.Mode().Perm())
	case ok && int(sys.Uid) != os.Geteuid() && sys.Uid != 0:
		return fmt.Errorf("belongs to user %d, not to user %d who reads it: chown it", sys.Uid, os.Geteuid())
	}
	return nil
}

// plain says what the system said, without repeating the path.
func plain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be read or written by this user; change its owner")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// Edit changes a file: it holds off other writers, reads it, lets change work on it, and puts the
// new text in its place at once, so that a reader finds the old one or the new one and a power cut
// leaves one of them. What is written has been parsed before. With create a file that does not
// exist, or is empty, is begun. When change returns an error the file stays as it is. It may take
// long: not on a loop.
func Edit(path string, create bool, change func(*Draft) error) (err error) {
	wrong := func(err error) error { return &FileError{path, err} }
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a rename over a link would leave two files
	}
	f, err := lock(path, create)
	if err != nil {
		return wrong(plain(err))
	}
	defer f.Close() // and the lock goes
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // of a link to nothing, to which lock has made a file
	}
	text, err := readFrom(f)
	if err != nil {
		return wrong(err)
	}
	if create && len(text) == 0 {
		defer func() {
			if err != nil {
				os.Remove(path) // which lock has made, and which says nothing
			}
		}()
	}
	d, err := newDraft(text, create)
	if err != nil {
		return wrong(err)
	}
	if err := change(d); err != nil {
		return err
	}
	if err := replace(f, path, []byte(d.text())); err != nil {
		return wrong(plain(err))
	}
	return nil
}

// lock opens the file that path names and takes its lock. A file that was replaced meanwhile is
// given up for the new one: its lock would keep nobody away.
func lock(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR | syscall.O_NONBLOCK | syscall.O_CLOEXEC
	if create {
		flags |= os.O_CREATE
	}
	for {
		f, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return nil, err
		}
		for {
			if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != syscall.EINTR {
				break
			}
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if named, err := os.Stat(path); err == nil && os.SameFile(held, named) {
			return f, nil
		}
		f.Close()
	}
}

// replace puts text in the place of old, which is at path, under the same owner.
func replace(old *os.File, path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() {
		tmp.Close()
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if st, err := old.Stat(); err == nil {
		if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
			if err := tmp.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
				return err // root changes the server's file: the server must be able to read it afterwards
			}
		}
	}
	if _, err = tmp.Write(text); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
