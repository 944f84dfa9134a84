// Package hello is a small HTTP service to try weir with: GET / says hello, /echo returns the body
// of any method as it arrives, and /whoami tells what the guard knows of the caller.
package hello

import (
	"weir/codec"
	"weir/codec/http1"
	"weir/engine/service"
	"weir/engine/service/web"
)

// Config bounds what one request may cost.
type Config struct {
	// MaxHeader is the largest request head in bytes; 0 means package http1's default, 16 KiB.
	MaxHeader int
	// MaxBody is the largest body in bytes; 0 means no limit. It is streamed, never stored.
	MaxBody int64
}

// New makes the service. Before engine.New.
func New(cfg Config) service.Service { return hello{cfg} }

type hello struct{ cfg Config }

func (h hello) Name() string { return "hello" }

func (h hello) ForLoop() service.Opener {
	return &opener{req: http1.NewRequest(http1.Limits{MaxHead: h.cfg.MaxHeader, MaxBody: h.cfg.MaxBody})}
}

// opener is one loop's part: scratch that its sessions share.
type opener struct {
	req *http1.Request
	// hello is the answer to GET /, made anew when the date changes.
	hello     []byte
	helloDate [29]byte
	buf       []byte
}

func (o *opener) Open(service.Conn) service.Session {
	s := &session{o: o}
	s.Reset(o.req)
	return s
}

// session is one connection: the decoder and what is done with the body of the present request.
type session struct {
	http1.Decoder
	o    *opener
	body use
	last bool // the connection ends with the present answer
}

// use is what becomes of a request's body.
type use uint8

const (
	none       use = iota // no body is under way
	drop                  // read and thrown away: the answer does not need it
	copied                // sent back as it comes
	copiedInto            // sent back as it comes, in chunks
)

func (s *session) Stage() service.Stage {
	switch {
	case s.body != none:
		return service.InBody
	case s.Partial():
		return service.InHead
	}
	return service.Between
}

func (s *session) Serve(c service.Conn, u codec.Unit) int {
	switch u.Kind {
	case codec.Frame:
		s.Again(u.Data) // somebody in front may have kept it until now
		s.answer(c)
		if s.last && s.body == none {
			c.Close()
		}
	case codec.Part:
		return s.part(c, u.Data)
	case codec.End:
		if s.body == copiedInto {
			c.WriteString(http1.LastChunk)
		}
		s.body = none
		if s.last {
			c.Close()
		}
	}
	return len(u.Data)
}

// part sends a piece of a body back, as much of it as there is room for.
func (s *session) part(c service.Conn, data []byte) int {
	n := len(data)
	switch s.body {
	case copied:
		n = min(n, c.Room())
		c.Write(data[:n])
	case copiedInto:
		if n = min(n, c.Room()-http1.ChunkOverhead); n <= 0 {
			return 0
		}
		s.o.buf = http1.AppendChunkHeader(s.o.buf[:0], n)
		c.Write(s.o.buf)
		c.Write(data[:n])
		c.WriteString("\r\n")
	}
	return n
}

// answer answers the request whose head has just been decoded.
func (s *session) answer(c service.Conn) {
	r := s.o.req
	s.last = !r.KeepAlive || c.Draining()
	hasBody := r.Chunked || r.ContentLength > 0
	s.body = none
	if hasBody {
		s.body = drop
	}
	get := r.Head || string(r.Method()) == "GET"
	switch string(r.Path()) {
	case "/":
		if get {
			s.greet(c, r)
			return
		}
		s.problem(c, r, 405, "GET, HEAD")
	case "/echo":
		s.echo(c, r, hasBody)
	case "/whoami":
		if get {
			s.whoami(c, r)
			return
		}
		s.problem(c, r, 405, "GET, HEAD")
	default:
		s.problem(c, r, 404, "")
	}
}

const (
	greeting = "hello, world!"
	plain    = "text/plain; charset=utf-8"
)

// greet answers GET /.
//
// hot: 0 allocs, see BenchmarkRoundTrip in package engine
func (s *session) greet(c service.Conn, r *http1.Request) {
	o := s.o
	date := c.Date()
	if r.ExpectContinue || s.last || r.Head || r.Minor == 0 {
		s.head(c, r, http1.Head{Status: 200, ContentType: plain, Length: int64(len(greeting))})
		if !r.Head {
			c.WriteString(greeting)
		}
		return
	}
	if string(date) != string(o.helloDate[:]) {
		copy(o.helloDate[:], date)
		o.hello = http1.AppendHead(o.hello[:0], http1.Head{Status: 200, Date: date, ContentType: plain, Length: int64(len(greeting))})
		o.hello = append(o.hello, greeting...)
	}
	c.Answered(200)
	c.Write(o.hello)
}

// head sends a response's head, having settled what it says about the connection.
func (s *session) head(c service.Conn, r *http1.Request, h http1.Head) {
	if r.ExpectContinue && s.body == drop { // a body that nobody wants is not asked for
		s.last = true
	}
	h.Date, h.Close, h.Minor0 = c.Date(), s.last, r.Minor == 0
	s.o.buf = http1.AppendHead(s.o.buf[:0], h)
	c.Answered(h.Status)
	c.Write(s.o.buf)
	if r.ExpectContinue && s.body == drop {
		s.body = none
	}
}

// echo returns the body as it comes.
func (s *session) echo(c service.Conn, r *http1.Request, hasBody bool) {
	h := http1.Head{Status: 200, ContentType: "application/octet-stream", Length: r.ContentLength}
	if hasBody && !r.Head {
		s.body = copied
		if r.Chunked {
			s.body, h.Length = copiedInto, http1.Chunked
		}
		if r.ExpectContinue {
			c.WriteString(http1.Continue)
		}
	}
	s.head(c, r, h)
}

// problem answers a request that is well-formed and not wanted.
func (s *session) problem(c service.Conn, r *http1.Request, status int, allow string) {
	text := http1.StatusText(status) + "\n"
	if r.ExpectContinue {
		s.last, s.body = true, none
	}
	s.o.buf = http1.AppendStart(s.o.buf[:0], http1.Head{
		Status: status, Date: c.Date(), ContentType: plain, Length: int64(len(text)), Close: s.last, Minor0: r.Minor == 0,
	})
	if allow != "" {
		s.o.buf, _ = http1.AppendField(s.o.buf, "Allow", allow)
	}
	s.o.buf = append(s.o.buf, "\r\n"...)
	c.Answered(status)
	c.Write(s.o.buf)
	if !r.Head {
		c.WriteString(text)
	}
}

// Refuse answers in HTTP's words, unless the answer is given or under way: there is one for each
// request.
func (s *session) Refuse(c service.Conn, why service.Refusal) {
	if s.body != none {
		return
	}
	s.o.buf = web.AppendRefusal(s.o.buf[:0], c, why, s.o.req.Head)
	c.Write(s.o.buf)
}

// Decline is service.Decliner's.
func (s *session) Decline(c service.Conn) bool { return web.Decline(c, s.o.req, &s.o.buf) }

// Fault answers wrong bytes.
func (s *session) Fault(c service.Conn, f codec.Fault) {
	if s.body != none { // the answer is under way or given
		return
	}
	s.o.buf = web.AppendFault(s.o.buf[:0], c, f)
	c.Write(s.o.buf)
}

func (s *session) Closed() {}
