package tunnel

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

// client is the caller of a Conn: a blocking socket from which at most step bytes are taken at a time.
type client struct {
	*Conn
	t    *testing.T
	sock net.Conn
	step int
}

func dial(t *testing.T, to target.Target, o Options, step int) *client {
	t.Helper()
	cfg, err := o.Config(to)
	if err != nil {
		t.Fatal(err)
	}
	return dialWith(t, to, cfg, step)
}

func dialWith(t *testing.T, to target.Target, cfg *tls.Config, step int) *client {
	t.Helper()
	s, err := net.Dial("tcp", to.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(time.Minute))
	c := &client{Conn: New(cfg), t: t, sock: s, step: step}
	t.Cleanup(func() { s.Close(); c.Stop() })
	return c
}

func (c *client) send() {
	c.t.Helper()
	if _, err := c.sock.Write(c.pipe.out); err != nil {
		c.t.Fatal(err)
	}
	c.pipe.out = nil
}

func (c *client) receive() ([]byte, error) {
	b := make([]byte, c.step)
	n, err := c.sock.Read(b)
	return b[:n], err
}

// shake makes the handshake.
func (c *client) shake() error {
	c.t.Helper()
	done, err := c.Step(nil)
	for {
		c.send()
		if done || err != nil {
			return err
		}
		b, bad := c.receive()
		if bad != nil {
			return bad
		}
		done, err = c.Step(b)
	}
}

// readAll reads n bytes, or up to an error.
func (c *client) readAll(n int) (out []byte, err error) {
	p := make([]byte, 100)
	for {
		got, err := c.Read(p)
		out = append(out, p[:got]...)
		if len(out) >= n || err != nil && err != ErrMore {
			return out, err
		}
		if err == ErrMore {
			b, bad := c.receive()
			if bad != nil {
				return out, bad
			}
			c.Receive(b)
		}
	}
}

func TestEchoInWhateverPieces(t *testing.T) {
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { io.Copy(c, c) })
	text := bytes.Repeat([]byte("what goes in comes out. "), 3000) // 72 KB: several records
	for _, version := range []string{"", "1.2", "1.3"} {
		for _, step := range []int{1, 2, 7, 1000, 1 << 20} {
			c := dial(t, to, Options{Version: version}, step)
			if err := c.shake(); err != nil {
				t.Fatalf("%s in steps of %d: %v", version, step, err)
			}
			if !c.Up() || c.Resumed() {
				t.Errorf("%s in steps of %d: up %v, resumed %v", version, step, c.Up(), c.Resumed())
			}
			if err := c.Write(text); err != nil {
				t.Fatal(err)
			}
			c.send()
			if got, err := c.readAll(len(text)); !bytes.Equal(got, text) {
				t.Errorf("%s in steps of %d: %d bytes came back, %v", version, step, len(got), err)
			}
		}
	}
}

func TestVersionAndNameAreWhatTheServerSees(t *testing.T) {
	seen := make(chan tls.ConnectionState, 1)
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) {
		if c.Handshake() == nil {
			seen <- c.ConnectionState()
			io.Copy(io.Discard, c)
		}
	})
	for _, c := range []struct {
		o       Options
		host    string
		version uint16
		name    string
	}{
		{Options{}, "127.0.0.1:1", tls.VersionTLS13, ""},
		{Options{Version: "1.2"}, "localhost:1", tls.VersionTLS12, "localhost"},
		{Options{Version: "1.3", Name: "weir.test"}, "localhost:1", tls.VersionTLS13, "weir.test"},
		{Options{}, "[::1]:1", tls.VersionTLS13, ""},
	} {
		named := to
		named.Host = c.host
		if err := dial(t, named, c.o, 1000).shake(); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got.Version != c.version || got.ServerName != c.name {
			t.Errorf("%+v: the server sees version %x, name %q", c.o, got.Version, got.ServerName)
		}
	}
	if _, err := (Options{Version: "1.1"}).Config(to); err == nil {
		t.Error("TLS 1.1 passed")
	}
	if _, err := (Options{Name: string(make([]byte, 256))}).Config(to); err == nil {
		t.Error("an endless name passed")
	}
}

func TestSessionsAreResumedWhenWanted(t *testing.T) {
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { io.Copy(c, c) })
	for _, o := range []Options{{Version: "1.2"}, {Version: "1.3"}, {Version: "1.2", Resume: true}, {Version: "1.3", Resume: true}} {
		cfg, err := o.Config(to)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			c := dialWith(t, to, cfg, 1000)
			if err := c.shake(); err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("x"))
			c.send()
			if _, err := c.readAll(1); err != nil && err != ErrMore {
				t.Fatal(err)
			}
			if c.Resumed() != (o.Resume && i > 0) {
				t.Errorf("%+v: connection %d resumed %v", o, i, c.Resumed())
			}
		}
	}
}

// What the server says along with the end of the handshake is there to be read at once: the socket has no more to tell.
func TestWhatCameWithTheHandshakeIsRead(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) {
			c.Write([]byte("hello"))
			c.Close()
		})
		c := dial(t, to, Options{Version: version}, 1<<20)
		if err := c.shake(); err != nil {
			t.Fatal(err)
		}
		if got, err := c.readAll(6); string(got) != "hello" || err != io.EOF {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

func TestAlertsAreToldFromNonsense(t *testing.T) {
	old := victim.Config(t)
	old.MaxVersion = tls.VersionTLS12
	to := victim.ServeTLS(t, target.Line, old, func(c *tls.Conn) { c.Handshake() })
	if err := dial(t, to, Options{Version: "1.3"}, 100).shake(); !Alert(err) {
		t.Errorf("a server without TLS 1.3: %v", err)
	}
	to = victim.Serve(t, target.Line, func(c *net.TCPConn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	if err := dial(t, to, Options{}, 100).shake(); err == nil || Alert(err) || errors.Is(err, io.EOF) {
		t.Errorf("a server without TLS: %v", err)
	}
}

func TestStoppedHandshakesLeaveNothing(t *testing.T) {
	cfg, err := Options{}.Config(target.Target{})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 100 {
		c := New(cfg)
		if done, err := c.Step(nil); done || err != nil || !c.Pending() {
			t.Fatal(done, err)
		}
		c.Close()
		c.Stop()
		if done, err := c.Step(nil); done || err == nil {
			t.Errorf("stopped, and goes on: %v, %v", done, err)
		}
	}
	New(cfg).Stop()
	now := 0
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if now = runtime.NumGoroutine(); now <= before {
			return
		}
	}
	t.Errorf("%d goroutines, %d before", now, before)
}

func TestHellosAreAnsweredAndDiffer(t *testing.T) {
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { c.Handshake() })
	for _, version := range []string{"1.2", "1.3"} {
		cfg, err := Options{Version: version}.Config(to)
		if err != nil {
			t.Fatal(err)
		}
		h, err := NewHello(cfg)
		if err != nil {
			t.Fatal(err)
		}
		first := bytes.Clone(h.Next())
		if bytes.Equal(first, h.Next()) {
			t.Errorf("%s: two hellos are the same", version)
		}
		for why, b := range map[string][]byte{"whole": first, "in records of a byte": h.Dripped(true)} {
			s, err := net.Dial("tcp", to.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			s.Write(b)
			head := make([]byte, 6)
			if _, err := io.ReadFull(s, head); err != nil || head[0] != 22 || head[5] != 2 {
				t.Errorf("%s, %s: no ServerHello: % x, %v", version, why, head, err)
			}
			s.Close()
		}
	}
}
