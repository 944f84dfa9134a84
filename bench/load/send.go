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

// open begins all connections and waits until each has come to something or the timeout is over, so that the
// cost of connecting is not in the first latencies.
func (l *Lane) open(ctx context.Context) {
	now := time.Now()
	end := now.Add(l.cfg.Timeout)
	l.conns = make([]conn, l.cfg.Conns)
	for i := range l.conns {
		l.conns[i].fd = -1
		l.connect(i, now)
		if i%64 == 63 {
			// Let the server's accept queue drain: a good client does not open with a flood.
			l.poll(time.Millisecond)
		}
	}
	for ctx.Err() == nil && time.Now().Before(end) {
		pending := false
		for i := range l.conns {
			pending = pending || l.conns[i].state == connecting
		}
		if !pending {
			return
		}
		l.poll(maxWait)
	}
}

// send is the loop of the lane.
func (l *Lane) send(ctx context.Context) {
	last := l.cfg.Duration + l.cfg.Timeout + 2*sweepEvery
	for ctx.Err() == nil {
		now := time.Now()
		at := now.Sub(l.start)
		l.takeDue(at)
		l.expire(at)
		l.dispatch(now)
		l.sweep(now)
		if at >= l.cfg.Duration && l.waiting.Len() == 0 && l.busy == 0 || at > last {
			return
		}
		l.poll(l.nextWake(time.Since(l.start)))
	}
}

// takeDue queues what is due. The lag is what this goroutine itself was late by.
func (l *Lane) takeDue(at time.Duration) {
	for l.pacer.Next() < l.cfg.Duration {
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

// dispatch gives the requests that wait to the connections that are idle, oldest to longest idle.
func (l *Lane) dispatch(now time.Time) {
	for l.waiting.Len() > 0 && l.idle.Len() > 0 {
		i := l.idle.Pop()
		c := &l.conns[i]
		c.queued = false
		if c.state != idle {
			continue // cut while it stood in the queue
		}
		c.state, c.due, c.sent = busy, l.waiting.Pop(), 0
		l.busy++
		l.sent.Add(1)
		l.write(i, now)
	}
}

// nextWake returns how long nothing will be due.
func (l *Lane) nextWake(at time.Duration) time.Duration {
	wait := maxWait
	if l.busy > 0 || l.waiting.Len() > 0 || len(l.conns) > l.idle.Len() {
		wait = sweepEvery
	}
	if l.pacer.Next() < l.cfg.Duration {
		wait = min(wait, l.pacer.Next()-at)
	}
	return wait
}

// poll waits for up to the given time and handles what happened.
func (l *Lane) poll(wait time.Duration) {
	for _, ev := range l.poller.Wait(wait) {
		i := int(uint32(ev.Token))
		c := &l.conns[i]
		if c.fd < 0 || c.generation != uint32(ev.Token>>32) {
			continue
		}
		if c.state == connecting && (ev.Writable || ev.Broken) {
			l.connected(i)
		}
		if c.fd >= 0 && c.state == busy && ev.Writable {
			l.write(i, time.Now())
		}
		if c.fd >= 0 && ev.Readable {
			l.read(i, ev.Ending)
		}
	}
}
