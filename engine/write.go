package engine

import (
	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/engine/service"
	"weir/guard"
)

// flush sends what the present wake has gathered. What the kernel refuses is kept in c.out; while
// anything is there, nothing is sent but from writable.
func (l *loop) flush(c *conn) { l.push(c, 0) }

// push is flush with flags for the kernel: MSG_MORE when more follows at once.
func (l *loop) push(c *conn, flags int) {
	if l.cur != c || len(l.out) == 0 && len(l.cipher) == 0 {
		return
	}
	if c.state&gone != 0 {
		l.out, l.cipher = l.out[:0], l.cipher[:0]
		return
	}
	p := l.gathered(c)
	if len(p) == 0 {
		return
	}
	n, errno := send(c.fd, p, flags)
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

// gathered is what the present wake has for the peer, encrypted where it must be. What has to queue
// behind older output it queues there.
func (l *loop) gathered(c *conn) []byte {
	p := l.out
	l.out = l.out[:0]
	if c.tls == nil {
		return p
	}
	if len(p) > 0 {
		c.seal(p, l.cipherFor(c))
	}
	p = l.cipher
	l.cipher = l.cipher[:0]
	return p
}

// owe begins to keep output, about n bytes of it, and to judge how fast the peer takes it.
func (l *loop) owe(c *conn, n int) {
	c.out, c.sent = borrow(n), 0
	l.owes(c)
}

// owes begins to judge how fast the peer takes what it is owed: the kernel took less than we had.
func (l *loop) owes(c *conn) {
	if c.state&owing != 0 {
		return
	}
	c.state |= owing
	c.acked = c.acknowledged()
	l.g.Owe(c.id)
}

// settled ends it: the kernel has all that there is for now.
func (l *loop) settled(c *conn) {
	if c.state&owing != 0 {
		c.state &^= owing
		l.g.Settled(c.id)
	}
}

// acknowledged is how many of the bytes sent the peer's kernel has.
func (c *conn) acknowledged() uint64 {
	return c.bytesOut - min(c.bytesOut, uint64(unsent(c.fd)))
}

func (l *loop) wrote(c *conn, n int) {
	c.bytesOut += uint64(n)
	l.count.bytesOut += uint64(n)
}

// writable sends what waits, reports the peer's progress, and lets the connection be served again
// when there is room.
func (l *loop) writable(c *conn) {
	if c.out == nil {
		if c.src != nil {
			if c.state&owing != 0 {
				l.progress(c)
			}
			l.proceed(c)
		}
		return
	}
	n, errno := 0, unix.Errno(0)
	if c.sent < len(c.out.B) {
		n, errno = write(c.fd, c.out.B[c.sent:])
		l.count.writes++
	}
	if errno == unix.EAGAIN {
		return
	}
	if errno != 0 {
		l.drop(c, guard.OK)
		return
	}
	l.wrote(c, n)
	c.sent += n
	l.progress(c)
	if c.sent == len(c.out.B) {
		giveBack(c.out)
		if c.out, c.sent = nil, 0; c.src == nil {
			l.settled(c)
		}
		if c.up != nil && c.up.in != nil {
			if l.offerReceived(c.up, nil); c.state&gone != 0 {
				return
			}
		}
	} else if c.sent > len(c.out.B)/2 { // queue in front, not behind what is gone
		c.out.B = c.out.B[:copy(c.out.B, c.out.B[c.sent:])]
		c.sent = 0
	}
	if c.state&blocked != 0 && c.outstanding() <= c.ln.MaxOut/4 {
		c.state &^= blocked
		l.proceed(c)
	} else if c.out == nil && c.src != nil {
		l.proceed(c)
	}
}

// progress tells the guard how many bytes the peer's kernel has acknowledged since the last time:
// what the peer reads, not what ours buffers, is what its rate is judged by.
func (l *loop) progress(c *conn) {
	if acked := c.acknowledged(); acked > c.acked {
		l.g.Drained(c.id, int(acked-c.acked))
		c.acked = acked
	}
}

// overflow ends a connection whose session queues more than MaxOut: a bug in the service.
func (l *loop) overflow(c *conn) {
	if c.state&closing == 0 {
		c.state |= closing
		l.drop(c, guard.ShedOutput)
	}
}

// account keeps the sum of what all connections hold, in crypto/tls too, and sheds the one that
// makes it exceed its bound; it reports whether the connection lives.
func (l *loop) account(c *conn) bool {
	held := 0
	if c.in != nil {
		held = cap(c.in.B)
	}
	if c.out != nil {
		held += cap(c.out.B)
	}
	if c.intro != nil && c.intro.shake != nil {
		held += shakeHolds + 2*c.intro.shake.bytes
	}
	if c.tls != nil {
		held += c.tls.Held()
		if c.tls.raw != nil {
			held += cap(c.tls.raw.B)
		}
	}
	if c.up != nil {
		held += c.up.held()
	}
	if held == c.acct {
		return true
	}
	grew := held > c.acct
	l.buffered += int64(held - c.acct)
	c.acct = held
	if most := l.buffMax; grew && most > 0 {
		if c.frames == 0 {
			most /= 2 // unproven connections leave the rest to those that have proved something
		}
		if l.buffered > most {
			l.drop(c, guard.ShedMemory)
			return false
		}
	}
	return true
}

// interest is what a connection waits for.
type interest uint8

const (
	wantRead interest = 1 << iota
	wantWrite
)

// watch has the poller watch a descriptor for w, for which it is registered already.
func (l *loop) watch(fd int, w interest) error {
	if w == 0 {
		return l.p.Modify(fd, epoll.Edge) // a reset is still noticed, once
	}
	var events uint32
	if w&wantRead != 0 {
		events |= epoll.In
	}
	if w&wantWrite != 0 {
		events |= epoll.Out
	}
	return l.p.Modify(fd, events)
}

// want registers what the connection must be woken for, if that has changed.
func (l *loop) want(c *conn) {
	var w interest
	if c.state&(eof|busy|blocked|throttled|choked|heldBack|pulling) == 0 && (c.state&closing == 0 || c.state&lingering != 0) {
		w = wantRead
	}
	if c.out != nil || c.state&(pulling|resting|busy|again) == pulling {
		w |= wantWrite
	}
	if c.state&(heldBack|pressing|eof) == heldBack {
		w |= c.wants & wantRead // likewise: most clients wait for the answer
	}
	if c.state&(choked|pressing|eof) == choked && c.up != nil && !c.up.pressed {
		w |= c.wants & wantRead // most upstreams connect, and drain, before more comes
	}
	if w == c.wants {
		return
	}
	c.wants = w
	if err := l.watch(c.fd, w); err != nil { // the kernel is out of memory for its watch list
		l.drop(c, guard.ShedMemory)
	}
}

// clocks tells the guard what the connection does now.
func (l *loop) clocks(c *conn) {
	if c.state&(gone|closing) != 0 {
		return
	}
	if idle := c.state&(blocked|throttled|choked|heldBack) != 0; idle != (c.state&paused != 0) {
		c.state ^= paused
		if idle {
			l.g.Pause(c.id)
		} else {
			l.g.Resume(c.id)
		}
	}
	if c.state&(busy|pulling) != 0 {
		return
	}
	stage := c.sess.Stage()
	if c.state&fresh != 0 || stage != c.stage {
		if stage == service.Proving {
			l.g.Phase(c.id, guard.Auth)
			c.stage = stage
			c.state &^= fresh | idling
			return
		}
		if c.state&(fresh|idling) == fresh {
			l.g.Phase(c.id, guard.Idle) // a frame was completed, whatever has begun since
		}
		if stage != service.Between || c.state&fresh == 0 {
			l.g.Phase(c.id, phases[stage])
		}
		c.stage = stage
	}
	c.state &^= fresh | idling
}

// unknownStage makes the next clocks set the phase anew.
const unknownStage = service.Stage(0xff)

// phases are the guard's phases by service.Stage.
var phases = [...]guard.Phase{guard.Idle, guard.Head, guard.Frame, guard.Body}
