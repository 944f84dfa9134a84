package relay

import (
	"bytes"
	"net/netip"
	"strconv"

	"weir/codec/http1"
	"weir/engine/service"
)

// A request is passed on as
//
//	line            the method as it came, the target in origin form, HTTP/1.1
//	Host            the client's; the address it has connected to when it has named none
//	fields          as they were parsed, in their order, but for those that are not passed on
//	X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, X-Forwarded-Host, Forwarded, Via    ours
//	framing         Content-Length, or chunked by us; Upgrade for WebSocket
//
// Not passed on: what is for one connection (http1.Hop), trailers, Expect, which is met here; what claims
// where a request has come from, since anybody can write it; Proxy, which CGI takes for the address of a
// proxy (httpoxy); and names with other than letters, digits and "-", which CGI and its heirs cannot tell
// from one another: X_Real_IP would become X-Real-IP again. Where weir asks who a client is (package gate),
// Authorization is for weir alone.

// mostHops is how many relays that call themselves weir a request may have passed: more are a loop.
const mostHops = 8

const via = "Via: 1.1 weir\r\n"

// appendRequest appends the head of the present request as it is passed on; err says why it is not.
func (o *httpOpener) appendRequest(dst []byte, s *httpSession) (head []byte, err string) {
	r, c := o.req, s.c
	dst = r.AppendLine(dst)
	host := r.Host()
	dst = append(dst, "Host: "...)
	at := len(dst)
	if dst = append(dst, host...); len(host) == 0 {
		dst = appendLocal(dst, c.Local())
	}
	named := dst[at:len(dst):len(dst)]
	dst = append(dst, "\r\n"...)
	options := string(r.Method()) == "OPTIONS"
	hops := 0
	for i := range r.NumFields() {
		name, value := r.Field(i)
		if r.Hop(i) || !passed(name) || o.cfg.Guarded && is(name, "authorization") {
			continue
		}
		switch {
		case options && is(name, "max-forwards"):
			n, ok := number(value)
			if !ok {
				return dst, "Max-Forwards is no number"
			}
			dst = append(dst, "Max-Forwards: "...)
			dst = strconv.AppendInt(dst, int64(n-1), 10)
			dst = append(dst, "\r\n"...)
			continue
		case is(name, "via"):
			if hops += bytes.Count(value, []byte(" weir")); hops >= mostHops {
				return dst, "it has passed here too often: a loop"
			}
		}
		dst = r.AppendField(dst, i)
	}
	dst = o.appendOrigin(dst, c.Peer().Addr(), named)
	dst = append(dst, "Via: 1."...)
	dst = append(dst, '0'+r.Minor)
	dst = append(dst, " weir\r\n"...)
	_, length := r.Get("content-length")
	switch {
	case r.Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	case length:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case upgrades(r):
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case o.cfg.MaxIdle == 0:
		dst = append(dst, "Connection: close\r\n"...)
	}
	return append(dst, "\r\n"...), ""
}

// appendOrigin appends what servers are told of where a request comes from.
func (o *httpOpener) appendOrigin(dst []byte, peer netip.Addr, host []byte) []byte {
	peer = peer.WithZone("") // which means something on this machine only
	proto := "http"
	if o.cfg.Secure {
		proto = "https"
	}
	if peer.IsValid() {
		for _, name := range [...]string{"X-Forwarded-For: ", "X-Real-IP: "} {
			dst = append(dst, name...)
			dst = append(peer.AppendTo(dst), "\r\n"...)
		}
	}
	dst = append(append(append(dst, "X-Forwarded-Proto: "...), proto...), "\r\nX-Forwarded-Host: "...)
	dst = append(append(dst, host...), "\r\nForwarded: for="...)
	switch {
	case !peer.IsValid():
		dst = append(dst, "unknown"...) // a unix socket has no address
	case peer.Is6():
		dst = append(peer.AppendTo(append(dst, `"[`...)), `]"`...)
	default:
		dst = peer.AppendTo(dst)
	}
	dst = append(append(append(dst, ";proto="...), proto...), `;host="`...)
	return append(append(dst, host...), "\"\r\n"...)
}

// appendLocal names us by the address that the client has connected to (9110 7.1).
func appendLocal(dst []byte, local netip.AddrPort) []byte {
	if !local.IsValid() {
		return append(dst, "localhost"...)
	}
	return local.AppendTo(dst)
}

// passed reports whether fields with a name are passed on to servers, so far as that is ours to judge.
func passed(name []byte) bool {
	for _, c := range name {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	switch len(name) {
	case len("host"):
		return !is(name, "host") // written already
	case len("proxy"):
		return !is(name, "proxy")
	case len("expect"):
		return !is(name, "expect")
	case len("x-real-ip"): // and forwarded
		return !is(name, "x-real-ip") && !is(name, "forwarded")
	case len("x-client-ip"):
		return !is(name, "x-client-ip")
	case len("true-client-ip"):
		return !is(name, "true-client-ip")
	case len("x-cluster-client-ip"):
		return !is(name, "x-cluster-client-ip")
	}
	const forwarded = "x-forwarded-"
	return len(name) < len(forwarded) || !is(name[:len(forwarded)], forwarded)
}

// is reports whether name is s, which is in lower case, but for the case of ASCII letters.
func is(name []byte, s string) bool {
	if len(name) != len(s) {
		return false
	}
	for i, c := range name {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != s[i] {
			return false
		}
	}
	return true
}

// upgrades reports whether a request asks for WebSocket (RFC 6455 4.1). Other protocols are not asked for:
// h2c would have the server read what we do not.
func upgrades(r *http1.Request) bool {
	if !r.Upgrade || r.Chunked || r.ContentLength > 0 || string(r.Method()) != "GET" {
		return false
	}
	v, _ := r.Get("upgrade")
	return is(v, "websocket") && r.Next("upgrade", r.Next("upgrade", 0)+1) < 0
}

// appendAnswerFields appends the fields of an answer that are passed on.
func appendAnswerFields(dst []byte, r *http1.Response) []byte {
	for i := range r.NumFields() {
		if !r.Hop(i) {
			dst = r.AppendField(dst, i)
		}
	}
	return dst
}

// appendAnswer appends the head of the present answer as the client is given it: the line and the fields
// as they were parsed, framed by us.
func (x *exchange) appendAnswer(dst []byte, r *http1.Response, c service.Conn) []byte {
	dst = appendAnswerFields(r.AppendLine(dst), r)
	if _, dated := r.Get("date"); !dated {
		dst = append(append(append(dst, "Date: "...), c.Date()...), "\r\n"...)
	}
	dst = append(dst, via...)
	switch {
	case r.Status == 101:
		return append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"...)
	case r.Status == 204:
	case r.ContentLength >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.ContentLength, 10)
		dst = append(dst, "\r\n"...)
	case x.chunksOut:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case x.last:
		dst = append(dst, "Connection: close\r\n"...)
	case x.minor0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return append(dst, "\r\n"...)
}
