package load

import (
	"time"

	"weir/bench/latency"
	"weir/bench/tunnel"
)

// shake begins the handshake of a connection that stands.
func (l *Lane) shake(i int) {
	c := &l.conns[i]
	c.state = shaking
	c.tls = tunnel.New(l.secure)
	l.step(i, nil)
}

// step drives a handshake and reports whether the connection lives on.
func (l *Lane) step(i int, in []byte) bool {
	c := &l.conns[i]
	generation := c.generation
	done, err := c.tls.Step(in)
	now := l.now() // after our own part of it, which a client waits for as well
	if err != nil {
		_ = c.tls.Flush(int(c.fd)) // the alert, if it is ours
		l.shakeFailed(i, now, latency.Handshake)
		return false
	}
	l.flush(i, now)
	if c.state != shaking || c.generation != generation {
		return false
	}
	if done {
		l.shaken(i, now)
	}
	return c.state != down && c.generation == generation
}

func (l *Lane) shaken(i int, now time.Duration) {
	c := &l.conns[i]
	from, took := l.shakenSince(i, now)
	l.shakes.OK++
	l.shakes.Latency.OK(from, took)
	l.shakes.Took.Add(took)
	if c.tls.Resumed() {
		l.shakes.Resumed++
	}
	l.up(i, now)
}

// shakeFailed ends a connection whose handshake came to nothing.
func (l *Lane) shakeFailed(i int, now time.Duration, how latency.Failure) {
	from, _ := l.shakenSince(i, now)
	l.shakes.Failed++
	l.shakes.Latency.Fail(from, how)
	if how != latency.Timeout {
		how = latency.Handshake
	}
	l.fail(i, how)
	l.reopen(i, now)
}

// shakenSince returns the instant since the start that a handshake counts from, and the time since. Before the start
// that is outside all phases.
func (l *Lane) shakenSince(i int, now time.Duration) (from, took time.Duration) {
	c := &l.conns[i]
	switch {
	case l.cfg.Churn && c.asked > 0:
		from = l.oldest(i)
		return from, now - l.begin - from
	case l.begin == 0 || c.since < l.begin:
		return -1, now - c.since
	}
	return c.since - l.begin, now - c.since
}
