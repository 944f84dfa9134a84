package relay

import (
	"time"

	"weir/codec"
	"weir/codec/http1"
	"weir/engine/service"
)

// exchange is one request and its answer. It is reused for others.
//
//	request ──▶ kept connection, else dial ──▶ written ──▶ answer's head ──▶ body ──▶ complete
//	                        ▲                     │               │
//	                        └── nothing heard ◀───┘               └──▶ 101: poured both ways
//
// What goes wrong before the client has been given a head is told to it by say; after that it is cut off.
type exchange struct {
	s     *httpSession
	in    http1.ResponseDecoder
	up    service.Upstream
	srv   *server // that up goes to, for its count of connections
	trial int64   // of srv, see Pool.pick
	tried [tries]*server
	head  []byte // the request head as it is passed on, as long as it may have to be sent (again)
	what  http1.Asked

	sent      bool  // the client has sent the whole request
	chunksIn  bool  // the request's body is chunked
	expects   bool  // the client waits for Continue
	last      bool  // the client's connection ends with the answer
	minor0    bool  // the client speaks HTTP/1.0
	again     bool  // the request may be sent again
	reused    bool  // up was there already
	fresh     bool  // only a new connection will do
	heard     bool  // the server has said something
	begun     bool  // the client has been given the answer's head
	body      bool  // in the answer's body
	chunksOut bool  // which goes to the client in chunks
	keep      bool  // the server takes another request on the connection
	behind    bool  // there was no room for all that the server has sent
	eof       bool  // the server has finished sending
	interims  uint8 // 1xx that have come

	lasts time.Duration // how long a kept connection is of use; 0: the server has not said
}

var _ service.UpstreamHandler = (*exchange)(nil)

// mostInterims is how many interim responses may come before an answer: a server that sends them for ever
// would not be silent.
const mostInterims = 100

// answerSlack is what an answer's head may grow by when it is written for the client: Via, Date, framing.
const answerSlack = 512

func (o *httpOpener) exchange(s *httpSession) *exchange {
	var x *exchange
	if n := len(o.spare); n > 0 {
		x, o.spare = o.spare[n-1], o.spare[:n-1]
	} else {
		x = &exchange{}
	}
	x.s = s
	if n := len(o.heads); n > 0 {
		x.head, o.heads = o.heads[n-1][:0], o.heads[:n-1]
	}
	return x
}

const (
	mostSpared = 1024     // exchanges, and heads, that a loop keeps for reuse
	spareHead  = 16 << 10 // bytes of a head that is kept for reuse
)

// release ends an exchange. Its upstream has gone or been given away.
func (x *exchange) release() {
	x.gone()
	x.dropHead()
	s := x.s
	s.x = nil
	*x = exchange{}
	if o := s.o; len(o.spare) < mostSpared {
		o.spare = append(o.spare, x)
	}
}

// dropHead gives the request's head back when it is not needed any more: answers may take long.
func (x *exchange) dropHead() {
	if o := x.s.o; x.head != nil && cap(x.head) <= spareHead && len(o.heads) < mostSpared {
		o.heads = append(o.heads, x.head)
	}
	x.head = nil
}

// gone counts the server's connection as not in use.
func (x *exchange) gone() {
	if x.srv != nil {
		x.srv.open.Add(-1)
		x.srv.spared(x.trial)
		x.srv = nil
	}
	x.up = nil
}

// dial gives the request to a server that has not been tried; why is what to say when there is none.
func (x *exchange) dial(why service.Ending) {
	o, c := x.s.o, x.s.c
	for i := range x.tried {
		if x.tried[i] != nil {
			continue
		}
		srv, trial := o.pool.pick(&o.turn, x.tried[:i])
		if srv == nil {
			break
		}
		x.tried[i] = srv
		srv.open.Add(1)
		x.srv, x.trial = srv, trial
		if !x.fresh && trial == 0 && x.adopt() {
			return
		}
		if x.up, why = c.Dial(srv.target(o.pool, c), x); x.up != nil {
			return
		}
		x.gone()
		srv.failed(o.pool, why)
		if !why.Before() {
			break
		}
	}
	x.fail(why)
}

// adopt has the request go over a connection that is there already, and reports whether there is one.
func (x *exchange) adopt() bool {
	b := x.s.o.idle[x.srv]
	if b == nil {
		return false
	}
	now := x.s.c.Now()
	for len(b.kept) > 0 {
		k := b.kept[len(b.kept)-1]
		if k.until > now && x.s.c.Adopt(k.u, x) {
			b.remove(k.u)
			x.up, x.reused = k.u, true
			x.begin()
			return true
		}
		b.remove(k.u)
		k.u.Close()
	}
	return false
}

// Connected is service.UpstreamHandler's.
func (x *exchange) Connected(service.Upstream) {
	x.srv.succeeded(x.s.o.pool)
	x.begin()
}

// begin writes the request's head to the server that is there now.
func (x *exchange) begin() {
	x.in.Reset(x.s.o.resp)
	x.in.Ask(x.what)
	x.up.Write(x.head)
	if !x.again || !x.reused {
		x.dropHead() // it is not sent again, whatever happens
	}
	if x.expects {
		// Nobody has to wait for a server that might never say it, and one that does not want the
		// body says so in an answer that is passed on while the body comes.
		x.s.c.WriteString(http1.Continue)
		x.expects = false
	}
	if x.sent {
		x.up.Await(x.s.o.cfg.Silence)
	}
}

// part passes on a piece of the request's body, as much of it as there is room for.
func (x *exchange) part(data []byte) int {
	if x.up == nil {
		return len(data) // the answer is given
	}
	n := len(data)
	if !x.chunksIn {
		n = min(n, x.up.Room())
		x.up.Write(data[:n])
		return n
	}
	if n = min(n, x.up.Room()-http1.ChunkOverhead); n <= 0 {
		return 0
	}
	o := x.s.o
	o.buf = http1.AppendChunkHeader(o.buf[:0], n)
	x.up.Write(o.buf)
	x.up.Write(data[:n])
	x.up.Write(crlf)
	return n
}

// asked notes that the request's body is complete.
func (x *exchange) asked() {
	if x.sent = true; x.up == nil {
		return
	}
	if x.chunksIn {
		x.up.Write(lastChunk)
	}
	x.up.Await(x.s.o.cfg.Silence)
	x.s.c.Hold()
}

var lastChunk = []byte(http1.LastChunk)

// Drained is service.UpstreamHandler's: the engine offers the next unit by itself.
func (x *exchange) Drained(service.Upstream) {}

// Received is service.UpstreamHandler's.
//
// hot: 0 allocs, see BenchmarkHTTPRelay
func (x *exchange) Received(_ service.Upstream, p []byte) (taken int) {
	c := x.s.c
	if !x.heard && len(p) > 0 {
		x.heard = true
		x.dropHead()
	}
	x.behind = false
	for {
		w := p[taken:]
		if x.body && len(w) > 0 { // a piece is at most what there is room for
			room := c.Room() - http1.ChunkOverhead
			if room <= 0 {
				x.behind = true
				return taken
			}
			w = w[:min(len(w), room)]
		}
		was := x.in
		u := x.in.Decode(w)
		switch u.Kind {
		case codec.More:
			if taken += u.N; u.N > 0 && taken < len(p) {
				continue // w was a part of it
			}
			if x.eof {
				x.ended(service.EndEOF)
			}
			return taken
		case codec.Bad:
			x.garbled(u.Fault)
			return len(p)
		case codec.Frame:
			if c.Room() < u.N+answerSlack {
				x.in, x.behind = was, true
				return taken
			}
			taken += u.N
			if !x.answer() {
				return len(p)
			}
			if x.in.Switched() {
				x.pour()
				return taken
			}
			if x.in.Complete() {
				x.complete(taken == len(p))
				return len(p)
			}
		case codec.Part:
			taken += u.N
			x.pass(u.Data)
		case codec.End:
			taken += u.N
			x.complete(taken == len(p))
			return len(p)
		}
	}
}

// pass gives a piece of the answer's body to the client.
func (x *exchange) pass(data []byte) {
	c := x.s.c
	if !x.chunksOut {
		c.Write(data)
		return
	}
	o := x.s.o
	o.buf = http1.AppendChunkHeader(o.buf[:0], len(data))
	c.Write(o.buf)
	c.Write(data)
	c.WriteString("\r\n")
}

// answer gives the head that has just been decoded to the client, when it is for it, and reports whether
// the exchange goes on.
func (x *exchange) answer() bool {
	o, r, c := x.s.o, x.s.o.resp, x.s.c
	if r.Status < 200 && r.Status != 101 {
		if x.interims++; x.interims > mostInterims {
			x.garbled(codec.BadStatus)
			return false
		}
		if r.Status == 103 && !x.minor0 { // 100 was said by us; 102 means nothing to anybody any more
			o.buf = appendAnswerFields(r.AppendLine(o.buf[:0]), r)
			o.buf = append(o.buf, "\r\n"...)
			c.Write(o.buf)
		}
		return true
	}
	if v, _ := r.Get("upgrade"); r.Status == 101 && !is(v, "websocket") {
		x.garbled(codec.BadStatus)
		return false
	}
	if c.Draining() || !x.sent {
		x.last = true // what is still to come of the request is not waited for when the answer is complete
	}
	x.begun, x.body, x.keep = true, r.Body, r.KeepAlive
	if v, ok := r.Get("keep-alive"); ok && x.keep {
		x.lasts, x.keep = lasting(v)
	}
	x.chunksOut = r.Body && r.ContentLength < 0 && !x.minor0
	if r.Body && r.ContentLength < 0 && x.minor0 {
		x.last = true
	}
	o.buf = x.appendAnswer(o.buf[:0], r, c)
	c.Write(o.buf)
	x.counted(r.Status)
	return true
}

func (x *exchange) counted(status int) {
	x.s.o.count.answers[status/100].Add(1)
	x.s.c.Answered(status)
}

// pour has the bytes of another protocol go both ways from now on.
func (x *exchange) pour() {
	x.up.Await(0)
	x.s.c.Pour()
	x.up.Pour()
	x.s.c.Resume()
}

// complete ends the exchange: the answer is complete, and clean says that nothing stood behind it.
func (x *exchange) complete(clean bool) {
	s, c := x.s, x.s.c
	if x.chunksOut {
		c.WriteString(http1.LastChunk)
	}
	u, srv, lasts, ends := x.up, x.srv, x.lasts, x.last || !x.sent
	park := x.keep && x.sent && clean && !x.eof
	x.release()
	if lasts == 0 || lasts > s.o.cfg.Idle {
		lasts = s.o.cfg.Idle
	}
	if !park || !s.o.park(srv, u, c.Now()+lasts) {
		u.Close()
	}
	if ends {
		c.Close()
	} else {
		c.Resume()
	}
}

// Ended is service.UpstreamHandler's.
func (x *exchange) Ended(u service.Upstream, why service.Ending) {
	if why == service.EndEOF {
		x.eof = true
		if x.behind {
			return // what has come before is offered again
		}
	}
	x.ended(why)
}

// ended acts on the end of what the server has sent.
func (x *exchange) ended(why service.Ending) {
	if why == service.EndEOF {
		if x.in.EOF().Kind == codec.End {
			x.complete(false)
			return
		}
		x.up.Close()
	}
	srv := x.srv
	x.gone()
	switch {
	case why.Before(): // no byte was taken: another may be tried
		srv.failed(x.s.o.pool, why)
		x.dial(why)
	case x.reused && !x.heard && x.again && why != service.EndSilent:
		// It was most likely closed while the request was on its way.
		x.again, x.reused, x.fresh, x.tried = false, false, true, [tries]*server{}
		x.eof, x.behind = false, false // of that connection
		x.s.o.count.retried.Add(1)
		x.s.c.Hold()
		x.dial(why)
	default:
		x.fail(why)
	}
}

// garbled ends an exchange whose server has sent what is no answer.
func (x *exchange) garbled(f codec.Fault) {
	x.up.Close()
	x.gone()
	if x.begun {
		x.cut(service.EndGarbled)
		return
	}
	x.s.c.ReportUpstream(service.EndGarbled)
	x.say(502, "the server's answer is not HTTP as we know it: "+f.Error())
}

// fail ends an exchange that cannot be had: there is no server, or it has gone.
func (x *exchange) fail(why service.Ending) {
	if x.begun {
		x.cut(why)
		return
	}
	x.s.c.ReportUpstream(why)
	status, detail := 502, "the server has gone before it has answered"
	switch why {
	case service.EndNoUpstream:
		status, detail = 503, "no server is up"
	case service.EndDescriptors, service.EndPorts, service.EndBusy:
		status, detail = 503, "there is no way to a server now"
	case service.EndRefused, service.EndUnreachable, service.EndTLS:
		detail = "no server can be reached"
	case service.EndTimeout:
		status, detail = 504, "no server can be reached in time"
	case service.EndSilent, service.EndStalled:
		status, detail = 504, "the server has not answered in time"
	}
	x.say(status, detail)
}

// cut ends the connection of a client that has been given a part of an answer, so that it cannot be taken
// for the whole.
func (x *exchange) cut(why service.Ending) {
	c := x.s.c
	x.s.o.count.cut.Add(1)
	x.release()
	c.Fail(why, "")
}

// say answers in our own words and ends the exchange. The client may ask again, unless its request is not
// over yet.
func (x *exchange) say(status int, detail string) {
	c, o := x.s.c, x.s.o
	ends := x.last || !x.sent || c.Draining()
	if status >= 502 && status <= 504 {
		o.count.own[status-502].Add(1)
	}
	x.counted(status)
	h := http1.Head{Status: status, Date: c.Date(), Length: http1.NoLength, Close: ends, Minor0: x.minor0}
	if status != 204 {
		h.ContentType = "text/plain; charset=utf-8"
		h.Length = int64(len("502 \n\n") + len(http1.StatusText(status)) + len(detail))
	}
	o.buf = http1.AppendStart(o.buf[:0], h)
	if status == 503 {
		o.buf = append(o.buf, "Retry-After: 1\r\n"...)
	}
	o.buf = append(o.buf, "\r\n"...)
	c.Write(o.buf)
	if status != 204 && !x.what.Head {
		o.buf = append(o.buf[:0], byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10), ' ')
		o.buf = append(o.buf, http1.StatusText(status)...)
		o.buf = append(append(append(o.buf, '\n'), detail...), '\n')
		c.Write(o.buf)
	}
	x.release()
	if ends {
		c.Close()
	} else {
		c.Resume()
	}
}
