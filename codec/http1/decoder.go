package http1

import (
	"math"
	"unsafe"

	"weir/codec"
)

// Decoder decodes the requests of one connection. It is 48 bytes; make it with NewDecoder, or keep
// it in a larger struct and call Reset. The zero value is not ready for use. It allocates nothing.
// On the loop's goroutine only: it shares its Request with the other connections of the loop.
type Decoder struct {
	req    *Request
	left   int64  // bytes of the Content-Length body or of the chunk that are still to come
	budget int64  // bytes that later chunks of this body may have
	pos    uint32 // head: b[:pos] has been looked at. Body: bytes of chunk extensions so far
	mark   uint32 // head: where the target, then the line, begins. Body: bytes of trailers so far
	sep    uint32 // head: where the version begins, then where the field's colon is
	flags  uint16
	fields uint16 // complete fields of this head
	state  state
	digits uint8 // of the chunk size, ≤ 16
	fault  codec.Fault
}

var _ codec.Decoder = (*Decoder)(nil)

type state uint8

// The states in the order a request goes through them. Those up to done are the head's, which stays
// in b until it is complete; the bytes of the others are finished with as they are looked at.
const (
	start   state = iota // nothing of a request has arrived
	startLF              // a CR in front of the request
	inMethod
	inTarget
	inVersion
	inLine  // at the beginning of a line
	inName  // in a field's name
	inValue // after a field's colon
	fieldLF // after the CR of a field line
	headLF  // after the CR of the empty line
	done    // the head is complete

	inLength // in a body with Content-Length
	inSize   // in the digits of a chunk size
	inExtension
	sizeLF
	inData
	dataCR
	dataLF
	trailerLine
	trailerName
	trailerValue
	trailerLF
	endLF // after the CR of the empty line that ends the trailers

	failed
)

// NewDecoder returns a decoder that fills r and keeps r's limits. On the loop's goroutine only.
func NewDecoder(r *Request) *Decoder {
	d := new(Decoder)
	d.Reset(r)
	return d
}

// Reset makes d ready for the first byte of a connection.
func (d *Decoder) Reset(r *Request) { *d = Decoder{req: r} }

// Request returns the shared Request, valid as described there.
func (d *Decoder) Request() *Request { return d.req }

// Decode returns the next unit of the request. A Frame's Data is the head's bytes. A Part is at
// most what is left of the body, or of the chunk, in b; its N includes the chunk's framing. An End
// may have N 0: it comes with the call after the last Part, even if b is empty then.
//
// Faults: those listed in package codec from HeadTooLarge to BadExpect. A fault is final; later
// calls repeat it.
//
// hot: 0 allocs, ≤ 150 ns for GET with three fields, see BenchmarkRequest
func (d *Decoder) Decode(b []byte) (u codec.Unit) {
	// A Unit is five words, which the compiler does not keep in registers: handing it up
	// through each function cost 10 ns a level. Below this line there are only scalars.
	switch {
	case d.state <= startLF:
		u.Kind, u.N, u.Data = d.begin(b)
	case d.state <= done:
		u.Kind, u.N, u.Data = d.head(b)
	case d.state == inLength:
		u.Kind, u.N, u.Data = d.body(b)
	case d.state < failed:
		u.Kind, u.N, u.Data = d.chunks(b)
	default:
		u.Kind = codec.Bad
	}
	u.Fault = d.fault
	return u
}

// Again has the Request show a head that d has returned in a Frame before. It is for who is offered one
// again, or later than it was decoded: other decoders may have used the Request since, and the head may
// have moved. It costs nothing when the Request shows it still.
func (d *Decoder) Again(head []byte) {
	r := d.req
	if r.by == uintptr(unsafe.Pointer(d)) && len(r.head) == len(head) && unsafe.SliceData(r.head) == unsafe.SliceData(head) {
		return
	}
	again := Decoder{req: r}
	again.Decode(head)
	r.by = uintptr(unsafe.Pointer(d))
}

// Lacks is always 1: any byte may be a fault, and body bytes are handed on as they come.
func (d *Decoder) Lacks() int { return 1 }

// Partial reports whether a request has begun and is not complete, its body included. The empty
// line that may stand in front of a request does not begin one.
func (d *Decoder) Partial() bool { return d.state != start && d.state != failed }

// begin skips the empty line that 9112 2.2 asks servers to ignore: old clients send a CRLF after a
// body. One, because an endless row of them must not look like a request that is under way.
func (d *Decoder) begin(b []byte) (kind codec.Kind, n int, data []byte) {
	if len(b) == 0 {
		return codec.More, 0, nil
	}
	if b[0] != '\r' || d.flags&sawCRLF != 0 {
		d.state = inMethod
		return d.head(b)
	}
	if len(b) == 1 {
		d.state = startLF
		return codec.More, 0, nil
	}
	if b[1] != '\n' {
		return d.bad(codec.BadLineEnd)
	}
	d.flags |= sawCRLF
	d.state = start
	if len(b) == 2 {
		return codec.More, 2, nil
	}
	d.state = inMethod
	if kind, n, data = d.head(b[2:]); kind != codec.Bad {
		n += 2
	}
	return kind, n, data
}

func (d *Decoder) head(b []byte) (kind codec.Kind, n int, data []byte) {
	most := d.req.limits.MaxHead
	w := b[:min(len(b), most)]
	resumed := d.pos > 0
	if f := d.scan(w); f != codec.OK {
		return d.bad(f)
	}
	if d.state != done {
		if len(w) == most {
			return d.bad(codec.HeadTooLarge)
		}
		return codec.More, 0, nil
	}
	if resumed {
		// Other connections have used the Request since, and b may have moved: look at the
		// complete head once more. Keeping the offsets in each Decoder instead would make
		// every idle connection pay 16 bytes per allowed field for what slow ones need.
		d.clear(inMethod)
		if f := d.scan(w); f != codec.OK {
			return d.bad(f) // only if the caller changed bytes that were looked at
		}
	}
	n = int(d.pos)
	data = w[:n:n]
	if f := d.frame(data); f != codec.OK {
		return d.bad(f)
	}
	return codec.Frame, n, data
}

// frame judges what can only be judged at the end of the head, fills the Request and sets out for
// the body.
func (d *Decoder) frame(head []byte) codec.Fault {
	r := d.req
	r.head = head
	r.n = int(d.fields)
	r.by = uintptr(unsafe.Pointer(d))
	r.other = d.flags&sawOther != 0
	if d.flags&sawHost == 0 {
		r.host = span{}
		if d.flags&isMinor1 != 0 {
			return codec.BadHost // 9112 3.2
		}
	} else if c := head[r.target.from]; c != '/' && c != '*' {
		if authority, _ := splitAbsolute(r.Target()); !sameHost(authority, r.view(r.host)) {
			return codec.BadHost
		}
	}
	most := r.limits.MaxBody
	if most == 0 {
		most = math.MaxInt64
	}
	if d.left > most {
		return codec.BodyTooLarge
	}

	f := d.flags
	r.Minor = 0
	if f&isMinor1 != 0 {
		r.Minor = 1
	}
	r.Head = string(r.Method()) == "HEAD"
	r.KeepAlive = f&sawClose == 0 && f&(isMinor1|sawKeepAlive) != 0
	r.Upgrade = f&(isMinor1|sawUpgrade) == isMinor1|sawUpgrade
	r.Chunked = f&sawChunked != 0
	r.ContentLength = d.left
	r.ExpectContinue = f&sawExpect != 0 && (r.Chunked || d.left > 0)

	switch {
	case r.Chunked:
		r.ContentLength = -1
		d.clear(inSize)
		d.budget = most
	case d.left > 0:
		d.clear(inLength)
		d.left = r.ContentLength
	default:
		d.clear(start)
	}
	return codec.OK
}

// body hands on bytes of a Content-Length body.
func (d *Decoder) body(b []byte) (kind codec.Kind, n int, data []byte) {
	if d.left == 0 {
		d.clear(start)
		return codec.End, 0, nil
	}
	if len(b) == 0 {
		return codec.More, 0, nil
	}
	n = int(min(int64(len(b)), d.left))
	d.left -= int64(n)
	return codec.Part, n, b[:n:n]
}

// clear forgets everything about the request but for where to go on. It leaves the pointer alone:
// storing one costs a write barrier.
func (d *Decoder) clear(next state) {
	d.left, d.budget = 0, 0
	d.pos, d.mark, d.sep = 0, 0, 0
	d.flags, d.fields, d.digits = 0, 0, 0
	d.state = next
}

func (d *Decoder) bad(f codec.Fault) (codec.Kind, int, []byte) {
	d.state, d.fault = failed, f
	return codec.Bad, 0, nil
}

func sameHost(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
