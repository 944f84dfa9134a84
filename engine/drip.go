package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
)

const (
	dripFrom  = 2       // small reads that left the same head or line incomplete, before it is let be
	dripSmall = 128     // bytes; a read of more is no drip
	dripBytes = 4 << 10 // the most that the kernel is asked to gather before it wakes us
	dripFirst = 20 * time.Millisecond
	dripMost  = 5 * time.Second
)

// drip lets the kernel gather the bytes of a frame or head that arrives in many small pieces, by
// SO_RCVLOWAT. A trickle then costs its entry on the wheel and little else.
//
// For a frame that says how much it lacks, the next wake comes when that is there. A head or a line
// may be complete with any byte: they are looked at after four times as long again as they have
// taken so far, 20 ms to 5 s, so that a hundred drips cost a handful of wakes. The price is that a
// head which its client sends in several pieces of less than 128 bytes waits for that long, 20 ms
// when the pieces follow each other at once. What has gathered is read before a deadline is judged in
// any case. n is what has just been read, with TLS as it came.
func (l *loop) drip(c *conn, n int) {
	if c.state&(gone|closing) != 0 {
		return
	}
	lowat := int32(1)
	if c.stage == service.InFrame || c.stage == service.InHead {
		if n > 0 && n < dripSmall && c.drips < dripFrom {
			if c.drips == 0 {
				c.dripping = l.g.Now()
			}
			c.drips++
		}
		if c.drips > 0 {
			lowat = int32(min(c.sess.Lacks(), dripBytes))
		}
		if lowat == 1 && c.drips >= dripFrom {
			lowat = dripBytes
			l.lookLater(c)
		}
	}
	// Nothing comes of a TLS record before it is whole, and what it lacks may be less than the
	// frame does.
	if s := c.tls; s != nil && s.raw != nil && !s.more && (lowat > 1 || n > 0 && n < dripSmall) {
		lowat = int32(min(s.lacks, dripBytes))
	}
	c.wakeAt(lowat)
}

// wakeAt has the kernel wake us when at least n bytes have arrived.
func (c *conn) wakeAt(n int32) {
	if n != c.lowat {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVLOWAT, int(n))
		c.lowat = n
	}
}

// lookLater has a dripping connection read after a while.
func (l *loop) lookLater(c *conn) {
	if c.state&gathering == 0 {
		c.state |= gathering
		wait := min(max(4*l.g.Now().Sub(c.dripping), dripFirst), dripMost)
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
