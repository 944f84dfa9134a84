package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

const (
	// smallRead is what a read of relayed bytes counts at least against the byte budgets: passing
	// one on costs as much as copying half a KiB, however little is in it. TLS records count the same.
	smallRead = 512
	// drainQuiet is how long nothing must have moved before a relayed connection whose server has
	// spoken last is taken for idle while the loop drains. Whether an answer is due cannot be seen.
	drainQuiet = time.Second
	// cutWait and cutTries bound how long a connection that is to be cut waits for its peer to
	// acknowledge what it has been sent: a reset would take that away.
	cutWait  = 20 * time.Millisecond
	cutTries = 50
)

// most is how much one read of relayed bytes takes: what the other side does not take of it is held.
func (l *loop) most(c *conn) int { return min(readBytes, c.ln.MaxOut) }

// Pour is service.Conn's.
func (c *conn) Pour() {
	if c.up == nil || c.up.poursIn {
		return
	}
	c.up.poursIn = true
	if c.in != nil && c.loop.cur != c {
		c.loop.yield(c)
	}
}

// Pour is service.Upstream's.
func (u *upstream) Pour() {
	if u.c == nil || u.poursOut {
		return
	}
	u.poursOut = true
	if u.in != nil {
		u.loop.sendBack(u.c, u.in.B)
		u.dropIn()
	}
}

// pourRead reads once from a plain client whose bytes go to its upstream unseen, and passes them on:
// straight from the loop's buffer, or, when there are many, without copying them (splice.go). What
// the upstream's kernel refuses is kept, and then the client is not read until it is gone: at most
// one read is held.
//
// hot: 0 allocs, see BenchmarkRelay
func (l *loop) pourRead(c *conn) {
	u := c.up
	if c.state&stops != 0 {
		return
	}
	if u.fullIn >= bulkAfter && u.out == nil && u.tls == nil {
		l.spliceIn(c, u)
		return
	}
	n, errno := read(c.fd, l.buf[:l.most(c)])
	if !l.clientSent(c, u, n, errno) {
		return
	}
	u.fullIn = full(u.fullIn, n)
	gen := u.gen
	v := l.chargePoured(c, n)
	if l.sendUpstream(u, l.buf[:n]); u.gen != gen {
		return
	}
	l.poured(c, u, v)
}

// clientSent handles what a read from a client returned and reports whether there are bytes.
func (l *loop) clientSent(c *conn, u *upstream, n int, errno unix.Errno) bool {
	switch {
	case errno == unix.EAGAIN:
		return false
	case errno != 0: // reset, timed out: the kernel has ended it
		l.drop(c, guard.OK)
		return false
	case n == 0:
		c.state |= eof
		l.clientEnded(c)
		return false
	}
	c.bytesIn += uint64(n)
	l.count.bytesIn += uint64(n)
	return true
}

// chargePoured charges a read of relayed bytes.
func (l *loop) chargePoured(c *conn, n int) guard.Verdict {
	v := l.g.Read(c.id, n)
	if n < smallRead {
		if s := l.g.Surcharge(c.id, smallRead-n); s.Wait > v.Wait {
			v = s
		}
	}
	return v
}

// poured ends a wake in which a client's bytes were passed on.
func (l *loop) poured(c *conn, u *upstream, v guard.Verdict) {
	if u.out != nil {
		c.state |= choked
	}
	if v.Wait > 0 {
		l.throttle(c, v)
	}
	if c.frames == 0 {
		c.frames, c.ln.frames = 1, c.ln.frames+1 // the first bytes stand for a first frame
	}
	u.moved, u.answered = l.g.Now(), false
	l.silence(c, u)
	if c.state&(choked|throttled|paused) != 0 {
		l.clocks(c)
	}
}

// silence starts the deadline for when nothing more moves.
func (l *loop) silence(c *conn, u *upstream) {
	if u.eof || u.ending {
		l.g.Phase(c.id, guard.HalfClosed)
	} else {
		l.g.Phase(c.id, guard.Idle)
	}
}

// pour passes on bytes of a client that were not read just now: decrypted, or kept since before.
func (l *loop) pour(c *conn, b []byte) {
	if c.in != nil {
		if c.inOff > 0 {
			c.in.B = c.in.B[:copy(c.in.B, c.in.B[c.inOff:])]
			c.inOff = 0
		}
		c.in.B = append(c.in.B, b...)
		l.pourKept(c)
		return
	}
	if c.state&stops != 0 {
		l.keep(c, b)
		return
	}
	u := c.up
	gen := u.gen
	if l.sendUpstream(u, b); u.gen == gen {
		l.poured(c, u, guard.Verdict{})
	}
}

// pourKept passes on what is kept.
func (l *loop) pourKept(c *conn) {
	if c.in == nil || c.state&stops != 0 {
		return
	}
	u := c.up
	gen := u.gen
	b := c.in
	off := c.inOff
	c.in, c.inOff = nil, 0
	if off < len(b.B) {
		if l.sendUpstream(u, b.B[off:]); u.gen == gen {
			l.poured(c, u, guard.Verdict{})
		}
	}
	giveBack(b)
}

// pourRest passes on what lies behind the unit in which a session has begun to pour, and returns how
// much that is.
func (l *loop) pourRest(c *conn, b []byte) int {
	if u := c.up; len(b) > 0 {
		gen := u.gen
		if l.sendUpstream(u, b); u.gen == gen {
			l.poured(c, u, guard.Verdict{})
		}
	}
	return len(b)
}

// clientEnded passes on that a client has finished sending.
func (l *loop) clientEnded(c *conn) {
	u := c.up
	if !u.poursOut { // the session's answers are given or queued
		c.state |= closing
		return
	}
	u.ending = true
	l.silence(c, u)
	l.clocks(c)
}

// truncated ends a TLS connection that has ended without a close_notify: somebody may have cut it,
// and the upstream must not take it for the end. When the server has finished, nobody is cut off:
// many clients then just close.
func (l *loop) truncated(c *conn) {
	if !c.up.eof {
		l.count.faults[codec.Truncated]++
		l.shedEvent(c, guard.ShedMalformed, codec.Truncated.Label(), nil)
	}
	l.end(c, true)
}

// pourBack reads once from an upstream and gives the bytes to the client. As long as the client has
// not taken all of what came before, nothing is read.
//
// hot: 0 allocs, see BenchmarkRelay
func (l *loop) pourBack(u *upstream) {
	c := u.c
	if c.out != nil || c.state&(closing|lingering) != 0 {
		return
	}
	if u.fullOut >= bulkAfter && c.tls == nil && u.tls == nil && len(l.out) == 0 {
		l.spliceBack(c, u)
		return
	}
	n, errno := read(u.fd, l.buf[:l.most(c)])
	if u.tls != nil && errno == 0 {
		l.decryptUp(u, l.buf[:n])
		return
	}
	if !l.serverSent(u, n, errno) {
		return
	}
	u.fullOut = full(u.fullOut, n)
	gen := u.gen
	if l.sendBack(c, l.buf[:n]); u.gen == gen {
		l.movedBack(u)
	}
}

// serverSent handles what a read from an upstream returned and reports whether there are bytes.
func (l *loop) serverSent(u *upstream, n int, errno unix.Errno) bool {
	switch {
	case errno == unix.EAGAIN:
		return false
	case errno != 0:
		l.lost(u, service.EndReset)
		return false
	case n == 0:
		u.eof = true // settleUpstream passes it on, behind what the client is owed
		l.count.upEnds[service.EndEOF]++
		l.movedBack(u)
		return false
	}
	l.count.upIn += uint64(n)
	return true
}

// movedBack notes that the server has sent something. It counts for the client in the idle timeout
// only, and not before it has sent something itself or in the middle of what it sends.
func (l *loop) movedBack(u *upstream) {
	c := u.c
	u.moved, u.answered = l.g.Now(), true
	if c.frames > 0 && (u.poursIn || c.stage == service.Between) && c.state&(gone|closing|busy) == 0 {
		l.silence(c, u)
	}
}

// sendBack sends p to the client at once and keeps what the kernel refuses.
func (l *loop) sendBack(c *conn, p []byte) {
	if len(p) == 0 {
		return
	}
	if c.tls != nil || c.out != nil || len(l.out) > 0 || l.cur != c {
		c.Write(p)
		l.flush(c)
		return
	}
	n, errno := write(c.fd, p)
	l.count.writes++
	if errno != 0 && errno != unix.EAGAIN {
		l.drop(c, guard.OK)
		return
	}
	l.wrote(c, n)
	if n < len(p) {
		l.owe(c, len(p)-n)
		c.out.B = append(c.out.B, p[n:]...)
	}
}

// retireRelay closes a relayed connection that seems to be idle while the loop drains.
func (l *loop) retireRelay(c *conn) {
	u := c.up
	quiet := l.g.Now().Sub(u.moved)
	if u.connected && quiet >= drainQuiet && (u.answered || c.bytesIn == 0) && c.state&(stops|again) == 0 &&
		c.in == nil && c.out == nil && u.in == nil && u.out == nil && waiting(c.fd) == 0 && waiting(u.fd) == 0 {
		c.state |= closing
		return
	}
	if !u.retiring {
		u.retiring = true
		l.timers.push(timer{at: l.g.Now().Add(max(drainQuiet-quiet, drainQuiet/4)), c: c, gen: c.gen})
	}
}

// cutOff resets a connection once its peer has what it was sent, or has had the time.
func (l *loop) cutOff(c *conn) {
	if unsent(c.fd) == 0 || c.drips == cutTries {
		l.end(c, true)
		return
	}
	c.drips++
	l.timers.push(timer{at: l.g.Now() + mono.Time(cutWait), c: c, gen: c.gen})
}
