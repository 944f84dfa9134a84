package files

import (
	"crypto/sha256"
	"errors"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// begin looks at where the file is to be, and makes a temporary one. On a worker.
func (u *upload) begin() Outcome {
	root, err := u.st.tree.current()
	if err != nil {
		return DiskError
	}
	dir, name := path.Split(u.key)
	if dir == "" {
		dir = "."
	}
	if u.dir, err = root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0); err != nil {
		return outcomeOf(err)
	}
	u.name = name
	if _, _, o := u.look(); o != Stored {
		return o
	}
	if o := u.st.fits(u.at()); o != Stored {
		return o
	}
	for range 4 {
		temp := newTemp()
		if err := u.st.fails("open"); err != nil {
			return outcomeOf(err)
		}
		fd, err := unix.Openat(u.at(), temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return outcomeOf(err)
		}
		// A sweep may be at it between these two lines: then it is not ours any more.
		var st unix.Stat_t
		switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
		case err == unix.EWOULDBLOCK:
		case unix.Fstat(fd, &st) == nil && st.Nlink > 0: // also where nothing can be locked
			u.f, u.temp, u.sum = os.NewFile(uintptr(fd), temp), temp, sha256.New()
			return Stored
		}
		_ = unix.Unlinkat(u.at(), temp, 0)
		_ = unix.Close(fd)
	}
	return DiskError
}

// at is the directory's descriptor.
func (u *upload) at() int { return int(u.dir.Fd()) }

// look judges what stands in the place of the file, and says what that is.
func (u *upload) look() (st unix.Stat_t, there bool, o Outcome) {
	switch err := unix.Fstatat(u.at(), u.name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == unix.ENOENT:
		if !u.cond.hold("", time.Time{}) {
			return st, false, Unmet
		}
		return st, false, Stored
	case err != nil:
		return st, false, outcomeOf(err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG: // a directory, a link, a device: none of them is replaced
		return st, true, Exists
	case !u.cond.hold(tagOf(st.Mtim.Nano(), st.Size), time.Unix(st.Mtim.Unix())):
		return st, true, Unmet
	case !u.st.cfg.Overwrite || u.only:
		return st, true, Exists
	}
	return st, true, Stored
}

// write writes what has gathered. On a worker.
func (u *upload) write() Outcome {
	b := *u.chunk
	_, _ = u.sum.Write(b) // never fails
	n, err := u.f.Write(b)
	u.written += int64(n)
	u.st.pending.Add(-int64(n))
	if err == nil {
		err = u.st.fails("write")
	}
	if err != nil {
		return outcomeOf(err)
	}
	if u.written-u.looked < floorEvery {
		return Stored
	}
	u.looked = u.written
	return u.st.fits(u.at())
}

// finish makes the file visible. On a worker.
func (u *upload) finish() Outcome {
	if u.chunk != nil {
		if o := u.write(); o != Stored {
			return o
		}
	}
	if u.size >= 0 && u.written != u.size {
		return BadRequest // not reached: who calls has counted
	}
	u.sum.Sum(u.digest[:0])
	if u.check && u.digest != u.want {
		return Mismatch
	}
	err := u.f.Sync()
	if err == nil {
		err = u.st.fails("sync")
	}
	if err != nil {
		return outcomeOf(err)
	}
	replaced, o := u.take()
	if o != Stored {
		return o
	}
	u.st.added.Add(cost(u.written) - replaced)
	u.settle()
	u.st.bytes.Add(uint64(u.written))
	u.st.told.tell([]byte(u.key))
	if err = u.dir.Sync(); errors.Is(err, syscall.EINVAL) { // a file system without directories to sync
		err = nil
	}
	if err == nil {
		err = u.st.fails("dirsync")
	}
	return outcomeOf(err) // it is there all the same, and may not be after a crash
}

// take gives the file its name. One at a time in a store, so that two replacements of one file that rely
// on what it was cannot both be right.
func (u *upload) take() (replaced int64, o Outcome) {
	u.st.commit.Lock()
	defer u.st.commit.Unlock()
	old, there, o := u.look()
	if o != Stored {
		return 0, o
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(u.f.Fd()), &st); err != nil {
		return 0, outcomeOf(err)
	}
	tag := tagOf(st.Mtim.Nano(), st.Size)
	if there && tag == tagOf(old.Mtim.Nano(), old.Size) { // both within one tick of the file system's clock: other bytes need another tag
		ns := st.Mtim.Nano() + int64(time.Microsecond)
		ts := []unix.Timespec{unix.NsecToTimespec(ns), unix.NsecToTimespec(ns)}
		if err := unix.UtimesNanoAt(u.at(), u.temp, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return 0, outcomeOf(err)
		}
		tag = tagOf(ns, st.Size)
	}
	if err := u.st.fails("name"); err != nil {
		return 0, outcomeOf(err)
	}
	var err error
	if there {
		replaced = cost(old.Size)
		err = unix.Renameat(u.at(), u.temp, u.at(), u.name)
	} else {
		err = unix.Renameat2(u.at(), u.temp, u.at(), u.name, unix.RENAME_NOREPLACE)
		if err == unix.EINVAL || err == unix.ENOSYS { // network file systems
			if err = unix.Linkat(u.at(), u.temp, u.at(), u.name, 0); err == nil {
				_ = unix.Unlinkat(u.at(), u.temp, 0)
			}
		}
	}
	if err != nil {
		return 0, outcomeOf(err)
	}
	u.temp, u.tag, u.created = "", tag, !there
	return replaced, Stored
}

// tagOf is a file's entity tag, as GET gives it for the file as it is.
func tagOf(mtime, size int64) string { return `"` + plainTag(mtime, size) + `"` }

// plainTag is a tag without its quotes.
func plainTag(mtime, size int64) string {
	return strconv.FormatInt(mtime, 36) + "-" + strconv.FormatInt(size, 36)
}
