package files

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"weir/codec/http1"
	"weir/engine/service"
)

// discardBytes is the largest body that is thrown away behind a refusal, so that the connection can go on.
// Of a larger one nothing is read: the connection is closed.
const discardBytes = 64 << 10

// put begins an upload, or refuses it before a byte of it is read.
func (s *session) put(c service.Conn) {
	o, r := s.o, s.o.req
	u := &upload{minor0: r.Minor == 0, expects: r.ExpectContinue}
	s.body = r.Chunked || r.ContentLength > 0
	s.last = !r.KeepAlive || c.Draining()
	size := r.ContentLength
	if r.Chunked {
		size = -1
	}
	key, status := clean(r.Path(), &o.path, o.site.cfg.DotFiles)
	_, hasLength := r.Get("content-length")
	_, hasRange := r.Get("content-range")
	coding, isCoded := r.Get("content-encoding")
	switch {
	case status != 0:
		report(c, r.Path(), status)
		s.refused(c, u, BadPath, status, "")
		return
	case len(key) == 0 || key[len(key)-1] == '/':
		s.refused(c, u, BadPath, 409, "a directory cannot be written to")
		return
	case !hasLength && !r.Chunked:
		s.refused(c, u, BadRequest, 411, "")
		return
	case hasRange: // 9110 14.5: a part must not be taken for the whole
		s.refused(c, u, BadRequest, 400, "a part of a file cannot be stored")
		return
	case isCoded && !equalFold(coding, "identity"): // it would be served without saying so
		s.refused(c, u, BadRequest, 415, "send the file as it is to be served, without Content-Encoding")
		return
	}
	var ok bool
	if u.want, u.check, ok = wantedDigest(r); !ok {
		s.refused(c, u, BadRequest, 400, "the digest cannot be read")
		return
	}
	u.key = string(key)
	for i := range r.NumFields() {
		switch name, v := r.Field(i); {
		case equalFold(name, "if-match"):
			u.cond.match(v)
		case equalFold(name, "if-none-match"):
			u.cond.noneOf(v)
		case equalFold(name, "if-unmodified-since"):
			u.cond.since(v)
		}
	}
	if what := o.site.store.admit(c, u, size); what != Stored {
		s.refused(c, u, what, 0, "")
		return
	}
	s.up = u
	u.run(c, u.begin, func() { s.begun(c, u) })
}

// begun goes on when the file system has been asked.
func (s *session) begun(c service.Conn, u *upload) {
	switch {
	case u.result != Stored:
		s.refused(c, u, u.result, 0, "")
	case u.size == 0:
		u.run(c, u.finish, func() { s.finished(c, u) })
	case u.expects:
		u.expects = false
		u.say(c, []byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// part takes bytes of a body.
func (s *session) part(c service.Conn, b []byte) {
	u := s.up
	if o := u.more(c, int64(len(b))); o != Stored {
		s.refused(c, u, o, 0, "")
		return
	}
	if u.gather(b) {
		u.run(c, u.write, func() {
			if u.wrote(); u.result != Stored {
				s.refused(c, u, u.result, 0, "")
			}
		})
	}
}

// complete is told that the whole body has arrived.
func (s *session) complete(c service.Conn) {
	u := s.up
	u.rest()
	u.run(c, u.finish, func() { s.finished(c, u) })
}

// finished answers an upload that is stored, or could not be.
func (s *session) finished(c service.Conn, u *upload) {
	if s.body = false; u.result != Stored {
		s.refused(c, u, u.result, 0, "")
		return
	}
	status := 201
	if !u.created {
		status = 200
	}
	body := append([]byte(nil), `{"path":"/`...)
	body = appendEscaped(body, []byte(u.key)) // nothing in it needs more for JSON
	body = append(body, `","size":`...)
	body = strconv.AppendInt(body, u.written, 10)
	body = append(body, `,"sha256":"`...)
	body = append(hex.AppendEncode(body, u.digest[:]), "\"}\n"...)

	o := s.o
	o.buf = http1.AppendStart(o.buf[:0], http1.Head{
		Status: status, Date: c.Date(), ContentType: "application/json", Length: int64(len(body)), Close: s.last, Minor0: u.minor0,
	})
	if u.created {
		o.buf = append(o.buf, "Location: /"...)
		o.buf = append(appendEscaped(o.buf, []byte(u.key)), "\r\n"...)
	}
	o.buf = append(append(append(o.buf, "ETag: "...), u.tag...), "\r\nRepr-Digest: sha-256=:"...)
	o.buf = append(base64.StdEncoding.AppendEncode(o.buf, u.digest[:]), ":\r\n"...)
	o.buf = append(append(o.buf, o.site.safe...), "\r\n"...)
	o.buf = append(o.buf, body...)
	c.Answered(status)
	u.say(c, o.buf)
	s.up = nil
	u.end(Stored)
	if s.last {
		c.Close()
	}
}

// refused answers an upload that will not be, in few words: status and words are those of the outcome unless
// given. What is left of its body is thrown away when it is small; when it is not, or when its client waits to
// be asked for it, the connection is closed.
func (s *session) refused(c service.Conn, u *upload, o Outcome, status int, words string) {
	if status == 0 {
		status = outcomes[o].status
	}
	if words == "" && status == outcomes[o].status {
		words = outcomes[o].words
	}
	left := u.size
	if u.st == nil { // it was not let in
		left = s.o.req.ContentLength
	}
	if s.body && (u.expects || left < 0 || left-u.got > discardBytes) {
		s.body, s.last = false, true
	}
	text := http1.StatusText(status)
	length := len(text) + 1
	if words != "" {
		length += len(words) + 1
	}
	b := http1.AppendStart(s.o.buf[:0], http1.Head{
		Status: status, Date: c.Date(), ContentType: plain, Length: int64(length), Close: s.last, Minor0: u.minor0,
	})
	switch status {
	case 429:
		b = append(b, "Retry-After: 10\r\n"...)
	case 503:
		b = append(b, "Retry-After: 1\r\n"...)
	}
	b = append(append(b, s.o.site.safe...), "\r\n"...)
	b = append(append(b, text...), '\n')
	if words != "" {
		b = append(append(b, words...), '\n')
	}
	s.o.buf = b
	c.Answered(status)
	u.say(c, b)
	if u.st == nil {
		s.o.site.store.ends[o].Add(1)
	} else {
		u.end(o)
	}
	if s.up = nil; s.last && !s.body {
		c.Close()
	}
}
