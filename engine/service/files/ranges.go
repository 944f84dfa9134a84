package files

import (
	"math"
	"strconv"

	"weir/codec/http1"
)

// maxRanges is how many ranges one request may ask for; with more it gets the whole file. Their sum may
// not exceed the file either, so no request makes more of a file than there is, but for 150 bytes of
// framing a part (CVE-2011-3192).
const maxRanges = 16

// span is a part of a file: from ≤ its bytes < to.
type span struct{ from, to int64 }

// rangesOf reads Range (9110 14.2) for a file of size bytes. With none, one that is malformed, too many,
// or that together ask for more than there is, n is 0 and the file is sent whole. ok is false when no
// byte of the file is asked for: 416.
func rangesOf(v []byte, size int64, list *[maxRanges]span) (n int, ok bool) {
	const unit = "bytes="
	if size == 0 || len(v) <= len(unit) || !equalFold(v[:len(unit)], unit) {
		return 0, true // an empty file has no ranges, and is not worth a 416 (net/http does the same)
	}
	v = v[len(unit):]
	asked, sum := 0, int64(0)
	for len(v) > 0 {
		var item []byte
		if item, v = cutList(v); len(item) == 0 {
			continue
		}
		s, valid := parseRange(item, size)
		if asked++; !valid || asked > maxRanges {
			return 0, true
		}
		if s.from >= s.to {
			continue
		}
		sum += s.to - s.from
		list[n] = s
		n++
	}
	switch {
	case asked == 0:
		return 0, true
	case n == 0:
		return 0, false
	case sum > size:
		return 0, true
	}
	return n, true
}

// parseRange reads FIRST-LAST, FIRST- or -LENGTH. A span without bytes cannot be satisfied.
func parseRange(b []byte, size int64) (s span, valid bool) {
	if b[0] == '-' {
		n, rest, ok := digits(b[1:])
		if !ok || len(rest) > 0 {
			return s, false
		}
		return span{size - min(n, size), size}, true
	}
	first, rest, ok := digits(b)
	if !ok || len(rest) == 0 || rest[0] != '-' {
		return s, false
	}
	last := int64(math.MaxInt64)
	if rest = rest[1:]; len(rest) > 0 {
		if last, rest, ok = digits(rest); !ok || len(rest) > 0 || last < first {
			return s, false
		}
	}
	if first >= size {
		return s, true
	}
	return span{first, min(last, size-1) + 1}, true
}

// digits reads a number, which ends at 2^63-1: no file is larger.
func digits(b []byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i]-'0' < 10; i++ {
		d := int64(b[i] - '0')
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	return n, b[i:], i > 0
}

// appendContentRange appends the value of Content-Range for a span.
func appendContentRange(dst []byte, s span, size int64) []byte {
	dst = append(dst, "bytes "...)
	dst = strconv.AppendInt(dst, s.from, 10)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, s.to-1, 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, size, 10)
}

// appendPart appends what stands before a part of multipart/byteranges (9110 14.6).
func appendPart(dst []byte, boundary, ctype string, first bool, s span, size int64) []byte {
	if !first {
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "--"...)
	dst = append(dst, boundary...)
	dst = append(dst, "\r\n"...)
	dst, _ = http1.AppendField(dst, "Content-Type", ctype)
	dst = append(dst, "Content-Range: "...)
	dst = appendContentRange(dst, s, size)
	return append(dst, "\r\n\r\n"...)
}

// appendLastPart appends what stands behind the last one.
func appendLastPart(dst []byte, boundary string) []byte {
	dst = append(dst, "\r\n--"...)
	dst = append(dst, boundary...)
	return append(dst, "--\r\n"...)
}
