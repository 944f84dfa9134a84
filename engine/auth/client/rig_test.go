package client

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/codec/signed"
	"weir/engine/auth/accounts"
	"weir/engine/auth/sasl"
)

const token = accounts.TokenPrefix + "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

func set(t testing.TB) *accounts.Set {
	t.Helper()
	c, err := scram.SHA256.NewClient("alice", "correct horse", "")
	must(t, err)
	salt := []byte("0123456789abcdef")
	cred, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: 4096})
	must(t, err)
	b64 := base64.StdEncoding.EncodeToString
	s, err := accounts.Parse(fmt.Appendf(nil, "weir-accounts 1 decoy=%s\nuser alice scopes=read verifier=SCRAM-SHA-256$4096:%s$%s:%s\n"+
		"token alice t scopes=read created=2026-01-01T00:00:00Z expires=- hash=%x\n",
		b64(make([]byte, 32)), b64(salt), b64(cred.StoredKey), b64(cred.ServerKey), sha256.Sum256([]byte(token))))
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// server answers one login a connection with the state machine, and then each frame with itself. It
// blocks: it is no part of weir, only the other end.
type server struct {
	addr    string
	cfg     sasl.Config
	tls     *tls.Config
	results chan sasl.Result
	// mangle alters what is sent after the login, as a man in the middle would.
	mangle func(frame []byte) []byte
}

func serve(t testing.TB, s *server) *server {
	t.Helper()
	accountsSet := set(t)
	s.cfg.Accounts = func() *accounts.Set { return accountsSet }
	logins, err := sasl.NewServer(s.cfg)
	must(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	s.addr, s.results = ln.Addr().String(), make(chan sasl.Result, 16)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go s.one(nc, logins)
		}
	}()
	return s
}

func (s *server) one(nc net.Conn, logins *sasl.Server) {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	var exporter sasl.Exporter
	if s.tls != nil {
		t := tls.Server(nc, s.tls)
		if t.Handshake() != nil {
			return
		}
		state := t.ConnectionState()
		nc, exporter = t, &state
	}
	c := &Conn{nc: nc, max: 1 << 20} // for its frames
	x := logins.Begin(exporter, nil)
	for done := false; !done; {
		in, err := c.Receive()
		if err != nil {
			return
		}
		var out []byte
		out, done, err = x.Step(in)
		if c.Send(out) != nil || err != nil {
			return
		}
	}
	r, _ := x.Result()
	s.results <- r
	if r.Signed {
		up, down := signed.Keys(r.Secret)
		c.opener, c.sealer = signed.NewOpener(up), signed.NewSealer(down)
	}
	for {
		in, err := c.Receive()
		if err != nil {
			return
		}
		if s.mangle != nil && c.sealer != nil {
			frame := s.mangle(c.sealer.Append(nil, in))
			c.sealer = nil
			_ = c.Send(frame)
			continue
		}
		if c.Send(in) != nil {
			return
		}
	}
}

// certified makes a certificate for 127.0.0.1: the server's side, the client's, and a file with it.
func certified(t testing.TB) (server, client *tls.Config, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	file = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}, file
}

func has(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }
