// Package line decodes lines of text that end in LF or CRLF.
//
// One rule for every byte, the same however the input is split:
//
//	LF            ends the line
//	CR LF         ends the line
//	CR other      LineBare, CR CR LF included: two readers would disagree about where it ends
//	NUL           LineBare: what holds it is not text, and C code behind would cut it there
//	anything else is content and passes untouched, invalid and overlong UTF-8 included
//
// The limit is on the content; the fault comes with the first byte that cannot fit, not at the end
// of the line. The byte that is wrong first in the stream decides the fault.
//
// It does not interpret the content: whoever prints or logs it must escape it. Anybody may import
// it.
package line

import (
	"bytes"
	"math"

	"weir/codec"
)

const (
	// DefaultMax is the longest content when Decoder.Max is 0: 8 KiB.
	DefaultMax = 8 << 10
	// MaxMax is the longest content that can be allowed: with its end it must fit an int on
	// every platform.
	MaxMax = math.MaxInt32 - 2
)

// Decoder decodes one direction of one connection. The zero value is ready for use and allows
// lines of up to DefaultMax bytes. It allocates nothing. Not for concurrent use.
type Decoder struct {
	// Max is the longest content in bytes, the end of the line not counted, 1 ≤ Max ≤ MaxMax.
	// 0 and below mean DefaultMax; above MaxMax means MaxMax. To be set before the first Decode.
	Max int

	seen    int // b[:seen] of the next call is known to be content; it is never looked at again
	partial bool
}

var _ codec.Decoder = (*Decoder)(nil)

// Decode returns a Frame whose Data is the line without its end and whose N includes the end, or
// More with N 0, or Bad with LineTooLong or LineBare. An empty line is a Frame with no Data.
//
// hot: 0 allocs, ≤ 35 ns for a short line, see BenchmarkDecode
func (d *Decoder) Decode(b []byte) (u codec.Unit) {
	end, n, fault := d.find(b)
	switch {
	case fault != codec.OK:
		u.Kind, u.Fault = codec.Bad, fault
	case n > 0:
		d.seen, d.partial = 0, false
		u.Kind, u.N, u.Data = codec.Frame, n, b[:end:end]
	}
	return
}

// find returns where the content of the line at the front of b ends and how long it is with its
// end. That is 0 when the end has not arrived; d knows then how far it has looked.
func (d *Decoder) find(b []byte) (end, n int, fault codec.Fault) {
	limit := d.limit()
	// Nothing past the limit and a CRLF matters: a longer look would cost the same bytes again
	// on the next line.
	w := b
	if len(w) > limit+2 {
		w = w[:limit+2]
	}
	from := min(d.seen, len(w))
	end = bytes.IndexByte(w[from:], '\n')
	found := end >= 0
	if found {
		end += from
	} else {
		end = len(w)
	}

	// Content may stand below limit. A NUL or a bare CR there is wrong whatever follows.
	if content := w[from:max(from, min(end, limit))]; len(content) > 0 {
		if bytes.IndexByte(content, 0) >= 0 {
			return 0, 0, codec.LineBare
		}
		if cr := bytes.IndexByte(content, '\r'); cr >= 0 {
			return d.endAt(w, from+cr)
		}
	}
	if end > limit {
		// The byte at limit is neither content nor LF. It may be the CR of the end.
		if w[limit] == '\r' {
			return d.endAt(w, limit)
		}
		return 0, 0, codec.LineTooLong
	}
	if !found {
		d.seen, d.partial = end, end > 0
		return 0, 0, codec.OK
	}
	return end, end + 1, codec.OK
}

// endAt continues at the CR at index cr: LF must follow, and has perhaps not arrived. The CR is
// looked at again then, one byte a call.
func (d *Decoder) endAt(w []byte, cr int) (end, n int, fault codec.Fault) {
	switch {
	case cr+1 == len(w):
		d.seen, d.partial = cr, true
		return 0, 0, codec.OK
	case w[cr+1] != '\n':
		return 0, 0, codec.LineBare
	}
	return cr, cr + 2, codec.OK
}

// Lacks is always 1: the next byte may end the line.
func (d *Decoder) Lacks() int { return 1 }

// Partial reports whether the last Decode left the beginning of a line behind.
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

// Append appends text and CRLF and returns the extended slice. It reports false, and appends
// nothing, when text holds CR, LF or NUL: it would arrive as something other than one line. The
// text is copied. Any goroutine.
func Append(dst, text []byte) ([]byte, bool) {
	if bytes.IndexByte(text, '\n') >= 0 || bytes.IndexByte(text, '\r') >= 0 || bytes.IndexByte(text, 0) >= 0 {
		return dst, false
	}
	return append(append(dst, text...), '\r', '\n'), true
}
