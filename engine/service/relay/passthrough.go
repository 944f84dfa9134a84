package relay

import (
	"weir/codec"
	"weir/codec/clienthello"
	"weir/engine/service"
)

// Passthrough relays TLS connections without opening them: the client's first message, its
// ClientHello (package clienthello), says which server it is after, and the routes in r where that
// is. Until it is there in whole no server is connected to; then it goes on as it came, and after it
// all bytes, both ways. A client that cannot be served is told so by a TLS alert. Before engine.New.
//
//	client ── ClientHello ──▶ name ──▶ route ──▶ pool ──▶ server
//	         not TLS              unexpected_message (10), not-tls
//	         malformed, too large decode_error (50)
//	         no route             unrecognized_name (112), RFC 6066 3
//	         no server            internal_error (80)
func Passthrough(r *Routes) service.Service { return passthrough{r} }

const (
	unexpectedMessage = 10
	decodeError       = 50
	internalError     = 80
	unrecognizedName  = 112
)

// alert is a fatal TLS alert as it is sent before anything is agreed on (RFC 8446 6).
func alert(description byte) string { return "\x15\x03\x01\x00\x02\x02" + string(rune(description)) }

type passthrough struct{ routes *Routes }

func (passthrough) Name() string { return "relay" }

func (p passthrough) ForLoop() service.Opener {
	o := &passOpener{routes: p.routes, turns: make([]opener, len(p.routes.fixed))}
	for i := range o.turns {
		o.turns[i] = p.routes.fixed[i].pool.opener()
	}
	return o
}

func (p *Pool) opener() opener { return opener{relay: relay{pool: p}, turn: p.firstTurn()} }

// passOpener is one loop's part.
type passOpener struct {
	routes *Routes
	turns  []opener               // of routes.fixed
	spare  []*clienthello.Decoder // a decoder is needed for the hello only, which is one read
}

// mostSpare bounds the decoders that are kept for later clients, at 300 B.
const mostSpare = 64

func (o *passOpener) Open(c service.Conn) service.Session {
	return &passSession{pass: o, link: link{c: c, pours: true, words: alert(internalError), bare: true}}
}

type passSession struct {
	link
	pass  *passOpener
	hello *clienthello.Decoder // nil before the first byte, and behind the hello
	named bool                 // the hello is there
}

// Decode takes nothing: the hello stays in front until the server is there, and then goes first.
func (s *passSession) Decode(b []byte) (u codec.Unit) {
	if s.named {
		return
	}
	if s.hello == nil {
		s.hello = s.pass.decoder()
	}
	switch u = s.hello.Decode(b); u.Kind {
	case codec.Frame:
		s.named = true
		return codec.Unit{Kind: codec.Frame}
	case codec.Bad:
		s.forget()
	}
	return
}

func (s *passSession) Lacks() int {
	if s.hello == nil {
		return 1
	}
	return s.hello.Lacks()
}

func (s *passSession) Partial() bool { return s.hello != nil && s.hello.Partial() }

func (s *passSession) Stage() service.Stage {
	if s.Partial() {
		return service.InHead
	}
	return service.Between
}

// Serve connects to the server that the hello asks for.
func (s *passSession) Serve(c service.Conn, _ codec.Unit) int {
	name := s.hello.Hello().ServerName
	i, ask := s.pass.routes.find(name)
	switch {
	case i >= 0:
		s.begin(&s.pass.turns[i])
	case !ask:
		c.Fail(service.EndNoRoute, alert(unrecognizedName))
	default:
		s.ask(c, string(name))
	}
	s.forget()
	return 0
}

// ask connects to the server that a name stands for by itself, which may have to be looked up.
func (s *passSession) ask(c service.Conn, name string) {
	sni := s.pass.routes.sni
	if p, known := sni.known(name); known {
		s.found(p)
		return
	}
	var p *Pool
	if !sni.mayLook() {
		c.Fail(service.EndNoUpstream, s.words)
	} else if !c.Work(func() { p = sni.look(name) }, func() { s.found(p) }) {
		sni.looked()
		c.Fail(service.EndNoUpstream, s.words)
	}
}

func (s *passSession) found(p *Pool) {
	if p == nil {
		s.c.Fail(service.EndNoUpstream, s.words)
		return
	}
	o := p.opener()
	s.begin(&o)
}

func (s *passSession) begin(o *opener) {
	s.o = o
	s.dial(service.EndNoUpstream)
}

// Fault is service.Session's: as a TLS server would say it.
func (s *passSession) Fault(c service.Conn, f codec.Fault) {
	if f == codec.NotTLS {
		c.WriteString(alert(unexpectedMessage))
		return
	}
	c.WriteString(alert(decodeError))
}

// Closed is service.Session's.
func (s *passSession) Closed() {
	s.forget()
	s.link.Closed()
}

// decoder is one for a new hello.
func (o *passOpener) decoder() *clienthello.Decoder {
	if n := len(o.spare); n > 0 {
		d := o.spare[n-1]
		o.spare = o.spare[:n-1]
		return d
	}
	return &clienthello.Decoder{}
}

// forget gives the decoder back.
func (s *passSession) forget() {
	d := s.hello
	if s.hello = nil; d != nil && len(s.pass.spare) < mostSpare {
		*d = clienthello.Decoder{} // and its views
		s.pass.spare = append(s.pass.spare, d)
	}
}
