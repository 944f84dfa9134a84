package main

import (
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"weir/internal/events"
	"weir/internal/say"
	"weir/internal/scheme"
)

// listener is one -listen.
type listener struct {
	text    string // as it was given
	scheme  scheme.Scheme
	name    string // name=, or the URL without its parameters
	network string // "tcp" or "unix"
	address string // host:port, or a path
	limits  limits
	params  []string // the flags among its parameters
}

// can reports whether a listener's scheme can do all of what.
func (l *listener) can(what scheme.Ability) bool { return l.scheme.Can(what) }

// isTLS reports whether TLS is taken off.
func (l *listener) isTLS() bool { return l.can(scheme.TLS) }

// parseListen reads
//
//	SCHEME://HOST:PORT?FLAG=VALUE&...     https://:8443, frames://[::1]:7000?source-conns=10
//	SCHEME://unix:/PATH?FLAG=VALUE&...    http://unix:/run/weir.sock
//
// HOST is a literal IPv4 address, a literal IPv6 address in brackets, localhost (127.0.0.1), or
// nothing for all addresses. from is how to call the flag, -listen or where it stands. FLAG is a flag
// whose row has a limit, and overrides base; lists can be given several times. name= is the listener's
// name. Nothing wrong is nil.
func parseListen(from, text string, base limits) (listener, *say.WrongValue) {
	l := listener{text: text, limits: base}
	bare, query, _ := strings.Cut(text, "?")
	wrong := func(must string) (listener, *say.WrongValue) { return l, say.Wrong(from, text, must) }

	name, rest, ok := strings.Cut(bare, "://")
	if ok {
		l.scheme, ok = scheme.Named(name)
	}
	if !ok {
		return wrong("must be SCHEME://HOST:PORT or SCHEME://unix:/PATH, with " + say.OneOf(scheme.Names(0, 0)))
	}
	if path, isUnix := strings.CutPrefix(rest, "unix:"); isUnix {
		l.network, l.address = "unix", path
		switch {
		case !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || events.Clean(path, 1000) != path:
			return wrong("a unix socket needs an absolute path, such as " + l.scheme.Name + "://unix:/run/weir.sock")
		case len(path) > 107:
			return wrong("the path of a unix socket has at most 107 bytes")
		}
	} else {
		var why string
		if l.address, why = tcpAddress(strings.TrimSuffix(rest, "/")); why != "" {
			return wrong(why)
		}
		l.network = "tcp"
	}
	l.name = strings.TrimSuffix(bare, "/")
	if !l.can(scheme.HTTP) { // what frames do is said at each listener: they echo, relay or serve files
		l.limits.files, l.limits.up.dir = "", ""
	}

	params, err := url.ParseQuery(query)
	if err != nil {
		return wrong("parameters must be written FLAG=VALUE with & between them")
	}
	for _, key := range slices.Sorted(maps.Keys(params)) {
		values := params[key]
		where := from + " " + say.Shown(bare) + ": " + say.Shown(key)
		r := rowNamed(key)
		isList := r != nil && r.limit != nil && r.isList()
		if len(values) > 1 && !isList {
			return l, say.Wrong(where, values[1], "is given twice")
		}
		if key == "name" {
			if !isName(values[0]) {
				return l, say.Wrong(where, values[0], "must be 1 to 40 of a-z, 0-9, dot, dash and underscore")
			}
			l.name = values[0]
			continue
		}
		switch {
		case r == nil || r.limit == nil:
			return l, say.Wrong(where, values[0], "no such parameter; those marked [listener] in -help can be given here")
		case !r.fits(l.scheme):
			return l, say.Wrong(where, values[0], "is for "+urlsOf(scheme.Names(r.needs, 0))+" only")
		case key == "proxy-from" && l.network == "unix":
			return l, say.Wrong(where, values[0], "peers on a unix socket have no address that could be in a network")
		}
		l.params = append(l.params, key)
		field := r.limit(&l.limits)
		switch list := field.(type) { // instead of base's, not behind it
		case *[]netip.Prefix:
			*list = nil
		case *[]string:
			*list = nil
		}
		if all := r.pieces(strings.Join(values, ",")); isList && len(all) > 0 {
			values = all
		}
		for _, v := range values {
			if must := r.store(field, v); must != "" {
				return l, say.Wrong(where, v, must)
			}
		}
	}
	return l, nil
}

// boundURL is the URL of a listener as bound at address, with the port that it got.
func (l *listener) boundURL(address string) string {
	if l.network == "unix" {
		return l.scheme.Name + "://unix:" + l.address
	}
	return l.scheme.Name + "://" + address
}

// tcpAddress checks HOST:PORT, or says what it must be.
func tcpAddress(hostPort string) (address, must string) {
	if strings.ContainsAny(hostPort, "/@#") {
		return "", "must end after HOST:PORT, but for ? and parameters"
	}
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return "", "must have HOST:PORT, with an IPv6 address in brackets"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != port {
		return "", "the port must be a number, 0 (any free one) to 65535"
	}
	switch addr, err := netip.ParseAddr(host); {
	case host == "localhost":
		host = "127.0.0.1"
	case host == "":
	case err != nil:
		return "", "the host must be an IPv4 address, an IPv6 address in brackets, localhost, or empty for all"
	case addr.Zone() != "":
		return "", "an address with a zone cannot be served"
	case addr.Is4In6():
		return "", "write the address as IPv4: " + addr.Unmap().String()
	}
	return net.JoinHostPort(host, port), ""
}

func isName(s string) bool {
	if len(s) < 1 || len(s) > 40 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// speaksHTTP reports whether a listener does, by its name.
func (s *settings) speaksHTTP(name string) bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.name == name && l.can(scheme.HTTP) })
}
