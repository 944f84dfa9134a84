package engine

import "github.com/valyala/bytebufferpool"

// Buffers come from two pools. One pool learns what size is usual and hands that out to everybody:
// after some large answers, each of ten thousand dripped heads would sit in 64 KiB.
var smallBuffers, largeBuffers bytebufferpool.Pool

const (
	smallBuffer = 4 << 10 // bytes; what a partial head or frame of a slow peer mostly needs
	largeBuffer = 4 << 20 // above this a buffer is left to the garbage collector
)

// borrow returns an empty buffer for about n bytes.
func borrow(n int) *bytebufferpool.ByteBuffer {
	if n <= smallBuffer {
		return smallBuffers.Get()
	}
	return largeBuffers.Get()
}

// giveBack takes a buffer of borrow's that is not used any more.
func giveBack(b *bytebufferpool.ByteBuffer) {
	switch n := cap(b.B); {
	case n <= smallBuffer:
		smallBuffers.Put(b)
	case n <= largeBuffer:
		largeBuffers.Put(b)
	}
}
