package clienthello

import "encoding/binary"

// cursor is what of some bytes has not been read. Each method takes from the front; ok is false
// when that is not there, and nothing is taken then.
type cursor []byte

func (c *cursor) take(n int) (b []byte, ok bool) {
	if len(*c) < n {
		return nil, false
	}
	b, *c = (*c)[:n:n], (*c)[n:]
	return b, true
}

func (c *cursor) uint16() (v uint16, ok bool) {
	b, ok := c.take(2)
	if !ok {
		return 0, false
	}
	return binary.BigEndian.Uint16(b), true
}

// vector8 takes a length of one byte and as many bytes.
func (c *cursor) vector8() (b cursor, ok bool) {
	if len(*c) < 1 || len(*c) < 1+int((*c)[0]) {
		return nil, false
	}
	n := 1 + int((*c)[0])
	b, *c = (*c)[1:n:n], (*c)[n:]
	return b, true
}

// vector16 takes a length of two bytes and as many bytes.
func (c *cursor) vector16() (b cursor, ok bool) {
	if len(*c) < 2 {
		return nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(*c))
	if len(*c) < n {
		return nil, false
	}
	b, *c = (*c)[2:n:n], (*c)[n:]
	return b, true
}
