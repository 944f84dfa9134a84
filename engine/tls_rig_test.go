package engine

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"

	"weir/engine/service"
	"weir/internal/lab"
)

var (
	testCA   = sync.OnceValue(lab.NewAuthority)
	testCert = sync.OnceValue(func() tls.Certificate { return testCA().Issue("weir.test") })
)

// tlsWith makes serve's listener speak TLS.
func tlsWith(cfg *tls.Config, change func(*Config)) func(*Config) {
	if len(cfg.Certificates) == 0 && cfg.GetCertificate == nil {
		cfg.Certificates = []tls.Certificate{testCert()}
	}
	return func(c *Config) {
		c.Listeners[0].TLS = func() *tls.Config { return cfg }
		if change != nil {
			change(c)
		}
	}
}

// serveTLS is serve with a TLS listener without limits per source.
func serveTLS(t testing.TB, s service.Service, maxIn int, change func(*Config)) (*Engine, string) {
	t.Helper()
	return serve(t, s, maxIn, tlsWith(&tls.Config{}, func(c *Config) {
		unlimited(c)
		if change != nil {
			change(c)
		}
	}))
}

// clientTLS is a client's configuration, for one version when that is not 0.
func clientTLS(version uint16) *tls.Config {
	return &tls.Config{RootCAs: testCA().Pool, ServerName: "weir.test", MinVersion: version, MaxVersion: version}
}

func dialTLS(t testing.TB, addr string, cfg *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(dial(t, addr), cfg)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// byByte writes one byte at a time.
type byByte struct{ net.Conn }

func (w byByte) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := w.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// helloOf is a ClientHello of a version, 0 for all, as it goes over the wire.
func helloOf(t testing.TB, version uint16) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	go func() { _ = tls.Client(b, clientTLS(version)).Handshake(); b.Close() }()
	buf := make([]byte, 4096)
	n, err := a.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// ends waits until the server has closed a connection, throwing away what it sends, and returns how
// many bytes that was.
func ends(t testing.TB, c net.Conn) int64 {
	t.Helper()
	n, err := io.Copy(io.Discard, c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection stays open")
	}
	return n
}
