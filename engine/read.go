package engine

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
)

// readable reads once, a bounded amount, and serves what is complete.
func (l *loop) readable(c *conn) {
	if c.state&lingering != 0 {
		l.discard(c)
		return
	}
	if c.state&again != 0 {
		return // what was read before is served first; the kernel keeps the rest
	}
	if c.state&heldBack != 0 {
		c.state |= pressing // want takes the interest away
		return
	}
	if c.up != nil {
		if c.state&choked != 0 {
			c.up.pressed = true // there is more than can be passed on: want takes the interest away
			return
		}
		if c.up.poursIn && c.tls == nil {
			l.pourRead(c)
			return
		}
	}
	n, errno := read(c.fd, l.buf)
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0: // reset, timed out: the kernel has ended it
		l.drop(c, guard.OK)
		return
	case n == 0 && c.up != nil && c.tls != nil: // no close_notify came first
		l.truncated(c)
		return
	case n == 0:
		if c.state |= eof; c.opening != opened {
			l.openingEnds(c)
			return
		}
		l.proceed(c)
		return
	}
	c.bytesIn += uint64(n)
	l.count.bytesIn += uint64(n)
	l.uncharged = n
	switch {
	case c.opening != opened:
		l.introduce(c, l.buf[:n])
	case c.tls != nil:
		l.decrypt(c, l.buf[:n])
	default:
		l.take(c, l.buf[:n])
	}
	if l.uncharged > 0 && c.state&gone == 0 { // no frame was complete
		l.verdict = l.g.Read(c.id, n)
	}
	v := l.verdict
	l.uncharged, l.verdict = 0, guard.Verdict{}
	if c.state&(gone|closing) != 0 || c.opening != opened {
		return
	}
	if v.Wait > 0 {
		l.throttle(c, v)
	}
	l.clocks(c)
	l.drip(c, n)
}

// take serves b, which has arrived, and keeps what is not finished with.
func (l *loop) take(c *conn, b []byte) {
	if c.up != nil && c.up.poursIn {
		l.pour(c, b)
		return
	}
	if c.in == nil {
		used := 0
		if c.state&stops == 0 {
			used = l.serve(c, b)
		}
		if used < len(b) && c.state&(gone|closing) == 0 {
			l.keep(c, b[used:])
		}
		return
	}
	if c.inOff > 0 { // what is finished with makes room for what arrived
		c.in.B = c.in.B[:copy(c.in.B, c.in.B[c.inOff:])]
		c.inOff = 0
	}
	c.in.B = append(c.in.B, b...)
	if c.state&stops == 0 {
		l.serveKept(c)
	}
}

// charge charges a frame and, when it is the first of a read, the read's bytes with it.
func (l *loop) charge(c *conn) (r guard.Reason) {
	if n := l.uncharged; n > 0 {
		l.uncharged = 0
		l.verdict, r = l.g.ReadFrame(c.id, n)
		c.state |= idling
		return r
	}
	c.state &^= idling
	return l.g.Frame(c.id)
}

// proceed serves what is kept, and acts on the end of the stream when nothing is left to serve.
func (l *loop) proceed(c *conn) {
	if c.src != nil && !l.pull(c) {
		return
	}
	if c.state&(stops|again) == 0 {
		l.serveKept(c)
	}
	if c.state&(gone|closing) != 0 {
		return
	}
	if s := c.tls; s != nil && s.more && c.state&(stops|again) == 0 {
		if l.decrypt(c, nil); c.state&(gone|closing) != 0 {
			return
		}
	}
	if c.state&eof != 0 && c.state&(stops|again) == 0 {
		if c.sess.Partial() {
			l.count.faults[codec.Truncated]++
			l.shedEvent(c, guard.ShedMalformed, codec.Truncated.Label(), nil)
			if c.up != nil && !c.up.poursOut {
				l.endUpstream(c.up, false) // what the server has of it must not be taken for all
			}
		}
		if c.up != nil { // the answers to what was complete are still due
			l.clientEnded(c)
			return
		}
		c.state |= closing // every answer is given or queued
		return
	}
	l.clocks(c)
	l.drip(c, 0)
}

// serveKept serves from c.in and gives the buffer back when it is empty.
func (l *loop) serveKept(c *conn) {
	if c.up != nil && c.up.poursIn {
		l.pourKept(c)
		return
	}
	if c.held.kind != codec.More && !l.offer(c) {
		return
	}
	if c.state&stops != 0 {
		return
	}
	if c.in == nil {
		l.serve(c, nil) // a body's End needs no bytes
		return
	}
	c.inOff += l.serve(c, c.in.B[c.inOff:])
	if c.state&gone == 0 && c.in != nil && c.inOff == len(c.in.B) && c.held.kind == codec.More {
		l.unkeep(c)
	}
}

// offer gives a held unit to the session again and reports whether it is finished with.
func (l *loop) offer(c *conn) bool {
	h := &c.held
	lo, hi := c.inOff+int(h.lo), c.inOff+int(h.hi)
	h.lo += int32(l.give(c, codec.Unit{Kind: h.kind, N: int(h.n), Data: c.in.B[lo:hi:hi]}))
	if h.lo < h.hi && c.state&(gone|closing) == 0 {
		if c.src != nil && l.pull(c) {
			l.yield(c)
		}
		return false
	}
	if c.state&gone == 0 {
		c.inOff += int(h.n)
		c.held = held{}
		if c.inOff == len(c.in.B) {
			l.unkeep(c)
		}
	}
	return c.src == nil || l.pull(c)
}

// give offers a unit to the session, as often as it takes a piece and there is room for the next.
// It returns how many bytes of the data were taken; fewer than all leave the connection blocked.
func (l *loop) give(c *conn, u codec.Unit) (taken int) {
	for {
		n := c.sess.Serve(c, u)
		taken += n
		if n >= len(u.Data) || c.state&(gone|closing|busy|pulling) != 0 {
			return taken // a rest is offered when the work is done or the source has ended
		}
		u.Data = u.Data[n:]
		if l.flush(c); c.state&gone != 0 {
			return taken
		}
		if c.up != nil && l.full(c) {
			return taken
		}
		if n == 0 || c.outstanding() > c.ln.MaxOut/2 {
			c.state |= blocked
			return taken
		}
	}
}

// yield lets the others have their turn before more of c's units are served.
func (l *loop) yield(c *conn) {
	if c.state&again != 0 {
		return
	}
	c.state |= again
	l.again = append(l.again, turn{c, c.gen})
	l.soon = true
}

// serve decodes and serves units at the front of b until the bytes, the connection's turn or the
// room for answers runs out. It returns how many bytes are finished with. A unit that was only
// partly taken is kept in c.held; its bytes are not finished with.
func (l *loop) serve(c *conn, b []byte) (used int) {
	high := c.ln.MaxOut / 2
	for frames := 0; ; {
		if c.up != nil {
			if c.up.poursIn {
				return used + l.pourRest(c, b[used:])
			}
			if l.full(c) {
				return used
			}
		}
		if n := c.outstanding(); n > high || n > readBytes {
			if l.flush(c); c.state&gone != 0 {
				return used
			}
			if c.outstanding() > high {
				c.state |= blocked
				return used
			}
		}
		if frames == turnFrames && used < len(b) {
			l.yield(c)
			return used
		}
		u := c.sess.Decode(b[used:])
		switch u.Kind {
		case codec.More:
			used += u.N
			if rest := len(b) - used; rest > c.ln.MaxIn { // a decoder that does not keep its limit
				l.fault(c, codec.FrameTooLarge)
			}
			return used
		case codec.Bad:
			l.fault(c, u.Fault)
			return used
		case codec.Frame:
			r := l.charge(c)
			frames++
			if r != guard.OK {
				if !l.decline(c, r) {
					l.refuse(c, r, service.TooMany)
					return used
				}
				used += u.N
				continue
			}
			c.refused = 0
			c.frames++
			c.drips = 0
			c.ln.frames++
			c.state |= fresh
		}
		took := l.give(c, u)
		if c.state&gone != 0 {
			return used
		}
		if took < len(u.Data) && c.state&closing == 0 {
			at := int(uintptr(unsafe.Pointer(&u.Data[0])) - uintptr(unsafe.Pointer(&b[used])))
			c.held = held{kind: u.Kind, n: int32(u.N), lo: int32(at + took), hi: int32(at + len(u.Data))}
			if c.src != nil && l.pull(c) {
				l.yield(c) // what is held is offered in the next turn
			}
			return used
		}
		used += u.N
		if c.src != nil && !l.pull(c) {
			return used
		}
		if c.state&stops != 0 {
			return used
		}
	}
}

// keep stores what is not finished with.
func (l *loop) keep(c *conn, b []byte) {
	c.in = borrow(len(b))
	c.in.B = append(c.in.B, b...)
	c.inOff = 0
}

// unkeep gives the inbound buffer back.
func (l *loop) unkeep(c *conn) {
	giveBack(c.in)
	c.in, c.inOff = nil, 0
}

// discard throws away what a peer sends after our FIN, up to a bound: RFC 9112 9.6.
func (l *loop) discard(c *conn) {
	n, errno := read(c.fd, l.buf)
	if errno == unix.EAGAIN {
		return
	}
	if n == 0 {
		l.drop(c, guard.OK)
		return
	}
	l.count.bytesIn += uint64(n)
	over := l.g.Read(c.id, n).Wait > 0
	if c.inOff += n; over || c.state&curt != 0 && c.inOff > lingerBytes {
		l.drop(c, guard.ShedLinger)
	}
}
