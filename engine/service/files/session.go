package files

import (
	"strconv"

	"weir/codec"
	"weir/codec/http1"
	"weir/engine/service"
	"weir/engine/service/web"
)

// Open is service.Opener's.
func (o *opener) Open(service.Conn) service.Session {
	if o.site.cfg.MaxFrame > 0 {
		return o.openFrames()
	}
	s := &session{o: o}
	s.Reset(o.req)
	return s
}

// session is one connection.
type session struct {
	http1.Decoder
	asker
	o    *opener
	up   *upload // under way, else nil
	body bool    // a body of the present request is still to come, and is thrown away unless it is an upload's
	last bool    // the connection ends with the present answer
}

// asker is who has paths looked up.
type asker struct {
	wait *asking // of a request that has had to wait: its head is offered again. Else nil
}

// asking is what a request has waited for so far.
type asking struct {
	got     [2]*entry // what was found: the file, its compressed form. Their files are held
	load    *load     // what it waits for, if it has begun that itself
	old     *entry    // what was known before of load.key
	page    []byte    // a listing
	lookups int
}

// keep holds an entry until the request is answered.
func (a *asking) keep(e *entry) {
	if e.file != nil {
		e.file.hold()
	}
	if a.got[1] != nil {
		a.let(1)
	}
	a.got[1], a.got[0] = a.got[0], e
}

func (a *asking) let(i int) {
	if e := a.got[i]; e != nil && e.file != nil {
		e.file.release()
	}
	a.got[i] = nil
}

// answered forgets what a request has waited for.
func (s *asker) answered() {
	if a := s.wait; a != nil {
		a.let(0)
		a.let(1)
		s.wait = nil
	}
}

// forget is answered for one who has gone.
func (s *asker) forget(o *opener) {
	if a := s.wait; a != nil && a.load != nil {
		o.abandon(a.load, a.old)
	}
	s.answered()
}

// Closed is service.Session's.
func (s *session) Closed() {
	s.forget(s.o)
	if s.up != nil {
		s.up.abandon(wasCut)
		s.up = nil
	}
}

// Stage is service.Session's.
func (s *session) Stage() service.Stage {
	switch {
	case s.body:
		return service.InBody
	case s.Partial():
		return service.InHead
	}
	return service.Between
}

// Serve is service.Session's.
func (s *session) Serve(c service.Conn, u codec.Unit) int {
	switch u.Kind {
	case codec.Frame:
		s.Again(u.Data) // other connections may have used the Request since
		if s.o.site.store != nil && s.wait == nil && string(s.o.req.Method()) == "PUT" {
			s.put(c)
			break
		}
		if !s.request(c) {
			return 0
		}
		s.answered()
		if s.last && !s.body {
			c.Close()
		}
	case codec.Part:
		if s.up != nil {
			s.part(c, u.Data)
		}
	case codec.End:
		if s.up != nil {
			s.complete(c)
			break
		}
		if s.body = false; s.last {
			c.Close()
		}
	}
	return len(u.Data)
}

// request answers the request whose head has just been decoded, or is offered again, and reports
// whether it has.
func (s *session) request(c service.Conn) bool {
	o, r := s.o, s.o.req
	s.last = !r.KeepAlive || c.Draining()
	s.body = r.Chunked || r.ContentLength > 0
	if most := o.site.cfg.MaxBody; o.site.store != nil && (r.Chunked || most > 0 && r.ContentLength > most) {
		s.last, s.body = true, false // the decoder does not say what is too large where there are uploads
		if !r.Chunked {
			s.problem(c, 413)
			return true
		}
	}
	if r.ExpectContinue { // a body that nobody wants is not asked for
		s.last, s.body = true, false
	}
	if o.site.tree == nil || !r.Head && string(r.Method()) != "GET" {
		s.problem(c, 405)
		return true
	}
	key, status := clean(r.Path(), &o.path, o.site.cfg.DotFiles)
	if status != 0 {
		report(c, r.Path(), status)
		s.problem(c, status)
		return true
	}
	e, what := o.find(c, &s.asker, key)
	if what == have && e.kind == found && e.siblings != 0 {
		if enc := choose(r, e.siblings); enc != 0 {
			o.variant = appendVariant(o.variant[:0], enc, e.name)
			v, how := o.find(c, &s.asker, o.variant)
			if what = how; how == have && v.kind == found { // else it has just gone: the file as it is
				e = v
			}
		}
	}
	switch what {
	case wait:
		return false
	case busy:
		s.problem(c, 503)
		return true
	}
	switch e.kind {
	case found:
		s.found(c, e)
	case redirect:
		s.redirect(c, key)
	case listing:
		return s.list(c, key, e.name)
	default:
		s.problem(c, e.status)
	}
	return true
}

// start begins a response.
func (s *session) start(c service.Conn, status int, ctype string, length int64) {
	c.Answered(status)
	s.o.buf = http1.AppendStart(s.o.buf[:0], http1.Head{
		Status: status, Date: c.Date(), ContentType: ctype, Length: length, Close: s.last, Minor0: s.o.req.Minor == 0,
	})
}

// end ends the response's head and sends it.
func (s *session) end(c service.Conn) {
	s.o.buf = append(s.o.buf, "\r\n"...)
	c.Write(s.o.buf)
}

// found answers with a file, or with what the request's preconditions and ranges make of it.
func (s *session) found(c service.Conn, e *entry) {
	o, r := s.o, s.o.req
	switch status := precondition(r, e); status {
	case 412:
		s.problem(c, 412)
		return
	case 304:
		s.start(c, 304, "", http1.NoLength)
		o.buf = append(o.buf, e.validity...)
		s.end(c)
		return
	}
	size := e.file.is.size
	var parts [maxRanges]span
	n, ok := 0, true
	if v, some := r.Get("range"); some && !r.Head && r.Next("range", r.Next("range", 0)+1) < 0 && ifRange(r, e) { // 9110 14.2: of GET only
		n, ok = rangesOf(v, size, &parts)
	}
	switch {
	case !ok:
		s.start(c, 416, plain, textLength(416))
		o.buf = append(o.buf, "Content-Range: bytes */"...)
		o.buf = strconv.AppendInt(o.buf, size, 10)
		o.buf = append(append(o.buf, "\r\n"...), o.site.safe...)
		s.text(c, 416)
	case n == 0:
		s.start(c, 200, e.ctype, size)
		o.buf = append(o.buf, e.shape...)
		o.buf = append(o.buf, e.validity...)
		s.end(c)
		if !r.Head && size > 0 {
			c.Send(o.body(e.file, span{0, size}))
		}
	case n == 1:
		s.start(c, 206, e.ctype, parts[0].to-parts[0].from)
		o.buf = append(o.buf, "Content-Range: "...)
		o.buf = appendContentRange(o.buf, parts[0], size)
		o.buf = append(o.buf, "\r\n"...)
		o.buf = append(o.buf, e.shape...)
		o.buf = append(o.buf, e.validity...)
		s.end(c)
		c.Send(o.body(e.file, parts[0]))
	default:
		o.path = appendLastPart(o.path[:0], o.boundary)
		length := int64(len(o.path))
		for i := range n {
			o.path = appendPart(o.path[:0], o.boundary, e.ctype, i == 0, parts[i], size)
			length += int64(len(o.path)) + parts[i].to - parts[i].from
		}
		s.start(c, 206, o.multipart, length)
		o.buf = append(o.buf, e.shape...)
		o.buf = append(o.buf, e.validity...)
		s.end(c)
		b := o.body(e.file, span{})
		b.multipart(parts[:n], e.ctype)
		c.Send(b)
	}
}

// redirect sends the client of a directory to its name with a slash. The path begins with one slash
// and no second one, which would name another host.
func (s *session) redirect(c service.Conn, key []byte) {
	o := s.o
	s.start(c, 301, plain, textLength(301))
	o.buf = append(o.buf, "Location: /"...)
	o.buf = appendEscaped(o.buf, key)
	o.buf = append(o.buf, '/')
	if q := o.req.Query(); len(q) > 0 { // visible ASCII only
		o.buf = append(append(o.buf, '?'), q...)
	}
	o.buf = append(append(o.buf, "\r\n"...), o.site.safe...)
	s.text(c, 301)
}

// text ends the response's head and sends it, with the words for its status as the body.
func (s *session) text(c service.Conn, status int) {
	s.o.buf = append(s.o.buf, "\r\n"...)
	if !s.o.req.Head {
		s.o.buf = append(s.o.buf, http1.StatusText(status)...)
		s.o.buf = append(s.o.buf, '\n')
	}
	c.Write(s.o.buf)
}

func textLength(status int) int64 { return int64(len(http1.StatusText(status)) + 1) }

const (
	plain   = "text/plain; charset=utf-8"
	nosniff = "X-Content-Type-Options: nosniff\r\n"
)

// problem answers a request that cannot be, in words that say no more than the status.
func (s *session) problem(c service.Conn, status int) {
	s.start(c, status, plain, textLength(status))
	switch status {
	case 405:
		switch site := s.o.site; {
		case site.store == nil:
			s.o.buf = append(s.o.buf, "Allow: GET, HEAD\r\n"...)
		case site.tree == nil:
			s.o.buf = append(s.o.buf, "Allow: PUT\r\n"...)
		default:
			s.o.buf = append(s.o.buf, "Allow: GET, HEAD, PUT\r\n"...)
		}
	case 503:
		s.o.buf = append(s.o.buf, "Retry-After: 1\r\n"...)
	}
	s.o.buf = append(s.o.buf, s.o.site.safe...)
	s.text(c, status)
}

// Refuse answers in HTTP's words, unless the answer is given: there is one for each request.
func (s *session) Refuse(c service.Conn, why service.Refusal) {
	if s.body && s.wait == nil && s.up == nil {
		return
	}
	s.o.buf = web.AppendRefusal(s.o.buf[:0], c, why, s.o.req.Head)
	c.Write(s.o.buf)
}

// Decline is service.Decliner's.
func (s *session) Decline(c service.Conn) bool { return web.Decline(c, s.o.req, &s.o.buf) }

// Fault answers wrong bytes.
func (s *session) Fault(c service.Conn, f codec.Fault) {
	if s.body && s.up == nil { // the answer is given
		return
	}
	s.o.buf = web.AppendFault(s.o.buf[:0], c, f)
	c.Write(s.o.buf)
}
