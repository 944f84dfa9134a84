package engine

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"time"

	"github.com/valyala/bytebufferpool"

	"weir/engine/tlsio"
	"weir/guard"
	"weir/guard/mono"
)

const (
	// shakeBytes is how much a peer may send behind its ClientHello before its handshake is done,
	// shakeBytesCert where it may show a certificate: a chain is a few KiB; crypto/tls takes 256
	// KiB. shakeSteps is in how many pieces: a handshake has two or three flights.
	shakeBytes     = 8 << 10
	shakeBytesCert = 24 << 10
	shakeSteps     = 64
	// shakeHolds is what a handshake holds, beside twice what its peer has sent.
	shakeHolds = 28 << 10
	// shakeCost is how much processor time costs a source another handshake: those with a chain of
	// certificates whose keys are on P-521 take thirty times as long as others.
	shakeCost = 5 * time.Millisecond
	// mostBehind is how much is read of a peer while a worker is at its handshake.
	mostBehind = 16 << 10
	// A newcomer may take the place of a handshake that has waited for its peer for longer than a
	// round trip, or that has taken longer than an honest one.
	evictShakeAfter = 250 * time.Millisecond
	evictShakeBegun = 2 * time.Second
)

// acmeProtocol is what a CA asks for that checks a domain: the handshake is all it wants, and the
// connection is not used for anything else (RFC 8737 4).
const acmeProtocol = "acme-tls/1"

// shake is a handshake under way: with a worker, in the queue for one, or waiting for its peer. On
// the loop's goroutine only, except for what belongs to the worker while running.
type shake struct {
	c       *conn // nil when the connection has gone meanwhile
	ln      *listener
	running bool // queued for or with a worker, whose are hs, feed and out then
	hs      *tlsio.Handshake
	feed    *bytebufferpool.ByteBuffer // what the step is given
	out     *bytebufferpool.ByteBuffer // what it wants sent
	bytes   int                        // all that the peer has sent and steps were given
	most    int                        // of bytes, behind the ClientHello
	steps   int
	payer   guard.Payer
	cost    time.Duration // of the steps, as far as not charged; the worker's while running
	begun   mono.Time
	asked   mono.Time // when the peer's turn began

	prev, next *shake // of the loop's
}

// shakes is a loop's list of handshakes under way, in the order in which their peers' turns began.
type shakes struct {
	first, last *shake
	n, max      int
}

func (s *shakes) add(sh *shake) {
	if sh.prev = s.last; s.last != nil {
		s.last.next = sh
	} else {
		s.first = sh
	}
	s.last = sh
	s.n++
}

func (s *shakes) remove(sh *shake) {
	if sh.prev != nil {
		sh.prev.next = sh.next
	} else {
		s.first = sh.next
	}
	if sh.next != nil {
		sh.next.prev = sh.prev
	} else {
		s.last = sh.prev
	}
	sh.prev, sh.next = nil, nil
	s.n--
}

// shakeHands begins the handshake of a connection whose ClientHello is at the front of b, which is
// all that it has sent. Cheapest refusal first: the source's rate, the places, the queue.
func (l *loop) shakeHands(c *conn, b []byte) {
	if r := l.g.Handshake(c.id); r != guard.OK {
		l.drop(c, r)
		return
	}
	if l.shakes.n >= l.shakes.max && !l.evictShake() {
		l.drop(c, guard.ShedHandshakes)
		return
	}
	cfg, now := c.ln.TLS(), l.g.Now()
	sh := &shake{
		c: c, ln: c.ln, payer: l.g.Payer(c.id), begun: now, asked: now, most: len(b) + shakeBytes,
		hs: tlsio.NewHandshake(cfg, c.ln.addr, netAddr(c)), out: borrow(4 << 10),
	}
	if cfg != nil && cfg.ClientAuth != tls.NoClientCert {
		sh.most = len(b) + shakeBytesCert
	}
	c.intro.shake = sh
	l.shakes.add(sh)
	c.opening = shaking
	if l.step(sh, b) {
		l.count.shakesBegun++
	}
}

// netAddr is the connection's source as crypto/tls's callbacks see it.
func netAddr(c *conn) net.Addr {
	if !c.peer.IsValid() {
		return &net.UnixAddr{Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(c.peer)
}

// evictShake gives up the handshake that has waited longest for its peer, if that was long.
func (l *loop) evictShake() bool {
	sh := l.shakes.first
	for sh != nil && sh.running {
		sh = sh.next
	}
	now := l.g.Now()
	if sh == nil || now.Sub(sh.asked) < evictShakeAfter && now.Sub(sh.begun) < evictShakeBegun {
		return false
	}
	l.drop(sh.c, guard.ShedHandshakes)
	return true
}

// step has a worker go on with a handshake, and reports whether one will. A new one is shed when the
// queue is full; one that has begun has a place in it.
func (l *loop) step(sh *shake, in []byte) bool {
	sh.feed = borrow(len(in))
	sh.feed.B = append(sh.feed.B, in...)
	first := sh.steps == 0
	sh.bytes += len(in)
	sh.steps++
	sh.running = true
	j := job{
		f: func() {
			w := begin()
			sh.hs.Step(sh.feed.B, &sh.out.B)
			sh.cost += w.spent()
		},
		l:    l,
		then: func(p any, stack []byte) { l.stepped(sh, p, stack) },
	}
	l.handed = true
	if !l.e.shakers.submit(j, !first) {
		sh.running = false
		l.drop(sh.c, guard.ShedHandshakes)
		return false
	}
	return true
}

// shakeMore takes what a peer sends while its handshake is under way: b is all that waits. It
// returns how many bytes of it are finished with.
func (l *loop) shakeMore(c *conn, b []byte) (used int) {
	sh := c.intro.shake
	if sh.running {
		if len(b) > mostBehind {
			c.state |= busy
		}
		return 0
	}
	if sh.bytes > sh.most || sh.steps >= shakeSteps {
		l.failed(c, errShakeTooLong)
		return 0
	}
	// Not more at once than may be: what comes behind the last flight is data, and waits.
	n, lacks := tlsio.Whole(b[:min(len(b), mostBehind)])
	if n == 0 && len(b) > mostBehind {
		n, lacks = tlsio.Whole(b[:min(len(b), tlsio.MaxRecord)]) // one long record
	}
	if n == 0 {
		c.wakeAt(int32(min(lacks, dripBytes)))
		return 0
	}
	c.wakeAt(1)
	l.step(sh, b[:n])
	return n
}

// stepped continues on the loop when a worker has done a step.
func (l *loop) stepped(sh *shake, p any, stack []byte) {
	sh.running = false
	if n := int(sh.cost / shakeCost); n > 0 { // also of who has gone meanwhile
		sh.cost -= time.Duration(n) * shakeCost
		l.g.ChargeHandshakes(&sh.payer, n)
	}
	c := sh.c
	if c == nil { // the connection has gone meanwhile
		if p != nil {
			l.count.panics++
			l.tell(guard.ShedPanic, netip.Addr{}, sh.ln, panicText(p), stack)
		}
		l.endShake(sh)
		return
	}
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	c.state &^= busy
	if c.state&closing != 0 { // its time was over meanwhile
		l.endIntro(c)
		return
	}
	if p != nil {
		l.endIntro(c)
		l.panicked(c, gen, p, stack)
		return
	}
	*l.cipherFor(c) = append(*l.cipherFor(c), sh.out.B...)
	sh.out.B = sh.out.B[:0]
	if !sh.hs.Done() {
		sh.asked = l.g.Now()
		l.shakes.remove(sh)
		l.shakes.add(sh)
		giveBack(sh.feed)
		sh.feed = nil
		if c.in != nil {
			if n := l.shakeMore(c, c.in.B); c.state&(gone|closing) == 0 {
				l.behind(c, c.in.B, n)
			}
		}
		if c.state&eof != 0 && c.state&(gone|closing) == 0 {
			l.openingEnds(c)
		}
		return
	}
	if err := sh.hs.Err(); err != nil {
		l.count.shakesFailed++
		l.failed(c, err)
		return
	}
	l.secured(c, sh)
}

// secured opens the session of a connection whose handshake is done.
func (l *loop) secured(c *conn, sh *shake) {
	tc, rest := sh.hs.Conn()
	rest = bytes.Clone(rest) // of sh.feed, which goes with sh; nearly always nothing
	if c.out == nil {        // what was to be sent is ciphertext already
		l.cipher = append(l.cipher, l.out...)
		l.out = l.out[:0]
	}
	c.tls = &secure{Conn: tc}
	agreed := tc.State()
	l.countShake(&agreed)
	if agreed.NegotiatedProtocol == acmeProtocol {
		l.endIntro(c)
		c.state |= closing
		return
	}
	l.g.Phase(c.id, guard.First)
	l.openAt(c, opened)
	if c.in != nil { // what came while the worker was at it
		rest = append(rest, c.in.B...)
		l.unkeep(c)
	}
	if len(rest) > 0 && c.state&(gone|closing) == 0 {
		l.decrypt(c, rest)
	}
	if c.state&(gone|closing) == 0 {
		l.proceed(c)
	}
}

// endShake gives up what a handshake holds, unless a worker has it: then stepped does, later.
func (l *loop) endShake(sh *shake) {
	sh.c = nil
	if sh.running {
		return
	}
	l.shakes.remove(sh)
	sh.hs.Abort()
	giveBack(sh.out)
	if sh.feed != nil {
		giveBack(sh.feed)
	}
	sh.out, sh.feed = nil, nil
}

// release ends what is left when the loop and the workers have ended.
func (s *shakes) release() {
	for sh := s.first; sh != nil; sh = sh.next {
		sh.hs.Abort()
	}
	*s = shakes{}
}
