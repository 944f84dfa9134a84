package wire

import (
	"bytes"
	"strconv"
)

// maxHeadLine bounds one line of a reply's head or of its chunk framing, in bytes; maxReplyLines bounds how many there
// may be in one head.
const (
	maxHeadLine   = 64 << 10
	maxReplyLines = 1000
)

// The states of an HTTP reply. The order is that of the wire.
const (
	statusLine = iota
	headLine
	fixedBody  // left bytes of body follow
	chunkSize  // a line with the size of the next chunk
	chunkBody  // left bytes of chunk follow
	chunkEnd   // the empty line after a chunk
	trailer    // lines up to an empty one
	untilClose // a body that the end of the connection ends
)

// httpReplies follows HTTP/1.x replies. Lines are taken whole from the input where possible and put together in
// line only when they are split.
type httpReplies struct {
	state   int
	line    []byte // the part of a split line that came so far
	lines   int    // of this head
	status  int
	left    int64 // of the body or chunk
	length  int64 // Content-Length, -1 when there is none
	chunked bool
	closes  bool
}

// feed reports whether b made sense.
func (h *httpReplies) feed(b []byte, c *Count) bool {
	for len(b) > 0 {
		switch h.state {
		case untilClose:
			return true
		case fixedBody, chunkBody:
			n := min(int64(len(b)), h.left)
			b = b[n:]
			if h.left -= n; h.left > 0 {
				return true
			}
			if h.state == chunkBody {
				h.state = chunkEnd
			} else {
				h.done(c)
			}
		default:
			i := bytes.IndexByte(b, '\n')
			if i < 0 {
				h.line = append(h.line, b...)
				return len(h.line) <= maxHeadLine
			}
			line := b[:i]
			if len(h.line) > 0 {
				h.line = append(h.line, line...)
				line = h.line
			}
			b = b[i+1:]
			ok := len(line) <= maxHeadLine && h.take(bytes.TrimSuffix(line, []byte("\r")), c)
			h.line = h.line[:0]
			if !ok {
				return false
			}
		}
	}
	return true
}

// take handles one whole line of a head or of chunk framing.
func (h *httpReplies) take(line []byte, c *Count) bool {
	if h.lines++; h.lines > maxReplyLines && h.state != chunkSize && h.state != chunkEnd {
		return false
	}
	switch h.state {
	case statusLine:
		return h.takeStatus(line)
	case headLine:
		if len(line) > 0 {
			return h.takeField(line)
		}
		h.body(c)
	case chunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 63)
		if err != nil || n < 0 {
			return false
		}
		h.left, h.state = n, chunkBody
		if n == 0 {
			h.state, h.lines = trailer, 0
		}
	case chunkEnd:
		h.state = chunkSize
		return len(line) == 0
	case trailer:
		if len(line) == 0 {
			h.done(c)
		}
	}
	return true
}

func (h *httpReplies) takeStatus(line []byte) bool {
	// "HTTP/1.1 200 OK"; the reason may be missing.
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return false
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 {
		return false
	}
	h.state, h.status, h.length, h.chunked = headLine, status, -1, false
	h.closes = line[7] == '0'
	return true
}

func (h *httpReplies) takeField(line []byte) bool {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return false
	}
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 {
			return false
		}
		h.length = n
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Connection")):
		if bytes.EqualFold(value, []byte("close")) {
			h.closes = true
		} else if bytes.EqualFold(value, []byte("keep-alive")) {
			h.closes = false
		}
	}
	return true
}

// body decides what follows a complete head.
func (h *httpReplies) body(c *Count) {
	switch {
	case h.status == 101:
		h.done(c) // counted as bad: nobody asked for it
	case h.status < 200:
		h.state, h.lines = statusLine, 0 // interim: the reply proper follows
	case h.status == 204 || h.status == 304:
		h.done(c)
	case h.chunked:
		h.state = chunkSize
	case h.length == 0:
		h.done(c)
	case h.length > 0:
		h.left, h.state = h.length, fixedBody
	default:
		h.state, h.closes = untilClose, true
	}
}

func (h *httpReplies) done(c *Count) {
	if h.status >= 200 && h.status < 400 {
		c.OK++
	} else {
		c.Bad++
	}
	c.Close = c.Close || h.closes
	h.state, h.lines = statusLine, 0
}
