package files

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"golang.org/x/sys/unix"

	"weir/codec/length"
	"weir/engine/service"
)

const (
	// copyBytes is up to where reading and writing is cheaper than sendfile: the head and the body
	// then go out in one call.
	copyBytes = 32 << 10
	// sendBytes is how much of a file is looked for in the page cache at once.
	sendBytes = 2 << 20
)

// body is the service.Source of a file or of parts of it. It is its loop's and used again.
type body struct {
	o       *opener
	f       *file
	span           // what is left of the present part
	text    []byte // to be sent before it: framing of multipart
	buf     []byte
	parts   [maxRanges]span
	n, next int // parts[next:n] are still to come; n is 0 when there is but one
	ctype   string
	read    bool    // a worker has just read what comes next
	frames  *framed // of the frame protocol, else nil
}

// framed cuts a span into frames.
type framed struct {
	to     int64 // where the last one ends
	most   int   // bytes of one, its mark included
	sum    hash.Hash
	seen   int64 // what of the file is in sum
	done   bool  // the frame that says so is being sent
	failed bool  // what is to be in sum could not be read
}

// inFrames has the source send a span in frames, and one more behind them.
func (b *body) inFrames(s span, most int, hashed bool) {
	b.frames = &framed{to: s.to, most: most, seen: s.from}
	if hashed {
		b.frames.sum = sha256.New()
	}
	b.span = span{s.from, s.from}
	b.nextFrame()
}

// nextFrame goes on to the next frame, or to that which says that there are no more.
func (b *body) nextFrame() {
	f := b.frames
	if b.from == f.to {
		f.done = true
		line := "END"
		if f.sum != nil {
			line += " sha256=" + hex.EncodeToString(f.sum.Sum(nil))
		}
		b.buf = appendLine(b.buf[:0], line)
		b.text = b.buf
		return
	}
	n := min(int64(f.most-1), f.to-b.from)
	b.to = b.from + n
	b.buf = append(length.AppendHeader(b.buf[:0], int(n)+1), dataMark)
	b.text = b.buf
}

// summed reports whether what comes next is in the digest, as far as it is to be. It is read for that by
// a worker, which is a reading that sending it has no need of any more.
func (b *body) summed() bool {
	return b.frames == nil || b.frames.sum == nil || b.frames.seen >= b.to
}

// body borrows a source for one span of a file.
func (o *opener) body(f *file, s span) *body {
	var b *body
	if n := len(o.bodies); n > 0 {
		b = o.bodies[n-1]
		o.bodies = o.bodies[:n-1]
	} else {
		b = &body{o: o}
	}
	f.hold()
	b.f, b.span = f, s
	return b
}

// multipart has the source send several parts.
func (b *body) multipart(parts []span, ctype string) {
	b.n, b.next = copy(b.parts[:], parts), 0
	b.ctype = ctype
	b.advance()
}

// advance goes on to the next part, or to what stands behind the last.
func (b *body) advance() {
	switch {
	case b.next < b.n:
		b.span = b.parts[b.next]
		b.buf = appendPart(b.buf[:0], b.o.boundary, b.ctype, b.next == 0, b.span, b.f.is.size)
	case b.next == b.n:
		b.buf = appendLastPart(b.buf[:0], b.o.boundary)
	}
	b.next++
	b.text = b.buf
}

// flow is how it goes on behind what was sent.
func (b *body) flow() service.Flow {
	if b.from == b.to && len(b.text) == 0 {
		switch {
		case b.frames != nil && b.frames.done:
			return service.End
		case b.frames != nil:
			b.nextFrame()
			return service.More
		case b.n == 0 || b.next > b.n:
			return service.End
		}
		b.advance()
	}
	return service.More
}

// File is service.Source's.
func (b *body) File(c service.Conn) (r service.Range, f service.Flow) {
	if b.frames != nil && b.frames.failed {
		return r, service.Broken
	}
	if len(b.text) == 0 && !b.summed() {
		return r, b.fetch(c)
	}
	if len(b.text) > 0 || b.to-b.from <= copyBytes {
		return r, service.More
	}
	n := b.f.cached(b.from, min(b.to-b.from, sendBytes), c.Now())
	if n == 0 {
		return r, b.fetch(c)
	}
	return service.Range{FD: b.f.fd, Offset: b.from, N: n}, service.More
}

// Sent is service.Source's.
func (b *body) Sent(n int) {
	b.from += int64(n)
	b.flow()
}

// Read is service.Source's.
func (b *body) Read(c service.Conn, p []byte) (n int, f service.Flow) {
	if len(b.text) > 0 {
		n = copy(p, b.text)
		b.text = b.text[n:]
		return n, b.flow()
	}
	if b.from == b.to {
		return 0, service.End
	}
	if b.frames != nil && b.frames.failed {
		return 0, service.Broken
	}
	if !b.summed() {
		return 0, b.fetch(c)
	}
	p = p[:min(int64(len(p)), b.to-b.from)]
	var errno unix.Errno
	if b.f.asks == nowait && !b.read {
		if n, errno = preadNoWait(b.f.fd, p, b.from); errno == unix.EAGAIN {
			return 0, b.fetch(c)
		}
	} else {
		if n = int(b.f.cached(b.from, int64(len(p)), c.Now())); n == 0 {
			return 0, b.fetch(c)
		}
		n, errno = pread(b.f.fd, p[:n], b.from)
	}
	b.read = false
	if errno != 0 || n <= 0 { // the file has become shorter: the length that was promised is not there
		return 0, service.Broken
	}
	b.from += int64(n)
	return n, b.flow()
}

// fetch has a worker read the piece that comes next, and has it sent whatever the page cache has kept of
// it by then.
func (b *body) fetch(c service.Conn) service.Flow {
	f, from := b.f, b.from&^(touchBytes-1)
	n := min(touchBytes, f.is.size-from)
	f.hold()
	if !b.summed() {
		to := b.to // one frame, which is less
		ok := false
		if !c.Work(func() { defer f.release(); ok = f.digest(b.frames.sum, b.from, to) }, func() {
			b.frames.seen, b.frames.failed, b.read = to, !ok, true
		}) {
			f.release()
			return service.Later
		}
		return service.Pause
	}
	if !c.Work(func() { defer f.release(); f.touch(from, n) }, func() { f.saw(from, n, c.Now()); b.read = true }) {
		f.release()
		return service.Later
	}
	return service.Pause
}

// Release is service.Source's.
func (b *body) Release() {
	b.f.release()
	*b = body{o: b.o, buf: b.buf[:0]}
	b.o.bodies = append(b.o.bodies, b)
}
