package engine

import (
	"net/netip"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

// Park is service.Upstream's.
func (u *upstream) Park(h service.UpstreamHandler, d time.Duration) bool {
	c, l := u.c, u.loop
	if c == nil || c.state&gone != 0 || l.draining || d <= 0 {
		return false
	}
	gen := u.gen
	if l.flushUpstream(u); u.gen != gen {
		return false
	}
	if !u.connected || u.out != nil || u.in != nil || u.eof || u.ending || u.breaking || u.poursIn || u.poursOut || u.tls != nil && u.tls.raw != nil {
		return false
	}
	if u.wants != wantRead {
		u.wants = wantRead
		if l.watch(u.fd, wantRead) != nil {
			return false
		}
	}
	c.up = nil
	c.state &^= choked
	u.c, u.h, u.patience = nil, h, 0
	u.pressed, u.answered, u.retiring = false, false, false
	u.fullIn, u.fullOut = 0, 0
	l.deadline(u, &l.upstreams.parked, mono.Time(d))
	return true
}

// Adopt is service.Conn's.
func (c *conn) Adopt(up service.Upstream, h service.UpstreamHandler) bool {
	if c.up != nil {
		panic("engine: Adopt on a connection that has an upstream")
	}
	l := c.loop
	u, ok := up.(*upstream)
	if !ok || u.loop != l || u.waits != &l.upstreams.parked || c.state&(gone|closing|lingering) != 0 {
		return false
	}
	if !silent(u.fd) { // it has ended, or said what nobody asked for; by TLS perhaps a ticket, which its own wake reads
		return false
	}
	u.noDeadline()
	l.count.upReused++
	u.c, u.h, u.moved = c, h, l.g.Now()
	u.asked, u.unheard = 0, !u.local
	c.up = u
	return true
}

// unasked reports whether what has just come first of an adopted upstream was sent before its server
// can have been asked, and ends the upstream then: it would be taken for the answer.
//
// Adopt has seen that nothing had come. What is sent once the server's kernel has the first byte of the
// question acknowledges that byte, since TCP has an acknowledgement in every segment; so while none of
// the question is acknowledged, what has come is older. It is the first byte that counts: an answer may
// come early, before the whole of a body is acknowledged. The question's bytes come last, so that not one of
// them is acknowledged when as many as they are, or more, are not. Asked after the read and not before it, no
// answer is taken for what it is not; what is read late, after the acknowledgement has come too, and
// what a server sends once its kernel has the question, but before it has read it, cannot be told from an answer.
//
// hot: 0 allocs, one ioctl for each time that an upstream is adopted
func (l *loop) unasked(u *upstream) bool {
	u.unheard = false
	if unsent(u.fd) < u.asked {
		return false
	}
	l.lost(u, service.EndUnasked)
	return true
}

// wakeParked looks at an upstream that no connection has: nothing is due from its server, so whatever
// comes of it ends it.
func (l *loop) wakeParked(u *upstream) {
	n, errno := read(u.fd, l.buf)
	switch {
	case errno == unix.EAGAIN:
	case n == 0 && errno == 0:
		l.endParked(u, service.EndEOF)
	case errno != 0:
		l.endParked(u, service.EndReset)
	case u.tls == nil:
		l.endParked(u, service.EndUnasked)
	default:
		if why := l.parkedRecords(u, l.buf[:n]); why != service.EndNone {
			l.endParked(u, why)
		}
	}
}

// endParked ends an upstream that no connection has and tells its handler, whose panic costs nothing
// else.
func (l *loop) endParked(u *upstream, why service.Ending) {
	h, ln := u.h, u.ln
	l.count.upEnds[why]++
	l.closeUpstream(u, why == service.EndReset || why == service.EndUnasked)
	l.upstreams.spare = append(l.upstreams.spare, u)
	defer func() {
		if p := recover(); p != nil {
			l.count.panics++
			l.tell(guard.ShedPanic, netip.Addr{}, ln, panicText(p), debug.Stack())
		}
	}()
	h.Ended(u, why)
}

// freeParked ends the parked upstream that has been idle for longest, when there is one: somebody needs
// its descriptor.
func (l *loop) freeParked() bool {
	u := l.upstreams.parked.first
	if u == nil {
		return false
	}
	l.endParked(u, service.EndIdle)
	return true
}
