package gate

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"weir/codec"
	"weir/codec/http1"
	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/engine/service"
	"weir/guard/mono"
	"weir/guard/source"
)

// Web is how clients of HTTP prove who they are: by Basic (RFC 7617) with a password, by a bearer token
// (RFC 6750), or by the name in a client certificate that the listener has verified.
type Web struct {
	// Accounts returns the set in force. Needed.
	Accounts func() *accounts.Set
	Limiter  *attempts.Limiter // nil: none
	Hasher   *Hasher           // needed; one for all listeners
	// Rules say what is needed where. A request must satisfy each that fits it.
	Rules []Rule
	// Optional lets requests pass that no rule fits, known or not. Without it all must be known.
	Optional bool
	// MaxHeader is the largest request head in bytes, as the service behind has it; 0 means package
	// http1's default.
	MaxHeader int
	// Now is the wall clock, for the expiry of tokens; nil is time.Now.
	Now func() time.Time
}

// HTTP stands in front of a service of HTTP. A request that may not pass is answered 401, 403, 429 or 503;
// its body is not asked for, and when one is under way the connection is closed behind the answer.
// Before engine.New.
func HTTP(inner service.Service, cfg Web) service.Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return web{inner, cfg}
}

type web struct {
	inner service.Service
	cfg   Web
}

func (w web) Name() string { return w.inner.Name() }

func (w web) ForLoop() service.Opener {
	o := &webOpener{web: w, opener: w.inner.ForLoop(), req: http1.NewRequest(http1.Limits{MaxHead: w.cfg.MaxHeader}), known: map[digest]remembered{}, queue: map[source.Key]int{}, first: map[source.Key]bool{}}
	_, _ = rand.Read(o.key[:]) // never fails: crypto/rand.Read
	return o
}

type digest = [sha256.Size]byte

// webOpener is one loop's part.
type webOpener struct {
	web
	opener service.Opener
	req    *http1.Request // for a second look at heads, which the service behind decodes by itself
	buf    []byte

	// Passwords that were right of late, so that they need not be hashed again: by a hash of name and
	// password under a key that nobody has.
	key   digest
	known map[digest]remembered
	queue map[source.Key]int  // requests that wait for their turn to be hashed
	n     int                 // of them, those of strangers
	first map[source.Key]bool // the networks of which a newcomer waits
}

type remembered struct {
	name     string
	verifier accounts.Verifier
	until    mono.Time
}

const (
	// rememberFor is how long a password that was right is not hashed again.
	rememberFor = 5 * time.Minute
	// mostKnown bounds how many are remembered on a loop: some 300 bytes each.
	mostKnown = 4096
)

func (o *webOpener) digest(name, password string) digest {
	h := hmac.New(sha256.New, o.key[:])
	_, _ = h.Write([]byte(name))
	_, _ = h.Write([]byte{0}) // in no name
	_, _ = h.Write([]byte(password))
	return digest(h.Sum(nil))
}

// digestOf is the digest of a name and a password as they are prepared: there are any number of ways to
// write them, and each is right.
func (o *webOpener) digestOf(name, password string) digest {
	if p, err := accounts.PrepareName(name); err == nil {
		name = p
	}
	if p, err := accounts.PreparePassword(password); err == nil {
		password = p
	}
	return o.digest(name, password)
}

// recall returns the login of a password that was right of late, if it still is.
func (o *webOpener) recall(d digest, now mono.Time) (accounts.Login, bool) {
	r, found := o.known[d]
	if !found {
		return accounts.Login{}, false
	}
	if now < r.until {
		if login, ok := o.cfg.Accounts().Still(r.name, &r.verifier); ok {
			return login, true
		}
	}
	delete(o.known, d)
	return accounts.Login{}, false
}

// remember keeps a password that was right. When there is no room, what has passed goes, and then any.
func (o *webOpener) remember(d digest, name string, v accounts.Verifier, now mono.Time) {
	if len(o.known) >= mostKnown {
		for k, r := range o.known {
			if now >= r.until {
				delete(o.known, k)
			}
		}
		for k := range o.known {
			if len(o.known) < mostKnown {
				break
			}
			delete(o.known, k)
		}
	}
	o.known[d] = remembered{name, v, now.Add(rememberFor)}
}

func (o *webOpener) Open(c service.Conn) service.Session {
	return &webSession{Session: o.opener.Open(c), o: o}
}

// webSession is one connection.
type webSession struct {
	service.Session // of the service behind
	o               *webOpener
	passing         bool   // the service behind has not taken all of a head that was let pass
	asked           bool   // the certificate was looked at
	certificate     string // the name in it, "" for none
	checked         *checked
	since           mono.Time // when the present request began to wait for its turn; 0: it does not
	told            digest    // the credentials that were told of as a login last, hashed
}

// checked is what a worker has found of a password, for the request that waits for it.
type checked struct {
	key digest
	ok  bool
}

func (s *webSession) Serve(c service.Conn, u codec.Unit) int {
	if u.Kind == codec.Frame && !s.passing {
		switch s.admit(c, u.Data) {
		case wait:
			return 0
		case refused:
			return len(u.Data)
		}
		s.passing = true
	}
	n := s.Session.Serve(c, u)
	if u.Kind == codec.Frame && n >= len(u.Data) {
		s.passing = false
	}
	return n
}

// Decline is service.Decliner's: nothing was looked at yet, and a rate that is spent says nothing of who
// asks.
func (s *webSession) Decline(c service.Conn) bool {
	d, can := s.Session.(service.Decliner)
	return can && d.Decline(c)
}

type verdict uint8

const (
	pass verdict = iota
	wait         // the head is to be offered again
	refused
)

// admit judges the request whose head this is, and answers it when it may not pass.
func (s *webSession) admit(c service.Conn, head []byte) verdict {
	o := s.o
	var d http1.Decoder
	d.Reset(o.req)
	if u := d.Decode(head); u.Kind != codec.Frame || u.N != len(head) {
		return s.refuse(c, nil, 400, "") // the service behind has decoded the same bytes: it cannot be
	}
	r := o.req
	needed, fit, clear := o.cfg.needs(r.Method(), r.Path())
	switch {
	case !clear:
		return s.refuse(c, r, 400, "")
	case !fit && o.cfg.Optional:
		return pass
	}
	login, how, found := s.identify(c, r)
	switch found {
	case waits:
		return wait
	case busy:
		return s.refuse(c, r, 503, "")
	case limited:
		return s.refuse(c, r, 429, "")
	case wrong:
		return s.refuse(c, r, 401, how)
	case nobody:
		return s.refuse(c, r, 401, "")
	}
	for _, scope := range needed {
		if !login.Has(scope) {
			c.Report(service.OutOfScope, login.Account, scope)
			return s.refuse(c, r, 403, "")
		}
	}
	return pass
}

// refuse answers a request. When its body is still to come, that is not waited for.
func (s *webSession) refuse(c service.Conn, r *http1.Request, status int, how string) verdict {
	o := s.o
	last := r == nil || !r.KeepAlive || r.Chunked || r.ContentLength > 0 || c.Draining()
	text := http1.StatusText(status) + "\n"
	o.buf = http1.AppendStart(o.buf[:0], http1.Head{
		Status: status, Date: c.Date(), ContentType: "text/plain; charset=utf-8", Length: int64(len(text)), Close: last, Minor0: r != nil && r.Minor == 0,
	})
	switch status {
	case 401:
		o.buf, _ = http1.AppendField(o.buf, "WWW-Authenticate", `Basic realm="weir", charset="UTF-8"`)
		bearer := `Bearer realm="weir"`
		if how == bearerScheme {
			bearer += `, error="invalid_token"`
		}
		o.buf, _ = http1.AppendField(o.buf, "WWW-Authenticate", bearer)
	case 403:
		o.buf, _ = http1.AppendField(o.buf, "WWW-Authenticate", `Bearer realm="weir", error="insufficient_scope"`)
	case 429, 503:
		o.buf, _ = http1.AppendField(o.buf, "Retry-After", "1")
	}
	o.buf = append(o.buf, "Cache-Control: no-store\r\n\r\n"...)
	if r == nil || !r.Head {
		o.buf = append(o.buf, text...)
	}
	c.Answered(status)
	c.Write(o.buf)
	if last {
		c.Close()
	}
	return refused
}
