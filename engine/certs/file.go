package certs

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// What a file is for: FileError.Role.
const (
	RoleCert     = "certificate"
	RoleKey      = "key"
	RoleClientCA = "client CA"
)

// FileError is a file that cannot be used, in one line. Its text names the file; whoever knows
// which setting names it can put that in place of Role.
type FileError struct {
	Role string // RoleCert, RoleKey or RoleClientCA
	Path string
	Err  error // what is wrong, and where there is one answer, what to do
}

func (e *FileError) Error() string { return e.Role + " " + e.Path + ": " + e.Err.Error() }

func (e *FileError) Unwrap() error { return e.Err }

// maxFile bounds what is read: a chain is a few KiB, a bundle of all public roots 250 KiB.
const maxFile = 4 << 20

// read returns a file's content. Only regular files are read: a pipe would stop the reader, and has
// nothing left to say at the next look.
func read(role, path string) ([]byte, error) {
	wrong := func(err error) error { return &FileError{role, path, plain(err)} }
	st, err := os.Stat(path)
	if err != nil {
		return nil, wrong(err)
	}
	if !st.Mode().IsRegular() {
		return nil, wrong(errors.New("is no regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, wrong(err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, wrong(err)
	case len(b) > maxFile:
		return nil, wrong(errors.New("is larger than 4 MiB"))
	}
	return b, nil
}

// plain says what the system said, without repeating the path.
func plain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("may not be read by this user; change its mode or owner")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// stamp is what tells a file from what it was at the last look. Links are followed, so a link turned
// to another file has another one.
type stamp struct {
	dev, inode   uint64
	size         int64
	mtime, ctime int64 // nanoseconds since 1970
	missing      bool
}

func stampOf(path string) stamp {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return stamp{missing: true}
	}
	return stamp{dev: uint64(st.Dev), inode: st.Ino, size: st.Size, mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano()}
}

// grain is how old a file must be before an equal stamp means equal content: kernels keep times to a
// few milliseconds, some file systems to 2 s, and a file can be written twice within that.
const grain = 3 * time.Second

// fresh reports whether a write after this look might leave the stamp as it is.
func (s stamp) fresh(now time.Time) bool {
	return !s.missing && now.UnixNano()-max(s.mtime, s.ctime) < int64(grain)
}

// sum identifies the content of some files.
type sum [sha256.Size]byte

func sumOf(parts ...[]byte) (s sum) {
	h := sha256.New()
	for _, p := range parts {
		_ = binary.Write(h, binary.BigEndian, uint64(len(p))) // a hash takes everything
		h.Write(p)
	}
	h.Sum(s[:0])
	return s
}
