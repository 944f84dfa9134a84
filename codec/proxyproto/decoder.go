package proxyproto

import "weir/codec"

const (
	// MaxV1 is the longest line of version 1 in bytes, CRLF included (2.1).
	MaxV1 = 107
	// DefaultMax is the largest v2 header in bytes when Decoder.Max is 0. The specification asks
	// for what fits the smallest segment, 536; but a sender may add the client's certificate
	// (PP2_SUBTYPE_SSL_CLIENT_CERT), 1 to 2 KiB in DER, beside a name of up to 255 bytes and a
	// unique ID of 128. One page holds those, and is what a silent peer can make us keep.
	DefaultMax = 4 << 10
	// MaxMax is the largest v2 header there can be.
	MaxMax = headerBytesV2 + 1<<16 - 1
)

// Decoder decodes the header at the front of one connection. The zero value is ready for use. It
// allocates nothing. Not for concurrent use.
type Decoder struct {
	// Max is the largest v2 header in bytes, signature and TLVs included. 0 and below mean
	// DefaultMax; above MaxMax means MaxMax. 52 hold TCP over IPv6 and no TLVs, 536 what every
	// receiver is expected to take; below 16 no v2 header is taken. Lines of v1 are not
	// concerned. Too low refuses a proxy that adds TLVs; too high is memory that a trusted peer,
	// or whoever reaches the port in its name, can hold until the handshake deadline. To be set
	// before the first Decode.
	Max int

	header Header
	line   line // v1: how far the line was understood
	seen   int  // bytes of the next call that are known to be right; they are not looked at again
	need   int  // v2: the bytes of the whole header once its length is known; else 0
	lacks  int  // 0 before the first Decode
	fault  codec.Fault
	begun  bool // the last Decode left a part of a header behind
}

var _ codec.Decoder = (*Decoder)(nil)

// Decode returns a Frame without Data whose N is the size of the header, or More with N 0, or Bad
// with BadProxy or ProxyTooLarge. After a Frame, Header says what was in it; one connection has one
// header, so the caller stops here. A further call would begin anew.
//
// Each byte is looked at once, those of a v2 header with a checksum twice.
//
// hot: 0 allocs, ≤ 300 ns for TCP4 and 700 for the longest TCP6 line, ≤ 60 ns for v2, see BenchmarkDecode
func (d *Decoder) Decode(b []byte) (u codec.Unit) {
	if d.fault != codec.OK {
		u.Kind, u.Fault = codec.Bad, d.fault
		return
	}
	if !d.begun {
		d.line, d.seen, d.need = line{}, 0, 0
	}
	d.begun, d.lacks = len(b) > 0, 1
	if len(b) == 0 {
		return
	}
	n := 0
	if b[0] == signatureV1[0] {
		n, d.fault = d.decodeV1(b)
	} else {
		n, d.fault = d.decodeV2(b)
	}
	switch {
	case d.fault != codec.OK:
		d.begun = false
		u.Kind, u.Fault = codec.Bad, d.fault
	case n > 0:
		d.begun = false
		u.Kind, u.N = codec.Frame, n
	}
	return
}

// Header is what the last Frame said. Its TLVs are a view into what Decode was given. Before a
// Frame it means nothing.
func (d *Decoder) Header() Header { return d.header }

// Lacks is exact once the fixed part of a v2 header has told its length. Before that, and in a v1
// line, every byte may be the one that is wrong, and it is 1. At least 1.
func (d *Decoder) Lacks() int { return max(d.lacks, 1) }

// Partial reports whether the last Decode left the beginning of a header behind.
func (d *Decoder) Partial() bool { return d.begun }

func (d *Decoder) limit() int {
	switch {
	case d.Max <= 0:
		return DefaultMax
	case d.Max > MaxMax:
		return MaxMax
	}
	return d.Max
}
