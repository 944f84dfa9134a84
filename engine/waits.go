package engine

import (
	"time"

	"weir/engine/service"
	"weir/guard/mono"
)

// waits is a list of upstreams in the order of their deadlines. Those of one listener have the same
// timeout, so a new one is nearly always the last.
type waits struct{ first, last *upstream }

func (w *waits) add(u *upstream, due mono.Time) {
	u.waits, u.due = w, due
	after := w.last
	for after != nil && after.due > due {
		after = after.prev
	}
	u.prev = after
	if after == nil {
		u.next, w.first = w.first, u
	} else {
		u.next, after.next = after.next, u
	}
	if u.next == nil {
		w.last = u
	} else {
		u.next.prev = u
	}
}

func (u *upstream) noDeadline() {
	w := u.waits
	if w == nil {
		return
	}
	if u.prev == nil {
		w.first = u.next
	} else {
		u.prev.next = u.next
	}
	if u.next == nil {
		w.last = u.prev
	} else {
		u.next.prev = u.prev
	}
	u.waits, u.due, u.prev, u.next = nil, 0, nil, nil
}

// deadline gives an upstream a deadline in a list; a d of 0 is none.
func (l *loop) deadline(u *upstream, w *waits, d mono.Time) {
	u.noDeadline()
	if d <= 0 {
		return
	}
	at := l.g.Now() + d
	w.add(u, at)
	if s := &l.upstreams; s.armed == 0 || at < s.armed {
		s.armed = at
		l.timers.push(timer{at: at, up: true})
	}
}

// owesProgress starts the time within which the server must take something of what waits for it.
func (l *loop) owesProgress(u *upstream) {
	u.unsent = unsent(u.fd)
	l.deadline(u, &l.upstreams.stalled, mono.Time(u.c.ln.WriteTimeout))
}

// Await is service.Upstream's.
func (u *upstream) Await(d time.Duration) {
	if u.c == nil {
		return
	}
	u.patience = mono.Time(d)
	u.moved = u.loop.g.Now()
	if u.waits == &u.loop.upstreams.awaiting {
		u.noDeadline()
	}
	if u.connected {
		u.loop.awaits(u)
	}
}

// awaits starts the time within which the server must say something, unless another deadline runs.
func (l *loop) awaits(u *upstream) {
	if u.patience > 0 && u.waits == nil {
		l.deadline(u, &l.upstreams.awaiting, u.patience)
	}
}

// upstreamsDue ends the upstreams that have taken too long.
func (l *loop) upstreamsDue() {
	s, now := &l.upstreams, l.g.Now()
	s.armed = 0
	lists := [...]*waits{&s.connecting, &s.stalled, &s.awaiting, &s.parked}
	for _, w := range lists {
		for range turnTimers {
			u := w.first
			if u == nil || u.due > now {
				break
			}
			l.upstreamDue(u, now)
		}
	}
	for _, w := range lists {
		if w.first != nil && (s.armed == 0 || w.first.due < s.armed) {
			s.armed = w.first.due
		}
	}
	if s.armed != 0 {
		l.timers.push(timer{at: s.armed, up: true})
	}
}

// upstreamDue judges one whose deadline has passed: it is ended, or has another one.
func (l *loop) upstreamDue(u *upstream, now mono.Time) {
	switch s := &l.upstreams; u.waits {
	case &s.parked:
		l.endParked(u, service.EndIdle)
	case &s.connecting:
		l.overdueUpstream(u, service.EndTimeout)
	case &s.awaiting:
		switch quiet := now - u.moved; {
		case u.wants&wantRead == 0: // it is not asked: its client does not read
			l.deadline(u, &s.awaiting, u.patience)
		case quiet < u.patience:
			l.deadline(u, &s.awaiting, u.patience-quiet)
		default:
			l.overdueUpstream(u, service.EndSilent)
		}
	default:
		if n := unsent(u.fd); n < u.unsent { // it reads, though not yet enough for us to write
			l.owesProgress(u)
		} else {
			l.overdueUpstream(u, service.EndStalled)
		}
	}
}

func (l *loop) overdueUpstream(u *upstream, why service.Ending) {
	c := u.c
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	l.lost(u, why)
	l.unhold(c, gen)
}
