// Package relay passes what clients send on to servers behind, and what those answer back: bytes as
// they come, or frames, lines, commands of Redis and packets of MQTT that have been checked first; TLS
// unopened, to the server that the client names (passthrough.go, route.go, sni.go).
//
// It chooses the server (pool.go), keeps an eye on which of them are up (check.go, ask.go) and looks their
// names up (resolve.go); those two have a goroutine for each pool. It moves no bytes: package engine
// does, and holds at most the listener's -max-out for each direction. Half-close is carried through.
//
// What a client has sent is given to one server only. Another is tried when connecting fails, which
// is before the first of them has a byte.
package relay

import (
	"weir/codec"
	"weir/codec/length"
	"weir/codec/line"
	"weir/engine/service"
)

// tries is how many servers one client is offered to.
const tries = 3

// Bytes relays bytes as they come, both ways. The client's first bytes stand for its first frame.
// Before engine.New.
func Bytes(p *Pool) service.Service {
	return relay{p, func(o *opener) service.Session { return &byteSession{link: link{o: o, pours: true}} }}
}

// Frames relays length-prefixed frames (package length) of 1 to max bytes, 0 meaning length's
// default: each is checked, counted and passed on as it came; a frame that is larger than what is
// held for a connection goes on in pieces. Answers are bytes. Before engine.New.
func Frames(p *Pool, max int) service.Service {
	return relay{p, func(o *opener) service.Session {
		return &frameSession{Decoder: length.Decoder{Max: max}, link: link{o: o}}
	}}
}

// Lines relays lines (package line) of up to max bytes, 0 meaning line's default, as Frames does with
// frames. A client that has asked nothing yet is told "ERR " and why before it is closed.
// Before engine.New.
func Lines(p *Pool, max int) service.Service {
	return relay{p, func(o *opener) service.Session {
		return &lineSession{Decoder: line.Decoder{Max: max}, link: link{o: o, words: "ERR "}}
	}}
}

type relay struct {
	pool *Pool
	open func(*opener) service.Session
}

func (r relay) Name() string            { return "relay" }
func (r relay) ForLoop() service.Opener { return &opener{relay: r, turn: r.pool.firstTurn()} }

// opener is one loop's part.
type opener struct {
	relay
	turn uint // of round robin
}

func (o *opener) Open(c service.Conn) service.Session {
	s := o.open(o)
	s.(interface{ begin(service.Conn) }).begin(c)
	return s
}

// link is a session's way to its server.
type link struct {
	o     *opener
	c     service.Conn
	up    service.Upstream
	srv   *server // that up goes to, for its count of connections
	trial int64   // of srv, see Pool.pick
	tried [tries]*server
	pours bool   // the client's bytes too
	asked bool   // a unit was passed on: what comes next is taken for its answer
	words string // what the protocol puts before words about what went wrong; empty: it has none
	bare  bool   // words are all that is said
}

var _ service.UpstreamHandler = (*link)(nil)

func (k *link) begin(c service.Conn) {
	k.c = c
	k.dial(service.EndNoUpstream)
}

// dial offers the client to a server that has not been tried; why is what to say when there is none.
func (k *link) dial(why service.Ending) {
	for i := range k.tried {
		if k.tried[i] != nil {
			continue
		}
		s, trial := k.o.pool.pick(&k.o.turn, k.tried[:i])
		if s == nil {
			break
		}
		k.tried[i] = s
		k.srv, k.trial = s, trial
		s.open.Add(1)
		if k.up, why = k.c.Dial(s.target(k.o.pool, k.c), k); k.up != nil {
			return
		}
		k.gone()
		s.failed(k.o.pool, why)
		if !why.Before() {
			break
		}
	}
	k.c.Fail(why, k.last("no server is there for you"))
}

// last are the last words to a client that has asked nothing yet: later they would be taken for the
// answer to what was passed on, or for a part of it.
func (k *link) last(text string) string {
	if k.words == "" || k.asked || k.c.Standing().BytesOut > 0 {
		return ""
	}
	if k.bare {
		return k.words
	}
	return k.words + text + "\r\n"
}

// Connected is service.UpstreamHandler's.
func (k *link) Connected(u service.Upstream) {
	k.srv.succeeded(k.o.pool)
	u.Pour()
	if k.pours {
		k.c.Pour()
	}
}

// Received is service.UpstreamHandler's: all is poured.
func (k *link) Received(_ service.Upstream, p []byte) int { return len(p) }

// Drained is service.UpstreamHandler's: the engine offers the next unit by itself.
func (k *link) Drained(service.Upstream) {}

// Ended is service.UpstreamHandler's.
func (k *link) Ended(_ service.Upstream, why service.Ending) {
	s := k.srv
	k.gone()
	switch {
	case why.Before(): // no byte was taken: another may be tried
		s.failed(k.o.pool, why)
		k.dial(why)
	default:
		k.c.Fail(why, k.last("the server has gone"))
	}
}

// gone counts the server's connection as closed.
func (k *link) gone() {
	if k.srv != nil {
		k.srv.open.Add(-1)
		k.srv.spared(k.trial)
		k.srv, k.up = nil, nil
	}
}

// Closed is service.Session's.
func (k *link) Closed() { k.gone() }

// Refuse is service.Session's.
func (k *link) Refuse(_ service.Conn, why service.Refusal) { k.say(why.String()) }

// Fault is service.Session's.
func (k *link) Fault(_ service.Conn, f codec.Fault) { k.say(f.Error()) }

// say gives the client last words, where there may be any.
func (k *link) say(text string) {
	if words := k.last(text); words != "" {
		k.c.WriteString(words)
	}
}

// byteSession is asked nothing once the bytes pour.
type byteSession struct{ link }

func (s *byteSession) Decode([]byte) codec.Unit               { return codec.Unit{} }
func (s *byteSession) Lacks() int                             { return 1 }
func (s *byteSession) Partial() bool                          { return false }
func (s *byteSession) Stage() service.Stage                   { return service.Between }
func (s *byteSession) Serve(_ service.Conn, u codec.Unit) int { return len(u.Data) }

type frameSession struct {
	length.Decoder
	link
	head  [length.HeaderBytes]byte
	begun bool // the header of the frame that is being passed on is queued
}

func (s *frameSession) Stage() service.Stage { return stage(s.Partial()) }

func (s *frameSession) Serve(_ service.Conn, u codec.Unit) int {
	if !s.begun {
		s.up.Write(length.AppendHeader(s.head[:0], len(u.Data)))
	}
	n := min(len(u.Data), s.up.Room())
	s.up.Write(u.Data[:n])
	s.begun = n < len(u.Data)
	return n
}

type lineSession struct {
	line.Decoder
	link
	end   int8 // bytes of the line's end
	begun bool // a part of the line is queued
}

func (s *lineSession) Stage() service.Stage { return stage(s.Partial()) }

func (s *lineSession) Serve(_ service.Conn, u codec.Unit) int {
	if !s.begun {
		s.end = int8(u.N - len(u.Data))
	}
	s.asked = true
	n := min(len(u.Data), s.up.Room())
	s.up.Write(u.Data[:n])
	if s.begun = n < len(u.Data); !s.begun {
		s.up.Write(crlf[len(crlf)-int(s.end):])
	}
	return n
}

var crlf = []byte("\r\n")

func stage(partial bool) service.Stage {
	if partial {
		return service.InFrame
	}
	return service.Between
}
