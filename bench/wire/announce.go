package wire

import (
	"encoding/binary"
	"fmt"

	"weir/bench/target"
)

// NewBody returns one request of which the first piece announces size bytes, 1 to [MaxSize], and which is complete only
// with the last of them: an HTTP body, a frame. A line announces nothing and is that long before its LF. head is how
// long that first piece is; a server that has it waits for the rest.
func NewBody(t target.Target, size int) (s *Stream, head int, err error) {
	if size < 1 || size > MaxSize {
		return nil, 0, fmt.Errorf("size %d: must be from 1 to %d bytes", size, MaxSize)
	}
	r, err := NewRequest(t, size)
	if err != nil {
		return nil, 0, err
	}
	head = len(r.Bytes) - size
	if t.Scheme == target.Line {
		head = 1
	}
	return &Stream{first: r.Bytes}, head, nil
}

// Oversize returns beginnings that announce more than any limit allows, or that never end, each followed by bytes
// without an end.
func Oversize(t target.Target) []*Stream {
	endless := func(first, again string) *Stream { return &Stream{first: []byte(first), again: []byte(again)} }
	switch t.Scheme {
	case target.HTTP:
		line := "GET " + t.Path + " HTTP/1.1\r\n"
		host := "Host: " + t.Host + "\r\n"
		post := "POST " + t.Path + " HTTP/1.1\r\n" + host
		chunked := post + "Transfer-Encoding: chunked\r\n\r\n"
		return []*Stream{
			endless("", "A"),                   // a method
			endless("GET /", "a"),              // a target
			endless(line+host+"X-Long: ", "a"), // a value
			endless(line+host, "a"),            // a field's name
			endless(line+host, "X: y\r\n"),     // fields
			endless("", "\r\n"),                // empty lines before a request
			endless(post+"Content-Length: 9223372036854775807\r\n\r\n", "body "),  // the most there can be
			endless(post+"Content-Length: 18446744073709551615\r\n\r\n", "body "), // and more
			endless(post+"Content-Length: ", "9"),                                 // digits
			endless(chunked+"7fffffffffffffff\r\n", "body "),                      // a chunk
			endless(chunked+"ffffffffffffffff\r\n", "body "),                      // a negative one, to some
			endless(chunked, "0"),                                                   // digits of a chunk's size
			endless(chunked+"1;", "extension;"),                                     // a chunk's extension
			endless(chunked, "1;e=1\r\nx\r\n"),                                      // chunks of a byte, half of it extensions
			endless(chunked+"0\r\n", "X-Trailer: y\r\n"),                            // trailers
			endless(post+"Expect: 100-continue\r\nContent-Length: ", "99999999999"), // digits again, with a promise before
		}
	case target.Frames:
		var all []*Stream
		for _, n := range []uint32{1<<32 - 1, 1<<32 - 4, 1 << 31, 1<<31 - 1, MaxSize + 1, 1 << 30} {
			all = append(all, endless(string(binary.BigEndian.AppendUint32(nil, n)), "frame "))
		}
		return all
	}
	return []*Stream{endless("", "line "), endless("", "\x00"), endless("", "\r"), endless("", "\xff")}
}
