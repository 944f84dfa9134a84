package engine

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/length"
	"weir/codec/proxyproto"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/guard"
)

// header is a PROXY header of either version for a connection from source.
func header(version int, source string) []byte {
	h := proxyproto.Header{Command: proxyproto.Proxy, Source: netip.MustParseAddrPort(source), Destination: netip.MustParseAddrPort("192.0.2.99:443")}
	if h.Source.Addr().Is6() {
		h.Destination = netip.MustParseAddrPort("[2001:db8::99]:443")
	}
	if version == 1 {
		return proxyproto.AppendV1(nil, h)
	}
	return proxyproto.AppendV2(nil, h)
}

// behindProxies makes serve's listener take 127.0.0.1, but not 127.0.0.2, for a proxy.
func behindProxies(change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Listeners[0].ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}
		if change != nil {
			change(c)
		}
	}
}

// dialFrom connects from another loopback address.
func dialFrom(t testing.TB, from, addr string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(3 * time.Minute))
	return c.(*net.TCPConn)
}

// teller answers each line with who the peer is, and how its source stands.
var teller = handler{func(c service.Conn, cmd string) {
	s := c.Standing()
	fmt.Fprintf(connWriter{c}, "%s %s %d %s\n", c.Peer(), s.Source, s.SourceConns, cmd)
}}

type connWriter struct{ service.Conn }

func (w connWriter) Write(p []byte) (int, error) { w.Conn.Write(p); return len(p), nil }

func TestProxyHeaderNamesThePeer(t *testing.T) {
	plain, addr := serve(t, teller, 100, behindProxies(nil))
	e, tlsAddr := serve(t, teller, 100, tlsWith(&tls.Config{}, behindProxies(unlimited)))
	for _, version := range []int{1, 2} {
		for source, want := range map[string]string{
			"192.0.2.7:5000":            "192.0.2.7:5000 192.0.2.7/32 1 ",
			"[2001:db8:1:2::7]:5000":    "[2001:db8:1:2::7]:5000 2001:db8:1:2::/64 1 ",
			"[::ffff:198.51.100.7]:443": "198.51.100.7:443 198.51.100.7/32 1 ",
		} {
			h := header(version, source)
			for _, cut := range []int{0, 1, 5, len(h) - 1, len(h), -1} {
				for _, secure := range []bool{false, true} {
					var c net.Conn
					var raw *net.TCPConn
					if secure {
						raw = dial(t, tlsAddr)
					} else {
						raw = dial(t, addr)
					}
					c = raw
					if cut == -1 {
						c = byByte{c}
					} else if cut > 0 {
						c.Write(h[:cut])
						time.Sleep(2 * time.Millisecond)
					}
					rest := h[max(cut, 0):]
					if secure { // the header and the ClientHello in one segment
						c = tls.Client(&prefixed{c, rest}, clientTLS(0))
						rest = nil
					}
					c.Write(append(rest, "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n"...)) // a second header is data
					got := make([]byte, 200)
					n, err := c.Read(got)
					if string(got[:n]) != want+"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n" {
						t.Fatalf("v%d from %s, cut at %d, TLS %v: %q, %v", version, source, cut, secure, got[:n], err)
					}
					raw.SetLinger(0)
					raw.Close()
					eventually(t, "it is gone", func() bool { return snap(plain).Conns+snap(e).Conns == 0 })
				}
			}
		}
	}
}

// prefixed sends some bytes in front of, and in one write with, the first that are written.
type prefixed struct {
	net.Conn
	first []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	if p.first != nil {
		b = append(p.first, b...)
		p.first = nil
	}
	return p.Conn.Write(b)
}

func TestProxyHeaderLocalIsTheProxyItself(t *testing.T) {
	_, addr := serve(t, teller, 100, behindProxies(func(c *Config) { c.Listeners[0].SourceConns = 2 }))
	var open []net.Conn
	for _, h := range [][]byte{proxyproto.AppendV2(nil, proxyproto.Header{}), proxyproto.AppendV1(nil, proxyproto.Header{}), []byte("PROXY UNKNOWN whatever\r\n")} {
		c := dial(t, addr)
		c.Write(append(h, "x\n"...))
		got := make([]byte, 100)
		n, err := c.Read(got)
		if want := c.LocalAddr().String() + "  0 x\n"; string(got[:n]) != want { // exempt: no source, and no limit
			t.Errorf("%q, want %q, %v", got[:n], want, err)
		}
		open = append(open, c)
	}
	_ = open
}

func TestProxyHeaderFromAnyoneElseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){"plain": nil, "TLS": func(c *Config) { tlsWith(&tls.Config{}, nil)(c) }} {
		e, addr := serve(t, teller, 100, behindProxies(change))
		spoofed := uint64(0)
		for _, h := range [][]byte{header(1, "192.0.2.7:1"), header(2, "192.0.2.7:1"), []byte("PROXY "), proxyproto.AppendV2(nil, proxyproto.Header{})} {
			for _, whole := range []bool{true, false} {
				c := net.Conn(dialFrom(t, "127.0.0.2", addr))
				if !whole {
					c = byByte{c}
				}
				c.Write(append(h[:len(h):len(h)], "x\n"...))
				if n := ends(t, c); n != 0 {
					t.Errorf("%s: %q is answered with %d bytes", name, h, n)
				}
				spoofed++
			}
		}
		eventually(t, "all are counted", func() bool { return snap(e).Shed[guard.ShedProxySpoof] == spoofed })
		if name == "TLS" {
			roundTripLine(t, dialTLSFrom(t, "127.0.0.2", addr))
			continue
		}
		// Who just begins like one is served, also when he says no more.
		for _, line := range []string{"PROX\n", "P\n", "x\n", "PROXY\n"} {
			c := dialFrom(t, "127.0.0.2", addr)
			io.WriteString(c, line)
			got := make([]byte, 100)
			if n, err := c.Read(got); !strings.HasSuffix(string(got[:n]), " 1 "+line) {
				t.Errorf("%q: %q, %v", line, got[:n], err)
			}
			c.SetLinger(0)
			c.Close()
			eventually(t, "it is gone", func() bool { return snap(e).Conns == 0 })
		}
		c := dialFrom(t, "127.0.0.2", addr)
		io.WriteString(c, "PR")
		c.CloseWrite()
		ends(t, c)
		eventually(t, "a line was cut", func() bool { return snap(e).Faults[codec.Truncated] == 1 })
	}
}

func dialTLSFrom(t testing.TB, from, addr string) *tls.Conn {
	c := tls.Client(dialFrom(t, from, addr), clientTLS(0))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func roundTripLine(t testing.TB, c net.Conn) {
	t.Helper()
	io.WriteString(c, "hi\n")
	got := make([]byte, 100)
	if n, err := c.Read(got); !strings.HasSuffix(string(got[:n]), " hi\n") {
		t.Fatalf("%q, %v", got[:n], err)
	}
}

func TestProxyHeaderThatIsWrong(t *testing.T) {
	e, addr := serve(t, teller, 100, behindProxies(func(c *Config) { c.Listeners[0].ProxyTimeout = 200 * time.Millisecond }))
	v2 := header(2, "192.0.2.7:1")
	huge := append(bytes.Clone(v2[:14]), 0xff, 0xff)
	for _, c := range []struct {
		why, bytes string
		fault      codec.Fault
	}{
		{"none", "hello\n", codec.BadProxy},
		{"TLS instead", string(helloOf(t, 0)), codec.BadProxy},
		{"a family of the wrong version", "PROXY TCP4 ::1 ::1 1 1\r\n", codec.BadProxy},
		{"longer than a line can be", "PROXY UNKNOWN " + strings.Repeat("x", 200), codec.ProxyTooLarge},
		{"longer than is taken, from its head alone", string(huge), codec.ProxyTooLarge},
		{"shorter than its addresses", string(append(bytes.Clone(v2[:14]), 0, 4, 1, 2, 3, 4)), codec.BadProxy},
	} {
		before := snap(e)
		conn := dial(t, addr)
		io.WriteString(conn, c.bytes)
		if n := ends(t, conn); n != 0 {
			t.Errorf("%s: %d bytes of answer", c.why, n)
		}
		eventually(t, c.why, func() bool { return snap(e).Shed[guard.ShedMalformed] == before.Shed[guard.ShedMalformed]+1 })
		if after := snap(e); after.Faults[c.fault] != before.Faults[c.fault]+1 {
			t.Errorf("%s: %v", c.why, after.Faults)
		}
	}
	tries := uint64(0)
	for _, h := range []string{"", "PROXY TCP4 192", string(v2[:15])} {
		inTime(t, 2*time.Second, func() time.Duration {
			tries++
			begun := time.Now()
			conn := dial(t, addr)
			io.WriteString(conn, h)
			ends(t, conn)
			d := time.Since(begun)
			if d < 200*time.Millisecond {
				t.Errorf("%q: ended after %v", h, d)
			}
			return d
		})
	}
	if s := snap(e); s.Shed[guard.ShedProxyHeader] != tries {
		t.Errorf("%d of %d", s.Shed[guard.ShedProxyHeader], tries)
	}
}

// All limits count who the header names, and the proxy has none.
func TestLimitsCountTheProxiedSource(t *testing.T) {
	e, addr := serve(t, echo.Frames(1000), 1004, behindProxies(func(c *Config) {
		c.Listeners[0].SourceConns = 3
		c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceFrameBurst = 1, 10
	}))
	open := func(source string) net.Conn {
		c := dial(t, addr)
		c.Write(header(2, source))
		return c
	}
	for i := range 30 {
		roundTrip(t, open(fmt.Sprintf("192.0.2.%d:1", i)))
	}
	for range 2 {
		roundTrip(t, open("192.0.2.5:1"))
	}
	c := open("192.0.2.5:1")
	ends(t, c)
	if s := snap(e); s.Shed[guard.ShedSourceConns] != 1 || s.Conns != 32 {
		t.Errorf("%d shed, %d open", s.Shed[guard.ShedSourceConns], s.Conns)
	}
	c = open("192.0.2.6:1")
	for range 20 {
		c.Write(length.Append(nil, []byte("flood")))
	}
	ends(t, c)
	eventually(t, "its frames are counted", func() bool { return snap(e).Shed[guard.ShedSourceFrames] == 1 })
	roundTrip(t, open("192.0.2.7:1"))
}

// BenchmarkProxyHeader opens a connection, sends a frame and reads its echo, with a PROXY header in
// front and without: the header costs no allocation. Those there are are the client's.
func BenchmarkProxyHeader(b *testing.B) {
	_, addr := serve(b, echo.Frames(1000), 1004, behindProxies(func(c *Config) { unlimited(c); c.Listeners[0].SourceConnRate = 0 }))
	frame := length.Append(nil, []byte("x"))
	for name, c := range map[string]struct {
		from  string
		first []byte
	}{"without": {"127.0.0.2", nil}, "v1": {"127.0.0.1", header(1, "192.0.2.7:1")}, "v2": {"127.0.0.1", header(2, "192.0.2.7:1")}} {
		b.Run(name, func(b *testing.B) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
			all := append(c.first, frame...)
			got := make([]byte, len(frame))
			b.ReportAllocs()
			for b.Loop() {
				c, err := d.Dial("tcp", addr)
				if err != nil {
					b.Fatal(err)
				}
				c.Write(all)
				if _, err := io.ReadFull(c, got); err != nil {
					b.Fatal(err)
				}
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
}

// Connections that end anywhere inside header, handshake or first frame, in any way, from a proxy and
// from others, leave nothing behind in any count.
func TestStormOfEndsBeforeTheFirstFrame(t *testing.T) {
	for _, secure := range []bool{false, true} {
		change := func(c *Config) {
			unlimited(c)
			c.Loops, c.MaxHandshakes, c.Guard.MaxUnproven = 2, 16, 2000
			l := &c.Listeners[0]
			l.SourceConnRate, l.SourceConns, l.SourceUnproven = 0, 1000, 1000
		}
		if secure {
			inner := change
			change = func(c *Config) { tlsWith(&tls.Config{}, inner)(c) }
		}
		e, addr := serve(t, echo.Frames(1000), 1004, behindProxies(change))
		rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
		for range 400 {
			from, first := "127.0.0.2", []byte{}
			if rnd.IntN(3) > 0 {
				from = "127.0.0.1"
				first = header(1+rnd.IntN(2), []string{"192.0.2.7:1", "[2001:db8::7]:1", "[::ffff:192.0.2.8]:1"}[rnd.IntN(3)])
			}
			raw := dialFrom(t, from, addr)
			c := &cutting{Conn: raw, left: rnd.IntN(len(first) + 2200)}
			if !secure {
				c.left = rnd.IntN(len(first) + 40)
			}
			c.Write(first)
			raw.SetDeadline(time.Now().Add(300 * time.Millisecond))
			if secure {
				tc := tls.Client(c, clientTLS(0))
				tc.Write(length.Append(nil, []byte("the first frame")))
			} else {
				c.Write(length.Append(nil, []byte("the first frame")))
			}
			switch rnd.IntN(3) {
			case 0:
				raw.SetLinger(0)
			case 1:
				raw.CloseWrite()
				time.Sleep(time.Millisecond)
			}
			raw.Close()
		}
		eventually(t, "nothing is left", func() bool {
			s := snap(e)
			return s.Conns == 0 && s.Unproven == 0 && s.HandshakesOpen == 0 && s.HandshakesQueued == 0 && s.Buffered == 0 && e.Guard().Counted() == 0
		})
		if s := snap(e); s.Panics != 0 || s.Listeners[0].Accepted < 300 {
			t.Errorf("%d panics, %d accepted", s.Panics, s.Listeners[0].Accepted)
		}
	}
}

// cutting lets only so many more bytes through, and fails then.
type cutting struct {
	net.Conn
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p[:min(len(p), c.left)])
	if c.left -= n; err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
