package load

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

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

// state is where a connection stands.
//
//	down -- connect --> connecting -- connected --> [ shaking -- shaken --> ] ready -- cut, leave --> down
//	  ^                     | connectFailed            | shakeFailed
//	  +---------------------+--------------------------+
//
// Who ends a connection: cut fails the requests under way and counts; reopen drops and connects again, at once or
// after a pause; drop resets; leave ends a newcomer's in order; late, connectFailed and shakeFailed say why and call those.
type state uint8

const (
	down       state = iota // no descriptor; a persistent one is opened again at the instant since
	connecting              // since the instant since
	shaking                 // likewise: TCP stands and TLS does not
	ready                   // for requests, or with some under way
)

// conn is one connection, or a place for one. fd ≥ 0 ⇔ state != down. On the lane's goroutine only.
//
// The requests under way on the i'th connection, a newcomer's from its connect on, stand in the order of their replies in
// dues[i*Pipeline:], a ring of Pipeline places that begins at first.
type conn struct {
	fd         int32
	generation uint32 // counts descriptors, so that late events miss
	first      uint16 // < Pipeline
	asked      uint16 // requests under way, ≤ Pipeline
	may        uint16 // closed loop: requests it may ask at once; with those under way and thought about Pipeline in all
	state      state
	queued     bool // stands in the queue of idle connections
	dirty      bool // stands in the list of those that have to write
	offset     int32
	owed       int // bytes of the requests under way that were not written, or given to tls; they begin at offset of one
	since      time.Duration
	pause      time.Duration
	tls        *tunnel.Conn // nil: plain, or not yet
	replies    wire.Replies
}

// opening reports whether the connection is on its way to ready.
func (c *conn) opening() bool { return c.state == connecting || c.state == shaking }

// ask puts a request under way that was due at the given instant. There must be room for it.
func (l *Lane) ask(i int, due time.Duration) {
	c := &l.conns[i]
	at := int(c.first) + int(c.asked)
	if at >= l.cfg.Pipeline {
		at -= l.cfg.Pipeline
	}
	l.dues[i*l.cfg.Pipeline+at] = due
	c.asked++
	c.owed += len(l.request.Bytes)
	l.busy++
	l.sent.Add(1)
}

// oldest returns when the first of the requests under way was due. There must be one.
func (l *Lane) oldest(i int) time.Duration { return l.dues[i*l.cfg.Pipeline+int(l.conns[i].first)] }

// done takes out the first of the requests under way and returns when it was due. There must be one.
func (l *Lane) done(i int) (due time.Duration) {
	c := &l.conns[i]
	due = l.oldest(i)
	if c.first++; int(c.first) == l.cfg.Pipeline {
		c.first = 0
	}
	c.asked--
	l.busy--
	return due
}

func (l *Lane) connect(i int, now time.Duration) {
	c := &l.conns[i]
	var from netip.Addr
	if n := len(l.cfg.Sources); n > 0 {
		from = l.cfg.Sources[l.share.number(i)%n]
		if l.cfg.Churn {
			from = l.cfg.Sources[l.share.number(l.begun)%n] // a newcomer is somebody else each time
		}
	}
	l.begun++
	c.since = now
	fd, err := sock.Dial(l.cfg.Target.Addr, from)
	if err != nil {
		l.connectFailed(i, now, err)
		return
	}
	c.fd, c.state, c.offset = int32(fd), connecting, 0
	c.generation++
	l.opening++
	if err := l.poller.Add(fd, uint64(uint32(i))|uint64(c.generation)<<32); err != nil {
		l.connectFailed(i, now, err)
	}
}

func (l *Lane) connectFailed(i int, now time.Duration, why error) {
	l.connectFailures.Add(1)
	l.connectError = why.Error()
	l.fail(i, latency.Connect)
	l.drop(i, now)
}

func (l *Lane) connected(i int) {
	c := &l.conns[i]
	if err := sock.Problem(int(c.fd)); err != nil {
		l.connectFailed(i, l.now(), err)
		return
	}
	sock.NoDelay(int(c.fd))
	c.replies.Reset(l.request)
	if l.secure != nil {
		l.shake(i)
		return
	}
	l.up(i, l.now())
}

// up makes a connection that stands ready for its first request.
func (l *Lane) up(i int, now time.Duration) {
	c := &l.conns[i]
	l.opening--
	c.state = ready
	l.standing++
	l.peak = max(l.peak, l.standing)
	if l.cfg.Closed && l.begin > 0 && !l.cfg.Churn {
		l.askAgain(i, now)
	}
	if c.asked > 0 {
		l.write(i, now)
	} else if !l.cfg.Closed {
		l.rejoin(i)
	}
}

// rejoin makes a connection known that has room for another request.
func (l *Lane) rejoin(i int) {
	if c := &l.conns[i]; !c.queued && int(c.asked) < l.cfg.Pipeline {
		c.queued = true
		l.idle.Push(i)
	}
}

// answered counts the replies that a connection got.
func (l *Lane) answered(i int, got wire.Count, now time.Duration) {
	c := &l.conns[i]
	n := min(got.OK+got.Bad, int(c.asked)) // what nobody asked for counts as nothing: a 408 before a close
	for k := range n {
		due := l.done(i)
		switch took := now - l.begin - due; {
		case took > l.cfg.Timeout:
			l.Latency.Fail(due, latency.Timeout)
		case k >= got.OK:
			l.Latency.Fail(due, latency.Status)
		default:
			l.Latency.OK(due, took)
			c.pause = 0
		}
	}
	if l.cfg.Closed {
		l.think(i, n, now)
	}
	switch {
	case l.cfg.Churn:
		l.leave(i, now)
	case got.Close:
		// Over, and what was sent after it is not looked at.
	case l.cfg.Closed:
		l.askAgain(i, now)
	default:
		l.rejoin(i)
	}
}

// withdraw takes back what was sent after the request whose reply said that it is the last: the server never looked at
// it, so it is as if it had not been sent. In an open loop it waits again, as the oldest.
func (l *Lane) withdraw(i int) {
	c := &l.conns[i]
	n := int(c.asked)
	for k := n - 1; k >= 0; k-- {
		if l.cfg.Closed {
			c.may++
			continue
		}
		l.waiting.Unpop(l.dues[i*l.cfg.Pipeline+(int(c.first)+k)%l.cfg.Pipeline])
	}
	c.asked = 0
	l.busy -= n
	l.sent.Add(-int64(n))
}

// fail ends all requests under way, if there are any.
func (l *Lane) fail(i int, how latency.Failure) {
	c := &l.conns[i]
	for c.asked > 0 {
		if l.cfg.Closed {
			c.may++
		}
		due, why := l.done(i), how
		if how == latency.Timeout && l.now()-l.begin-due <= l.cfg.Timeout {
			why = latency.Cut // another one was late, and this one goes with its connection
		}
		l.Latency.Fail(due, why)
	}
	c.owed = 0
}

// cut ends a connection that is of no more use, and the requests under way on it.
func (l *Lane) cut(i int, now time.Duration) {
	l.cuts.Add(1)
	l.fail(i, latency.Cut)
	l.reopen(i, now)
}

// reopen drops a connection and opens it again the first time at once: servers end a connection after so many
// requests.
func (l *Lane) reopen(i int, now time.Duration) {
	l.drop(i, now)
	if c := &l.conns[i]; !l.cfg.Churn && now >= c.since {
		l.connect(i, now)
	}
}

// drop closes what there is of a connection and puts off the next attempt.
func (l *Lane) drop(i int, now time.Duration) {
	c := &l.conns[i]
	if c.fd >= 0 {
		l.release(c, sock.Abort)
	}
	c.since = now
	if !l.cfg.Churn || l.cfg.Closed {
		c.since += c.pause
		c.pause = min(max(2*c.pause, firstPause), lastPause)
		return
	}
	l.rejoin(i)
}

// leave ends a newcomer's connection the way a good client does, with a FIN: one that had what it came for and
// resets looks like an attacker. In a closed loop the next one comes in its place.
func (l *Lane) leave(i int, now time.Duration) {
	c := &l.conns[i]
	if c.tls != nil {
		c.tls.Close()
		_ = c.tls.Flush(int(c.fd)) // a goodbye that finds no room is not worth waiting for
	}
	l.release(c, sock.Close)
	if l.cfg.Closed {
		l.askAgain(i, now)
	} else {
		l.rejoin(i)
	}
}

func (l *Lane) release(c *conn, closing func(int)) {
	if c.opening() {
		l.opening--
	}
	if c.state == ready {
		l.standing--
	}
	if c.tls != nil {
		c.tls.Stop()
		c.tls = nil
	}
	closing(int(c.fd))
	c.fd, c.state, c.owed = -1, down, 0
}

// sweep opens again what rested long enough and gives up what is overdue.
func (l *Lane) sweep(now time.Duration) {
	if now-l.swept < sweepEvery {
		return
	}
	l.swept = now
	at := now - l.begin
	for i := range l.conns {
		switch c := &l.conns[i]; {
		case c.asked > 0 && at-l.oldest(i) > l.cfg.Timeout:
			l.late(i, now)
		case c.state == down && now >= c.since && !l.cfg.Churn:
			l.connect(i, now)
		case c.state == down && l.cfg.Closed:
			l.askAgain(i, now) // the next newcomer, after one that came to nothing
		case c.state == connecting && now-c.since > l.cfg.Timeout:
			l.connectFailed(i, now, unix.ETIMEDOUT)
		case c.state == shaking && now-c.since > l.cfg.Timeout:
			l.shakeFailed(i, now, latency.Timeout)
		}
	}
}

// late gives up a connection on which a request is overdue.
func (l *Lane) late(i int, now time.Duration) {
	if l.conns[i].state == shaking {
		l.shakeFailed(i, now, latency.Timeout)
		return
	}
	l.fail(i, latency.Timeout)
	if l.conns[i].state == connecting {
		l.connectFailed(i, now, unix.ETIMEDOUT)
		return
	}
	l.cut(i, now)
}

func (l *Lane) closeAll() {
	for i := range l.conns {
		if c := &l.conns[i]; c.fd >= 0 {
			l.release(c, sock.Close)
		}
	}
}
