package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestTheNamePicksTheCertificate(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	var acme tls.Certificate = ca.issue(t, "P-256", time.Hour, "acme.example.com").tls()
	cfg := Config{
		Pairs: []Pair{
			ca.issue(t, "P-256", time.Hour, "first.example").pairIn(t, dir, "1"),
			ca.issue(t, "P-256", time.Hour, "*.example.com", "example.com").pairIn(t, dir, "2"),
			ca.issue(t, "P-256", time.Hour, "Exact.Example.COM").pairIn(t, dir, "3"),
		},
		More: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if strings.EqualFold(h.ServerName, "acme.example.com") || h.ServerName == "exact.example.com" {
				return &acme, nil
			}
			if h.ServerName == "broken.example" {
				return nil, errors.New("broken")
			}
			return nil, nil
		},
	}
	loose := policy(t, open(t, cfg), Policy{})
	cfg.StrictSNI = true
	strict := policy(t, open(t, cfg), Policy{})
	const wild, refused = "*.example.com example.com", "remote error: tls: unrecognized name"
	for _, c := range []struct{ name, loose, strict, why string }{
		{"first.example", "first.example", "first.example", "exact"},
		{"exact.example.com", "exact.example.com", "exact.example.com", "exact before the wildcard, and before what comes from elsewhere"},
		{"EXACT.example.com", "exact.example.com", "exact.example.com", "case does not matter"},
		{"example.com", wild, wild, "a second name"},
		{"other.example.com", wild, wild, "a wildcard"},
		{"a.b.example.com", "first.example", refused, "which stands for one label"},
		{"acme.example.com", "acme.example.com", "acme.example.com", "what comes from elsewhere is exact, so before the wildcard"},
		{"nosuch.example", "first.example", refused, "unknown"},
		{"com", "first.example", refused, "no dot"},
		{"", "first.example", refused, "no name"},
		{"127.0.0.1", "first.example", refused, "an address is no name: clients send none"},
		{"broken.example", "remote error: tls: internal error", "remote error: tls: internal error", "trouble elsewhere is told as trouble"},
	} {
		if got := handshake(t, loose(), asks(c.name)).got(); got != c.loose {
			t.Errorf("%q: got %s, want %s: %s", c.name, got, c.loose, c.why)
		}
		o := handshake(t, strict(), asks(c.name))
		if o.got() != c.strict {
			t.Errorf("strict, %q: got %s, want %s: %s", c.name, o.got(), c.strict, c.why)
		}
	}
}

func TestNothingToServeYet(t *testing.T) {
	none := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
	get := policy(t, open(t, Config{More: none}), Policy{})
	if o := handshake(t, get(), asks("a.example")); o.got() != "remote error: tls: unrecognized name" {
		t.Errorf("got %s, %v", o.got(), o.serverErr)
	}
	if _, err := Open(Config{}); err == nil {
		t.Error("nothing at all is an error at start")
	}
}

func TestEachClientGetsWhatItCanCheck(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	get := policy(t, open(t, Config{Pairs: []Pair{
		ca.issue(t, "Ed25519", -time.Hour, "a.example", "*.b.example").pairIn(t, dir, "ed"),
		ca.issue(t, "RSA", time.Hour, "a.example", "*.b.example").pairIn(t, dir, "rsa"),
		ca.issue(t, "P-256", time.Hour, "a.example", "*.b.example").pairIn(t, dir, "ec"),
	}}), Policy{})
	rsaOnly := func(name string) *tls.Config {
		c := asks(name)
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
		return c
	}
	for _, name := range []string{"a.example", "x.b.example", ""} {
		if o := handshake(t, get(), asks(name)); o.clientErr != nil || o.client.PeerCertificates[0].PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("%q: ECDSA is cheap and not expired; got %v", name, o.got())
		}
		if o := handshake(t, get(), rsaOnly(name)); o.clientErr != nil || o.client.PeerCertificates[0].PublicKeyAlgorithm != x509.RSA {
			t.Errorf("%q: a client of 2010 gets RSA; got %v", name, o.got())
		}
	}
}

func TestExpiredIsServedWhenThereIsNothingElse(t *testing.T) {
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	s := open(t, Config{Pairs: []Pair{
		ca.issue(t, "P-256", -time.Hour, "a.example").pairIn(t, dir, "old"),
		ca.issue(t, "P-256", -2*time.Hour, "a.example").pairIn(t, dir, "older"),
	}})
	if got := handshake(t, policy(t, s, Policy{})(), asks("a.example")).got(); got != "a.example" {
		t.Errorf("got %s", got)
	}
	if left, soon := s.Info()[0].Expires(time.Now()); !soon || left > 0 {
		t.Errorf("and told of: %v %v", left, soon)
	}
}
