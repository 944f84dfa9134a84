package load

import "time"

// thought is a request of a closed loop that a connection will make when it has thought long enough. All thoughts are
// equally long, so that the first in the queue is always the next. A connection that is lost meanwhile takes nothing away
// from it: whoever comes in its place thinks on.
type thought struct {
	i     int
	until time.Duration
}

// think ends n requests of a connection: it may make as many again, at once or after a thought.
func (l *Lane) think(i, n int, now time.Duration) {
	if l.cfg.Think == 0 {
		l.conns[i].may += uint16(n)
		return
	}
	for range n {
		l.thinking.Push(thought{i, now + l.cfg.Think})
	}
}

// askAgain puts all requests under way that a connection of a closed loop may ask, due now, unless the run is over or it
// has to wait before it connects again. On a connection that stands they have to be written; a newcomer begins to
// connect.
func (l *Lane) askAgain(i int, now time.Duration) {
	c := &l.conns[i]
	due := now - l.begin
	if c.may == 0 || due >= l.cfg.Duration || l.cfg.Churn && now < c.since {
		return
	}
	for ; c.may > 0; c.may-- {
		l.ask(i, due)
	}
	if l.cfg.Churn {
		l.connect(i, now)
	}
}

// askFirst begins a closed loop. Clients that think do not all begin at once: their first requests are spread over the
// time of one thought.
func (l *Lane) askFirst(now time.Duration) {
	for i := range l.conns {
		if l.cfg.Think > 0 {
			until := now + time.Duration(float64(l.cfg.Think)*float64(l.share.number(i))/float64(l.cfg.Conns))
			for range l.cfg.Pipeline {
				l.thinking.Push(thought{i, until})
			}
			continue
		}
		l.conns[i].may = uint16(l.cfg.Pipeline)
		l.may(i, now)
	}
}

// may lets a connection ask if it can: one that is opening asks when it is up.
func (l *Lane) may(i int, now time.Duration) {
	switch l.conns[i].state {
	case ready:
		l.askAgain(i, now)
		l.soil(i)
	case down:
		if l.cfg.Churn {
			l.askAgain(i, now)
		}
	}
}

// wake lets those ask that have thought long enough.
func (l *Lane) wake(now time.Duration) {
	for l.thinking.Len() > 0 && l.thinking.First().until <= now {
		t := l.thinking.Pop()
		l.conns[t.i].may++
		l.may(t.i, now)
	}
	l.clean(now)
}
