package files

import (
	"hash"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	touchBytes = 1 << 20   // what a worker brings into the page cache at once
	probeEvery = 128 << 10 // the kernel reads ahead that much: what lies between two pages that are there is there too
	seenFor    = time.Second
	readFor    = 10 * time.Second // of cannotAsk: shorter would have workers read all the time
	// seenPieces is of how many pieces in a row it is remembered whether they are there, 64 GiB: a sparse
	// file can be said to be exabytes, and costs 8 KiB like any other. Readers that are further apart
	// than that in one file ask for each piece.
	seenPieces = 64 << 10
)

// file is an open regular file of one loop. It is closed when nobody holds it any more: the cache, a
// body that is being sent, a worker that reads it.
type file struct {
	f    *os.File
	fd   int
	is   identity
	refs atomic.Int32
	open *atomic.Int64 // of its loop's files

	// On the loop's goroutine only.
	asks   asks
	seen   []uint64      // pieces of touchBytes that were found in the page cache, or that a worker has read,
	window int64         // of the window-th seenPieces
	seenAt time.Duration // since when
}

// identity tells whether a file is still the same and unchanged.
type identity struct {
	dev, ino           uint64
	size, mtime, ctime int64 // bytes, ns, ns
	mode               uint32
	_                  uint32
}

func identityOf(fi os.FileInfo) identity {
	id := identity{size: fi.Size(), mtime: fi.ModTime().UnixNano(), mode: uint32(fi.Mode())}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		id.dev, id.ino, id.ctime = uint64(st.Dev), st.Ino, st.Ctim.Nano()
	}
	return id
}

// asks is how it is found out whether the page cache has a part of a file.
type asks uint8

const (
	nowait    asks = iota // by reading a byte with RWF_NOWAIT
	inMemory              // it has: the file system has no disk
	cannotAsk             // not at all (overlayfs): a worker reads each piece first, and again after readFor
)

// newFile takes over f, whose metadata are fi. On a worker.
func newFile(f *os.File, fi os.FileInfo, how func(fd int) asks, open *atomic.Int64) *file {
	v := &file{f: f, fd: int(f.Fd()), is: identityOf(fi), open: open}
	v.refs.Store(1)
	open.Add(1)
	if v.is.size > 0 {
		v.asks = how(v.fd)
	}
	return v
}

// howToAsk finds out how the page cache is asked about a file that is not empty.
func howToAsk(fd int) asks {
	var b [1]byte
	if _, errno := preadNoWait(fd, b[:], 0); errno != unix.EOPNOTSUPP && errno != unix.ENOSYS && errno != unix.EINVAL {
		return nowait
	}
	const tmpfs, ramfs = 0x01021994, 0x858458f6
	var fs unix.Statfs_t
	if unix.Fstatfs(fd, &fs) == nil && (uint32(fs.Type) == tmpfs || uint32(fs.Type) == ramfs) {
		return inMemory
	}
	return cannotAsk
}

func (v *file) hold() { v.refs.Add(1) }

// release may be called by any goroutine. The last one closes the file, elsewhere: freeing the blocks
// of a large file that was deleted meanwhile can take a second.
func (v *file) release() {
	if v.refs.Add(-1) == 0 {
		v.open.Add(-1)
		go v.f.Close()
	}
}

// held reports whether anybody but the cache holds the file.
func (v *file) held() bool { return v.refs.Load() > 1 }

// cached is how many of the n bytes from off the page cache has, as far as can be asked cheaply: some
// of those at the front, 0 when not even the first of them. What has been found is remembered for a while
// by pieces of touchBytes, so that many readers ask once.
func (v *file) cached(off, n int64, now time.Duration) int64 {
	if v.asks == inMemory {
		return n
	}
	v.forget(now)
	end := off + n
	for at := off; at < end; {
		w := at / touchBytes
		if word, bit := v.piece(w); *word&bit == 0 {
			if v.asks == cannotAsk || !v.probe(w*touchBytes) {
				return at - off
			}
			*word |= bit
		}
		at = (w + 1) * touchBytes
	}
	return n
}

// piece is where it is remembered whether the w-th piece is there.
func (v *file) piece(w int64) (word *uint64, bit uint64) {
	if len(v.seen) == 0 {
		v.seen = make([]uint64, min(v.is.size/touchBytes, seenPieces-1)/64+1)
	}
	if w/seenPieces != v.window {
		clear(v.seen)
		v.window = w / seenPieces
	}
	w %= seenPieces
	return &v.seen[w/64], 1 << (w % 64)
}

// probe asks for one piece.
func (v *file) probe(at int64) bool {
	var b [1]byte
	end := min(at+touchBytes, v.is.size)
	for ; at < end; at += probeEvery {
		if _, errno := preadNoWait(v.fd, b[:], at); errno == unix.EAGAIN {
			return false
		}
	}
	_, errno := preadNoWait(v.fd, b[:], end-1)
	return errno != unix.EAGAIN
}

// forget forgets what was found when that was long ago.
func (v *file) forget(now time.Duration) {
	long := seenFor
	if v.asks == cannotAsk {
		long = readFor
	}
	if now-v.seenAt > long {
		clear(v.seen)
		v.seenAt = now
	}
}

// saw notes that a worker has read n bytes from off, whole pieces.
func (v *file) saw(off, n int64, now time.Duration) {
	v.forget(now)
	for w := off / touchBytes; w <= (off+n-1)/touchBytes; w++ {
		word, bit := v.piece(w)
		*word |= bit
	}
}

var touchBuffers = sync.Pool{New: func() any { b := make([]byte, probeEvery); return &b }}

// touch reads n bytes from off, so that the page cache has them, and asks for what follows. On a worker.
func (v *file) touch(off, n int64) {
	b := touchBuffers.Get().(*[]byte)
	defer touchBuffers.Put(b)
	for end := off + n; off < end; {
		got, err := unix.Pread(v.fd, (*b)[:min(int64(len(*b)), end-off)], off)
		if err != nil && err != unix.EINTR || err == nil && got == 0 {
			return // who sends it will notice
		}
		off += int64(max(got, 0))
	}
	_ = unix.Fadvise(v.fd, off, touchBytes, unix.FADV_WILLNEED)
}

// digest adds what is from from to to to a digest, and reports whether it could be read. On a worker.
func (v *file) digest(sum hash.Hash, from, to int64) bool {
	b := touchBuffers.Get().(*[]byte)
	defer touchBuffers.Put(b)
	for from < to {
		got, err := unix.Pread(v.fd, (*b)[:min(int64(len(*b)), to-from)], from)
		if err == unix.EINTR {
			continue
		}
		if err != nil || got == 0 {
			return false
		}
		_, _ = sum.Write((*b)[:got]) // never fails
		from += int64(got)
	}
	return true
}

// pread reads what the page cache has, or waits for the disk.
func pread(fd int, p []byte, off int64) (n int, errno unix.Errno) {
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_PREAD64, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(off), 0, 0)
		if e != unix.EINTR {
			return int(r), e
		}
	}
}

// preadNoWait reads what the page cache has, and never waits: EAGAIN when that is nothing.
func preadNoWait(fd int, p []byte, off int64) (n int, errno unix.Errno) {
	iov := unix.Iovec{Base: &p[0]}
	iov.SetLen(len(p))
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(&iov)), 1, uintptr(off), 0, unix.RWF_NOWAIT)
		if e != unix.EINTR {
			return int(r), e
		}
	}
}
