package http1

import (
	"math"

	"weir/codec"
)

// What the fields of a head have said so far. It is kept in the Decoder, not in the Request, so
// that a fault comes with the field that causes it however the head is split.
const (
	sawHost = 1 << iota
	sawLength
	sawChunked
	sawExpect
	sawClose
	sawKeepAlive
	sawUpgrade
	isMinor1 // HTTP/1.1
	sawCRLF  // the one empty line before the request is spent
	sawOther // an option of Connection other than the three above
)

// field acts on one complete field. Names are told apart by length first: of the common ones only
// those below get further than the switch.
func (d *Decoder) field(name, value []byte, at span) codec.Fault {
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") && !d.req.answer {
			if d.flags&sawHost != 0 || !validHost(value, false) {
				return codec.BadHost
			}
			d.flags |= sawHost
			d.req.host = at
		}
	case len("expect"):
		// 9110 10.1.1: to be ignored in HTTP/1.0.
		if equalFold(name, "expect") && d.flags&isMinor1 != 0 && !d.req.answer {
			if !equalFold(value, "100-continue") {
				return codec.BadExpect
			}
			d.flags |= sawExpect
		}
	case len("trailer"):
		if equalFold(name, "trailer") {
			return checkTrailer(value)
		}
	case len("connection"):
		if equalFold(name, "connection") {
			return d.connection(value)
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return d.contentLength(value)
		}
	case len("transfer-encoding"):
		if equalFold(name, "transfer-encoding") {
			return d.transferEncoding(value)
		}
	}
	return codec.OK
}

// contentLength takes 1*DIGIT, once (9110 8.6). 19 digits hold every int64; longer runs of leading
// zeros have no honest use.
func (d *Decoder) contentLength(value []byte) codec.Fault {
	switch {
	case d.flags&sawChunked != 0:
		return codec.LengthConflict
	case d.flags&sawLength != 0, len(value) == 0, len(value) > 19:
		return codec.BadLength
	}
	var n uint64 // 10^19 - 1 fits
	for _, c := range value {
		if c-'0' > 9 {
			return codec.BadLength
		}
		n = n*10 + uint64(c-'0')
	}
	if n > math.MaxInt64 {
		return codec.BadLength
	}
	d.flags |= sawLength
	d.left = int64(n)
	return codec.OK
}

// transferEncoding takes "chunked", once, in HTTP/1.1 (9112 6.1).
func (d *Decoder) transferEncoding(value []byte) codec.Fault {
	switch {
	case d.flags&sawLength != 0:
		return codec.LengthConflict
	case d.flags&sawChunked != 0, d.flags&isMinor1 == 0, !equalFold(value, "chunked"):
		return codec.BadCoding
	}
	d.flags |= sawChunked
	return codec.OK
}

// connection takes the options it knows from a list (9110 7.6.1) and passes over the others. Each
// option may name a field that is not passed on, so they are few: who relays compares them with all
// fields. d.digits counts them; in a head it has no other use.
func (d *Decoder) connection(value []byte) codec.Fault {
	if len(value) > maxOptions {
		return codec.BadField
	}
	for len(value) > 0 {
		var option []byte
		option, value = cutComma(value)
		if d.digits++; d.digits > mostOptions {
			return codec.BadField
		}
		switch {
		case equalFold(option, "close"):
			d.flags |= sawClose
		case equalFold(option, "keep-alive"):
			d.flags |= sawKeepAlive
		case equalFold(option, "upgrade"):
			d.flags |= sawUpgrade
		default:
			d.flags |= sawOther
		}
	}
	return codec.OK
}

// checkTrailer refuses the announcement of trailers that would change the framing (9110 6.5.1):
// whoever merges trailers into the head behind us would be misled.
func checkTrailer(value []byte) codec.Fault {
	for len(value) > 0 {
		var name []byte
		name, value = cutComma(value)
		if equalFold(name, "content-length") || equalFold(name, "transfer-encoding") || equalFold(name, "trailer") {
			return codec.BadField
		}
	}
	return codec.OK
}

// cutComma returns the first element of a list, trimmed, and the elements after it.
func cutComma(list []byte) (first, rest []byte) {
	for i, c := range list {
		if c == ',' {
			return trim(list[:i]), list[i+1:]
		}
	}
	return trim(list), nil
}
