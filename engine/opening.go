package engine

import (
	"net/netip"

	"weir/codec"
	"weir/codec/clienthello"
	"weir/codec/proxyproto"
	"weir/guard"
)

// opening is what a connection has still to get through before its session opens. Until then it has
// no session and is unproven, and until its handshake begins it holds no more than what it has sent.
type opening uint8

const (
	opened     opening = iota // nothing: the session is open
	sniffProxy                // the first bytes of a peer that may not send a PROXY header
	awaitProxy                // a PROXY header
	awaitHello                // a TLS ClientHello
	shaking                   // the rest of the TLS handshake
)

// intro is what is remembered between two reads while a connection opens. It is the loop's and used
// again.
type intro struct {
	proxy proxyproto.Decoder
	hello clienthello.Decoder
	shake *shake
}

// firstOpening is where a connection from peer begins.
func (ln *listener) firstOpening(peer netip.AddrPort) opening {
	if len(ln.ProxyFrom) == 0 {
		return ln.afterProxy()
	}
	addr := peer.Addr().WithZone("") // addrPort has unmapped it
	for _, p := range ln.ProxyFrom {
		if p.Contains(addr) {
			return awaitProxy
		}
	}
	return sniffProxy
}

// afterProxy is what follows a PROXY header, or the lack of one.
func (ln *listener) afterProxy() opening {
	if ln.TLS != nil {
		return awaitHello
	}
	return opened
}

// openAt begins a stage, or opens the session when there is none left.
func (l *loop) openAt(c *conn, o opening) {
	if c.opening = o; o == opened {
		if c.intro != nil {
			l.endIntro(c)
		}
		c.sess = c.ln.open.Open(c)
	}
}

// introduce takes the bytes of a read while a connection opens.
func (l *loop) introduce(c *conn, b []byte) {
	if c.in != nil {
		c.in.B = append(c.in.B, b...)
		b = c.in.B
	}
	if c.intro == nil {
		c.intro = l.newIntro()
	}
	used := 0
	for c.opening != opened {
		n, more := l.openStep(c, b[used:])
		used += n
		if c.state&(gone|closing) != 0 {
			return
		}
		if !more {
			break
		}
	}
	l.behind(c, b, used)
}

// behind keeps or serves what lies behind the first used bytes of b, the whole of what a connection
// has sent. b is c.in.B if there is a c.in.
func (l *loop) behind(c *conn, b []byte, used int) {
	switch {
	case c.in == nil && used == len(b):
	case c.in == nil && c.opening == opened:
		l.take(c, b[used:])
	case c.in == nil:
		l.keep(c, b[used:])
	case used == len(b):
		l.unkeep(c)
	case c.opening == opened:
		c.inOff = used
		l.serveKept(c)
	default:
		c.in.B = c.in.B[:copy(c.in.B, b[used:])]
	}
}

// openStep does one stage with the bytes that have arrived: it returns how many it is finished with
// and whether there may be more to do.
func (l *loop) openStep(c *conn, b []byte) (used int, more bool) {
	switch c.opening {
	case sniffProxy:
		return 0, l.sniff(c, b)
	case awaitProxy:
		return l.proxyHeader(c, b)
	case awaitHello:
		return l.clientHello(c, b)
	}
	return l.shakeMore(c, b), false
}

// sniff refuses a peer that sends a PROXY header without being entitled to.
func (l *loop) sniff(c *conn, b []byte) (decided bool) {
	switch proxyproto.Sniff(b) {
	case proxyproto.Yes:
		l.drop(c, guard.ShedProxySpoof)
		return false
	case proxyproto.Maybe:
		return false
	}
	l.openAt(c, c.ln.afterProxy()) // the deadline runs on from accept
	return true
}

// proxyHeader reads the header that says whose connection this is, and counts it for that source
// from here on.
func (l *loop) proxyHeader(c *conn, b []byte) (used int, more bool) {
	switch u := c.intro.proxy.Decode(b); u.Kind {
	case codec.More:
		c.wakeAt(int32(c.intro.proxy.Lacks()))
		return 0, false
	case codec.Bad:
		l.fault(c, u.Fault)
		return 0, false
	default:
		used = u.N
	}
	c.wakeAt(1)
	h := c.intro.proxy.Header()
	c.intro.proxy = proxyproto.Decoder{} // and its views
	if h.Command == proxyproto.Proxy {
		if r := l.g.Identify(c.id, h.Source.Addr()); r != guard.OK {
			l.drop(c, r)
			return used, false
		}
		c.peer = h.Source
	}
	if c.ln.TLS != nil {
		l.g.Phase(c.id, guard.Handshake)
	} else {
		l.g.Phase(c.id, guard.First)
	}
	l.openAt(c, c.ln.afterProxy())
	return used, true
}

// clientHello waits for a whole ClientHello: until one is there nothing is begun, so that who stops
// inside it costs its bytes only.
func (l *loop) clientHello(c *conn, b []byte) (used int, more bool) {
	u := c.intro.hello.Decode(b)
	switch u.Kind {
	case codec.More:
		c.wakeAt(int32(min(c.intro.hello.Lacks(), dripBytes)))
		return 0, false
	case codec.Bad:
		l.fault(c, u.Fault)
		return 0, false
	}
	c.wakeAt(1)
	c.intro.hello = clienthello.Decoder{} // and its views
	l.shakeHands(c, b[:u.N])              // whole records: what is behind them waits
	return u.N, false
}

// openingEnds handles the end of the stream before the session is open: there is nobody to answer,
// but for two cases. Where a PROXY header was only looked out for, what came is served; and with the
// end of a handshake there may be a request behind it already.
func (l *loop) openingEnds(c *conn) {
	switch {
	case c.opening == sniffProxy && c.ln.TLS == nil:
		l.openAt(c, opened)
		l.proceed(c)
		return
	case c.opening == shaking && c.intro.shake.running: // stepped goes on
		return
	}
	if c.in != nil || c.opening == shaking {
		l.count.faults[codec.Truncated]++
		l.shedEvent(c, guard.ShedMalformed, codec.Truncated.Label(), nil)
	}
	l.end(c, false)
}

func (l *loop) newIntro() *intro {
	if n := len(l.spareIntro); n > 0 {
		i := l.spareIntro[n-1]
		l.spareIntro = l.spareIntro[:n-1]
		return i
	}
	return &intro{}
}

// endIntro gives back what a connection needed while it opened.
func (l *loop) endIntro(c *conn) {
	i := c.intro
	c.intro = nil
	if i.shake != nil {
		l.endShake(i.shake)
	}
	*i = intro{}
	if len(l.spareIntro) < turnAccepts {
		l.spareIntro = append(l.spareIntro, i)
	}
}
