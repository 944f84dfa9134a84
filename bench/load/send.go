package load

import (
	"context"
	"time"

	"weir/bench/latency"
)

// maxWait is the longest sleep of the loop: how soon it notices that its context ended. sweepEvery is how often it
// looks for connections that are overdue; a reply that comes after its timeout counts as a timeout even if it comes
// before the sweep.
const (
	maxWait    = 50 * time.Millisecond
	sweepEvery = 20 * time.Millisecond
)

// openAtOnce is how many connections of a lane are on their way at once when it opens them: each step of a TLS handshake
// takes this goroutine, so more at once would only time each other out.
const openAtOnce = 64

// open begins all connections and waits until each has come to something or the time is over, so that the
// cost of connecting is not in the first latencies.
func (l *Lane) open(ctx context.Context) {
	end := l.now() + l.cfg.Timeout
	if l.secure != nil {
		end += time.Duration(len(l.conns)) * time.Millisecond
	}
	wait := func(most int) {
		for ctx.Err() == nil && l.opening > most && l.now() < end {
			l.poll(maxWait)
		}
	}
	for i := range l.conns {
		l.connect(i, l.now())
		if i%openAtOnce == openAtOnce-1 {
			// Let the server's accept queue drain: a good client does not open with a flood.
			l.poll(time.Millisecond)
		}
		if l.secure != nil {
			wait(openAtOnce)
		}
	}
	wait(0)
}

// makeRoom is open for newcomers, who connect when they come.
func (l *Lane) makeRoom() {
	if l.cfg.Closed {
		return
	}
	for i := range l.conns {
		l.rejoin(i)
	}
}

// send is the loop of the lane.
func (l *Lane) send(ctx context.Context) {
	last := l.begin + l.cfg.Duration + l.cfg.Timeout + 2*sweepEvery
	if l.cfg.Closed {
		l.askFirst(l.now())
	}
	for ctx.Err() == nil {
		now := l.now()
		if l.cfg.Closed {
			l.wake(now)
		} else {
			l.takeDue(now - l.begin)
			l.expire(now - l.begin)
			l.dispatch(now)
		}
		l.sweep(now)
		if now-l.begin >= l.cfg.Duration && l.waiting.Len() == 0 && l.busy == 0 || now > last {
			return
		}
		l.poll(l.nextWake(l.now()))
	}
}

// dueAtOnce is how many requests are taken from the schedule before the loop does anything else: one whose schedule is
// faster than it must still end in time.
const dueAtOnce = 1 << 16

// takeDue queues what is due. The lag is what this goroutine itself was late by.
func (l *Lane) takeDue(at time.Duration) {
	for n := 0; n < dueAtOnce && l.pacer.Next() < l.cfg.Duration; n++ {
		due, ok := l.pacer.Take(at)
		if !ok {
			return
		}
		l.lag.Add(at - due)
		if l.waiting.Len() >= maxWaiting {
			l.Latency.Fail(due, latency.Overrun)
			continue
		}
		l.waiting.Push(due)
	}
}

// expire fails what has waited for a connection for longer than the timeout.
func (l *Lane) expire(at time.Duration) {
	for l.waiting.Len() > 0 && at-l.waiting.First() > l.cfg.Timeout {
		l.Latency.Fail(l.waiting.Pop(), latency.Timeout)
	}
}

// dispatch gives the requests that wait to the connections that have room, oldest to longest idle, so that none gets a
// second one while another has none; newcomers begin to connect.
func (l *Lane) dispatch(now time.Duration) {
	for l.waiting.Len() > 0 && l.idle.Len() > 0 {
		i := l.idle.Pop()
		c := &l.conns[i]
		c.queued = false
		if c.state != ready && !l.cfg.Churn {
			continue // cut while it stood in the queue
		}
		l.ask(i, l.waiting.Pop())
		if l.cfg.Churn {
			l.connect(i, now)
			continue
		}
		l.soil(i)
		l.rejoin(i)
	}
	l.clean(now)
}

// soil notes that a connection has something to write.
func (l *Lane) soil(i int) {
	if c := &l.conns[i]; !c.dirty {
		c.dirty = true
		l.dirty = append(l.dirty, i)
	}
}

// clean writes what connections were given since the last time, together.
func (l *Lane) clean(now time.Duration) {
	for _, i := range l.dirty {
		c := &l.conns[i]
		c.dirty = false
		if c.state == ready {
			l.write(i, now)
		}
	}
	l.dirty = l.dirty[:0]
}

// nextWake returns how long nothing will be due.
func (l *Lane) nextWake(now time.Duration) time.Duration {
	wait := maxWait
	if l.busy > 0 || l.waiting.Len() > 0 || l.standing < len(l.conns) {
		wait = sweepEvery
	}
	if l.thinking.Len() > 0 {
		wait = min(wait, l.thinking.First().until-now)
	}
	if l.pacer != nil && l.pacer.Next() < l.cfg.Duration {
		wait = min(wait, l.pacer.Next()-(now-l.begin))
	}
	return wait
}

// poll waits for up to the given time, not at all when something was left over, and handles what happened.
func (l *Lane) poll(wait time.Duration) {
	left := l.unread
	l.unread = nil
	if len(left) > 0 {
		wait = 0
	}
	for _, ev := range l.poller.Wait(wait) {
		i := int(uint32(ev.Token))
		c := &l.conns[i]
		generation := uint32(ev.Token >> 32)
		lives := func() bool { return c.fd >= 0 && c.generation == generation }
		if lives() && c.state == connecting && (ev.Writable || ev.Broken) {
			l.connected(i)
		}
		if lives() && ev.Writable && l.owes(c) {
			l.write(i, l.now())
		}
		if lives() && c.state > connecting && ev.Readable {
			l.read(i, ev.Ending)
		}
	}
	for _, u := range left {
		if c := &l.conns[u.i]; c.fd >= 0 && c.generation == u.generation {
			l.read(u.i, u.ending)
		}
	}
}
