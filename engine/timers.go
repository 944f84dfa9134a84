package engine

import "weir/guard/mono"

// timer is something the loop itself has put off: reading from a throttled or dripping
// connection, or accepting on a listener that failed or
// gathers refusals. Deadlines of connections are the guard's.
type timer struct {
	at   mono.Time
	c    *conn // with gen; or
	gen  uint32
	look bool // for what a drip has gathered
	pull bool // for a source that had nothing; else to end a throttling, to cut off or to retire
	ln   *listener
	up   bool // upstreams that take too long
	sum  bool // events that were left out
}

// timers is a binary heap, earliest first. Not for concurrent use.
type timers []timer

func (h *timers) push(t timer) {
	*h = append(*h, t)
	a := *h
	for i := len(a) - 1; i > 0; {
		up := (i - 1) / 2
		if a[up].at <= a[i].at {
			return
		}
		a[up], a[i] = a[i], a[up]
		i = up
	}
}

// pop removes and returns the earliest timer if it is due.
func (h *timers) pop(now mono.Time) (timer, bool) {
	a := *h
	if len(a) == 0 || a[0].at > now {
		return timer{}, false
	}
	t := a[0]
	last := len(a) - 1
	a[0], a[last] = a[last], timer{}
	a = a[:last]
	*h = a
	for i := 0; ; {
		least := i
		for _, k := range [2]int{2*i + 1, 2*i + 2} {
			if k < len(a) && a[k].at < a[least].at {
				least = k
			}
		}
		if least == i {
			return t, true
		}
		a[i], a[least] = a[least], a[i]
		i = least
	}
}

// fire acts on a timer that is due.
func (l *loop) fire(t timer) {
	if t.ln != nil {
		l.listen(t.ln)
		return
	}
	if t.up {
		l.upstreamsDue()
		return
	}
	if t.sum {
		l.sumUp()
		return
	}
	c := t.c
	if c.gen != t.gen || c.state&gone != 0 {
		return
	}
	if c.up != nil {
		c.up.retiring = false
	}
	switch {
	case t.look:
		l.look(c)
	case t.pull:
		c.Ready()
	case c.state&throttled != 0:
		c.state &^= throttled
		l.resume(c)
	case c.state&severing != 0 || c.up != nil && l.draining:
		gen := c.gen
		l.enter(c)
		l.leave(c, gen)
	}
}
