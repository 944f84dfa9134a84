package gate

import (
	"bytes"
	"encoding/base64"
	"strings"

	"weir/codec/http1"
	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/engine/service"
	"weir/guard/mono"
	"weir/guard/source"
)

// finding is what came of asking who has sent a request.
type finding uint8

const (
	known   finding = iota
	nobody          // it says nothing of who it is
	wrong           // it could not prove it
	limited         // it has failed too often
	waits           // a worker is at it
	busy            // no worker has the time
)

const bearerScheme, basicScheme = "bearer", "basic"

// mostCredentials is the longest value of Authorization that is looked at: a name of 128 bytes and a
// password of 1 KiB are 1.5 KiB in base64.
const mostCredentials = 2 << 10

// identify says who has sent a request, and by which scheme that was to be proved.
func (s *webSession) identify(c service.Conn, r *http1.Request) (login accounts.Login, how string, f finding) {
	i := r.Next("authorization", 0)
	if i < 0 {
		login, f = s.byCertificate(c)
		return login, "", f
	}
	_, value := r.Field(i)
	scheme, rest, _ := bytes.Cut(value, []byte{' '})
	rest = bytes.TrimLeft(rest, " ")
	switch {
	case r.Next("authorization", i+1) >= 0 || len(value) > mostCredentials:
	case strings.EqualFold(string(scheme), bearerScheme):
		login, f = s.byToken(c, rest)
		return login, bearerScheme, f
	case strings.EqualFold(string(scheme), basicScheme):
		login, f = s.byPassword(c, rest)
		return login, basicScheme, f
	}
	return login, "", s.failed(c, "", "authorization")
}

// byCertificate takes the name in a client certificate for an account's.
func (s *webSession) byCertificate(c service.Conn) (accounts.Login, finding) {
	if !s.asked {
		s.asked = true
		if t := c.TLS(); t != nil {
			s.certificate = t.ClientName()
		}
	}
	if s.certificate == "" {
		return accounts.Login{}, nobody
	}
	login, ok := s.o.cfg.Accounts().Named(s.certificate)
	if !ok {
		return login, nobody
	}
	s.tell(c, login, "certificate", s.o.digest(login.Account, ""))
	return login, known
}

// byToken takes a bearer token. One that is right costs no attempt; whether it is takes the same time for
// all.
func (s *webSession) byToken(c service.Conn, token []byte) (accounts.Login, finding) {
	login, ok := s.o.cfg.Accounts().Token(token, s.o.cfg.Now())
	if !ok {
		if _, why := s.may(c, ""); why != attempts.OK {
			return login, s.limited(c, "", why)
		}
		return login, s.failed(c, "", bearerScheme)
	}
	s.tell(c, login, bearerScheme+" "+login.Token, s.o.digest(login.Account, string(token)))
	return login, known
}

// byPassword takes a name and a password. One that was right of late costs a look-up; else a worker hashes it, if the limits and the Hasher let
// it.
func (s *webSession) byPassword(c service.Conn, b64 []byte) (login accounts.Login, f finding) {
	o := s.o
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(b64)))
	n, err := base64.StdEncoding.Strict().Decode(plain, b64)
	name, password, found := strings.Cut(string(plain[:n]), ":")
	if err != nil || !found {
		return login, s.failed(c, "", basicScheme)
	}
	prepared, err := accounts.PrepareName(name)
	if err != nil {
		prepared = ""
	}
	now := mono.Time(c.Now())
	key := o.digestOf(name, password)
	login, ok := o.recall(key, now)
	if ok {
		s.since = 0
	}
	done := s.checked
	s.checked = nil
	src, limits := s.source(c)
	limits = limits && o.cfg.Limiter != nil
	switch {
	case ok:
		if limits && s.told != key {
			o.cfg.Limiter.Met(src, prepared, now) // where it has to be hashed again, it is not among strangers
		}
		s.tell(c, login, basicScheme, key)
		return login, known
	case done != nil && done.key == key: // it was hashed, and is wrong, or not good any more
		return login, s.failed(c, prepared, basicScheme)
	}
	r := stranger
	switch {
	case limits && o.cfg.Limiter.Knows(src, prepared, now):
		r = familiar
	case limits && o.cfg.Limiter.Due(src, now):
		r = newcomer
	}
	if !o.cfg.Hasher.begin(r) {
		if limits {
			if why := o.cfg.Limiter.Would(src, prepared, now); why != attempts.OK {
				s.since = 0
				return login, s.limited(c, prepared, why) // it takes no place from who may be let on
			}
		}
		return login, s.queue(c, prepared, key, r) // it is no attempt yet
	}
	s.since = 0
	took, why := s.may(c, prepared)
	if why != attempts.OK {
		o.cfg.Hasher.release(r)
		return login, s.limited(c, prepared, why)
	}
	set := o.cfg.Accounts()
	done = &checked{key: key}
	var verifier accounts.Verifier
	hash := func() {
		defer func() { o.cfg.Hasher.end(r, mono.Now()) }()
		_, done.ok = set.CheckPassword(name, password)
		verifier, _ = set.Verifier(name)
		if done.ok && limits { // here, and not in finish: whoever has not waited for it has not failed either
			o.cfg.Limiter.Passed(src, prepared, took, mono.Now())
		}
	}
	finish := func() {
		s.checked = done
		if done.ok {
			o.remember(key, name, verifier, mono.Time(c.Now()))
		}
	}
	if !c.Work(hash, finish) {
		o.cfg.Hasher.release(r)
		if limits {
			o.cfg.Limiter.Withdrawn(src, prepared, took, now) // it was no attempt
		}
		return login, busy
	}
	if r == newcomer {
		o.cfg.Limiter.Served(src, now)
	}
	return login, waits
}

// tell reports a login, once for a connection and its credentials.
func (s *webSession) tell(c service.Conn, login accounts.Login, how string, d digest) {
	if s.told != d {
		s.told = d
		c.Report(service.LoggedIn, login.Account, how)
	}
}

func (s *webSession) failed(c service.Conn, name, how string) finding {
	c.Report(service.AuthFailed, name, how)
	return wrong
}

func (s *webSession) limited(c service.Conn, name string, why attempts.Why) finding {
	c.Report(service.AuthAttempts, name, why.String())
	return limited
}

// may asks for an attempt.
func (s *webSession) may(c service.Conn, name string) (attempts.Charge, attempts.Why) {
	src, ok := s.source(c)
	if !ok || s.o.cfg.Limiter == nil {
		return 0, attempts.OK
	}
	return s.o.cfg.Limiter.May(src, name, mono.Time(c.Now()))
}

func (s *webSession) source(c service.Conn) (source.Key, bool) { return source.Of(c.Peer().Addr()) }
