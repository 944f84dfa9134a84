package http1

import "strconv"

// Continue is the interim response that asks for the body (9110 15.2.1). It is sent once, before
// the first byte of the answer, when Request.ExpectContinue is set and the body is wanted.
const Continue = "HTTP/1.1 100 Continue\r\n\r\n"

// LastChunk ends a chunked body that has no trailers.
const LastChunk = "0\r\n\r\n"

// ChunkOverhead is the most that a chunk adds to its data, in bytes: 16 digits and two CRLFs.
const ChunkOverhead = 16 + 4

// Values of Head.Length other than a number of bytes.
const (
	Chunked  = -1 // the body follows in chunks; HTTP/1.1 peers only
	NoLength = -2 // neither field: the end of the connection ends the body, so Close must be set
)

// Head is what most responses say before their body. It is passed by value and not kept.
type Head struct {
	// Status is the status code, 100 to 599; any other is sent as 500.
	Status int
	// Date is the value of Date (9110 6.6.1), 29 bytes as Conn.Date returns it; anything else,
	// nil included, means no Date.
	Date []byte
	// ContentType is a media type; "" means none. One that could not stand in a field is sent
	// as application/octet-stream.
	ContentType string
	// Length is the size of the body in bytes, or Chunked, or NoLength. In the answer to HEAD
	// and in 304 it is what GET would have got, and no body follows. For 1xx and 204, which
	// have no body, nothing is sent (9110 8.6).
	Length int64
	// Close announces that the connection ends with this response (9112 9.6).
	Close bool
	// Minor0 says that the request was HTTP/1.0, where not closing must be announced. Without
	// effect when Close is set.
	Minor0 bool
}

// AppendHead appends a whole head, empty line included, and returns the extended slice. It
// allocates only to grow dst. Any goroutine.
//
// hot: 0 allocs, ≤ 60 ns, see BenchmarkAppendHead
func AppendHead(dst []byte, h Head) []byte {
	return append(AppendStart(dst, h), "\r\n"...)
}

// AppendStart is AppendHead without the empty line: fields may follow with AppendField, and then
// "\r\n" must. Any goroutine.
func AppendStart(dst []byte, h Head) []byte {
	if h.Status < 100 || h.Status > 599 {
		h.Status = 500
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(h.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, StatusText(h.Status)...)
	dst = append(dst, "\r\n"...)
	if len(h.Date) == 29 && skipText(h.Date, 0) == 29 {
		dst = append(dst, "Date: "...)
		dst = append(dst, h.Date...)
		dst = append(dst, "\r\n"...)
	}
	if h.ContentType != "" {
		if !isText(h.ContentType) {
			h.ContentType = "application/octet-stream"
		}
		dst = append(dst, "Content-Type: "...)
		dst = append(dst, h.ContentType...)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case h.Status < 200 || h.Status == 204:
	case h.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, h.Length, 10)
		dst = append(dst, "\r\n"...)
	case h.Length == Chunked:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	switch {
	case h.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case h.Minor0:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

// AppendField appends one field line. It reports false, and appends nothing, when name is no token
// or value holds CR, LF, NUL or another control byte than HTAB: what a peer sent us can therefore
// not become a field, or a response, of its own (response splitting). Any goroutine.
func AppendField(dst []byte, name, value string) ([]byte, bool) {
	if !isFieldName(name) || !isText(value) {
		return dst, false
	}
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...), true
}

func isFieldName(s string) bool {
	for i := range len(s) {
		if class[s[i]]&isToken == 0 {
			return false
		}
	}
	return s != ""
}

func isText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// AppendChunkHeader appends the line in front of a chunk of n bytes; the n bytes and "\r\n" must
// follow. n must be positive, since a chunk of 0 ends the body: anything else panics. Any goroutine.
func AppendChunkHeader(dst []byte, n int) []byte {
	if n <= 0 {
		panic("http1: chunk without data")
	}
	return append(strconv.AppendInt(dst, int64(n), 16), "\r\n"...)
}

// AppendChunk appends data as one chunk, or nothing when data is empty. The data is copied. Any
// goroutine.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	return append(append(AppendChunkHeader(dst, len(data)), data...), "\r\n"...)
}

// ErrorReply is a refusal in the protocol's words. It is passed by value and not kept.
type ErrorReply struct {
	// Status is the status code, 400 to 599; any other is sent as 500.
	Status int
	// Date is as in Head.
	Date []byte
	// Detail is a sentence for a person, put below the status in the body. Bytes other than
	// visible ASCII and space are sent as "?", and at most 200 of them, so it may quote a peer.
	Detail string
	// RetryAfter is the number of seconds after which the peer may try again (9110 10.2.3); 0
	// and below mean that nothing is said of it.
	RetryAfter int
	// Head says that the request was HEAD: the body is announced and left out.
	Head bool
	// GoesOn says that the connection is kept, which only a peer of HTTP/1.1 takes for granted.
	GoesOn bool
}

const maxDetail = 200 // bytes

// AppendError appends a whole response of text/plain that closes the connection unless it GoesOn, 450 bytes at
// most, and returns the extended slice. It allocates only to grow dst. Any goroutine.
func AppendError(dst []byte, e ErrorReply) []byte {
	if e.Status < 400 || e.Status > 599 {
		e.Status = 500
	}
	detail := e.Detail[:min(len(e.Detail), maxDetail)]
	text := StatusText(e.Status)
	length := 3 + 1 + len(text) + 1
	if detail != "" {
		length += len(detail) + 1
	}
	dst = AppendStart(dst, Head{
		Status:      e.Status,
		Date:        e.Date,
		ContentType: "text/plain; charset=utf-8",
		Length:      int64(length),
		Close:       !e.GoesOn,
	})
	if e.RetryAfter > 0 {
		dst = append(dst, "Retry-After: "...)
		dst = strconv.AppendInt(dst, int64(e.RetryAfter), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	if e.Head {
		return dst
	}
	dst = strconv.AppendInt(dst, int64(e.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, text...)
	dst = append(dst, '\n')
	if detail == "" {
		return dst
	}
	for i := range len(detail) {
		c := detail[i]
		if c < ' ' || c >= 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return append(dst, '\n')
}
