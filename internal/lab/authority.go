package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Authority issues certificates for tests, good for an hour.
type Authority struct {
	Pool *x509.CertPool // with the authority's own certificate
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var serial atomic.Int64

// NewAuthority makes an authority. It panics where a test could only give up.
func NewAuthority() *Authority {
	a := &Authority{Pool: x509.NewCertPool()}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "lab"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	a.key, der = a.sign(template)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	a.Pool.AddCert(a.cert)
	return a
}

// sign makes a key and a certificate for it; of the authority itself when that has none yet.
func (a *Authority) sign(template *x509.Certificate) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template.SerialNumber = big.NewInt(serial.Add(1))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		panic(err)
	}
	return key, der
}

// Issue makes a certificate for a name, for servers and clients.
func (a *Authority) Issue(name string) tls.Certificate {
	key, der := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Files writes a new certificate for a name, and its key, as PEM files into a folder of the test's.
func (a *Authority) Files(t testing.TB, name string) (cert, key string) {
	t.Helper()
	c := a.Issue(name)
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return writePEM(t, filepath.Join(dir, name+".crt"), "CERTIFICATE", c.Certificate[0]), writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", der)
}

// File writes the authority's own certificate as a PEM file into a folder of the test's.
func (a *Authority) File(t testing.TB) string {
	t.Helper()
	return writePEM(t, filepath.Join(t.TempDir(), "ca.crt"), "CERTIFICATE", a.cert.Raw)
}

func writePEM(t testing.TB, path, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
