package proxyproto

import "net/netip"

const (
	signatureV1 = "PROXY "
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Command says whether a header gives addresses.
type Command uint8

const (
	// Local: use the addresses of the connection itself. The proxy speaks for itself (a health
	// check) or for somebody it has no address for.
	Local Command = iota
	// Proxy: use Header.Source and Header.Destination.
	Proxy
)

// String is "local" or "proxy".
func (c Command) String() string {
	if c == Proxy {
		return "proxy"
	}
	return "local"
}

// Header is what a PROXY header says. The zero Header says Local.
type Header struct {
	// Version is 1 or 2. The Append functions ignore it.
	Version int
	// Command is Proxy exactly when both addresses are valid.
	Command Command
	// Datagram: the client speaks UDP to the proxy (v2 DGRAM), not TCP. Only with Proxy.
	Datagram bool
	// Source is the client, Destination what it connected to. Both are the zero AddrPort with
	// Local. They have no zone and are never IPv4-mapped. Ports are 0 to 65535.
	Source, Destination netip.AddrPort
	// TLVs are the fields behind the addresses of a v2 PROXY header, well-formed and with the
	// checksum verified; nil when there are none. A view into Decode's argument, valid until the
	// caller reuses those bytes.
	TLVs TLVs
}

// Match is what Sniff thinks.
type Match uint8

const (
	No    Match = iota // these bytes do not begin a PROXY header
	Maybe              // all of them could; more are needed
	Yes                // they begin with a whole signature: "PROXY " or the twelve bytes of v2
)

// Sniff reports whether b, the first bytes of a connection, begins a PROXY header of either
// version. It decides with the first byte that differs; no bytes are Maybe. It is for refusing or
// counting headers from peers who may not send one, never for believing them: section 5 forbids to
// guess. A client that begins with an empty line, as HTTP/1.1 allows, is Maybe for up to four bytes.
// It looks at 12 bytes at most. Any goroutine.
func Sniff(b []byte) Match {
	m := sniff(b, signatureV1)
	if m == No {
		m = sniff(b, signatureV2)
	}
	return m
}

func sniff(b []byte, signature string) Match {
	n := min(len(b), len(signature))
	switch {
	case string(b[:n]) != signature[:n]:
		return No
	case n < len(signature):
		return Maybe
	}
	return Yes
}
