// Package echo sends every frame or line back to who sent it. It is what a first try talks to, and
// what the engine is measured with.
package echo

import (
	"weir/codec"
	"weir/codec/length"
	"weir/codec/line"
	"weir/engine/service"
)

// Frames echoes length-prefixed frames (package length) of 1 to max bytes; 0 means length's
// default. A frame whose answer does not fit is sent in pieces as its reader makes room.
// Before engine.New.
func Frames(max int) service.Service { return frames{max} }

type frames struct{ max int }

func (s frames) Name() string            { return "echo" }
func (s frames) ForLoop() service.Opener { return s }

func (s frames) Open(service.Conn) service.Session {
	return &frameSession{Decoder: length.Decoder{Max: s.max}}
}

// mute is the answer of a protocol that has no words for refusals.
type mute struct{}

func (mute) Refuse(service.Conn, service.Refusal) {}
func (mute) Fault(service.Conn, codec.Fault)      {}
func (mute) Closed()                              {}

type frameSession struct {
	length.Decoder
	mute
	head  [length.HeaderBytes]byte
	begun bool // the header of the frame that is being sent is queued
}

func (s *frameSession) Stage() service.Stage {
	if s.Partial() {
		return service.InFrame
	}
	return service.Between
}

func (s *frameSession) Serve(c service.Conn, u codec.Unit) int {
	if !s.begun {
		c.Write(length.AppendHeader(s.head[:0], len(u.Data)))
	}
	n := min(len(u.Data), c.Room())
	c.Write(u.Data[:n])
	s.begun = n < len(u.Data)
	return n
}

// Lines echoes lines (package line) of up to max bytes, each with CRLF; 0 means line's default.
// A line that breaks the rules is answered "ERR " and why before the connection is closed.
// Before engine.New.
func Lines(max int) service.Service { return lines{max} }

type lines struct{ max int }

func (s lines) Name() string            { return "echo" }
func (s lines) ForLoop() service.Opener { return s }

func (s lines) Open(service.Conn) service.Session {
	return &lineSession{Decoder: line.Decoder{Max: s.max}}
}

type lineSession struct {
	line.Decoder
}

func (s *lineSession) Stage() service.Stage {
	if s.Partial() {
		return service.InFrame
	}
	return service.Between
}

func (s *lineSession) Serve(c service.Conn, u codec.Unit) int {
	n := min(len(u.Data), c.Room())
	c.Write(u.Data[:n])
	if n == len(u.Data) {
		c.WriteString("\r\n")
	}
	return n
}

func (s *lineSession) Refuse(c service.Conn, why service.Refusal) {
	c.WriteString("ERR " + why.String() + "\r\n")
}

func (s *lineSession) Fault(c service.Conn, f codec.Fault) {
	c.WriteString("ERR " + f.Error() + "\r\n")
}

func (s *lineSession) Closed() {}
