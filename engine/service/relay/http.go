package relay

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"weir/codec"
	"weir/codec/http1"
	"weir/engine/service"
	"weir/engine/service/web"
)

// HTTPConfig bounds what one request and its answer may cost. Zero means the default, where there is one.
type HTTPConfig struct {
	// MaxHeader is the largest request head in bytes; default package http1's, 16 KiB. What is passed on
	// of it, with up to 1 KiB of ours, must fit in half of the listener's MaxOut.
	MaxHeader int
	// MaxBody is the largest request body in bytes; 0 is no limit. It is streamed, never stored.
	MaxBody int64
	// MaxAnswerHeader is the largest response head in bytes, default 64 KiB. It is held until it is
	// complete; it, with up to 1 KiB of ours, must fit in half of the listener's MaxOut. Beyond: 502.
	MaxAnswerHeader int
	// MaxIdle is how many connections to each server are kept for later requests on each loop; 0 is
	// none. Too low: connections are made again and again. Too high: servers hold idle ones.
	MaxIdle int
	// Idle is how long one is kept, default 15 s. It should be less than the servers' own timeout: a
	// request that meets the end of its connection is sent again only when that is safe. Less for a server that
	// says so itself (Keep-Alive: timeout=).
	Idle time.Duration
	// Silence is how long a server may say nothing after a request or in the middle of its answer; 0 is
	// no limit. Beyond: 504, or the client is cut off.
	Silence time.Duration
	// Guarded says that weir itself asks clients who they are: their Authorization is not passed on, or
	// a server could use it here.
	Guarded bool
	// Secure says that clients come by TLS: servers are told so.
	Secure bool
}

// HTTPRelay relays HTTP/1.1 requests: each is parsed, limited and checked before any of it is passed on,
// and only what was parsed is written again, so that a server cannot read it otherwise than we did; its
// answer likewise. Connections to servers are kept and used for all clients of a loop, one request at a
// time. An upgrade to WebSocket is passed on and then poured.
type HTTPRelay struct {
	pool *Pool
	cfg  HTTPConfig

	mu    sync.Mutex
	loops []*tally
}

// HTTP makes the service. Before engine.New.
func HTTP(p *Pool, cfg HTTPConfig) *HTTPRelay {
	cfg.MaxAnswerHeader = cmp.Or(cfg.MaxAnswerHeader, 64<<10)
	cfg.Idle = cmp.Or(cfg.Idle, 15*time.Second)
	if p != nil && p.cfg.ProxyTo != 0 {
		cfg.MaxIdle = 0 // a connection that tells of one client is not for others
	}
	h := &HTTPRelay{pool: p, cfg: cfg}
	if p != nil {
		p.http = h
	}
	return h
}

// Name is service.Service's.
func (h *HTTPRelay) Name() string { return "relay" }

// ForLoop is service.Service's.
func (h *HTTPRelay) ForLoop() service.Opener {
	o := &httpOpener{
		HTTPRelay: h, turn: h.pool.firstTurn(), count: &tally{},
		req:  http1.NewRequest(http1.Limits{MaxHead: h.cfg.MaxHeader, MaxBody: h.cfg.MaxBody}),
		resp: http1.NewResponse(http1.Limits{MaxHead: h.cfg.MaxAnswerHeader, MaxFields: 200}),
		idle: map[*server]*bench{},
	}
	h.mu.Lock()
	h.loops = append(h.loops, o.count)
	h.mu.Unlock()
	return o
}

// HTTPCounts is what a relay has counted.
type HTTPCounts struct {
	// Answers by class of their status, 2xx at 2; those in our own words are counted here too.
	Answers [6]uint64
	// Own answers, in our own words: by status 502, 503 and 504 in this order.
	Own [3]uint64
	// Retried are requests that were sent again because the connection they went to first had ended.
	Retried uint64
	// Cut are answers that their server did not complete: the client was cut off.
	Cut uint64
}

// tally is one loop's part of the counts. The loop writes, any goroutine reads.
type tally struct {
	answers      [6]atomic.Uint64
	own          [3]atomic.Uint64
	retried, cut atomic.Uint64
	_            [64]byte // no line is shared with another loop's
}

// Counts adds up what all loops have counted. Any goroutine.
func (h *HTTPRelay) Counts() (n HTTPCounts) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, t := range h.loops {
		for i := range t.answers {
			n.Answers[i] += t.answers[i].Load()
		}
		for i := range t.own {
			n.Own[i] += t.own[i].Load()
		}
		n.Retried += t.retried.Load()
		n.Cut += t.cut.Load()
	}
	return n
}

// HTTPCounts is what the pool's relay of HTTP has counted, if it has one. Any goroutine.
func (p *Pool) HTTPCounts() (n HTTPCounts) {
	if p.http != nil {
		n = p.http.Counts()
	}
	return n
}

// httpOpener is one loop's part: scratch that its sessions share, and the connections that are kept.
type httpOpener struct {
	*HTTPRelay
	turn  uint // of round robin
	count *tally
	req   *http1.Request
	resp  *http1.Response
	buf   []byte
	idle  map[*server]*bench
	spare []*exchange // for reuse
	heads [][]byte    // for reuse
}

// Open is service.Opener's.
func (o *httpOpener) Open(c service.Conn) service.Session {
	s := &httpSession{o: o, c: c}
	s.Reset(o.req)
	return s
}

// httpSession is one client's connection: the decoder, and the request that is being answered.
type httpSession struct {
	http1.Decoder
	o *httpOpener
	c service.Conn
	x *exchange // nil between requests
}

// Stage is service.Session's.
func (s *httpSession) Stage() service.Stage {
	switch {
	case !s.Partial():
		return service.Between
	case s.x != nil:
		return service.InBody
	}
	return service.InHead
}

// Serve is service.Session's.
func (s *httpSession) Serve(c service.Conn, u codec.Unit) int {
	switch u.Kind {
	case codec.Frame:
		s.Again(u.Data) // somebody in front may have kept it until now
		s.request()
	case codec.Part:
		if s.x != nil {
			return s.x.part(u.Data)
		}
	case codec.End:
		if s.x != nil {
			s.x.asked()
		}
	}
	return len(u.Data)
}

// request begins to have the request answered whose head has just been decoded. Until it is, no other
// one is served.
func (s *httpSession) request() {
	o, r, c := s.o, s.o.req, s.c
	x := o.exchange(s)
	s.x = x
	body := r.Chunked || r.ContentLength > 0
	x.sent = !body
	x.chunksIn = r.Chunked
	x.expects = r.ExpectContinue
	x.last = !r.KeepAlive || c.Draining()
	x.minor0 = r.Minor == 0
	x.what.Head = r.Head
	x.again = !body && idempotent(r)
	if status, detail := x.unwanted(r); status != 0 {
		x.say(status, detail)
		return
	}
	x.what.Upgrade = upgrades(r)
	var err string
	if x.head, err = o.appendRequest(x.head, s); err != "" {
		x.say(400, err)
		return
	}
	if x.sent {
		c.Hold()
	}
	x.dial(service.EndNoUpstream)
}

// idempotent reports whether a request may be sent again when it is not known what became of it (9110
// 9.2.2), provided that it has no body.
func idempotent(r *http1.Request) bool {
	switch string(r.Method()) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}

// unwanted says how a request is answered that is not passed on, 0 when it is.
func (x *exchange) unwanted(r *http1.Request) (status int, detail string) {
	switch string(r.Method()) {
	case "CONNECT", "TRACE":
		return 501, "this method is not relayed"
	case "OPTIONS":
		if v, ok := r.Get("max-forwards"); ok {
			switch n, ok := number(v); {
			case !ok || r.Next("max-forwards", r.Next("max-forwards", 0)+1) >= 0:
				return 400, "Max-Forwards is no number"
			case n == 0:
				return 204, "" // 9110 7.6.2: we are who was meant
			}
		}
	}
	return 0, ""
}

// number reads one of up to six digits.
func number(v []byte) (n int, ok bool) {
	if len(v) == 0 || len(v) > 6 {
		return 0, false
	}
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// Refuse answers in HTTP's words, unless an answer is under way.
func (s *httpSession) Refuse(c service.Conn, why service.Refusal) {
	if s.x == nil || !s.x.begun {
		s.o.buf = web.AppendRefusal(s.o.buf[:0], c, why, s.x == nil && s.o.req.Head)
		c.Write(s.o.buf)
	}
}

// Decline is service.Decliner's.
func (s *httpSession) Decline(c service.Conn) bool {
	return s.x == nil && web.Decline(c, s.o.req, &s.o.buf)
}

// Fault answers wrong bytes, unless an answer is under way.
func (s *httpSession) Fault(c service.Conn, f codec.Fault) {
	if s.x == nil || !s.x.begun {
		s.o.buf = web.AppendFault(s.o.buf[:0], c, f)
		c.Write(s.o.buf)
	}
}

// Closed is service.Session's. The engine has ended the upstream.
func (s *httpSession) Closed() {
	if s.x != nil {
		s.x.release()
	}
}
