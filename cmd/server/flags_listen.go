package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"weir/guard/bucket"
	"weir/internal/say"
	"weir/internal/scheme"
)

var listeningFlags = group{"Listening", []row{
	{name: "listen", kind: listURLs, value: "http://127.0.0.1:8080 frames://127.0.0.1:7000",
		setting: func(s *settings) any { return &s.listen },
		help:    "An address to serve: SCHEME://HOST:PORT or SCHEME://unix:/PATH. SCHEME is " + say.OneOf(scheme.Names(scheme.Plain, 0)) + ", or with TLS " + say.OneOf(scheme.Names(scheme.TLS, 0)) + "; " + scheme.Passthrough + " relays TLS without taking it off. HOST is an IPv4 address, an [IPv6] address, localhost, or empty for all addresses. Parameters override limits for this listener: http://:80?source-conns=10&idle-timeout=5s; name=WORD names it in logs and metrics. May be given several times"},
	{name: "admin", kind: text, unit: "ADDRESS", value: "127.0.0.1:9090", check: checkAdmin,
		setting: func(s *settings) any { return &s.admin },
		help:    "HOST:PORT of metrics, health and profiles, or off. Whoever reaches it can profile the process: keep it private"},
	{name: "proxy-from", kind: prefixes, off: true,
		limit: func(l *limits) any { return &l.proxyFrom },
		help:  "A network whose connections begin with a PROXY protocol header, version 1 or 2; the address in it is then the source. A header from anybody else is refused, and so is a connection from here without one. May be given several times, as a parameter too: ?proxy-from=A&proxy-from=B; off is none"},
	{name: "defer-accept", kind: duration, value: "0", min: int64(time.Second), max: int64(time.Minute), zero: "off",
		limit: func(l *limits) any { return &l.deferAccept },
		help:  "Keep connections that send nothing in the kernel for about this long, whole seconds. Silent connections then cost nothing, and do not count against their source"},
}}

var connectionFlags = group{"Connections", []row{
	{name: "max-conns", kind: count, value: "0", auto: "the descriptor limit less fd-reserve, at most 1048576", min: 1, max: maxConns, zero: "as many as there are descriptors",
		setting: func(s *settings) any { return &s.engine.Guard.MaxConns },
		limit:   func(l *limits) any { return &l.MaxConns },
		help:    "Open connections in all; as a parameter, of one listener, where 0 is no limit"},
	{name: "max-unproven", kind: count, value: "0", auto: "half of max-conns, at least 128", bench: benchTwice, min: 1, max: 2 * maxConns, zero: "automatic",
		setting: func(s *settings) any { return &s.engine.Guard.MaxUnproven },
		help:    "Open connections in all that have not completed a first frame; with TLS, the handshake included. From half of it on newcomers are turned away at random, but for a source's only one; when it is reached the oldest makes room"},
	{name: "fd-reserve", kind: count, value: "0", auto: "64 and what loops and listeners need", min: 1, max: 1 << 20, zero: "automatic",
		setting: func(s *settings) any { return &s.engine.FDReserve },
		help:    "File descriptors kept for everything but clients"},
	{name: "conn-rate", kind: rate, value: "0", max: bucket.MaxRate / 2, zero: "no limit",
		setting: func(s *settings) any { return &s.engine.Guard.ConnRate },
		help:    "New connections of all sources together, with a burst of two seconds' worth"},
	{name: "source-conns", kind: count, value: "256", bench: benchConns, max: maxConns, zero: "no limit",
		limit: func(l *limits) any { return &l.SourceConns },
		help:  "Open connections of one source; wider networks have larger shares"},
	{name: "source-conn-rate", kind: rate, value: "50", bench: benchRate, max: bucket.MaxRate, zero: "no limit",
		limit: func(l *limits) any { return &l.SourceConnRate },
		help:  "New connections of one source"},
	{name: "source-conn-burst", kind: count, value: "100", bench: benchRate, max: bucket.MaxBurst, zero: "one second's worth",
		limit: func(l *limits) any { return &l.SourceConnBurst },
		help:  "New connections that one source may make at once"},
	{name: "source-unproven", kind: count, value: "128", bench: benchConns, max: maxConns, zero: "no limit",
		limit: func(l *limits) any { return &l.SourceUnproven },
		help:  "Open connections of one source that have not completed a first frame; wider networks have larger shares"},
	{name: "source-handshake-rate", kind: rate, value: "10", bench: benchRate, max: bucket.MaxRate, zero: "no limit", needs: scheme.TLS, when: (*settings).hasTLS,
		limit: func(l *limits) any { return &l.SourceHandshakeRate },
		help:  "TLS handshakes that one source may begin; asked before any key is computed"},
	{name: "source-handshake-burst", kind: count, value: "50", bench: benchRate, max: bucket.MaxBurst, zero: "one second's worth", needs: scheme.TLS, when: (*settings).hasTLS,
		limit: func(l *limits) any { return &l.SourceHandshakeBurst },
		help:  "TLS handshakes that one source may begin at once"},
}}

// checkAdmin takes "off" and HOST:PORT with a literal address, localhost, or no host.
func checkAdmin(value string) error {
	wrong := errors.New("must be off or HOST:PORT such as 127.0.0.1:9090 or [::1]:9090")
	if value == "off" {
		return nil
	}
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return wrong
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || fmt.Sprint(n) != port {
		return wrong
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "localhost" && host != "" {
		return wrong
	}
	return nil
}
