package load

import "time"

// thought is a connection of a closed loop that waits before it asks again. All wait equally long, so that the first in
// the queue is always the next.
type thought struct {
	i          int
	generation uint32 // of the connection that had the reply; another one in its place has asked by itself
	until      time.Duration
}

// askAgain puts n requests under way on a connection of a closed loop, due now, unless the run is over: on one that
// stands they have to be written, a newcomer begins to connect.
func (l *Lane) askAgain(i, n int, now time.Duration) {
	due := now - l.begin
	if due >= l.cfg.Duration {
		return
	}
	for range n {
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
		c := &l.conns[i]
		if !l.cfg.Churn && c.state != ready {
			continue // it asks when it is up
		}
		if l.cfg.Think > 0 {
			until := now + time.Duration(float64(l.cfg.Think)*float64(l.share.number(i))/float64(l.cfg.Conns))
			for range l.cfg.Pipeline {
				l.thinking.Push(thought{i, c.generation, until})
			}
			continue
		}
		l.askAgain(i, l.cfg.Pipeline, now)
		if !l.cfg.Churn {
			l.write(i, now)
		}
	}
}

// wake lets those ask that have thought long enough.
func (l *Lane) wake(now time.Duration) {
	for l.thinking.Len() > 0 && l.thinking.First().until <= now {
		t := l.thinking.Pop()
		c := &l.conns[t.i]
		if c.generation != t.generation || l.cfg.Churn != (c.state == down) || int(c.asked) >= l.cfg.Pipeline {
			continue
		}
		l.askAgain(t.i, 1, now)
		if !l.cfg.Churn {
			l.soil(t.i)
		}
	}
	l.clean(now)
}
