package tlsio

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
)

// gathering holds back what is written from the last flight of a handshake on, until it is flushed.
type gathering struct {
	net.Conn
	wrote int
	held  []byte
}

func (g *gathering) Write(p []byte) (int, error) {
	if g.wrote++; g.wrote == 1 { // the ClientHello
		return g.Conn.Write(p)
	}
	g.held = append(g.held, p...)
	return len(p), nil
}

func (g *gathering) flush() { g.Conn.Write(g.held) }

// capture is a net.Conn that keeps what is written and has nothing to read.
type capture struct {
	net.Conn
	b []byte
}

func (c *capture) Write(p []byte) (int, error) { c.b = append(c.b, p...); return len(p), nil }
func (c *capture) Read([]byte) (int, error)    { return 0, io.EOF }
func (c *capture) Close() error                { return nil }

func (c *capture) take() []byte {
	b := c.b
	c.b = nil
	return b
}

// helloOf is a ClientHello.
func helloOf(t testing.TB) []byte {
	t.Helper()
	c := &capture{}
	_ = tls.Client(c, clientConfig(nil)).Handshake()
	if n, _ := Whole(c.b); n == 0 || n != len(c.b) {
		t.Fatalf("no hello: %x", c.b)
	}
	return c.b
}

// switching is a net.Conn whose writes go to what it holds.
type switching struct {
	net.Conn
	to io.Writer
}

func (s *switching) Write(p []byte) (int, error) { return s.to.Write(p) }

// established is a connection and its client, whose records from here on are in sealed.
func established(t testing.TB) (c *Conn, client *tls.Conn, sealed *capture) {
	t.Helper()
	r, pipe := newRig(t, serverConfig(nil), 64<<10, func(p []byte) []byte { return p })
	w := &switching{Conn: pipe, to: pipe}
	client = tls.Client(w, clientConfig(nil))
	ended := make(chan struct{})
	go func() { defer close(ended); r.run() }()
	client.Write([]byte("x"))
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pipe.Close()
	<-ended
	sealed = &capture{}
	w.to = sealed
	return r.c, client, sealed
}
