package victim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
)

// certificate is made up once: P-256, signed by itself, good for a day.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "victim"}, DNSNames: []string{"victim"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// Config returns a TLS configuration for a victim, which may be changed: TLS 1.2 and 1.3, sessions resumed.
func Config(t testing.TB) *tls.Config {
	t.Helper()
	c, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}

// ServeTLS is [Serve] inside TLS. The handshake is handle's to make, or its first read's; only Close says goodbye.
func ServeTLS(t testing.TB, scheme target.Scheme, cfg *tls.Config, handle func(*tls.Conn)) target.Target {
	t.Helper()
	to := Serve(t, scheme, func(c *net.TCPConn) { handle(tls.Server(c, cfg)) })
	to.TLS = true
	return to
}

// HTTPS is [HTTP] inside TLS.
func HTTPS(t testing.TB, cfg *tls.Config, h http.Handler) target.Target {
	s := httptest.NewUnstartedServer(h)
	s.TLS = cfg
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail, as those of attacks do
	s.StartTLS()
	t.Cleanup(s.Close)
	to := at(target.HTTP, strings.TrimPrefix(s.URL, "https://"))
	to.TLS = true
	return to
}

// Trickle is a connection that writes a byte at a time, each in a segment of its own.
type Trickle struct{ net.Conn }

// Write writes all of b so.
func (c Trickle) Write(b []byte) (n int, err error) {
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}
