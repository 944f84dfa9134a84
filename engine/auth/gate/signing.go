package gate

import (
	"encoding/binary"

	"weir/codec"
	"weir/codec/length"
	"weir/codec/signed"
	"weir/engine/service"
)

// signingSession hands its service the connection that signs, whoever calls.
type signingSession struct {
	service.Session
	c service.Conn
}

func (s *signingSession) Serve(_ service.Conn, u codec.Unit) int     { return s.Session.Serve(s.c, u) }
func (s *signingSession) Refuse(_ service.Conn, why service.Refusal) { s.Session.Refuse(s.c, why) }
func (s *signingSession) Fault(_ service.Conn, f codec.Fault)        { s.Session.Fault(s.c, f) }

// signingConn signs each frame that is written to it. A frame is held until it is whole.
type signingConn struct {
	service.Conn
	seal *signed.Sealer
	max  int    // the largest payload
	buf  []byte // a frame that is not whole: header and payload
	out  []byte // the signed one
	dead bool
}

// tagged is what signing adds to a frame.
const tagged = signed.TagBytes

// Room leaves room for the tag of the frame that is being written, and for one more.
func (c *signingConn) Room() int { return max(0, c.Conn.Room()-len(c.buf)-2*tagged) }

// Write is service.Conn's.
func (c *signingConn) Write(p []byte) {
	for len(p) > 0 && !c.dead {
		want := length.HeaderBytes
		if len(c.buf) >= want {
			n := binary.BigEndian.Uint32(c.buf)
			if n > uint32(c.max) {
				c.dead = true
				c.Conn.Fail(service.EndTooLarge, "")
				return
			}
			want += int(n)
		}
		n := min(len(p), want-len(c.buf))
		c.buf = append(c.buf, p[:n]...)
		p = p[n:]
		c.whole()
	}
}

// whole sends the frame in buf when it is whole.
func (c *signingConn) whole() {
	if len(c.buf) < length.HeaderBytes {
		return
	}
	n := int(binary.BigEndian.Uint32(c.buf))
	if len(c.buf) < length.HeaderBytes+n || n > c.max {
		return
	}
	c.out = length.AppendHeader(c.out[:0], n+tagged)
	c.out = c.seal.Append(c.out, c.buf[length.HeaderBytes:])
	c.Conn.Write(c.out)
	c.buf, c.out = emptied(c.buf), emptied(c.out)
}

// emptied is a buffer for use again, unless it is one that idle connections should not hold.
func emptied(b []byte) []byte {
	if cap(b) > 512 {
		return nil
	}
	return b[:0]
}

// WriteString is service.Conn's.
func (c *signingConn) WriteString(s string) { c.Write([]byte(s)) }

// Dial is service.Conn's: what the server sends is signed even when it is poured.
func (c *signingConn) Dial(t service.Target, h service.UpstreamHandler) (service.Upstream, service.Ending) {
	s := &signingUpstream{c: c, h: h}
	u, why := c.Conn.Dial(t, s)
	if u == nil {
		return nil, why
	}
	s.Upstream = u
	return s, why
}

// signingUpstream is an upstream whose bytes are frames on their way to a client whose frames are signed.
type signingUpstream struct {
	service.Upstream
	c     *signingConn
	h     service.UpstreamHandler
	pours bool
}

// Pour is service.Upstream's.
func (u *signingUpstream) Pour() { u.pours = true }

func (u *signingUpstream) Connected(service.Upstream) { u.h.Connected(u) }
func (u *signingUpstream) Drained(service.Upstream)   { u.h.Drained(u) }

func (u *signingUpstream) Received(_ service.Upstream, p []byte) int {
	if !u.pours {
		return u.h.Received(u, p)
	}
	n := min(len(p), u.c.Room())
	u.c.Write(p[:n])
	return n
}

// Ended ends the client's connection in order when the server has, and nothing of a frame is missing.
func (u *signingUpstream) Ended(_ service.Upstream, why service.Ending) {
	if u.pours && why == service.EndEOF {
		if len(u.c.buf) > 0 {
			why = service.EndReset
			u.c.Fail(why, "")
			return
		}
		u.c.Close()
		return
	}
	u.h.Ended(u, why)
}
