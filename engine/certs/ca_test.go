package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs what tests need. Nothing is kept in the repository, so nothing expires there.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
	pool *x509.CertPool
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key := newKey(t, "P-256")
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-365 * 24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, pool: x509.NewCertPool()}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

var rsaKeys = map[int]*rsa.PrivateKey{} // slow to make

func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var k crypto.Signer
	var err error
	switch kind {
	case "P-256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "P-384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "Ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case "RSA", "RSA 1024":
		bits := 2048
		if kind == "RSA 1024" {
			bits = 1024
		}
		if rsaKeys[bits] == nil {
			rsaKeys[bits], err = rsa.GenerateKey(rand.Reader, bits)
		}
		k = rsaKeys[bits]
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// leaf is a certificate that an authority has signed.
type leaf struct {
	der []byte
	key crypto.Signer
}

// issue signs a certificate for names, good for an hour or for the time given.
func (a *authority) issue(t testing.TB, kind string, good time.Duration, names ...string) leaf {
	t.Helper()
	l := leaf{key: newKey(t, kind)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(good),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	var err error
	if l.der, err = x509.CreateCertificate(rand.Reader, template, a.cert, l.key.Public(), a.key); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l leaf) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.der})
}

func (l leaf) keyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(l.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (l leaf) tls() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{l.der}, PrivateKey: l.key}
}

// put writes a file the way most people do: over what is there.
func put(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// pairIn writes a leaf's files into dir.
func (l leaf) pairIn(t testing.TB, dir, name string) Pair {
	t.Helper()
	p := Pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")}
	put(t, p.Cert, l.certPEM())
	put(t, p.Key, l.keyPEM(t))
	return p
}

// open opens a store that never looks by itself.
func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Every == 0 {
		cfg.Every = -1
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func policy(t testing.TB, s *Store, p Policy) func() *tls.Config {
	t.Helper()
	get, err := s.TLS(p)
	if err != nil {
		t.Fatal(err)
	}
	return get
}

// outcome is what a handshake came to.
type outcome struct {
	client, server tls.ConnectionState
	clientErr      error // of the handshake, or of the first byte after it
	serverErr      error
}

// got is what the client was shown: the certificate's names, or that the session was resumed, or
// what went wrong.
func (o outcome) got() string {
	switch {
	case o.clientErr != nil:
		return o.clientErr.Error()
	case o.client.DidResume:
		return "resumed"
	}
	return strings.Join(namesOf(o.client.PeerCertificates[0]), " ")
}

// handshake joins a server and a client, and lets one byte follow so that tickets arrive.
func handshake(t testing.TB, server, client *tls.Config) (o outcome) {
	t.Helper()
	a, b, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(time.Minute)
	_ = a.SetDeadline(deadline)
	_ = b.SetDeadline(deadline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := tls.Server(a, server)
		if o.serverErr = s.Handshake(); o.serverErr == nil {
			o.server = s.ConnectionState()
			_, _ = s.Write([]byte("!"))
		}
		_ = a.CloseWrite()
	}()
	c := tls.Client(b, client)
	if o.clientErr = c.Handshake(); o.clientErr == nil {
		_, o.clientErr = c.Read(make([]byte, 1))
		o.client = c.ConnectionState()
	}
	_ = b.Close()
	<-done
	return o
}

// socketPair are two ends of a connection over loopback.
func socketPair() (a, b *net.TCPConn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	s, err := ln.Accept()
	if err != nil {
		return nil, nil, err
	}
	return s.(*net.TCPConn), c.(*net.TCPConn), nil
}

// asks is a client that asks for a name and takes any certificate.
func asks(name string) *tls.Config { return &tls.Config{ServerName: name, InsecureSkipVerify: true} }
