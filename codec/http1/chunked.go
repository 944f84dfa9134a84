package http1

import "weir/codec"

// chunks goes through a chunked body (9112 7.1) up to the next Part, End or fault. Framing bytes
// are finished with as soon as they are looked at. After More nothing in b[N:] is left to look at.
func (d *Decoder) chunks(b []byte) (kind codec.Kind, n int, data []byte) {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch d.state {
		case inSize:
			v := hexValue(c)
			switch {
			case v < 16:
				// 16 digits, leading zeros included, and 63 bits: the next one would
				// wrap in somebody's parser.
				if d.digits == 16 || d.left>>59 != 0 {
					return d.bad(codec.BadChunk)
				}
				d.left = d.left<<4 | int64(v)
				d.digits++
			case d.digits > 0 && c == '\r':
				d.state = sizeLF
			case d.digits > 0 && c == ';':
				d.state = inExtension
				d.pos++
			default:
				return d.bad(codec.BadChunk)
			}
		case inExtension:
			end := skipText(b, i)
			d.pos += uint32(min(end-i, topExtra+1)) // cannot wrap: checked at each step
			if int(d.pos) > d.req.limits.MaxExtensions {
				return d.bad(codec.BadChunk)
			}
			if end == len(b) {
				return codec.More, end, nil
			}
			if i = end; b[i] != '\r' {
				return d.bad(codec.BadChunk)
			}
			d.state = sizeLF
		case sizeLF:
			switch {
			case c != '\n':
				return d.bad(codec.BadChunk)
			case d.left > d.budget:
				return d.bad(codec.BodyTooLarge)
			case d.left == 0:
				d.state = trailerLine
			default:
				d.budget -= d.left
				d.state = inData
			}
		case inData:
			n := int(min(int64(len(b)-i), d.left))
			if d.left -= int64(n); d.left == 0 {
				d.state, d.digits = dataCR, 0
			}
			return codec.Part, i + n, b[i : i+n : i+n]
		case dataCR:
			if c != '\r' {
				return d.bad(codec.BadChunk)
			}
			d.state = dataLF
		case dataLF:
			if c != '\n' {
				return d.bad(codec.BadChunk)
			}
			d.state = inSize
		default:
			if d.mark++; int(d.mark) > d.req.limits.MaxTrailers || !d.trailer(c) {
				return d.bad(codec.BadTrailer)
			}
			if d.state == done {
				d.clear(start)
				return codec.End, i + 1, nil
			}
		}
	}
	return codec.More, len(b), nil
}

// trailer takes one byte of the trailer section, by the same rules as for the fields of a head
// (9112 7.1.2), and reports whether it may stand there. The fields are dropped: merging them into
// the head is what the RFC warns of.
func (d *Decoder) trailer(c byte) bool {
	switch d.state {
	case trailerLine:
		if c == '\r' {
			d.state = endLF
			return true
		}
		d.state = trailerName
		return class[c]&isToken != 0
	case trailerName:
		if c == ':' {
			d.state = trailerValue
			return true
		}
		return class[c]&isToken != 0
	case trailerValue:
		if c == '\r' {
			d.state = trailerLF
			return true
		}
		return c >= ' ' && c != 0x7f || c == '\t'
	case trailerLF:
		d.state = trailerLine
		return c == '\n'
	default: // endLF
		d.state = done
		return c == '\n'
	}
}
