package http1

import (
	"math"

	"weir/codec"
)

// Response is the head of the response that was decoded last, as views into the bytes it was decoded
// from. As with Request one serves all connections of a loop, and it is valid after a Frame until the
// next call of Decode of any ResponseDecoder that shares it. On the loop's goroutine only.
type Response struct {
	// Minor is the HTTP version: 1.Minor, 0 or 1.
	Minor uint8
	// Status is the status code, 100 to 599.
	Status int
	// Chunked reports that the body is chunked, or that it would be where none follows.
	Chunked bool
	// ContentLength is what Content-Length says, -1 without the field. In the answer to HEAD and in
	// 304 no body follows all the same.
	ContentLength int64
	// Body reports that a body follows: Parts, and then an End.
	Body bool
	// UntilClose reports that the end of the connection ends the body: End comes from EOF.
	UntilClose bool
	// KeepAlive reports that the server takes another request on the connection when this response
	// is complete (9112 9.3).
	KeepAlive bool
	// Upgrade reports that Connection lists "upgrade".
	Upgrade bool

	reason span
	q      Request // the scratch; only what concerns fields is used of it
}

// NewResponse makes the scratch that the decoders of one loop and one set of limits share. MaxTarget
// has no meaning. Any goroutine, before the decoders that share it.
func NewResponse(l Limits) *Response {
	r := &Response{q: *NewRequest(l)}
	r.q.answer = true
	return r
}

// Limits returns the limits in force: no zeros except in MaxBody.
func (r *Response) Limits() Limits { return r.q.limits }

// Reason returns the reason phrase, which may be empty: text without control bytes but HTAB.
func (r *Response) Reason() []byte { return r.q.view(r.reason) }

// NumFields, Field, Get and Next are as those of Request.

// NumFields returns the number of fields, repeated names counted each.
func (r *Response) NumFields() int { return r.q.n }

// Field returns the i-th field in the order of arrival, 0 ≤ i < NumFields.
func (r *Response) Field(i int) (name, value []byte) { return r.q.Field(i) }

// Get returns the value of the first field with the name, which must be given in lower case.
func (r *Response) Get(name string) (value []byte, found bool) { return r.q.Get(name) }

// Next returns the index of the first field at or after i with the name, in lower case, or -1.
func (r *Response) Next(name string, i int) int { return r.q.Next(name, i) }

// Asked is what a response depends on beside its own bytes: the request that it answers.
type Asked struct {
	Head    bool // the method was HEAD: no body follows
	Connect bool // the method was CONNECT: after 2xx the connection is a tunnel
	Upgrade bool // another protocol was asked for: 101 may come
}

// ResponseDecoder decodes what one server sends. It is 56 bytes; make it with NewResponseDecoder, or
// keep it in a larger struct and call Reset. It allocates nothing. On the loop's goroutine only: it
// shares its Response with the other connections of the loop.
type ResponseDecoder struct {
	d     Decoder
	r     *Response
	asked Asked
	phase phase
}

type phase uint8

const (
	unasked    phase = iota // nobody has asked: any byte is wrong
	due                     // a response, or the final one after interim ones, is to come or under way
	untilClose              // in a body that the end of the connection ends
	switched                // what follows is not HTTP
)

// The response's line goes through the places of the request's.
const (
	inStatus = inMethod  // in "HTTP/1.x nnn"
	inReason = inTarget  // behind the code
	reasonLF = inVersion // after the line's CR
)

// NewResponseDecoder returns a decoder that fills r and keeps r's limits. On the loop's goroutine only.
func NewResponseDecoder(r *Response) *ResponseDecoder {
	d := new(ResponseDecoder)
	d.Reset(r)
	return d
}

// Reset makes d ready for the first byte of a connection.
func (d *ResponseDecoder) Reset(r *Response) {
	*d = ResponseDecoder{r: r}
	d.d.Reset(&r.q)
}

// Ask says that a request has been sent, to which the next response is the answer. One at a time: it
// must not be called before the last one is Complete.
func (d *ResponseDecoder) Ask(a Asked) { d.asked, d.phase = a, due }

// Response returns the shared Response, valid as described there.
func (d *ResponseDecoder) Response() *Response { return d.r }

// Complete reports whether all that was asked for has come, so that Ask may follow.
func (d *ResponseDecoder) Complete() bool { return d.phase == unasked && d.d.state != failed }

// Switched reports whether what follows is not HTTP: after 101, and after 2xx to CONNECT.
func (d *ResponseDecoder) Switched() bool { return d.phase == switched }

// Partial reports whether a response has begun and is not complete.
func (d *ResponseDecoder) Partial() bool { return d.phase == untilClose || d.d.Partial() }

// Decode returns the next unit, as Decoder.Decode does. Interim responses (1xx) are Frames without a
// body; behind them the answer is still to come. After Switched it finds nothing any more.
//
// Faults: HeadTooLarge, TooManyFields, BadVersion, BadField, BadLineEnd, BadLength, LengthConflict,
// BadCoding, BadChunk, BadTrailer, BodyTooLarge, and BadStatus, for bytes that nobody asked for too. A
// fault is final.
//
// hot: 0 allocs, ≤ 250 ns for a head with five fields and a body, see BenchmarkResponse
func (d *ResponseDecoder) Decode(b []byte) (u codec.Unit) {
	h := &d.d
	switch {
	case h.state == failed:
		u.Kind = codec.Bad
	case d.phase == switched, len(b) == 0 && (h.state <= done || d.phase == untilClose):
		u.Kind = codec.More
	case d.phase == unasked:
		u.Kind, u.N, u.Data = h.bad(codec.BadStatus)
	case d.phase == untilClose:
		n := int(min(int64(len(b)), h.budget))
		if n == 0 {
			u.Kind, u.N, u.Data = h.bad(codec.BodyTooLarge)
			break
		}
		h.budget -= int64(n)
		u.Kind, u.N, u.Data = codec.Part, n, b[:n:n]
	case h.state <= done:
		u.Kind, u.N, u.Data = d.head(b)
	default:
		if h.state == inLength {
			u.Kind, u.N, u.Data = h.body(b)
		} else {
			u.Kind, u.N, u.Data = h.chunks(b)
		}
		if u.Kind == codec.End {
			d.phase = unasked
		}
	}
	u.Fault = h.fault
	return u
}

// EOF says that the server has finished sending and that all it has sent is decoded. It returns an End
// when that ends a body, Bad with Truncated when something is missing, else More.
func (d *ResponseDecoder) EOF() codec.Unit {
	switch {
	case d.phase == untilClose:
		d.phase = unasked
		return codec.Unit{Kind: codec.End}
	case d.d.Partial() || d.phase == due:
		d.d.bad(codec.Truncated)
		return codec.Unit{Kind: codec.Bad, Fault: codec.Truncated}
	}
	return codec.Unit{Kind: codec.More}
}

func (d *ResponseDecoder) head(b []byte) (kind codec.Kind, n int, data []byte) {
	h := &d.d
	most := h.req.limits.MaxHead
	w := b[:min(len(b), most)]
	if h.state == start {
		h.state = inStatus
	}
	resumed := h.pos > 0
	if f := d.scan(w); f != codec.OK {
		return h.bad(f)
	}
	if h.state != done {
		if len(w) == most {
			return h.bad(codec.HeadTooLarge)
		}
		return codec.More, 0, nil
	}
	if resumed { // as in Decoder.head
		h.clear(inStatus)
		if f := d.scan(w); f != codec.OK {
			return h.bad(f)
		}
	}
	n = int(h.pos)
	data = w[:n:n]
	if f := d.frame(data); f != codec.OK {
		return h.bad(f)
	}
	return codec.Frame, n, data
}

func (d *ResponseDecoder) scan(w []byte) codec.Fault {
	if d.d.state < inLine {
		if f := d.statusLine(w); f != codec.OK || d.d.state < inLine {
			return f
		}
	}
	return d.d.fieldLines(w)
}

// statusLine scans HTTP-version SP status-code [ SP reason-phrase ] CRLF (9112 4).
func (d *ResponseDecoder) statusLine(w []byte) codec.Fault {
	const pattern = "HTTP/1.x nnn"
	h := &d.d
	i := int(h.pos)
	for ; h.state == inStatus && i < len(w); i++ {
		c := w[i]
		switch {
		case i == len(pattern) && c == ' ':
			h.mark, h.state = uint32(i)+1, inReason
		case i == len(pattern) && c == '\r':
			h.mark, h.state = uint32(i), reasonLF
			h.req.target = span{}
		case i == len(pattern):
			return lineFault(c)
		case i == 7 && c == '0':
		case i == 7 && c == '1':
			h.flags |= isMinor1
		case (i == 5 && c != '1' || i == 7) && c-'0' < 10:
			return codec.BadVersion
		case i == 9 && (c < '1' || c > '5'), i > 9 && c-'0' > 9:
			return codec.BadStatus
		case i < 9 && i != 7 && c != pattern[i], i == 7:
			return codec.BadStatus
		}
	}
	if h.state == inReason {
		i = skipText(w, i)
		if i < len(w) {
			if w[i] != '\r' {
				return lineFault(w[i])
			}
			h.req.target = span{h.mark, uint32(i)}
			h.state = reasonLF
			i++
		}
	}
	if h.state == reasonLF && i < len(w) {
		if w[i] != '\n' {
			return codec.BadLineEnd
		}
		i++
		h.mark, h.state = uint32(i), inLine
	}
	h.pos = uint32(i)
	return codec.OK
}

// lineFault is what is wrong with a byte that may not stand in a status line.
func lineFault(c byte) codec.Fault {
	if c == '\n' {
		return codec.BadLineEnd
	}
	return codec.BadStatus
}

// frame judges what can only be judged at the end of the head, fills the Response and sets out for the
// body (9112 6.3).
func (d *ResponseDecoder) frame(head []byte) codec.Fault {
	h, r := &d.d, d.r
	q := &r.q
	q.head, q.n = head, int(h.fields)
	f := h.flags
	q.other = f&sawOther != 0
	r.reason = q.target
	r.Status = int(head[9]-'0')*100 + int(head[10]-'0')*10 + int(head[11]-'0')
	r.Minor = 0
	if f&isMinor1 != 0 {
		r.Minor = 1
	}
	r.Chunked = f&sawChunked != 0
	r.ContentLength = -1
	if f&sawLength != 0 {
		r.ContentLength = h.left
	}
	r.KeepAlive = f&sawClose == 0 && f&(isMinor1|sawKeepAlive) != 0
	r.Upgrade = f&sawUpgrade != 0
	r.Body, r.UntilClose = false, false

	interim := r.Status < 200
	none := interim || r.Status == 204
	switch {
	case none && r.Chunked:
		return codec.BadCoding
	case none && r.ContentLength > 0:
		return codec.BadLength
	case r.Status == 101 && !(d.asked.Upgrade && r.Upgrade && r.Minor == 1):
		return codec.BadStatus
	}
	switch {
	case r.Status == 101, d.asked.Connect && r.Status/100 == 2:
		h.clear(start)
		d.phase = switched
		return codec.OK
	case interim:
		h.clear(start)
		return codec.OK
	case none, d.asked.Head, r.Status == 304, r.ContentLength == 0 && !r.Chunked:
		h.clear(start)
		d.phase = unasked
		return codec.OK
	}
	most := q.limits.MaxBody
	if most == 0 {
		most = math.MaxInt64
	}
	if r.ContentLength > most {
		return codec.BodyTooLarge
	}
	r.Body = true
	switch {
	case r.Chunked:
		h.clear(inSize)
		h.budget = most
	case r.ContentLength > 0:
		h.clear(inLength)
		h.left = r.ContentLength
	default:
		h.clear(start)
		h.budget = most
		d.phase, r.UntilClose, r.KeepAlive = untilClose, true, false
	}
	return codec.OK
}
