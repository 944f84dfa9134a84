package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Scheme is the protocol a target speaks. The zero value is no protocol.
type Scheme string

// The protocols the bench speaks.
const (
	HTTP   Scheme = "http"   // HTTP/1.1 requests, one reply each
	Frames Scheme = "frames" // 4-byte big-endian length and payload; the server sends each frame back
	Line   Scheme = "line"   // lines ended by LF; the server sends each line back
)

// Target is a server that may be dialed. Only [Resolve] makes one worth using; the zero value fails every dial
// check.
type Target struct {
	Scheme Scheme
	TLS    bool           // it speaks that protocol inside TLS
	Addr   netip.AddrPort // the one address that is dialed: the first IPv4 one, else ::1
	Host   string         // host and port as written, for the Host header
	Path   string         // path and query of an HTTP request, "/" when none was written; empty otherwise
}

// overTLS is how a protocol inside TLS is written in a URL.
var overTLS = map[Scheme]string{HTTP: "https", Frames: "frames+tls", Line: "line+tls"}

// String gives the target back as a URL.
func (t Target) String() string {
	scheme := string(t.Scheme)
	if t.TLS {
		scheme = overTLS[t.Scheme]
	}
	return scheme + "://" + t.Host + t.Path
}

// Hostname returns the target's host as written, without its port and without brackets.
func (t Target) Hostname() string { return (&url.URL{Host: t.Host}).Hostname() }

// Resolver turns a host name into addresses. *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// ErrNotLoopback is wrapped by each refusal of a target outside 127.0.0.0/8 and [::1].
var ErrNotLoopback = errors.New("not a loopback address: the bench attacks 127.0.0.0/8 and [::1] only")

// CheckLoopback returns an error that wraps [ErrNotLoopback] unless a is in 127.0.0.0/8 or is exactly ::1.
// IPv4-mapped IPv6, the unspecified addresses (which the kernel does take for the local host) and zones are
// refused: there is a plain way to write every permitted address.
func CheckLoopback(a netip.Addr) error {
	if a.Is4() && a.As4()[0] == 127 || a == netip.IPv6Loopback() {
		return nil
	}
	if !a.IsValid() {
		return fmt.Errorf("target has no address: %w", ErrNotLoopback)
	}
	return fmt.Errorf("target %s is %w", a, ErrNotLoopback)
}

// Check returns an error unless t could have come from [Resolve]: a target that another process wrote may be anything.
func (t Target) Check() error {
	for _, c := range []byte(t.Host + t.Path) {
		if c <= ' ' || c >= 0x7f {
			return fmt.Errorf("target %q has a blank, a control character or a byte outside ASCII", t)
		}
	}
	return CheckLoopback(t.Addr.Addr())
}

// Resolve parses raw and looks its host up with r (nil for net.DefaultResolver). Each address found must pass
// [CheckLoopback], or the target as a whole is refused: a name with one foot outside could be dialed there the
// next time it is asked for. Names are looked up once; later dials use the address kept here.
func Resolve(ctx context.Context, raw string, r Resolver) (Target, error) {
	t, host, port, err := parse(raw)
	if err != nil {
		return Target{}, err
	}
	addrs, err := lookup(ctx, host, r)
	if err != nil {
		return Target{}, fmt.Errorf("target %q: %w", raw, err)
	}
	var best netip.Addr
	for _, a := range addrs {
		if err := CheckLoopback(a); err != nil {
			return Target{}, fmt.Errorf("target %q: %w", raw, err)
		}
		if !best.IsValid() || a.Is4() && !best.Is4() {
			best = a
		}
	}
	t.Addr = netip.AddrPortFrom(best, port)
	return t, nil
}

func lookup(ctx context.Context, host string, r Resolver) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if r == nil {
		r = net.DefaultResolver
	}
	addrs, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("host %q has no address", host)
	}
	for i, a := range addrs {
		// The standard resolver reports an A record as a mapped address; what was written literally is not
		// unmapped, so that ::ffff:127.0.0.1 stays refused there.
		addrs[i] = a.Unmap()
	}
	return addrs, nil
}

// parse checks the spelling of a target and fills in everything but its address.
func parse(raw string) (t Target, host string, port uint16, err error) {
	bad := func(why string) (Target, string, uint16, error) {
		return Target{}, "", 0, fmt.Errorf("target %q: %s", raw, why)
	}
	if raw == "" {
		return Target{}, "", 0, errors.New("no target: give -target, such as -target http://127.0.0.1:8080/")
	}
	for _, c := range []byte(raw) {
		// Host and Path are copied into request heads.
		if c <= ' ' || c >= 0x7f {
			return bad("has a blank, a control character or a byte outside ASCII")
		}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return bad("is no URL; write http://127.0.0.1:8080/, frames://127.0.0.1:7000 or line://127.0.0.1:7001")
	}
	t.Scheme = Scheme(u.Scheme)
	for plain, secret := range overTLS {
		if u.Scheme == secret {
			t.Scheme, t.TLS = plain, true
		}
	}
	if _, known := overTLS[t.Scheme]; !known {
		return bad("scheme must be http, frames or line, or with TLS https, frames+tls or line+tls")
	}
	if u.User != nil {
		return bad("must not carry a user name")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return bad("must not carry a fragment")
	}
	text := u.Port()
	if text == "" && t.Scheme == HTTP {
		text = "80"
		if t.TLS {
			text = "443"
		}
	}
	p, err := strconv.ParseUint(text, 10, 16)
	if err != nil || p == 0 {
		return bad("needs a port from 1 to 65535")
	}
	host = u.Hostname()
	if host == "" {
		return bad("needs a host")
	}
	t.Host = u.Host
	if t.Scheme == HTTP {
		t.Path = u.RequestURI()
	} else if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return bad("takes no path or query with this scheme")
	}
	return t, host, uint16(p), nil
}
