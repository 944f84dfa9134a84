package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net/netip"

	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"weir/engine/service"
	"weir/engine/tlsio"
	"weir/guard"
)

const (
	// upShakeBytes is how much a server may send for a handshake: chains of certificates are a few KiB.
	upShakeBytes = 64 << 10
	// upShakeSteps is in how many pieces: a handshake has two or three flights.
	upShakeSteps = 64
)

// upSecure is the TLS of an upstream. On the loop's goroutine only, except for what belongs to the
// worker while running.
type upSecure struct {
	*tlsio.Conn // nil until the handshake is done
	cfg         *tls.Config
	rawBytes
	first *bytebufferpool.ByteBuffer // what goes in front of the handshake

	begun, running bool // a step is queued for, or with, a worker, whose are hs, feed and out then
	hs             *tlsio.Handshake
	feed, out      *bytebufferpool.ByteBuffer
	bytes, steps   int
	bye            bool // our close_notify is sent
}

func newUpSecure(cfg *tls.Config, first *bytebufferpool.ByteBuffer) *upSecure {
	return &upSecure{cfg: cfg, first: first}
}

func (s *upSecure) held() (n int) {
	if s.raw != nil {
		n = cap(s.raw.B)
	}
	if s.Conn != nil {
		return n + s.Held()
	}
	return n + shakeHolds + 2*s.bytes
}

// drop gives everything back. What a worker has is given back by whoever hears that it is done.
func (s *upSecure) drop() {
	s.dropRaw()
	if s.first != nil {
		giveBack(s.first)
		s.first = nil
	}
	if !s.running {
		s.endShake()
	}
}

// endShake gives back what a handshake needs, and gives it up if it is not done.
func (s *upSecure) endShake() {
	if s.hs != nil {
		s.hs.Abort()
		s.hs = nil
	}
	for _, b := range []**bytebufferpool.ByteBuffer{&s.feed, &s.out} {
		if *b != nil {
			giveBack(*b)
			*b = nil
		}
	}
}

// beginShakeUp begins the TLS handshake of an upstream whose socket has just been connected.
func (l *loop) beginShakeUp(u *upstream) {
	s := u.tls
	s.begun = true
	if s.first != nil {
		n, errno := write(u.fd, s.first.B)
		l.count.writes++
		if errno != 0 || n < len(s.first.B) {
			l.lost(u, service.EndReset)
			return
		}
		l.count.upOut += uint64(n)
		giveBack(s.first)
		s.first = nil
	}
	s.hs = tlsio.NewClientHandshake(s.cfg)
	s.out = borrow(2 << 10)
	l.stepUp(u, nil)
}

// stepUp has a worker go on with a handshake, b being what the server has sent.
func (l *loop) stepUp(u *upstream, b []byte) {
	s := u.tls
	if s.feed == nil {
		s.feed = borrow(len(b))
	}
	s.feed.B = append(s.feed.B[:0], b...)
	s.out.B = s.out.B[:0]
	s.bytes += len(b)
	s.steps++
	s.running = true
	gen, hs, feed, out := u.gen, s.hs, s.feed, s.out
	l.handed = true
	if !l.pool.submit(job{func() { hs.Step(feed.B, &out.B) }, l, func(p any, stack []byte) { l.steppedUp(u, s, gen, p, stack) }}, s.steps > 1) {
		s.running = false
		l.lost(u, service.EndBusy)
	}
}

// steppedUp goes on when a worker is done.
func (l *loop) steppedUp(u *upstream, s *upSecure, gen uint32, p any, stack []byte) {
	s.running = false
	if u.gen != gen { // the upstream has ended meanwhile
		s.endShake()
		return
	}
	c := u.c
	cgen := c.gen
	l.enter(c)
	defer l.leave(c, cgen)
	l.shakenUp(u, p, stack)
	l.unhold(c, cgen)
}

func (l *loop) shakenUp(u *upstream, p any, stack []byte) {
	s := u.tls
	if p != nil {
		l.count.panics++
		l.tell(guard.ShedPanic, netip.Addr{}, u.ln, panicText(p), stack)
		l.lost(u, service.EndTLS)
		return
	}
	if len(s.out.B) > 0 {
		n, errno := write(u.fd, s.out.B)
		l.count.writes++
		if errno != 0 || n < len(s.out.B) { // a new socket takes a few KiB, or it is broken
			l.shakeFailed(u, errors.New("the server ended the connection"))
			return
		}
		l.count.upOut += uint64(n)
	}
	u.pressed = false
	if !s.hs.Done() {
		return
	}
	if err := s.hs.Err(); err != nil {
		l.shakeFailed(u, err)
		return
	}
	conn, rest := s.hs.Conn()
	s.Conn = conn
	if len(rest) > 0 { // whole records that came with the last of the handshake, and what came behind
		rest = append([]byte(nil), rest...)
		if s.raw != nil {
			rest = append(rest, s.raw.B...)
			s.dropRaw()
		}
	}
	s.endShake()
	gen := u.gen
	if l.connected(u); u.gen != gen || u.c == nil {
		return
	}
	if len(rest) > 0 {
		l.decryptUp(u, rest)
	}
}

// shakeFailed ends an upstream whose handshake failed and says why: it is the operator's to mend.
func (l *loop) shakeFailed(u *upstream, err error) {
	l.upstreams.why = err.Error()
	l.lost(u, service.EndTLS)
	l.upstreams.why = ""
}

// shakeUpMore reads what the server has sent for the handshake.
func (l *loop) shakeUpMore(u *upstream) {
	s := u.tls
	if s.running {
		u.pressed = true // wantUpstream takes the interest away
		return
	}
	n, errno := read(u.fd, l.buf[:mostBehind])
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0 || n == 0:
		l.shakeFailed(u, errors.New("the server ended the connection"))
		return
	}
	l.count.upIn += uint64(n)
	b := l.buf[:n]
	if s.raw != nil {
		s.raw.B = append(s.raw.B, b...)
		b = s.raw.B
	}
	whole, _ := tlsio.Whole(b)
	if s.bytes+len(b) > upShakeBytes || s.steps == upShakeSteps {
		l.shakeFailed(u, errors.New("its handshake has no end"))
		return
	}
	if whole == 0 {
		s.keepRaw(b, 0)
		return
	}
	gen := u.gen
	if l.stepUp(u, b[:whole]); u.gen == gen {
		s.keepRaw(b, whole)
	}
}

// openUp decrypts what has arrived of an upstream. plain is valid until the next call.
func (l *loop) openUp(u *upstream, b []byte) (plain []byte, err error) {
	s := u.tls
	if s.raw != nil {
		s.raw.B = append(s.raw.B, b...)
		b = s.raw.B
	}
	answer := l.upCipher[:0]
	plain, o := s.Open(l.upPlain[:0], b, math.MaxInt, &answer)
	l.upPlain = emptied(plain)
	s.keepRaw(b, o.Used)
	if len(answer) > 0 { // an update of keys, or an alert
		s.bye = s.bye || o.Err != nil && !errors.Is(o.Err, io.EOF)
		gen := u.gen
		if l.sendRaw(u, answer); u.gen != gen {
			return nil, errLost
		}
	}
	l.upCipher = emptied(answer)
	return plain, o.Err
}

// errLost stands for an upstream that was lost while it was answered.
var errLost = errors.New("lost")

// decryptUp hands on what a read from an upstream brought; nothing is the end of the stream.
func (l *loop) decryptUp(u *upstream, b []byte) {
	gen := u.gen
	c := u.c
	plain, err := l.openUp(u, b)
	if u.gen != gen {
		return
	}
	l.count.upIn += uint64(len(b))
	if len(plain) > 0 {
		if u.unheard && l.unasked(u) {
			return
		}
		if u.poursOut {
			if l.sendBack(c, plain); u.gen != gen {
				return
			}
			l.movedBack(u)
		} else {
			l.movedBack(u)
			if l.offerReceived(u, plain); u.gen != gen || u.c != c {
				return
			}
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		u.eof = true // settleUpstream passes it on
		l.count.upEnds[service.EndEOF]++
		if u.poursOut {
			l.movedBack(u)
		} else {
			u.h.Ended(u, service.EndEOF)
		}
	case err != nil || len(b) == 0: // without a close_notify the end may be a cut
		l.lost(u, service.EndReset)
	}
}

// parkedRecords takes what has come of a parked upstream and says why that ends it: EndNone when it was
// nothing but TLS's own, tickets.
func (l *loop) parkedRecords(u *upstream, b []byte) service.Ending {
	switch plain, err := l.openUp(u, b); {
	case len(plain) > 0:
		return service.EndUnasked
	case errors.Is(err, io.EOF):
		return service.EndEOF
	case err != nil || u.breaking || u.out != nil: // it does not take our answer
		return service.EndReset
	}
	return service.EndNone
}

// sealUp encrypts p. The result is valid until the next call.
func (l *loop) sealUp(u *upstream, p []byte) []byte {
	if len(p) == 0 {
		return nil
	}
	l.upCipher = emptied(l.upCipher)
	_ = u.tls.Seal(p, &l.upCipher) // an error means that it is being ended
	return l.upCipher
}

// farewellUp tells the server that nothing more comes, and reports whether that is with the kernel.
func (l *loop) farewellUp(u *upstream) bool {
	s := u.tls
	if s == nil || s.bye {
		return true
	}
	s.bye = true
	var bye []byte
	s.CloseWrite(&bye)
	gen := u.gen
	l.sendRaw(u, bye)
	return u.gen == gen && u.out == nil
}

// endSecureUp gives back what the TLS of an upstream holds that is being closed. In order, its server is
// told.
func (l *loop) endSecureUp(u *upstream, withReset bool) {
	s := u.tls
	if !withReset && s.Conn != nil && !s.bye && u.out == nil {
		s.bye = true
		var bye []byte
		s.CloseWrite(&bye)
		_, _ = write(u.fd, bye)
	}
	s.drop()
}
