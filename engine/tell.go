package engine

import (
	"net/netip"
	"time"

	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

// sampler thins out the events of one reason on one loop.
type sampler struct {
	tat     mono.Time // theoretical arrival time, as in guard/bucket
	dropped uint64
}

// shedEvent counts that a connection was ended or slowed, and tells of it unless there is a flood of
// the same.
func (l *loop) shedEvent(c *conn, r guard.Reason, detail string, stack []byte) {
	l.count.shed[r]++
	l.tell(r, c.peer.Addr(), c.ln, detail, stack)
}

// Report is service.Conn's.
func (c *conn) Report(what service.Incident, account, detail string) {
	r := incidents[what]
	l := c.loop
	if what == service.LoggedIn {
		l.count.logins++
	} else {
		l.count.shed[r]++
	}
	l.announce(Event{Reason: r, Source: c.peer.Addr(), Listener: c.ln.Name, Account: account, Detail: detail})
}

// incidents are the guard's reasons by service.Incident; OK is no refusal.
var incidents = [service.Incidents]guard.Reason{
	service.LoggedIn: guard.OK, service.AuthFailed: guard.ShedAuthFailed, service.AuthAttempts: guard.ShedAuthAttempts,
	service.OutOfScope: guard.ShedScope, service.Traversal: guard.ShedTraversal, service.Replayed: guard.ShedReplay,
}

func (l *loop) tell(r guard.Reason, src netip.Addr, ln *listener, detail string, stack []byte) {
	l.announce(Event{Reason: r, Source: src, Listener: ln.Name, Detail: detail, Stack: stack})
}

// announce tells of an event unless there is a flood of the same.
func (l *loop) announce(e Event) {
	if l.e.cfg.Events == nil {
		return
	}
	r := e.Reason
	s := &l.sampler[r]
	now := l.g.Now()
	const gap = mono.Time(time.Second / eventRate)
	tat := max(s.tat, now) + gap
	if tat-now > eventBurst*gap {
		s.dropped++
		if !l.summing {
			l.summing = true
			l.timers.push(timer{at: now.Add(sumAfter), sum: true})
		}
		return
	}
	s.tat = tat
	e.Loop, e.Count, e.Dropped = l.no, l.count.shed[r], s.dropped
	if r == guard.OK {
		e.Count = l.count.logins
	}
	l.send(e)
	s.dropped = 0
}

// sumUp tells of events that were left out and have had no other one since to be told with.
func (l *loop) sumUp() {
	l.summing = false
	for r := range l.sampler {
		s := &l.sampler[r]
		if s.dropped == 0 {
			continue
		}
		e := Event{Reason: guard.Reason(r), Loop: l.no, Count: l.count.shed[r], Dropped: s.dropped, Summary: true}
		if e.Reason == guard.OK {
			e.Count = l.count.logins
		}
		s.dropped = 0
		l.send(e)
	}
}

// send gives an event to whoever listens, and the goroutine behind it its turn.
func (l *loop) send(e Event) {
	l.handed = true
	l.e.cfg.Events(e)
}
