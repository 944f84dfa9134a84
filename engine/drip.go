package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
)

const (
	dripFrom  = 2       // wakes that left the same frame or head incomplete, before the kernel gathers
	dripSmall = 128     // bytes; a read of more is no drip
	dripBytes = 4 << 10 // the most that the kernel is asked to gather before it wakes us
	dripFirst = 20 * time.Millisecond
	dripMost  = 5 * time.Second
)

// drip lets the kernel gather the bytes of a frame or head that arrives in many small pieces, by
// SO_RCVLOWAT. A trickle then costs its entry on the wheel and little else.
//
// For a frame that says how much it lacks, the next wake comes when that is there. A head or a line
// may be complete with any byte: they are looked at after as long again as they have taken so far,
// 20 ms to 5 s. A hundred drips then cost ten wakes, and a slow typist waits no longer than the
// pieces before took. What has gathered is read before a deadline is judged in any case. n is what
// has just been read.
func (l *loop) drip(c *conn, n int) {
	if c.state&(gone|closing) != 0 {
		return
	}
	lowat := int32(1)
	if c.stage == service.InFrame || c.stage == service.InHead {
		if n > 0 && n < dripSmall && c.drips <= dripFrom {
			if c.drips == 0 {
				c.dripping = l.g.Now()
			}
			c.drips++
		}
		if c.drips > dripFrom {
			if lowat = int32(min(c.sess.Lacks(), dripBytes)); lowat == 1 {
				lowat = dripBytes
				l.lookLater(c)
			}
		}
	}
	if lowat != c.lowat {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, int(lowat))
		c.lowat = lowat
	}
}

// lookLater has a dripping connection read after a while.
func (l *loop) lookLater(c *conn) {
	if c.state&gathering == 0 {
		c.state |= gathering
		wait := min(max(l.g.Now().Sub(c.dripping), dripFirst), dripMost)
		l.timers.push(timer{at: l.g.Now().Add(wait), c: c, gen: c.gen, look: true})
	}
}

// look reads what a dripping connection has gathered.
func (l *loop) look(c *conn) {
	c.state &^= gathering
	if c.state&(stops|again|eof) != 0 || c.lowat == 1 {
		return
	}
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	if waiting(c.fd) > 0 {
		l.readable(c)
	} else {
		l.drip(c, 0)
	}
}
