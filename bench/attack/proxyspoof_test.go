package attack

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

// readHeader reads a PROXY header of either version, strictly, and returns what it claims.
func readHeader(in *bufio.Reader) (netip.AddrPort, error) {
	if b, err := in.Peek(len(signature)); err == nil && string(b) == signature {
		return readBinary(in)
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return netip.AddrPort{}, err
	}
	f := strings.Split(strings.TrimSuffix(line, "\r\n"), " ")
	if len(line) > 107 || len(f) != 6 || f[0] != "PROXY" {
		return netip.AddrPort{}, fmt.Errorf("line %q", line)
	}
	return claimed(f[1] == "TCP4", f[2]+" "+f[4], f[3]+" "+f[5])
}

// claimed checks two addresses with ports.
func claimed(v4 bool, source, to string) (out netip.AddrPort, err error) {
	for _, s := range []string{to, source} {
		var host string
		var port uint16
		fmt.Sscan(s, &host, &port)
		a, err := netip.ParseAddr(host)
		if err != nil || a.Is4() != v4 || fmt.Sprint(a, port) != s {
			return out, fmt.Errorf("address %q", s)
		}
		out = netip.AddrPortFrom(a, port)
	}
	return out, nil
}

func readBinary(in *bufio.Reader) (out netip.AddrPort, err error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(in, head); err != nil {
		return out, err
	}
	rest := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(in, rest); err != nil {
		return out, err
	}
	size := map[byte]int{0x11: 4, 0x21: 16}[head[13]]
	if head[12] != 0x21 || size == 0 || len(rest) < 2*size+4 {
		return out, fmt.Errorf("header % x", head)
	}
	for tlv := rest[2*size+4:]; len(tlv) > 0; {
		if len(tlv) < 3 || len(tlv) < 3+int(binary.BigEndian.Uint16(tlv[1:])) {
			return out, fmt.Errorf("TLV % x", tlv[:min(len(tlv), 3)])
		}
		tlv = tlv[3+int(binary.BigEndian.Uint16(tlv[1:])):]
	}
	a, _ := netip.AddrFromSlice(rest[:size])
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(rest[2*size:])), nil
}

// gullible believes every PROXY header that is well made, closes what is not, and keeps what was claimed.
type gullible struct {
	mu     sync.Mutex
	claims map[netip.Addr]int
	bad    int
}

func (g *gullible) serve(c net.Conn, next func(*bufio.Reader)) {
	in := bufio.NewReaderSize(c, 1<<17)
	from, err := readHeader(in)
	g.mu.Lock()
	if err != nil {
		g.bad++
	} else {
		if g.claims == nil {
			g.claims = map[netip.Addr]int{}
		}
		g.claims[from.Addr()]++
	}
	g.mu.Unlock()
	if err == nil {
		next(in)
	}
}

// rest is a connection of which a part was read.
type rest struct {
	net.Conn
	in *bufio.Reader
}

func (r rest) Read(b []byte) (int, error) { return r.in.Read(b) }

// seen returns what was claimed so far, and how many headers were bad.
func (g *gullible) seen() (map[netip.Addr]int, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.claims), g.bad
}

func (g *gullible) lines(t *testing.T) target.Target {
	return victim.Serve(t, target.Line, func(c *net.TCPConn) {
		g.serve(c, func(in *bufio.Reader) { victim.EchoLines(rest{c, in}) })
	})
}

func TestProxySpoofClaimsAnotherAddressEachTime(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		var g gullible
		r := storm(t, "proxy-spoof?conns=8&total=200&duration=1m&loops=2&version="+version, g.lines(t))
		claims, bad := g.seen()
		if r.Replies != 200 || r.Units != 200 || r.Bad+r.Odd+r.Ended() != 0 || bad != 0 || len(claims) != 200 {
			t.Errorf("%s: %d claims, %d bad; %+v", version, len(claims), bad, r)
		}
		ten, doc := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")
		wide := map[netip.Prefix]bool{}
		for a := range claims {
			if !ten.Contains(a) && !doc.Contains(a) {
				t.Fatalf("%s: claims %s", version, a)
			}
			if a.Is6() {
				p, _ := a.Prefix(64)
				wide[p] = true
			}
		}
		if len(wide) != 100 {
			t.Errorf("%s: %d of 200 claims are IPv6 prefixes of their own", version, len(wide))
		}
	}
}

func TestProxySpoofClaimsItsVictim(t *testing.T) {
	for _, a := range []string{"192.0.2.7", "2001:db8::7", "127.0.0.1"} {
		for _, version := range []string{"v1", "v2"} {
			var g gullible
			r := storm(t, "proxy-spoof?conns=8&total=50&duration=1m&victim="+a+"&version="+version, g.lines(t))
			claims, _ := g.seen()
			if r.Replies != 50 || len(claims) != 1 || claims[netip.MustParseAddr(a)] != 50 {
				t.Errorf("%s, %s: %v; %+v", a, version, claims, r)
			}
		}
	}
}

func TestProxySpoofGoesBeforeTLS(t *testing.T) {
	cfg := victim.Config(t)
	for _, spec := range []string{"version=1", "version=2", "version=2&form=huge"} {
		var g gullible
		to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
			g.serve(c, func(in *bufio.Reader) { victim.EchoLines(tls.Server(rest{c, in}, cfg)) })
		})
		to.TLS = true
		r := storm(t, "proxy-spoof?conns=8&total=50&duration=1m&"+spec, to)
		claims, bad := g.seen()
		if r.Replies != 50 || r.Handshakes != 50 || r.Units != 50 || len(claims) != 50 || r.Ended() != 0 {
			t.Errorf("%s: %d claims, %d bad; %+v", spec, len(claims), bad, r)
		}
	}
}

func TestProxySpoofFormsAreWhatTheySay(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		attack := func(form string) (claims map[netip.Addr]int, bad int, r Result) {
			g := new(gullible)
			r = storm(t, "proxy-spoof?"+form+"&version="+version, g.lines(t))
			claims, bad = g.seen()
			return claims, bad, r
		}
		claims, bad, r := attack("form=bad&conns=8&total=120&duration=1m")
		if bad != 120 || len(claims) != 0 || r.Replies != 0 || r.Ended() != 120 {
			t.Errorf("bad, version %s: claims %v, %d bad; %+v", version, claims, bad, r)
		}
		// Version 2 allows what it can announce; a line of version 1 may have 107 bytes.
		_, bad, r = attack("form=huge&conns=8&total=40&duration=1m")
		if version == "1" && (bad != 40 || r.Ended() != 40) || version == "2" && (r.Replies != 40 || r.Bytes < 40*65551) {
			t.Errorf("huge, version %s: %d bad; %+v", version, bad, r)
		}
		claims, _, r = attack("form=cut&conns=20&total=20&duration=1500ms")
		if r.Open != 20 || r.Units != 20 || r.Replies != 0 || len(claims) != 0 {
			t.Errorf("cut, version %s: claims %v; %+v", version, claims, r)
		}
	}
}

// What servers that do not believe it do: ignore it as data, answer that it is no request, reset.
func TestProxySpoofTellsAnswersApart(t *testing.T) {
	r := storm(t, "proxy-spoof?conns=4&total=40&duration=1m", victim.Lines(t))
	if r.Odd != 40 || r.Replies != 0 {
		t.Errorf("data: %+v", r)
	}
	r = storm(t, "proxy-spoof?conns=4&total=40&duration=1m", victim.HTTP(t, nil))
	if r.Bad != 40 || r.Replies != 0 {
		t.Errorf("bad request: %+v", r)
	}
	r = storm(t, "proxy-spoof?conns=4&total=40&duration=1m", victim.Serve(t, target.Frames, func(c *net.TCPConn) { c.SetLinger(0) }))
	if r.Resets != 40 || r.Replies+r.Bad+r.Odd != 0 {
		t.Errorf("reset: %+v", r)
	}
	r = storm(t, "proxy-spoof?conns=4&total=8&hold=50ms&duration=1m", victim.Serve(t, target.Frames, mute))
	if r.Ended() != 0 || r.Attempts != 8 || r.Took < 100*time.Millisecond {
		t.Errorf("held: %+v", r)
	}
}

func TestSpoofsThatMakeNoSenseAreRefused(t *testing.T) {
	to := victim.Serve(t, target.Line, mute)
	for _, s := range []string{"version=3", "version=", "form=none", "form=", "victim=x", "victim=::ffff:10.0.0.1", "victim=fe80::1%25lo"} {
		k, o, err := ParseSpec("proxy-spoof?" + s)
		if err == nil && k.Check(o, to) == nil {
			t.Errorf("%s passed", s)
		}
	}
}
