package http1

import "math"

// Limits bounds what one request may cost. The zero value means Default; so does any field that
// is 0 or below, except MaxBody, where it means no limit. A value above a field's range means the
// top of it.
type Limits struct {
	// MaxHead is the size of the request line and the fields, up to and with the empty line, in
	// bytes: 64 to 16 MiB, default 16 KiB. It is what a connection may make us keep before we
	// know what it wants. Too low: large cookies are refused. Too high: slow heads hold more
	// memory. Beyond it: HeadTooLarge, status 431.
	MaxHead int
	// MaxFields is the number of fields, 1 to 65535, default 100. A Request keeps 16 bytes for
	// each. Beyond it: TooManyFields, status 431.
	MaxFields int
	// MaxTarget is the size of the request target in bytes, 1 to MaxHead, default 8 KiB (9112 3
	// recommends at least 8,000). Beyond it: TargetTooLong, status 414.
	MaxTarget int
	// MaxBody is the size of a body in bytes without its framing; 0 means no limit. It is
	// compared with Content-Length at the end of the head and with the running total at each
	// chunk header, so no byte over it is ever handed on. Beyond it: BodyTooLarge, status 413.
	MaxBody int64
	// MaxExtensions is the number of bytes of chunk extensions in one body, 1 to 1 MiB, default
	// 4 KiB. They are never used, so an attacker's only gain is our time. Beyond it: BadChunk.
	MaxExtensions int
	// MaxTrailers is the number of bytes of the trailer section of one body, CRLFs included,
	// 2 to 1 MiB, default 8 KiB. Trailers are checked and dropped. Beyond it: BadTrailer.
	MaxTrailers int
}

const (
	maxMethod = 32 // bytes; the longest registered one (UPDATEREDIRECTREF) has 17

	mostOptions = 16  // elements of the Connection fields of one head
	maxOptions  = 256 // bytes of one Connection field

	topHead   = 16 << 20
	topFields = math.MaxUint16
	topExtra  = 1 << 20
)

// Default returns the limits that the zero value stands for, written out.
func Default() Limits {
	return Limits{
		MaxHead:       16 << 10,
		MaxFields:     100,
		MaxTarget:     8 << 10,
		MaxExtensions: 4 << 10,
		MaxTrailers:   8 << 10,
	}
}

// settled returns l with every field in its range.
func (l Limits) settled() Limits {
	d := Default()
	l.MaxHead = settle(l.MaxHead, d.MaxHead, 64, topHead)
	l.MaxFields = settle(l.MaxFields, d.MaxFields, 1, topFields)
	l.MaxTarget = settle(l.MaxTarget, d.MaxTarget, 1, l.MaxHead)
	l.MaxExtensions = settle(l.MaxExtensions, d.MaxExtensions, 1, topExtra)
	l.MaxTrailers = settle(l.MaxTrailers, d.MaxTrailers, 2, topExtra)
	l.MaxBody = max(l.MaxBody, 0)
	return l
}

func settle(v, def, low, high int) int {
	if v <= 0 {
		v = def
	}
	return min(max(v, low), high)
}
