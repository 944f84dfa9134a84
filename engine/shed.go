package engine

import (
	"fmt"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
)

// lingerBytes is how much a peer that was refused may still send after our FIN before it is cut: enough for
// what was under way, so that the refusal is not lost to a reset. One that has had an ordinary answer, such as
// an early one to a large body, may send what its byte budgets allow.
const lingerBytes = 256 << 10

// refuse ends a connection with an answer in its protocol's words, where that has any.
func (l *loop) refuse(c *conn, r guard.Reason, why service.Refusal) {
	l.shedEvent(c, r, "", nil)
	before := c.outstanding()
	c.sess.Refuse(c, why)
	if c.outstanding() == before && before == 0 {
		l.end(c, r.Level() != guard.Normal)
		return
	}
	c.state |= closing | politely | curt
}

// decline answers the frame that was decoded last with a refusal and reports that the connection goes
// on. A peer that goes on, too, is let go after MaxRefusals.
//
// hot: 0 allocs, see BenchmarkRoundTrip
func (l *loop) decline(c *conn, r guard.Reason) bool {
	d, can := c.sess.(service.Decliner)
	if !can || int(c.refused) >= c.ln.MaxRefusals || l.draining || !d.Decline(c) {
		return false
	}
	l.shedEvent(c, r, "", nil)
	c.refused++
	c.drips = 0
	l.g.Declined(c.id)
	c.stage = service.Between
	c.state &^= idling
	return true
}

// fault ends a connection whose bytes are wrong, with an answer where the protocol has one.
func (l *loop) fault(c *conn, f codec.Fault) {
	l.count.faults[f]++
	l.shedEvent(c, guard.ShedMalformed, f.Label(), nil)
	before := c.outstanding()
	switch {
	case c.sess != nil:
		c.sess.Fault(c, f)
	case c.opening == awaitHello:
		l.out = appendAlert(l.out, alertFor(f))
	}
	if c.outstanding() == 0 && before == 0 && unsent(c.fd) == 0 { // no answer is under way either
		l.end(c, true)
		return
	}
	c.state |= closing | politely | curt
}

// alertFor is the TLS alert for a fault of a ClientHello.
func alertFor(f codec.Fault) byte {
	const unexpectedMessage, decodeError = 10, 50
	if f == codec.NotTLS {
		return unexpectedMessage
	}
	return decodeError
}

// finish ends a connection whose answers are with the kernel. A peer that may still be sending is
// given the time to read them: bytes that arrive after close would turn into a reset that can
// overtake the answer (RFC 9112 9.6).
func (l *loop) finish(c *conn) {
	if c.state&politely == 0 || c.state&eof != 0 || l.draining && waiting(c.fd) == 0 {
		l.end(c, false)
		return
	}
	_ = unix.Shutdown(c.fd, unix.SHUT_WR)
	if c.in != nil {
		l.unkeep(c)
	}
	if c.tls != nil {
		c.tls.dropRaw()
	}
	if c.up != nil {
		l.endUpstream(c.up, false)
	}
	c.held = held{}
	c.inOff = 0
	c.state |= lingering
	c.state &^= blocked | throttled | choked | heldBack | again
	l.settled(c)
	c.wakeAt(1)
	if c.state&paused != 0 {
		c.state &^= paused
		l.g.Resume(c.id)
	}
	l.g.Phase(c.id, guard.Closing)
}

// drop ends a connection without a word: by a reset, so that the kernel keeps nothing of it. r is
// counted and told, unless it is OK: then the peer has ended the connection already, and it is only closed.
func (l *loop) drop(c *conn, r guard.Reason) {
	if c.state&gone != 0 {
		return
	}
	if r != guard.OK {
		l.shedEvent(c, r, "", nil)
	}
	l.end(c, r != guard.OK)
}

// end closes the descriptor, gives everything back and is the only place that does.
func (l *loop) end(c *conn, withReset bool) {
	if c.state&gone != 0 {
		return
	}
	if c.up != nil {
		l.endUpstream(c.up, !withReset && c.state&(closing|politely) == closing)
	}
	c.state = gone
	if l.cur == c {
		if !withReset && c.out == nil { // an answer gathered in this wake still goes out
			if p := l.gathered(c); len(p) > 0 {
				if n, errno := write(c.fd, p); errno == 0 {
					l.wrote(c, n)
				}
				l.count.writes++
			}
		}
		l.out, l.cipher = l.out[:0], l.cipher[:0]
	}
	l.byFD[c.fd] = nil
	l.byID[c.id] = nil
	if withReset {
		reset(c.fd)
	} else {
		closeSocket(c.fd) // the poller forgets a closed descriptor
	}
	if c.in != nil {
		l.unkeep(c)
	}
	if c.out != nil {
		giveBack(c.out)
		c.out = nil
	}
	if c.intro != nil {
		l.endIntro(c)
	}
	if c.tls != nil {
		c.tls.dropRaw()
	}
	l.buffered -= int64(c.acct)
	l.g.Gone(c.id)
	l.conns--
	c.ln.conns--
	l.closed(c)
	gen := c.gen + 1
	*c = conn{loop: l, gen: gen, state: gone}
	l.spareConn = append(l.spareConn, c)
	l.stopWhenEmpty()
}

// closed tells the session, whose panic must not stop the clean-up.
func (l *loop) closed(c *conn) {
	defer func() {
		if p := recover(); p != nil {
			l.count.panics++
			l.tell(guard.ShedPanic, c.peer.Addr(), c.ln, panicText(p), debug.Stack())
		}
	}()
	if c.sess != nil {
		defer c.sess.Closed()
	}
	if s := c.src; s != nil {
		c.src = nil
		l.pulls--
		s.Release()
	}
}

// probe is asked by the guard before it judges: what has arrived and is not read yet, because the
// loop was late itself or because the kernel was asked to gather it, counts for the peer, and so
// does what the peer's kernel has acknowledged.
func (l *loop) probe(id guard.ID, r guard.Reason) {
	c := l.byID[id]
	if c == nil {
		return
	}
	if r == guard.ShedWriteStall || r == guard.ShedSlowReader {
		l.progress(c)
		return
	}
	if c.state&(stops|again|eof) != 0 || waiting(c.fd) == 0 {
		return
	}
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	l.readable(c)
}

// overdue is told by the guard that a deadline has passed.
func (l *loop) overdue(id guard.ID, r guard.Reason) {
	c := l.byID[id]
	if c == nil {
		return
	}
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	switch r {
	case guard.ShedWriteStall, guard.ShedSlowReader, guard.ShedLinger:
		l.drop(c, r)
	case guard.ShedLifetime, guard.ShedIdle, guard.ShedHalfClosed:
		l.count.shed[r]++ // ordinary life: counted, not told
		if c.out != nil || c.state&stops != 0 {
			l.end(c, true)
			return
		}
		c.state |= closing
	default: // the peer's message did not arrive in time
		if c.stage != service.Between && c.out == nil && c.state&(closing|busy|pulling) == 0 {
			l.refuse(c, r, service.TooSlow)
			c.state &^= politely // it sends next to nothing: no need to wait for it
			return
		}
		l.drop(c, r)
	}
}

// throttle stops reading until a byte budget is paid back.
func (l *loop) throttle(c *conn, v guard.Verdict) {
	l.shedEvent(c, v.Reason, "", nil)
	if c.state&throttled == 0 {
		c.state |= throttled
		l.timers.push(timer{at: l.g.Now().Add(v.Wait), c: c, gen: c.gen})
	}
}

func panicText(p any) string {
	s := fmt.Sprint(p)
	return s[:min(len(s), 512)]
}
