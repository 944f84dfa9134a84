package gate

import (
	"weir/codec"
	"weir/codec/length"
	"weir/codec/line"
	"weir/codec/signed"
	"weir/engine/auth/attempts"
	"weir/engine/auth/sasl"
	"weir/engine/service"
	"weir/guard/mono"
	"weir/guard/source"
)

// Logins is how peers of frames and lines prove who they are.
type Logins struct {
	Server  *sasl.Server      // of the exchanges
	Limiter *attempts.Limiter // nil: none
	// Scope is what an account must have; "" is nothing but being known.
	Scope string
	// MaxSigned is the largest payload that is sent in a signed frame, in bytes: it is held until it is
	// whole. 0 means 64 KiB. What is larger ends the connection.
	MaxSigned int
}

// Frames stands in front of a service of length-prefixed frames (package length). Where a client has
// asked for signed frames, each of its frames is checked and handed on without its tag, and each that the
// service, or the server that it relays to, sends back is signed; answers that are pulled
// (service.Conn.Send) cannot be. Before engine.New.
func Frames(inner service.Service, cfg Logins) service.Service {
	if cfg.MaxSigned == 0 {
		cfg.MaxSigned = 64 << 10
	}
	return text{inner, cfg, true}
}

// Lines stands in front of a service of lines (package line). There are no signed frames: the exchange
// should be made with sasl.SigningOff. Before engine.New.
func Lines(inner service.Service, cfg Logins) service.Service { return text{inner, cfg, false} }

type text struct {
	inner  service.Service
	cfg    Logins
	frames bool
}

func (t text) Name() string            { return t.inner.Name() }
func (t text) ForLoop() service.Opener { return &textOpener{text: t, opener: t.inner.ForLoop()} }

// textOpener is one loop's part.
type textOpener struct {
	text
	opener service.Opener
	buf    []byte
}

func (o *textOpener) Open(c service.Conn) service.Session {
	s := &textSession{o: o}
	if o.frames {
		s.dec = &length.Decoder{Max: sasl.MaxMessage}
	} else {
		s.dec = &line.Decoder{Max: sasl.MaxMessage}
	}
	return s
}

// textSession is one connection: its login, and then the session behind.
type textSession struct {
	o     *textOpener
	dec   codec.Decoder
	login *login          // nil before the first message, and when it is over
	inner service.Session // nil until it is over
	open  *signed.Opener  // of what the peer sends; nil: it is not signed
	name  string          // the account
	kept  *standing       // of the login; set when inner is
}

// login is an exchange under way.
type login struct {
	exchange sasl.Exchange
	gate     attempts.Gate
}

func (s *textSession) begin(c service.Conn) {
	l := &login{}
	var limit sasl.Gate
	if src, ok := source.Of(c.Peer().Addr()); ok && s.o.cfg.Limiter != nil {
		l.gate = attempts.Gate{Limiter: s.o.cfg.Limiter, Source: src, Now: func() mono.Time { return mono.Time(c.Now()) }}
		limit = &l.gate
	}
	var tls sasl.Exporter
	if t := c.TLS(); t != nil {
		tls = t
	}
	l.exchange = s.o.cfg.Server.Begin(tls, limit)
	s.login = l
}

func (s *textSession) Decode(b []byte) codec.Unit {
	if s.inner == nil {
		return s.dec.Decode(b)
	}
	u := s.inner.Decode(b)
	if s.open != nil && u.Kind == codec.Frame {
		if u.Data, u.Fault = s.open.Open(u.Data); u.Fault != codec.OK {
			return codec.Unit{Kind: codec.Bad, Fault: u.Fault}
		}
	}
	return u
}

func (s *textSession) decoder() codec.Decoder {
	if s.inner != nil {
		return s.inner
	}
	return s.dec
}

func (s *textSession) Lacks() int    { return s.decoder().Lacks() }
func (s *textSession) Partial() bool { return s.decoder().Partial() }

func (s *textSession) Stage() service.Stage {
	switch {
	case s.inner != nil:
		return s.inner.Stage()
	case s.login != nil:
		return service.Proving
	case s.dec.Partial():
		return service.InFrame
	}
	return service.Between
}

func (s *textSession) Serve(c service.Conn, u codec.Unit) int {
	if s.inner != nil {
		if !s.kept.good(s.o.cfg.Server, mono.Time(c.Now())) && !s.renewed(c) {
			return len(u.Data)
		}
		return s.inner.Serve(c, u)
	}
	if s.login == nil {
		s.begin(c)
	}
	out, done, err := s.login.exchange.Step(u.Data)
	switch {
	case !done:
		s.say(c, out)
	case err != nil:
		s.failed(c, out, err)
	default:
		s.passed(c, out)
	}
	return len(u.Data)
}

// say sends one message.
func (s *textSession) say(c service.Conn, text []byte) {
	b := s.o.buf[:0]
	if s.o.frames {
		b = length.Append(b, text)
	} else {
		b = append(append(b, text...), "\r\n"...)
	}
	c.Write(b)
	s.o.buf = b
}

func (s *textSession) failed(c service.Conn, out []byte, err error) {
	name, what, detail := s.login.exchange.Name(), service.AuthFailed, ""
	if f, ok := err.(sasl.Failure); ok {
		detail = f.Label()
		if f == sasl.TooMany {
			what, detail = service.AuthAttempts, s.login.gate.Refused.String()
		}
	}
	c.Report(what, name, detail)
	s.say(c, out)
	c.Close()
}

func (s *textSession) passed(c service.Conn, out []byte) {
	r, _ := s.login.exchange.Result()
	s.kept = &standing{login: r.Kept()}
	s.name = s.kept.login.Account
	if scope := s.o.cfg.Scope; scope != "" && !r.Has(scope) {
		c.Report(service.OutOfScope, r.Account, scope)
		s.say(c, []byte("ERR not allowed"))
		c.Close()
		return
	}
	detail := r.Mechanism
	if r.Token != "" {
		detail += " " + r.Token
	}
	c.Report(service.LoggedIn, r.Account, detail)
	s.say(c, out)
	s.login = nil
	if r.Signed && s.o.frames {
		up, down := signed.Keys(r.Secret)
		s.open = signed.NewOpener(up)
		c = &signingConn{Conn: c, seal: signed.NewSealer(down), max: s.o.cfg.MaxSigned}
		s.inner = &signingSession{s.o.opener.Open(c), c}
		return
	}
	s.inner = s.o.opener.Open(c)
}

// Refuse says why in the exchange's words.
func (s *textSession) Refuse(c service.Conn, why service.Refusal) {
	if s.inner != nil {
		s.inner.Refuse(c, why)
		return
	}
	s.say(c, []byte("ERR "+why.String()))
}

// Fault says what is wrong in the exchange's words. After a login with signed frames it says nothing in
// clear.
func (s *textSession) Fault(c service.Conn, f codec.Fault) {
	switch {
	case f == codec.BadSignature:
		c.Report(service.Replayed, s.name, "")
	case s.inner != nil:
		s.inner.Fault(c, f)
	default:
		s.say(c, []byte("ERR "+f.Error()))
	}
}

func (s *textSession) Closed() {
	if s.inner != nil {
		s.inner.Closed()
	}
}
