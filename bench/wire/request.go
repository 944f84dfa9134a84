package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"weir/bench/target"
)

// MaxSize is the largest payload of a request, in bytes.
const MaxSize = 16 << 20

// Request is the bytes of one request, the same each time, and what its reply looks like. It is not changed once
// made: any goroutine.
type Request struct {
	Bytes  []byte // as sent; not to be changed
	scheme target.Scheme
	echo   []byte // frames and lines: the whole reply
}

// NewRequest returns the request for t. size is in bytes, 0 to [MaxSize]: of the payload of a frame or a line
// (its LF not counted); for HTTP 0 makes a GET and more makes a POST with such a body.
func NewRequest(t target.Target, size int) (*Request, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("size %d: must be from 0 to %d bytes", size, MaxSize)
	}
	r := &Request{scheme: t.Scheme}
	switch t.Scheme {
	case target.HTTP:
		if size == 0 {
			r.Bytes = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\n\r\n", t.Path, t.Host)
			return r, nil
		}
		r.Bytes = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Length: %d\r\n\r\n",
			t.Path, t.Host, size)
		r.Bytes = append(r.Bytes, payload(size)...)
	case target.Frames:
		r.Bytes = append(binary.BigEndian.AppendUint32(nil, uint32(size)), payload(size)...)
		r.echo = r.Bytes
	case target.Line:
		r.Bytes = append(payload(size), '\n')
		r.echo = r.Bytes
	default:
		return nil, fmt.Errorf("no requests for scheme %q", t.Scheme)
	}
	return r, nil
}

// SizeOr returns size, or when it is 0 the usual one: no body for HTTP, which makes a GET, and 64 bytes otherwise.
func SizeOr(t target.Target, size int) int {
	if size == 0 && t.Scheme != target.HTTP {
		return 64
	}
	return size
}

// payload is size bytes of text without a line end, in which a shift by any small number of bytes shows.
func payload(size int) []byte {
	const text = "abcdefghijklmnopqrstuvwxyz0123456789-"
	return bytes.Repeat([]byte(text), size/len(text)+1)[:size]
}

// Stream is what an attack sends on a connection: requests, or one that never ends. [Stream.Append] gives the bytes at
// any offset. Any goroutine.
type Stream struct {
	first []byte // sent once
	again []byte // then repeated for ever; empty: there is no more
}

// NewStream returns a stream for t: for HTTP a request head whose fields never end, for a line one that never
// ends, for frames one frame of size bytes after the other, 1 ≤ size ≤ [MaxSize].
func NewStream(t target.Target, size int) (*Stream, error) {
	if size < 1 || size > MaxSize {
		return nil, fmt.Errorf("size %d: must be from 1 to %d bytes", size, MaxSize)
	}
	switch t.Scheme {
	case target.HTTP:
		return &Stream{
			first: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n", t.Path, t.Host),
			again: []byte("X-Drip: 1\r\n"),
		}, nil
	case target.Frames:
		return &Stream{again: append(binary.BigEndian.AppendUint32(nil, uint32(size)), payload(size)...)}, nil
	case target.Line:
		return &Stream{again: []byte("drip ")}, nil
	}
	return nil, fmt.Errorf("no stream for scheme %q", t.Scheme)
}

// Append appends the n bytes of the stream that begin at offset to dst. n ≥ 0, offset ≥ 0.
func (s *Stream) Append(dst []byte, offset int64, n int) []byte {
	for n > 0 {
		part := s.first
		if at := offset - int64(len(s.first)); at >= 0 {
			if len(s.again) == 0 {
				return dst
			}
			part = s.again[at%int64(len(s.again)):]
		} else {
			part = part[offset:]
		}
		part = part[:min(n, len(part))]
		dst = append(dst, part...)
		offset += int64(len(part))
		n -= len(part)
	}
	return dst
}

// Repeat is the request again and again.
func (r *Request) Repeat() *Stream { return &Stream{again: r.Bytes} }
