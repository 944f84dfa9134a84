package proxyproto

import (
	"net/netip"

	"weir/codec"
)

// phase is the part of a v1 line that the next byte belongs to.
type phase uint8

const (
	inLiteral phase = iota // line.literal, then line.next
	inKeyword              // the first letter of TCP4, TCP6 or UNKNOWN
	inFamily               // the digit behind TCP
	inSource               // the four fields of TCP4 and TCP6, each up to its space or CR
	inDestination
	inSourcePort
	inDestinationPort
	inUnknown // behind UNKNOWN: a space or the end
	inIgnored // what UNKNOWN carries
	inEnd     // behind CR
)

// line is how far a v1 line was understood. The zero value is its beginning.
type line struct {
	phase   phase
	next    phase  // after the literal
	literal string // what must come, byte for byte
	v6      bool
	text    addrText
	port    decimal
	source  netip.Addr
	dest    netip.Addr
	sport   uint16
}

// decodeV1 goes on with the line at the front of b. n is its size, or 0 when it has not ended.
func (d *Decoder) decodeV1(b []byte) (n int, fault codec.Fault) {
	l := &d.line
	if d.seen == 0 {
		l.literal, l.next = signatureV1, inKeyword
	}
	for i := d.seen; i < len(b); i++ {
		c := b[i]
		// The last two of 107 bytes are for CRLF. A byte of anything else there is one too many.
		if i >= MaxV1-2 && c != '\r' && l.phase != inEnd {
			return 0, codec.ProxyTooLarge
		}
		if !l.take(c) {
			return 0, codec.BadProxy
		}
		if l.phase == inEnd && c == '\n' {
			d.header = l.header()
			return i + 1, codec.OK
		}
	}
	d.seen = len(b)
	return 0, codec.OK
}

// take moves on by the byte c and reports whether it may stand there.
func (l *line) take(c byte) bool {
	switch l.phase {
	case inLiteral:
		if c != l.literal[0] {
			return false
		}
		if l.literal = l.literal[1:]; l.literal == "" {
			l.phase = l.next
		}
		return true
	case inKeyword:
		switch c {
		case 'T':
			return l.expect("CP", inFamily)
		case 'U':
			return l.expect("NKNOWN", inUnknown)
		}
		return false
	case inFamily:
		l.v6 = c == '6'
		l.text.begin(l.v6)
		return (l.v6 || c == '4') && l.expect(" ", inSource)
	case inSource:
		if c != ' ' {
			return l.text.take(c)
		}
		addr, ok := l.text.addr()
		l.source, l.phase = addr, inDestination
		l.text.begin(l.v6)
		return ok
	case inDestination:
		if c != ' ' {
			return l.text.take(c)
		}
		addr, ok := l.text.addr()
		l.dest, l.phase = addr, inSourcePort
		return ok
	case inSourcePort:
		if c != ' ' {
			return l.port.take(c, 65535)
		}
		ok := l.port.digits > 0
		l.sport, l.port, l.phase = uint16(l.port.value), decimal{}, inDestinationPort
		return ok
	case inDestinationPort:
		if c != '\r' {
			return l.port.take(c, 65535)
		}
		l.phase = inEnd
		return l.port.digits > 0
	case inUnknown:
		l.phase = inIgnored
		if c == '\r' {
			l.phase = inEnd
		}
		return c == ' ' || c == '\r'
	case inIgnored:
		if c == '\r' {
			l.phase = inEnd
		}
		return c != '\n'
	}
	return c == '\n' // inEnd
}

func (l *line) expect(literal string, next phase) bool {
	l.phase, l.literal, l.next = inLiteral, literal, next
	return true
}

// header is what the complete line says.
func (l *line) header() Header {
	if !l.source.IsValid() {
		return Header{Version: 1}
	}
	return Header{
		Version:     1,
		Command:     Proxy,
		Source:      netip.AddrPortFrom(l.source, l.sport),
		Destination: netip.AddrPortFrom(l.dest, uint16(l.port.value)),
	}
}
