package tlsio

import (
	"crypto/tls"
	"errors"
	"iter"
	"net"
)

// Handshake is one side of a TLS handshake under way, the server's or the client's.
type Handshake struct {
	conn    *Conn
	err     error
	resume  func() (struct{}, bool)
	abandon func()
	done    bool
	aborted bool
}

// ErrAborted is the error of a handshake that was aborted.
var ErrAborted = errors.New("handshake aborted")

// NewHandshake prepares a handshake under cfg. The addresses are those that cfg's callbacks see. It
// computes nothing yet.
func NewHandshake(cfg *tls.Config, local, remote net.Addr) *Handshake {
	c := &Conn{wire: wire{local: local, remote: remote}}
	c.tls = tls.Server(&c.wire, cfg)
	return &Handshake{conn: c}
}

// NewClientHandshake prepares the client's side of a handshake under cfg, whose ServerName says whom it
// is with. Its first Step needs no bytes.
func NewClientHandshake(cfg *tls.Config) *Handshake {
	c := new(Conn)
	c.tls = tls.Client(&c.wire, cfg)
	return &Handshake{conn: c}
}

// Step goes on with the handshake. in is what has arrived since the last Step, whole records as
// Whole counts them; it is the Handshake's until the Step after. What is to be sent is appended to
// *out. It returns when more bytes are needed or, with done, when the handshake has ended, whether
// well (Conn) or not (Err); what is to be sent then may be an alert.
//
// It is where the asymmetric cryptography happens: a few hundred microseconds. A panic inside
// crypto/tls or a callback of its configuration comes through. Once done, Step does nothing.
func (h *Handshake) Step(in []byte, out *[]byte) (done bool) {
	if h.done {
		return true
	}
	w := &h.conn.wire
	w.in, w.out = in, out
	h.conn.shaken += len(in)
	if h.resume == nil {
		h.resume, h.abandon = iter.Pull(func(yield func(struct{}) bool) {
			w.yield = yield
			h.err = h.conn.tls.Handshake()
			w.yield = nil
		})
	}
	h.done = true // also when it panics
	_, more := h.resume()
	h.done = !more
	w.out = nil
	return h.done
}

// Abort gives up a handshake that is not done. Without it the coroutine would stay for ever. It ends on a
// goroutine of its own, since a coroutine that was made by a goroutine without a thread of its own may not be resumed by one
// that has one, as event loops do: the runtime ends the program then.
func (h *Handshake) Abort() {
	if h.done {
		return
	}
	h.done, h.aborted = true, true
	if abandon := h.abandon; abandon != nil {
		h.conn.wire.out = new([]byte) // for a refusal that nobody will read
		go func() {
			defer func() { _ = recover() }() // a callback's, about a handshake that is over
			abandon()
		}()
	}
}

// Done reports whether the handshake has ended.
func (h *Handshake) Done() bool { return h.done }

// Err is why a handshake that is done failed; nil when it succeeded.
func (h *Handshake) Err() error {
	if h.aborted {
		return ErrAborted
	}
	return h.err
}

// Conn is what a successful handshake made, and what had arrived behind it: the first bytes to Open,
// a part of the last Step's in.
func (h *Handshake) Conn() (c *Conn, rest []byte) {
	rest, h.conn.wire.in = h.conn.wire.in, nil
	h.conn.shaken -= len(rest)
	return h.conn, rest
}
