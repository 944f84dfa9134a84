package engine

import (
	"weir/engine/service"
	"weir/guard"
)

// CloseWrite is service.Upstream's.
func (u *upstream) CloseWrite() {
	if u.c == nil {
		return
	}
	u.ending = true
	if u.loop.cur != u.c {
		u.loop.yield(u.c)
	}
}

// Close is service.Upstream's.
func (u *upstream) Close() {
	switch l := u.loop; {
	case u.c != nil:
		l.endUpstream(u, false)
	case u.waits != nil && u.waits == &l.upstreams.parked:
		l.closeUpstream(u, true)
		l.upstreams.spare = append(l.upstreams.spare, u)
	}
}

// endUpstream ends an upstream without telling its handler: by a FIN when it is to be orderly and
// nothing is lost, or when the server knows already that nothing more comes; else by a reset.
func (l *loop) endUpstream(u *upstream, orderly bool) {
	c := u.c
	if l.cur == c && orderly {
		orderly = len(l.upstreams.out) == 0
	}
	l.closeUpstream(u, !u.ended && (!orderly || !u.connected || u.out != nil))
	c.state &^= choked
	l.upstreams.spare = append(l.upstreams.spare, u)
}

// broken ends an upstream that does not take bytes any more. What it has said before, perhaps why,
// is still passed on: at once when it pours; else its own wake reads it, since the loop's buffer may hold
// units of the client now.
func (l *loop) broken(u *upstream) {
	if !u.poursOut && !u.eof {
		u.breaking = true
		if u.out != nil {
			giveBack(u.out)
			u.out, u.sent = nil, 0
			u.noDeadline()
		}
		return
	}
	if gen := u.gen; !u.eof && u.c.out == nil {
		if l.pourBack(u); u.gen != gen {
			return
		}
	}
	l.lost(u, service.EndReset)
}

// lost ends an upstream that has failed and tells its handler why.
func (l *loop) lost(u *upstream, why service.Ending) {
	c, h := u.c, u.h
	l.count.upEnds[why]++
	l.closeUpstream(u, true)
	c.state &^= choked
	cgen := c.gen
	h.Ended(u, why)
	u.loop.upstreams.spare = append(u.loop.upstreams.spare, u)
	if c.gen == cgen && c.state&(gone|closing) == 0 { // it may have adopted another one: nothing else offers what is kept
		l.proceed(c)
	}
}

// closeUpstream closes the descriptor, gives everything back and is the only place that does.
func (l *loop) closeUpstream(u *upstream, withReset bool) {
	s := &l.upstreams
	u.noDeadline()
	s.byFD[u.fd] = nil
	s.open--
	if u.tls != nil {
		l.endSecureUp(u, withReset)
	}
	if withReset {
		reset(u.fd)
	} else {
		closeSocket(u.fd) // the poller forgets a closed descriptor
	}
	if u.out != nil {
		giveBack(u.out)
	}
	u.dropIn()
	if u.c != nil {
		if l.cur == u.c {
			s.out = s.out[:0]
		}
		u.c.up = nil
	}
	*u = upstream{loop: l, gen: u.gen + 1}
}

// Fail is service.Conn's.
func (c *conn) Fail(why service.Ending, last string) {
	if c.state&(gone|closing) != 0 {
		return
	}
	l := c.loop
	l.shedEvent(c, failReasons[why], l.upstreams.detail(why), nil)
	if c.up != nil {
		l.endUpstream(c.up, false)
	}
	if last != "" {
		c.WriteString(last)
		c.state |= closing | politely
	} else {
		c.drips = 0
		c.state |= closing | severing
	}
	if l.cur != c {
		l.yield(c)
	}
}

// ReportUpstream is service.Conn's.
func (c *conn) ReportUpstream(why service.Ending) {
	c.loop.shedEvent(c, failReasons[why], c.loop.upstreams.detail(why), nil)
}

// detail is what an event says of an end.
func (s *upstreams) detail(why service.Ending) string {
	if why == service.EndTLS && s.why != "" {
		return why.String() + ": " + s.why
	}
	return why.String()
}

// failReasons are the guard's reasons by service.Ending.
var failReasons = [service.Ends]guard.Reason{
	service.EndNone: guard.ShedNoUpstream, service.EndEOF: guard.ShedUpstreamReset, service.EndNoUpstream: guard.ShedNoUpstream,
	service.EndRefused: guard.ShedUpstreamConnect, service.EndUnreachable: guard.ShedUpstreamConnect, service.EndTimeout: guard.ShedUpstreamConnect, service.EndTLS: guard.ShedUpstreamConnect,
	service.EndSilent: guard.ShedUpstreamSilent, service.EndBusy: guard.ShedWork, service.EndIdle: guard.ShedUpstreamReset,
	service.EndDescriptors: guard.ShedDescriptors, service.EndPorts: guard.ShedUpstreamConnect, service.EndReset: guard.ShedUpstreamReset, service.EndStalled: guard.ShedUpstreamStall,
	service.EndGarbled: guard.ShedUpstreamReset, service.EndUnasked: guard.ShedUpstreamReset, service.EndNoRoute: guard.ShedNoRoute,
	service.EndTooLarge: guard.ShedOutput,
}
