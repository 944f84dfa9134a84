package target

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// names is a resolver with a fixed idea of the world.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	list, ok := n[host]
	if !ok {
		return nil, errors.New("no such host")
	}
	var out []netip.Addr
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

var world = names{
	"localhost":      {"::1", "127.0.0.1"},
	"six":            {"::1"},
	"mapped":         {"::ffff:127.0.0.1"}, // how the standard resolver reports an A record
	"elsewhere":      {"192.0.2.7"},
	"both":           {"127.0.0.1", "192.0.2.7"},
	"bothsix":        {"::1", "2001:db8::1"},
	"mappedaway":     {"::ffff:192.0.2.7"},
	"unspecified":    {"0.0.0.0"},
	"unspecifiedsix": {"::"},
	"none":           {},
	"127.0.0.1.test": {"203.0.113.9"},
	"2130706433":     {"127.0.0.1"},
}

func TestTargetsThatMayBeDialed(t *testing.T) {
	for _, c := range []struct{ raw, addr, host, path string }{
		{"http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1:8080", "/"},
		{"http://127.0.0.1:8080/a/b?c=d", "127.0.0.1:8080", "127.0.0.1:8080", "/a/b?c=d"},
		{"http://127.0.0.1", "127.0.0.1:80", "127.0.0.1", "/"},
		{"frames://127.255.255.254:7000", "127.255.255.254:7000", "127.255.255.254:7000", ""},
		{"line://[::1]:7001", "[::1]:7001", "[::1]:7001", ""},
		{"http://localhost:1/", "127.0.0.1:1", "localhost:1", "/"},
		{"http://six:1/", "[::1]:1", "six:1", "/"},
		{"http://mapped:1/", "127.0.0.1:1", "mapped:1", "/"},
		{"http://2130706433:1/", "127.0.0.1:1", "2130706433:1", "/"},
		{"https://127.0.0.1:8443/a?b", "127.0.0.1:8443", "127.0.0.1:8443", "/a?b"},
		{"https://localhost/", "127.0.0.1:443", "localhost", "/"},
		{"frames+tls://127.0.0.1:7443", "127.0.0.1:7443", "127.0.0.1:7443", ""},
		{"line+tls://[::1]:7444", "[::1]:7444", "[::1]:7444", ""},
	} {
		got, err := Resolve(t.Context(), c.raw, world)
		if err != nil {
			t.Errorf("%s: %v", c.raw, err)
			continue
		}
		if got.Addr.String() != c.addr || got.Host != c.host || got.Path != c.path {
			t.Errorf("%s: got %+v", c.raw, got)
		}
		if got.TLS != (strings.HasPrefix(c.raw, "https") || strings.Contains(c.raw, "+tls")) {
			t.Errorf("%s: TLS %v", c.raw, got.TLS)
		}
		if back, err := Resolve(t.Context(), got.String(), world); err != nil || back != got {
			t.Errorf("%s: as a URL it is %s, which reads back as %+v, %v", c.raw, got, back, err)
		}
	}
}

func TestTargetsOutsideLoopbackAreRefused(t *testing.T) {
	for _, c := range []struct{ raw, why string }{
		{"http://192.0.2.7:80/", "plain address"},
		{"http://128.0.0.1:80/", "the next network"},
		{"http://126.255.255.255:80/", "the one before"},
		{"http://0.0.0.0:80/", "the kernel takes it for the local host, but it is not loopback"},
		{"http://[::]:80/", "likewise"},
		{"http://[::ffff:127.0.0.1]:80/", "mapped: there is a plain way to write it"},
		{"http://[::ffff:192.0.2.7]:80/", "mapped"},
		{"http://[::ffff:7f00:1]:80/", "mapped, in hex"},
		{"http://[::127.0.0.1]:80/", "the old compatible form"},
		{"http://[::1%25lo]:80/", "a zone"},
		{"http://[::2]:80/", "next to ::1"},
		{"http://[fe80::1]:80/", "link local"},
		{"http://elsewhere:80/", "a name that leads out"},
		{"http://both:80/", "a name with one foot outside"},
		{"http://bothsix:80/", "likewise"},
		{"http://mappedaway:80/", "a mapped answer that leads out"},
		{"http://unspecified:80/", "a name for 0.0.0.0"},
		{"http://unspecifiedsix:80/", "a name for ::"},
		{"http://127.0.0.1.test:80/", "a name that looks like an address"},
		{"https://192.0.2.7/", "TLS makes no difference"},
		{"frames+tls://elsewhere:1", "likewise"},
		{"line+tls://0.0.0.0:1", "likewise"},
	} {
		_, err := Resolve(t.Context(), c.raw, world)
		if !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s (%s): got %v", c.raw, c.why, err)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: more than one line: %q", c.raw, err)
		}
	}
}

func TestTargetsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, raw := range []string{
		"", "127.0.0.1:80", "http://", "http:///", "http://:80/", "ftp://127.0.0.1:80/",
		"http+tls://127.0.0.1:80/", "tls://127.0.0.1:80", "frames+tls://127.0.0.1:1/x", "line+tls://127.0.0.1", "frames+ssl://127.0.0.1:1", "+tls://127.0.0.1:1",
		"http://127.0.0.1@192.0.2.7:80/", "http://127.0.0.1:80@192.0.2.7/", "http://user:pw@127.0.0.1:80/", "http://@127.0.0.1/",
		"http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:+80/", "http://127.0.0.1:http/",
		"http://127.0.0.1:80/\r\nX: y", "http://127.0.0.1:80/ HTTP/1.1", "http://127.0.0.1:80/a#192.0.2.7", "http://127.0.0.1\\@192.0.2.7/",
		"http://nowhere:80/", "http://none:80/", "frames://127.0.0.1", "frames://127.0.0.1:1/x", "line://127.0.0.1:1/?a=b",
		"http:127.0.0.1:80", "//127.0.0.1:80/",
	} {
		if got, err := Resolve(t.Context(), raw, world); err == nil {
			t.Errorf("%q: passed as %+v", raw, got)
		} else if strings.ContainsAny(err.Error(), "\r\n") {
			t.Errorf("%q: more than one line: %q", raw, err)
		}
	}
}

func TestZeroTargetFailsTheDialCheck(t *testing.T) {
	if CheckLoopback(Target{}.Addr.Addr()) == nil {
		t.Error("the zero target may be dialed")
	}
}

func TestSources(t *testing.T) {
	a := netip.MustParseAddr
	for _, c := range []struct {
		first     string
		n, spread int
		last      string // "" when refused
		why       string
	}{
		{"127.0.1.1", 1, 0, "127.0.1.1", "one"},
		{"127.0.1.1", 254, 0, "127.0.1.254", "a /24 without its ends"},
		{"127.0.1.1", 255, 0, "127.0.2.1", "one more"},
		{"127.0.1.1", 3, 1, "127.0.3.1", "each in a /24 of its own"},
		{"127.0.255.10", 4, 2, "127.1.0.11", "over the border of a /16"},
		{"127.0.1.1", 65535, 1, "127.255.255.1", "all there is at one a /24"},
		{"127.0.1.1", 65536, 1, "", "one more than there is"},
		{"127.0.1.0", 1, 0, "", "a network's own address"},
		{"127.0.1.255", 1, 0, "", "a broadcast address"},
		{"127.0.1.200", 100, 60, "", "would run past .254"},
		{"127.0.1.1", 0, 0, "", "none"},
		{"10.0.0.1", 1, 0, "", "not loopback"},
		{"::1", 1, 0, "::1", "IPv6"},
		{"::1", 2, 0, "", "IPv6 has one only"},
		{"2001:db8:ffff::1", 2, 0, "", "not routed to this machine"},
		{"2001:db9::1", 2, 0, "", "somebody's"},
	} {
		got, err := Sources(a(c.first), c.n, c.spread)
		if c.last == "" {
			if err == nil {
				t.Errorf("%s %d/%d (%s): passed", c.first, c.n, c.spread, c.why)
			}
			continue
		}
		if err != nil || len(got) != c.n || got[c.n-1] != a(c.last) {
			t.Errorf("%s %d/%d (%s): got %d to %v, %v", c.first, c.n, c.spread, c.why, len(got), got[max(0, len(got)-1)], err)
		}
		seen := map[netip.Addr]bool{}
		for _, s := range got {
			if seen[s] || CheckLoopback(s) != nil {
				t.Fatalf("%s %d/%d: %s is not loopback or comes twice", c.first, c.n, c.spread, s)
			}
			seen[s] = true
		}
	}
}
