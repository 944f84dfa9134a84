package engine

import (
	"golang.org/x/sys/unix"

	"weir/engine/service"
)

// Write is service.Upstream's.
func (u *upstream) Write(p []byte) {
	c := u.c
	if c == nil || u.ending || u.breaking || c.state&gone != 0 {
		return
	}
	l := u.loop
	if u.outstanding()+len(p) > c.ln.MaxOut+slack {
		l.overflow(c)
		return
	}
	if u.connected && u.out == nil && l.cur == c {
		l.upstreams.out = append(l.upstreams.out, p...)
		return
	}
	l.queueUpstream(u, p)
	if l.cur != c { // from another connection's wake: its own follows soon
		l.yield(c)
	}
}

// Room is service.Upstream's.
func (u *upstream) Room() int {
	if u.c == nil || u.ending {
		return 0
	}
	return max(0, u.c.ln.MaxOut-u.outstanding())
}

// outstanding is the number of bytes queued for the server, the present wake's included.
func (u *upstream) outstanding() int {
	n := 0
	if u.loop.cur == u.c {
		n = len(u.loop.upstreams.out)
	}
	if u.out != nil {
		n += len(u.out.B) - u.sent
	}
	return n
}

// full reports whether no more of the client's units may be served for now.
func (l *loop) full(c *conn) bool {
	u := c.up
	if u.outstanding() <= c.ln.MaxOut/2 {
		return false
	}
	if l.flushUpstream(u); c.up != u {
		return true
	}
	if u.outstanding() > c.ln.MaxOut/2 {
		c.state |= choked
		return true
	}
	return false
}

// unchoke serves the client again, if there is room for what it sends.
func (l *loop) unchoke(u *upstream) {
	c := u.c
	if c.state&choked == 0 || u.poursIn && u.out != nil || u.outstanding() > c.ln.MaxOut/4 {
		return
	}
	gen := u.gen
	c.state &^= choked
	u.pressed = false
	if !u.poursIn {
		if u.h.Drained(u); u.gen != gen || u.c != c {
			return
		}
	}
	if c.state&(gone|closing) == 0 {
		l.proceed(c)
	}
}

// queueUpstream keeps p for the server.
func (l *loop) queueUpstream(u *upstream, p []byte) {
	if u.tls != nil && u.connected {
		p = l.sealUp(u, p)
	}
	l.queueRaw(u, p)
}

// queueRaw keeps p, as it goes on the wire.
func (l *loop) queueRaw(u *upstream, p []byte) {
	if u.out == nil {
		u.out, u.sent = borrow(len(p)), 0
		if u.connected {
			l.owesProgress(u)
		}
	}
	u.out.B = append(u.out.B, p...)
}

// flushUpstream sends what the present wake has for the server.
func (l *loop) flushUpstream(u *upstream) {
	if len(l.upstreams.out) > 0 && l.cur == u.c {
		l.sendUpstream(u, nil)
	}
}

// sendUpstream sends p at once and keeps what the kernel refuses.
func (l *loop) sendUpstream(u *upstream, p []byte) {
	if s := &l.upstreams; len(s.out) > 0 && l.cur == u.c { // what was written in this wake goes first
		p = append(s.out, p...)
		s.out = emptied(p)
	}
	if !u.connected {
		l.queueRaw(u, p)
		return
	}
	if u.tls != nil {
		p = l.sealUp(u, p)
	}
	l.sendRaw(u, p)
}

// sendRaw sends p, as it goes on the wire, behind what waits.
func (l *loop) sendRaw(u *upstream, p []byte) {
	if u.out != nil {
		l.queueRaw(u, p)
		return
	}
	n, errno := write(u.fd, p)
	l.count.writes++
	if errno != 0 && errno != unix.EAGAIN {
		l.broken(u)
		return
	}
	l.count.upOut += uint64(n)
	u.asked += n
	if n < len(p) {
		l.queueRaw(u, p[n:])
	}
}

// upstreamWritable sends what waits for the server.
func (l *loop) upstreamWritable(u *upstream) {
	if u.out == nil {
		return
	}
	n, errno := write(u.fd, u.out.B[u.sent:])
	l.count.writes++
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		l.broken(u)
		return
	}
	l.count.upOut += uint64(n)
	u.asked += n
	u.sent += n
	if u.sent == len(u.out.B) {
		giveBack(u.out)
		u.out, u.sent = nil, 0
		u.noDeadline()
		l.awaits(u)
	} else {
		if u.sent > len(u.out.B)/2 { // queue in front, not behind what is gone
			u.out.B = u.out.B[:copy(u.out.B, u.out.B[u.sent:])]
			u.sent = 0
		}
		l.owesProgress(u)
	}
	l.unchoke(u)
}

// upstreamReadable reads once and hands on what came.
func (l *loop) upstreamReadable(u *upstream) {
	if u.poursOut {
		l.pourBack(u)
		return
	}
	c := u.c
	n, errno := read(u.fd, l.buf[:l.most(c)])
	switch {
	case errno == unix.EAGAIN:
	case errno != 0 || n == 0 && (u.tls != nil || u.breaking): // without a close_notify the end may be a cut
		l.lost(u, service.EndReset)
	case u.tls != nil:
		l.decryptUp(u, l.buf[:n])
	case n == 0:
		u.eof = true
		l.count.upEnds[service.EndEOF]++
		u.h.Ended(u, service.EndEOF)
	default:
		l.count.upIn += uint64(n)
		if u.unheard && l.unasked(u) {
			return
		}
		l.movedBack(u)
		l.offerReceived(u, l.buf[:n])
	}
}

// offerReceived hands b to the handler, behind what it did not take before.
func (l *loop) offerReceived(u *upstream, b []byte) {
	c, gen := u.c, u.gen
	kept := u.in
	if kept != nil {
		kept.B = append(kept.B, b...)
		b = kept.B
		u.in = nil // so that it can be parked when all is taken
	}
	taken := u.h.Received(u, b)
	switch {
	case u.gen != gen:
	case u.c != c: // it was parked, or another connection has it by now
		if taken < len(b) && u.c == nil { // more than was due
			l.endParked(u, service.EndUnasked)
		}
	case u.poursOut: // it has said so just now
		l.sendBack(c, b[taken:])
	case taken == len(b):
	case kept != nil:
		kept.B = kept.B[:copy(kept.B, b[taken:])]
		u.in, kept = kept, nil
	default:
		u.in = borrow(len(b) - taken)
		u.in.B = append(u.in.B, b[taken:]...)
	}
	if kept != nil {
		giveBack(kept)
	}
	if u.gen != gen || u.c != c || u.in == nil {
		return
	}
	if len(u.in.B) > c.ln.MaxOut { // a handler that does not keep its limit
		l.lost(u, service.EndReset)
		return
	}
	if c.outstanding() > 0 { // when the kernel takes it all nothing else offers the rest again
		if l.flush(c); u.gen == gen && c.state&gone == 0 && c.out == nil {
			l.offerReceived(u, nil)
		}
	}
}

func (u *upstream) dropIn() {
	if u.in != nil {
		giveBack(u.in)
		u.in = nil
	}
}
