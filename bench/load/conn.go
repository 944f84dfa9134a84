package load

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/latency"
	"weir/bench/sock"
	"weir/bench/wire"
)

// The pause before a connection is opened again: doubled each time nothing good came of it.
const (
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
)

type state uint8

const (
	down       state = iota // no descriptor; opened again at the instant since
	connecting              // since the instant since
	idle
	busy // with the request that was due at due
)

// conn is one persistent connection. fd ≥ 0 ⇔ state != down. On the lane's goroutine only.
type conn struct {
	fd         int
	generation uint32 // counts descriptors, so that late events miss
	state      state
	queued     bool // stands in the queue of idle connections
	since      time.Time
	pause      time.Duration
	due        time.Duration
	sent       int // bytes of the request written
	replies    wire.Replies
}

func (l *Lane) connect(i int, now time.Time) {
	c := &l.conns[i]
	var from netip.Addr
	if n := len(l.cfg.Sources); n > 0 {
		from = l.cfg.Sources[i%n]
	}
	fd, err := sock.Dial(l.cfg.Target.Addr, from)
	if err != nil {
		l.connectFailures.Add(1)
		l.rest(c, now)
		return
	}
	c.fd = fd
	c.generation++
	if err := l.poller.Add(fd, uint64(uint32(i))|uint64(c.generation)<<32); err != nil {
		l.connectFailures.Add(1)
		l.drop(i, now)
		return
	}
	c.state, c.since = connecting, now
}

func (l *Lane) connected(i int) {
	c := &l.conns[i]
	if sock.Problem(c.fd) != nil {
		l.connectFailures.Add(1)
		l.drop(i, time.Now())
		return
	}
	sock.NoDelay(c.fd)
	c.replies.Reset(l.request)
	l.rejoin(i)
}

// rejoin makes a connection ready for the next request.
func (l *Lane) rejoin(i int) {
	c := &l.conns[i]
	c.state = idle
	if !c.queued {
		c.queued = true
		l.idle.Push(i)
	}
}

func (l *Lane) write(i int, now time.Time) {
	c := &l.conns[i]
	for c.sent < len(l.request.Bytes) {
		n, err := sock.Write(c.fd, l.request.Bytes[c.sent:])
		if err == unix.EAGAIN {
			return // told when there is room
		}
		if err != nil {
			l.cut(i, now)
			return
		}
		c.sent += n
	}
}

// read takes what there is. A read that does not fill the buffer has emptied the socket, and anything later is told
// of anew, so that asking once more for EAGAIN is spared; unless the end, too, was told of already.
func (l *Lane) read(i int, ending bool) {
	c := &l.conns[i]
	for {
		n, err := sock.Read(c.fd, l.in)
		if err == unix.EAGAIN {
			return
		}
		now := time.Now()
		var got wire.Count
		var bad error
		if err == nil && n == 0 {
			got = c.replies.End()
			got.Close = true
		} else if err == nil {
			got, bad = c.replies.Feed(l.in[:n])
		}
		if c.state == busy && got.OK+got.Bad > 0 {
			l.answered(i, got, now)
		}
		switch {
		case err != nil:
			l.cut(i, now)
			return
		case bad != nil:
			l.fail(c, latency.Protocol)
			l.cut(i, now)
			return
		case got.Close:
			l.cut(i, now)
			return
		}
		if n < len(l.in) && !ending {
			return
		}
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
		l.busy--
		l.Latency.OK(c.due, took)
		c.pause = 0
	}
	l.rejoin(i)
}

// fail ends the request under way, if there is one.
func (l *Lane) fail(c *conn, how latency.Failure) {
	if c.state != busy {
		return
	}
	l.busy--
	l.Latency.Fail(c.due, how)
	c.state = idle
}

// cut ends a connection that is of no more use, and the request under way on it.
func (l *Lane) cut(i int, now time.Time) {
	l.cuts.Add(1)
	c := &l.conns[i]
	l.fail(c, latency.Cut)
	l.drop(i, now)
	if !now.Before(c.since) {
		l.connect(i, now) // the first time at once: servers end a connection after so many requests
	}
}

func (l *Lane) drop(i int, now time.Time) {
	c := &l.conns[i]
	sock.Abort(c.fd)
	c.fd = -1
	l.rest(c, now)
}

// rest puts off the next attempt.
func (l *Lane) rest(c *conn, now time.Time) {
	c.state, c.since = down, now.Add(c.pause)
	c.pause = min(max(2*c.pause, firstPause), lastPause)
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
		case c.state == down && !now.Before(c.since):
			l.connect(i, now)
		case c.state == connecting && now.Sub(c.since) > l.cfg.Timeout:
			l.connectFailures.Add(1)
			l.drop(i, now)
		case c.state == busy && at-c.due > l.cfg.Timeout:
			l.fail(c, latency.Timeout)
			l.cut(i, now)
		}
	}
}

func (l *Lane) closeAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.fd >= 0 {
			sock.Close(c.fd)
			c.fd = -1
		}
	}
}
