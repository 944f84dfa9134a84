package tunnel

import (
	"crypto/tls"
	"errors"
	"iter"
	"net"
)

// more is the error of a read that has to wait. crypto/tls keeps every error of its connection for good but those that
// call themselves temporary, which it passes on and forgets.
type more struct{}

func (more) Error() string   { return "tunnel: no whole record yet" }
func (more) Timeout() bool   { return false }
func (more) Temporary() bool { return true }

// ErrMore is what [Conn.Read] returns when it needs more bytes from the socket.
var ErrMore net.Error = more{}

// Conn is one TLS connection. Use [New].
type Conn struct {
	tls  *tls.Conn
	pipe pipe
	sent int // of pipe.out
	next func() (struct{}, bool)
	stop func()
	err  error // of the handshake
	up   bool  // the handshake is complete
}

// New returns a connection on which nothing was said yet. cfg may be shared by any number of them.
func New(cfg *tls.Config) *Conn {
	c := new(Conn)
	c.tls = tls.Client(&c.pipe, cfg)
	return c
}

// Preface puts b before all that TLS sends: a PROXY header. Before the first [Conn.Step] only. It copies b.
func (c *Conn) Preface(b []byte) { c.pipe.out = append(c.pipe.out, b...) }

// Step drives the handshake with what came from the socket, nil the first time, and reports whether it is complete. In
// any case there may be something to [Conn.Flush]. Once it is complete the caller has to call [Conn.Read] until
// [ErrMore]: the bytes that ended the handshake may hold more, of which no poller tells. in is not kept.
//
// Until it is complete or failed, or [Conn.Stop] was called, a coroutine is parked in it: every Step and the Stop must
// be made by one goroutine that neither takes nor gives up a thread of its own in between (runtime/coro.go checks).
func (c *Conn) Step(in []byte) (done bool, err error) {
	c.pipe.in = in
	if c.next == nil {
		c.next, c.stop = iter.Pull(c.handshake)
	}
	if _, parked := c.next(); parked {
		return false, nil
	}
	c.up = c.err == nil
	c.pipe.in = append([]byte(nil), c.pipe.in...)
	return c.up, c.err
}

func (c *Conn) handshake(park func(struct{}) bool) {
	c.pipe.park = park
	c.err = c.tls.Handshake()
	c.pipe.park = nil
}

// Up reports whether the handshake is complete.
func (c *Conn) Up() bool { return c.up }

// Resumed reports whether the server took up an earlier session. After the handshake only.
func (c *Conn) Resumed() bool { return c.tls.ConnectionState().DidResume }

// Receive takes what came from the socket after the handshake. b must stay as it is until [Conn.Read] returned an
// error, which it has to be called for before the next Receive.
func (c *Conn) Receive(b []byte) { c.pipe.in = b }

// Read decrypts into p, which must not be empty. Errors: [ErrMore], which may come with n above 0; io.EOF after the
// server's close_notify; whatever else broke the connection. There may be something to [Conn.Flush] after it.
func (c *Conn) Read(p []byte) (n int, err error) { return c.tls.Read(p) }

// Write encrypts all of p, to be sent by [Conn.Flush]. After the handshake only. It keeps as many bytes as p has
// until they are sent: write a large p in parts.
func (c *Conn) Write(p []byte) error {
	_, err := c.tls.Write(p)
	return err
}

// Close says goodbye, to be sent by [Conn.Flush], when the handshake is complete, and does what [Conn.Stop] does.
func (c *Conn) Close() {
	if c.up {
		_ = c.tls.Close()
	}
	c.Stop()
}

// Stop ends a handshake under way; the rules of [Conn.Step] apply. A connection that is dropped must be stopped, or its
// coroutine stays for good; more than once does no harm.
func (c *Conn) Stop() {
	if c.stop != nil {
		c.stop()
	}
}

// Alert reports whether err, from [Conn.Step] or [Conn.Read], is an alert that the server sent: it refused.
func Alert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}
