package relay

import (
	"weir/codec"
	"weir/codec/mqtt"
	"weir/codec/resp"
	"weir/engine/service"
)

// Commands relays what Redis's clients send (package resp) to a Redis server: each command of up to max
// bytes, 0 meaning resp's default, is checked, counted and passed on as it came, a large one while it
// is still coming. Answers are bytes. A client that has asked nothing yet is told "-ERR " and why
// before it is closed. Before engine.New.
func Commands(p *Pool, max int) service.Service {
	return relay{p, func(o *opener) service.Session {
		return &commandSession{Decoder: resp.Decoder{Max: max}, wire: wire{link: link{o: o, words: "-ERR "}}}
	}}
}

// Packets relays what MQTT clients send (package mqtt) to a broker, as Commands does with commands, but connects
// to it once there is a CONNECT. When none can be connected to, that is answered by a CONNACK, server unavailable;
// for anything else the protocol has no words before the broker's. Before engine.New.
func Packets(p *Pool, max int) service.Service {
	return relay{p, func(o *opener) service.Session {
		return &packetSession{Decoder: mqtt.Decoder{Max: max}, wire: wire{link: link{o: o}}}
	}}
}

// wire is a session's part that passes units on whose Data is all that stood on the wire.
type wire struct{ link }

func (w *wire) Serve(_ service.Conn, u codec.Unit) int {
	n := min(len(u.Data), w.up.Room())
	w.up.Write(u.Data[:n])
	return n
}

type commandSession struct {
	resp.Decoder
	wire
}

// Serve notes when a command is complete: what is wrong with one that is not can still be its answer.
func (s *commandSession) Serve(c service.Conn, u codec.Unit) int {
	s.asked = s.asked || u.Kind == codec.End || u.Kind == codec.Frame && !s.Partial()
	return s.wire.Serve(c, u)
}

func (s *commandSession) Stage() service.Stage { return stage(s.Partial()) }

type packetSession struct {
	mqtt.Decoder
	wire
}

// The CONNACKs of a server that is not available, which is 3, and 0x88 since version 5.
//
//	type and flags │ remaining length │ acknowledge flags │ code │ in version 5: length of properties
const (
	unavailable   = "\x20\x02\x00\x03"
	unavailableV5 = "\x20\x03\x00\x88\x00"
)

// begin connects to nobody: in MQTT the client speaks first, and until it has nobody knows its version.
func (s *packetSession) begin(c service.Conn) { s.c = c }

// Serve connects to a broker when CONNECT has come, which stays in front until that is done, so that another
// broker can be tried, and then goes first.
func (s *packetSession) Serve(c service.Conn, u codec.Unit) int {
	if s.up == nil {
		if s.words, s.bare = unavailable, true; s.Version() == mqtt.V5 {
			s.words = unavailableV5
		}
		s.dial(service.EndNoUpstream)
		return 0
	}
	n := s.wire.Serve(c, u)
	s.asked = s.asked || n > 0 // from here on the broker answers
	return n
}

func (s *packetSession) Stage() service.Stage { return stage(s.Partial()) }
