package load

import (
	"net/netip"
	"time"

	"weir/bench/latency"
	"weir/bench/sock"
	"weir/bench/tunnel"
	"weir/bench/wire"
)

// The pause before a connection is opened again: doubled each time nothing good came of it.
const (
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
)

type state uint8

const (
	down       state = iota // no descriptor; a persistent one is opened again at the instant since
	connecting              // since the instant since
	shaking                 // likewise: TCP stands and TLS does not
	ready                   // for a request, or with one under way
)

// conn is one connection, or a place for one. fd ≥ 0 ⇔ state != down. On the lane's goroutine only.
type conn struct {
	fd         int
	generation uint32 // counts descriptors, so that late events miss
	state      state
	asked      bool // the request that was due at due is under way; a newcomer's is from the connect on
	queued     bool // stands in the queue of idle connections
	since      time.Time
	pause      time.Duration
	due        time.Duration
	sent       int          // bytes of the request written, or given to tls
	tls        *tunnel.Conn // nil: plain, or not yet
	replies    wire.Replies
}

// opening reports whether the connection is on its way to ready.
func (c *conn) opening() bool { return c.state == connecting || c.state == shaking }

func (l *Lane) connect(i int, now time.Time) {
	c := &l.conns[i]
	var from netip.Addr
	if n := len(l.cfg.Sources); n > 0 {
		from = l.cfg.Sources[i%n]
		if l.cfg.Churn {
			from = l.cfg.Sources[l.begun%n] // a newcomer is somebody else each time
		}
	}
	l.begun++
	c.since = now
	fd, err := sock.Dial(l.cfg.Target.Addr, from)
	if err != nil {
		l.connectFailed(i, now)
		return
	}
	c.fd, c.state = fd, connecting
	c.generation++
	l.opening++
	if err := l.poller.Add(fd, uint64(uint32(i))|uint64(c.generation)<<32); err != nil {
		l.connectFailed(i, now)
	}
}

func (l *Lane) connectFailed(i int, now time.Time) {
	l.connectFailures.Add(1)
	l.fail(&l.conns[i], latency.Connect)
	l.drop(i, now)
}

func (l *Lane) connected(i int) {
	c := &l.conns[i]
	if sock.Problem(c.fd) != nil {
		l.connectFailed(i, time.Now())
		return
	}
	sock.NoDelay(c.fd)
	c.replies.Reset(l.request)
	if l.secure != nil {
		l.shake(i)
		return
	}
	l.up(i, time.Now())
}

// up makes a connection that stands ready for its first request.
func (l *Lane) up(i int, now time.Time) {
	c := &l.conns[i]
	l.opening--
	c.state, c.sent = ready, 0
	if c.asked {
		l.write(i, now)
		return
	}
	l.rejoin(i)
}

// rejoin makes a connection ready for the next request.
func (l *Lane) rejoin(i int) {
	if c := &l.conns[i]; !c.queued {
		c.queued = true
		l.idle.Push(i)
	}
}

func (l *Lane) answered(i int, got wire.Count, now time.Time) {
	c := &l.conns[i]
	took := now.Sub(l.start) - c.due
	switch {
	case took > l.cfg.Timeout:
		l.fail(c, latency.Timeout)
	case got.Bad > 0:
		l.fail(c, latency.Status)
	default:
		c.asked = false
		l.busy--
		l.Latency.OK(c.due, took)
		c.pause = 0
	}
	if l.cfg.Churn {
		l.leave(i)
		return
	}
	l.rejoin(i)
}

// fail ends the request under way, if there is one.
func (l *Lane) fail(c *conn, how latency.Failure) {
	if !c.asked {
		return
	}
	c.asked = false
	l.busy--
	l.Latency.Fail(c.due, how)
}

// cut ends a connection that is of no more use, and the request under way on it.
func (l *Lane) cut(i int, now time.Time) {
	l.cuts.Add(1)
	l.fail(&l.conns[i], latency.Cut)
	l.reopen(i, now)
}

// reopen drops a connection and opens it again the first time at once: servers end a connection after so many
// requests.
func (l *Lane) reopen(i int, now time.Time) {
	l.drop(i, now)
	if c := &l.conns[i]; !l.cfg.Churn && !now.Before(c.since) {
		l.connect(i, now)
	}
}

// drop closes what there is of a connection and puts off the next attempt.
func (l *Lane) drop(i int, now time.Time) {
	c := &l.conns[i]
	if c.fd >= 0 {
		l.release(c, sock.Abort)
	}
	if l.cfg.Churn {
		l.rejoin(i)
		return
	}
	c.since = now.Add(c.pause)
	c.pause = min(max(2*c.pause, firstPause), lastPause)
}

// leave ends a newcomer's connection the way a good client does, with a FIN: one that had what it came for and
// resets looks like an attacker.
func (l *Lane) leave(i int) {
	c := &l.conns[i]
	if c.tls != nil {
		c.tls.Close()
		_ = c.tls.Flush(c.fd) // a goodbye that finds no room is not worth waiting for
	}
	l.release(c, sock.Close)
	l.rejoin(i)
}

func (l *Lane) release(c *conn, closing func(int)) {
	if c.opening() {
		l.opening--
	}
	if c.tls != nil {
		c.tls.Stop()
		c.tls = nil
	}
	closing(c.fd)
	c.fd, c.state = -1, down
}

// sweep opens again what rested long enough and gives up what is overdue.
func (l *Lane) sweep(now time.Time) {
	if now.Sub(l.swept) < sweepEvery {
		return
	}
	l.swept = now
	at := now.Sub(l.start)
	for i := range l.conns {
		switch c := &l.conns[i]; {
		case c.asked && at-c.due > l.cfg.Timeout:
			l.fail(c, latency.Timeout)
			switch c.state {
			case connecting:
				l.connectFailed(i, now)
			case shaking:
				l.shakeFailed(i, now, latency.Timeout)
			default:
				l.cut(i, now)
			}
		case c.state == down && !l.cfg.Churn && !now.Before(c.since):
			l.connect(i, now)
		case c.state == connecting && now.Sub(c.since) > l.cfg.Timeout:
			l.connectFailed(i, now)
		case c.state == shaking && now.Sub(c.since) > l.cfg.Timeout:
			l.shakeFailed(i, now, latency.Timeout)
		}
	}
}

func (l *Lane) closeAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.fd >= 0 {
			l.release(c, sock.Close)
		}
	}
}
