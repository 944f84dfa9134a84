package engine

import (
	"slices"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"weir/guard"
)

const (
	// bulkAfter is how many reads in a row must have filled the buffer before bytes are passed on
	// without being copied: a splice costs more calls than a read and a write, and pays from about
	// 32 KiB on.
	bulkAfter = 4
	// bulkLess is what a splice must bring for the next to be one too.
	bulkLess = 32 << 10
	// spliceBytes is how much one splice takes at most: as much as a read, so that what the receiver
	// refuses fits a buffer that is used again. 256 KiB saved a few percent more and had the
	// collector hold 16 MB of garbage for four readers that stalled.
	spliceBytes = readBytes
)

// full counts reads in a row that were as large as they can be.
func full(before uint8, n int) uint8 {
	if n < readBytes {
		return 0
	}
	return min(before+1, bulkAfter)
}

// pipe is a loop's way between two sockets: one for all its connections, empty between wakes. What
// the receiving socket refuses is read out of it and kept like other output. So there is no pipe for
// each connection, which would be two descriptors and up to 1 MiB of the kernel's that nothing of
// ours counts.
type pipe struct {
	r, w int // 0: not made
	off  bool
}

// ready makes the pipe when it is needed first. Without one (no descriptors) bytes are copied.
func (p *pipe) ready() bool {
	if p.w != 0 {
		return true
	}
	if p.off {
		return false
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC) != nil {
		p.off = true
		return false
	}
	p.r, p.w = fds[0], fds[1]
	// By default 16 pages: as few as 16 small segments would fill it.
	_, _ = unix.FcntlInt(uintptr(p.w), unix.F_SETPIPE_SZ, 16*spliceBytes)
	return true
}

// close gives the pipe up, with what is in it.
func (p *pipe) close() {
	if p.w != 0 {
		_ = unix.Close(p.r)
		_ = unix.Close(p.w)
		p.r, p.w = 0, 0
	}
}

// spliceIn is pourRead without copying.
func (l *loop) spliceIn(c *conn, u *upstream) {
	if !l.pipe.ready() {
		u.fullIn = 0
		return
	}
	n, errno := splice(c.fd, l.pipe.w, min(spliceBytes, c.ln.MaxOut))
	if errno == unix.EINVAL { // not of such a socket
		l.pipe.close()
		l.pipe.off = true
		u.fullIn = 0
		return
	}
	if !l.clientSent(c, u, n, errno) {
		return
	}
	if n < bulkLess {
		u.fullIn = 0
	}
	v := l.chargePoured(c, n)
	gen := u.gen
	left, errno := l.drainPipe(u.fd, n)
	l.count.upOut += uint64(n - left)
	switch {
	case errno != 0:
		l.broken(u)
	case left > 0:
		if u.out, u.sent = l.unpipe(left), 0; u.out == nil {
			l.broken(u)
		} else {
			l.owesProgress(u)
		}
	}
	if u.gen == gen {
		l.poured(c, u, v)
	}
}

// spliceBack is pourBack without copying.
func (l *loop) spliceBack(c *conn, u *upstream) {
	if !l.pipe.ready() {
		u.fullOut = 0
		return
	}
	n, errno := splice(u.fd, l.pipe.w, min(spliceBytes, c.ln.MaxOut))
	if errno == unix.EINVAL {
		l.pipe.close()
		l.pipe.off = true
		u.fullOut = 0
		return
	}
	if !l.serverSent(u, n, errno) {
		return
	}
	if n < bulkLess {
		u.fullOut = 0
	}
	left, errno := l.drainPipe(c.fd, n)
	l.wrote(c, n-left)
	switch {
	case errno != 0:
		l.drop(c, guard.OK)
		return
	case left > 0:
		b := l.unpipe(left)
		if b == nil {
			l.drop(c, guard.OK)
			return
		}
		l.owe(c, 0)
		giveBack(c.out)
		c.out = b
	}
	l.movedBack(u)
}

// drainPipe sends the n bytes in the pipe to fd, as many as it takes. It returns how many are left
// in the pipe; after an error none are.
func (l *loop) drainPipe(fd, n int) (left int, errno unix.Errno) {
	for n > 0 {
		k, e := splice(l.pipe.r, fd, n)
		l.count.writes++
		switch {
		case e == unix.EAGAIN:
			return n, 0
		case e != 0 || k == 0:
			l.pipe.close()
			return n, max(e, unix.EPIPE)
		}
		n -= k
	}
	return 0, 0
}

// unpipe takes n bytes out of the pipe; nil when that fails, which it does not.
func (l *loop) unpipe(n int) *bytebufferpool.ByteBuffer {
	b := borrow(n)
	for len(b.B) < n {
		b.B = slices.Grow(b.B, n-len(b.B))
		k, errno := read(l.pipe.r, b.B[len(b.B):n])
		if errno != 0 || k == 0 {
			l.pipe.close()
			giveBack(b)
			return nil
		}
		b.B = b.B[:len(b.B)+k]
	}
	return b
}

// splice moves up to n bytes between a socket and a pipe. 0 with errno 0 is the end of the stream.
func splice(from, to, n int) (int, unix.Errno) {
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}
