package http1

import (
	"encoding/binary"
	"math/bits"
)

// class says for each byte where it may stand.
var class = func() (t [256]uint8) {
	for c := range t {
		b := byte(c)
		alnum := b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if alnum || oneOf(b, "!#$%&'*+-.^_`|~") {
			t[c] |= isToken // 9110 5.6.2
		}
		if b > ' ' && b < 0x7f && b != '#' {
			t[c] |= isTarget
		}
		if alnum || oneOf(b, "-._~") {
			t[c] |= isName // 3986 2.3, unreserved
		}
	}
	return t
}()

const (
	isToken  = 1 << iota // may stand in a method or a field name
	isTarget             // may stand in a request target
	isName               // may stand in a host name
)

func oneOf(b byte, set string) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// skipText returns the index of the first byte at or after i that may not stand in a field value
// or a chunk extension: a control byte other than HTAB. It is len(b) when there is none.
//
// It looks at eight bytes at a time: values are most of a head's bytes. A byte below 0x20 borrows
// from its upper neighbours when 0x20 is subtracted from each, so only the lowest mark of a word
// is certain, and only that one is used.
func skipText(b []byte, i int) int {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ ones*0x7f
		marks := ((x-ones*0x20)&^x | (del-ones)&^del) & tops
		if marks == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(marks) >> 3
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && (b[i] >= ' ' && b[i] != 0x7f || b[i] == '\t') {
		i++
	}
	return i
}

// equalFold reports whether b is s but for the case of ASCII letters. s is in lower case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if lower(c) != s[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' < 26 {
		return c | 0x20
	}
	return c
}

// trim returns b without the white space (SP, HTAB) at both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// hexValue returns the value of a hexadecimal digit, or 16 when c is none.
func hexValue(c byte) byte {
	switch {
	case c-'0' < 10:
		return c - '0'
	case (c|0x20)-'a' < 6:
		return (c | 0x20) - 'a' + 10
	}
	return 16
}
