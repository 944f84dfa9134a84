package engine

import "github.com/valyala/bytebufferpool"

// Buffers come in classes by what they are to hold, each with a pool of its own. One pool for all
// learns what size is usual and hands that out to everybody: after a while of 64 KiB frames a peer
// could make each one-byte piece of a head cost 128 KiB. What is larger than the last class is
// allocated as it is needed and left to the garbage collector, so that memory goes back after an
// attack instead of waiting in a pool.
var bufferClasses = [...]struct {
	bytes int
	pool  bytebufferpool.Pool
}{{bytes: 512}, {bytes: 4 << 10}, {bytes: 64 << 10}}

// borrow returns an empty buffer of the class for n bytes; it may have to grow.
func borrow(n int) *bytebufferpool.ByteBuffer {
	for i := range bufferClasses {
		if c := &bufferClasses[i]; n <= c.bytes {
			return c.pool.Get()
		}
	}
	return &bytebufferpool.ByteBuffer{B: make([]byte, 0, n)}
}

// giveBack takes a buffer of borrow's that is not used any more.
func giveBack(b *bytebufferpool.ByteBuffer) {
	for i := range bufferClasses {
		if c := &bufferClasses[i]; cap(b.B) <= c.bytes {
			c.pool.Put(b)
			return
		}
	}
}
