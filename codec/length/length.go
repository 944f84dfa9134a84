// Package length decodes frames that say how long they are: four bytes of length, big-endian and
// without sign, then that many bytes of payload.
//
//	0       4                4+length
//	├─length┼─payload────────┤
//
// A length outside the limits is refused from the header alone, before a byte of the payload is
// looked at or waited for. The package owns no buffer: memory follows what has arrived, never what
// was announced.
//
// It does not look into the payload. Anybody may import it.
package length

import (
	"encoding/binary"
	"math"

	"weir/codec"
)

const (
	// HeaderBytes is the size of the header.
	HeaderBytes = 4
	// DefaultMax is the largest payload when Decoder.Max is 0: 64 KiB, four TLS records.
	DefaultMax = 64 << 10
	// MaxMax is the largest payload that can be allowed: header and payload together must fit
	// an int on every platform, 32-bit ones included.
	MaxMax = math.MaxInt32 - HeaderBytes
)

// Decoder decodes one direction of one connection. The zero value is ready for use and allows
// payloads of 1 to DefaultMax bytes. It allocates nothing. Not for concurrent use.
type Decoder struct {
	// Max is the largest payload in bytes, header not counted, 1 ≤ Max ≤ MaxMax. 0 and below
	// mean DefaultMax; above MaxMax means MaxMax. To be set before the first Decode.
	Max int
	// AllowEmpty lets a length of zero pass as a Frame with no Data. Without it such a frame is
	// FrameEmpty: it costs its sender 4 bytes and the receiver a whole turn, which is how an
	// empty-frame flood works.
	AllowEmpty bool

	partial bool
	lacks   int // bytes until the header or, once that is known, the frame is complete; 0 before the first Decode
}

var _ codec.Decoder = (*Decoder)(nil)

// Decode returns a Frame whose Data is the payload and whose N is HeaderBytes + len(Data), or More
// with N 0, or Bad with FrameTooLarge or FrameEmpty. It is O(1).
//
// hot: 0 allocs, ≤ 15 ns, see BenchmarkDecode
func (d *Decoder) Decode(b []byte) (u codec.Unit) {
	if len(b) < HeaderBytes {
		d.partial, d.lacks = len(b) > 0, HeaderBytes-len(b)
		return
	}
	// The comparisons are made on uint32, so that neither a set top bit nor a 32-bit int can
	// turn a large length into a small or negative one.
	n := binary.BigEndian.Uint32(b)
	if n > uint32(d.limit()) {
		u.Kind, u.Fault = codec.Bad, codec.FrameTooLarge
		return
	}
	if n == 0 && !d.AllowEmpty {
		u.Kind, u.Fault = codec.Bad, codec.FrameEmpty
		return
	}
	end := HeaderBytes + int(n) // ≤ MaxInt32: see MaxMax
	if len(b) < end {
		d.partial, d.lacks = true, end-len(b)
		return
	}
	d.partial, d.lacks = false, HeaderBytes
	u.Kind, u.N, u.Data = codec.Frame, end, b[HeaderBytes:end:end]
	return
}

// Lacks is exact: the bytes that complete the header or, once that has arrived, the frame.
// At least 1.
func (d *Decoder) Lacks() int {
	if d.lacks == 0 {
		return HeaderBytes
	}
	return d.lacks
}

// Partial reports whether the last Decode left the beginning of a frame behind.
func (d *Decoder) Partial() bool { return d.partial }

func (d *Decoder) limit() int {
	switch {
	case d.Max <= 0:
		return DefaultMax
	case d.Max > MaxMax:
		return MaxMax
	}
	return d.Max
}

// AppendHeader appends the header of a frame with n bytes of payload, 0 ≤ n ≤ MaxMax, and returns
// the extended slice. Any other n is a mistake of the caller, who would otherwise shift every later
// frame of the peer, and panics. Any goroutine.
func AppendHeader(dst []byte, n int) []byte {
	if n < 0 || n > MaxMax {
		panic("length: payload out of range")
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

// Append appends payload as one frame and returns the extended slice. The payload is copied. It
// panics as AppendHeader does. Any goroutine.
func Append(dst, payload []byte) []byte {
	return append(AppendHeader(dst, len(payload)), payload...)
}
