package load

import (
	"time"

	"weir/bench/latency"
	"weir/bench/tunnel"
)

// Handshakes is what became of a lane's TLS handshakes. Each counts from when its connection was begun, a newcomer's
// from when it was due, so that the accept queue and TCP's own handshake are in it: what a client waits before it may
// ask.
type Handshakes struct {
	tunnel.Options
	OK      int64         `json:"ok"`
	Resumed int64         `json:"resumed"` // of OK
	Failed  int64         `json:"failed"`
	Took    latency.Range `json:"took"` // of OK, those before the first request was due included
	// Phases tells those that count from an instant of the run apart; its failures are timeout, cut (by the server,
	// without a word) and handshake (an alert, or nonsense).
	Phases []latency.Summary `json:"phases"`
}

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
	now := time.Now() // after our own part of it, which a client waits for as well
	if err != nil {
		_ = c.tls.Flush(c.fd) // the alert, if it is ours
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

func (l *Lane) shaken(i int, now time.Time) {
	c := &l.conns[i]
	from, took := l.shakenSince(c, now)
	l.shakes.OK++
	l.shakeLatency.OK(from, took)
	l.shakeTook.Add(took)
	if c.tls.Resumed() {
		l.shakes.Resumed++
	}
	l.up(i, now)
}

// shakeFailed ends a connection whose handshake came to nothing.
func (l *Lane) shakeFailed(i int, now time.Time, how latency.Failure) {
	c := &l.conns[i]
	from, _ := l.shakenSince(c, now)
	l.shakes.Failed++
	l.shakeLatency.Fail(from, how)
	l.fail(c, latency.Handshake)
	l.reopen(i, now)
}

// shakenSince returns the instant since the start that a handshake counts from, and the time since. Before the start
// that is outside all phases.
func (l *Lane) shakenSince(c *conn, now time.Time) (from, took time.Duration) {
	switch {
	case l.cfg.Churn:
		return c.due, now.Sub(l.start) - c.due
	case l.start.IsZero() || c.since.Before(l.start):
		return -1, now.Sub(c.since)
	}
	return c.since.Sub(l.start), now.Sub(c.since)
}
