package http1

import "weir/codec"

// scan continues over the head in w from d.pos and returns at the first fault, at the end of w, or
// in state done with d.pos behind the head. Each fault is decided by the bytes up to the one it is
// found at and by nothing behind it: that is what makes it independent of how w grew.
func (d *Decoder) scan(w []byte) codec.Fault {
	if d.state < inLine {
		if f := d.requestLine(w); f != codec.OK || d.state < inLine {
			return f
		}
	}
	return d.fieldLines(w)
}

// requestLine scans method SP target SP version CRLF (9112 3). It takes exactly one SP between
// them: 9112 3 allows leniency here and warns of what follows from it.
func (d *Decoder) requestLine(w []byte) codec.Fault {
	i := int(d.pos)
	if d.state == inMethod {
		for i < len(w) && class[w[i]]&isToken != 0 {
			i++
		}
		if i > maxMethod {
			return codec.BadRequestLine
		}
		if i >= len(w) {
			d.pos = uint32(i)
			return codec.OK
		}
		if w[i] != ' ' || i == 0 {
			return codec.BadRequestLine
		}
		d.req.method = i
		i++
		d.mark, d.state = uint32(i), inTarget
	}
	if d.state == inTarget {
		from := int(d.mark)
		for i < len(w) && class[w[i]]&isTarget != 0 {
			i++
		}
		if i-from > d.req.limits.MaxTarget {
			return codec.TargetTooLong
		}
		if i >= len(w) {
			d.pos = uint32(i)
			return codec.OK
		}
		switch {
		case w[i] == '\n':
			return codec.BadLineEnd
		case w[i] == '\r' || w[i] == ' ' && i == from: // HTTP/0.9 has no version
			return codec.BadRequestLine
		case w[i] != ' ':
			return codec.BadTarget
		}
		if f := checkTarget(w[:from-1], w[from:i]); f != codec.OK {
			return f
		}
		d.req.target = span{uint32(from), uint32(i)}
		i++
		d.sep, d.state = uint32(i), inVersion
	}
	return d.version(w, i)
}

// version scans the rest of the request line. HTTP-version is case-sensitive (9112 2.3).
func (d *Decoder) version(w []byte, i int) codec.Fault {
	const pattern = "HTTP/1.x\r\n"
	from := int(d.sep)
	if i == from && len(w)-i >= len(pattern) && string(w[i:i+len(pattern)]) == "HTTP/1.1\r\n" {
		// What nearly every request has.
		i += len(pattern)
		d.flags |= isMinor1
		d.pos, d.mark, d.state = uint32(i), uint32(i), inLine
		return codec.OK
	}
	for ; i < len(w) && d.state == inVersion; i++ {
		c := w[i]
		switch at := i - from; {
		case at == 7 && c == '0':
		case at == 7 && c == '1':
			d.flags |= isMinor1
		case at != 7 && c == pattern[at]:
			if at == len(pattern)-1 {
				d.mark, d.state = uint32(i)+1, inLine
			}
		case c == '\n', at == 9:
			return codec.BadLineEnd
		case (at == 5 || at == 7) && c-'0' < 10:
			return codec.BadVersion
		default:
			return codec.BadRequestLine
		}
	}
	d.pos = uint32(i)
	return codec.OK
}

// fieldLines scans field lines up to and with the empty line (9112 5). The blocks of the loop stand
// in the order of the states, so that a line that is there whole runs straight through them.
func (d *Decoder) fieldLines(w []byte) codec.Fault {
	fields := d.req.fields
	i, mark, sep, st := int(d.pos), int(d.mark), int(d.sep), d.state
	for i < len(w) {
		if st == inLine {
			switch c := w[i]; {
			case c == '\r':
				i++
				st = headLF
				continue
			case c == '\n':
				return codec.BadLineEnd
			case int(d.fields) == len(fields):
				return codec.TooManyFields
			}
			mark, st = i, inName
		}
		if st == inName {
			for i < len(w) && class[w[i]]&isToken != 0 {
				i++
			}
			if i == len(w) {
				break
			}
			if w[i] != ':' || i == mark { // also: space before the colon, obs-fold, no name
				if w[i] == '\n' {
					return codec.BadLineEnd
				}
				return codec.BadField
			}
			sep, st = i, inValue
			i++
		}
		if st == inValue {
			i = skipText(w, i)
			if i == len(w) {
				break
			}
			switch w[i] {
			case '\r':
			case '\n':
				return codec.BadLineEnd
			default:
				return codec.BadField
			}
			i++
			st = fieldLF
			if i == len(w) {
				break
			}
		}
		if w[i] != '\n' {
			return codec.BadLineEnd
		}
		if st == headLF {
			d.pos, d.state = uint32(i)+1, done
			return codec.OK
		}
		from, to := sep+1, i-1
		for from < to && (w[from] == ' ' || w[from] == '\t') {
			from++
		}
		for from < to && (w[to-1] == ' ' || w[to-1] == '\t') {
			to--
		}
		at := span2{span{uint32(mark), uint32(sep)}, span{uint32(from), uint32(to)}}
		fields[d.fields] = at
		d.fields++
		if f := d.field(w[mark:sep], w[from:to], at.value); f != codec.OK {
			return f
		}
		i++
		st = inLine
	}
	d.pos, d.mark, d.sep, d.state = uint32(i), uint32(mark), uint32(sep), st
	return codec.OK
}
