package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// below is an authority that another one has signed, good for as long.
func (a *authority) below(t testing.TB, name string, good time.Duration) *authority {
	t.Helper()
	key := newKey(t, "P-256")
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(good),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	b := &authority{key: key}
	if b.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return b
}

// behind is a client's certificate with n authorities in between, the root not shown: n+1 in all.
func (a *authority) behind(t testing.TB, n int, good time.Duration) tls.Certificate {
	t.Helper()
	var chain [][]byte
	for i := range n {
		a = a.below(t, fmt.Sprint("between ", i), good)
		chain = append([][]byte{a.cert.Raw}, chain...)
	}
	l := a.issue(t, "P-256", 300*24*time.Hour, "client")
	return tls.Certificate{Certificate: append([][]byte{l.der}, chain...), PrivateKey: l.key}
}

// shows is a client that shows a certificate whatever the server would like to see.
func shows(c tls.Certificate, version uint16) *tls.Config {
	cfg := asks("a.example")
	cfg.MaxVersion = version
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	return cfg
}

func TestClientsShowAtMostFiveCertificates(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		root := newAuthority(t, "root")
		caFile := filepath.Join(t.TempDir(), "ca.pem")
		put(t, caFile, root.pem())
		s, _ := oneCert(t, Config{ClientCA: caFile})
		get := policy(t, s, Policy{ClientAuth: tls.RequireAndVerifyClientCert})
		five := root.behind(t, maxClientChain-1, time.Hour)
		o := handshake(t, get(), shows(five, version))
		if o.serverErr != nil || o.clientErr != nil {
			t.Errorf("5 certificates: server %v, client %v", o.serverErr, o.clientErr)
		} else if who := VerifiedClient(o.server); who == nil || string(who.Raw) != string(five.Certificate[0]) {
			t.Errorf("and the verified one is %v", who)
		}
		o = handshake(t, get(), shows(root.behind(t, maxClientChain, time.Hour), version))
		if o.serverErr == nil || o.serverErr.Error() != "the client shows 6 certificates: at most 5 are looked at" || o.clientErr == nil {
			t.Errorf("6 certificates: server %v, client %v", o.serverErr, o.clientErr)
		}
	})
	if VerifiedClient(tls.ConnectionState{}) != nil {
		t.Error("nobody is somebody")
	}
}

// The clock moves by hand, past the end of a certificate between the client's and the root. crypto/tls
// looks at the end of the client's own in a ticket; that the rest is looked at too is our doing.
func TestResumedClientsAreVerifiedAgain(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		var clock atomic.Int64
		start := time.Now()
		now := func() time.Time { return start.Add(time.Duration(clock.Load())) }
		root := newAuthority(t, "root")
		caFile := filepath.Join(t.TempDir(), "ca.pem")
		put(t, caFile, root.pem())
		ca := newAuthority(t, "ca")
		s := open(t, Config{ClientCA: caFile, now: now, Pairs: []Pair{ca.issue(t, "P-256", 300*24*time.Hour, "a.example").pairIn(t, t.TempDir(), "a")}})
		for _, auth := range []tls.ClientAuthType{tls.RequireAndVerifyClientCert, tls.VerifyClientCertIfGiven} {
			clock.Store(0)
			get := policy(t, s, Policy{ClientAuth: auth})
			client := shows(root.behind(t, 1, time.Hour), version)
			client.Time, client.ClientSessionCache = now, tls.NewLRUClientSessionCache(1)
			for _, want := range []string{"a.example", "resumed"} {
				o := handshake(t, get(), client)
				if o.got() != want || VerifiedClient(o.server) == nil {
					t.Fatalf("%v: got %s, %v; want %s", auth, o.got(), o.serverErr, want)
				}
			}
			clock.Store(int64(2 * time.Hour))
			if o := handshake(t, get(), client); o.serverErr == nil || !strings.Contains(o.serverErr.Error(), "expired") {
				t.Errorf("%v: a ticket is good although its certificates no longer are (%s, %v)", auth, o.got(), o.serverErr)
			}
		}
	})
}

// counted is P-256, and counts how often crypto/ecdsa asks which curve it is.
type counted struct {
	elliptic.Curve
	asked *int
}

func (c counted) Params() *elliptic.CurveParams {
	*c.asked++
	return c.Curve.Params()
}

// What an attacker can make of what the server tells it, the root's name: every certificate may be the
// issuer of every other one, as far as names say. The time that it takes depends on the keys, so the
// signatures that are tried are counted.
func TestMadeUpChainsCostLittle(t *testing.T) {
	const name = "root"
	root := newAuthority(t, name)
	asked := 0
	seen := func(c *x509.Certificate) *x509.Certificate {
		seen := *c
		pub := *c.PublicKey.(*ecdsa.PublicKey)
		pub.Curve = counted{pub.Curve, &asked}
		seen.PublicKey = &pub
		return &seen
	}
	other := newAuthority(t, name)
	if err := other.cert.CheckSignatureFrom(seen(other.cert)); err != nil || asked == 0 {
		t.Fatalf("signatures are not counted: %v", err)
	}
	each := asked // how often for one

	ca := &clientCA{pool: x509.NewCertPool()}
	ca.pool.AddCert(seen(root.cert))
	verify := ca.verifier(time.Now)
	chain := func(n int, next func(a *authority) *authority) (shown []*x509.Certificate) {
		a := other
		for range n - 1 {
			a = next(a)
			shown = append([]*x509.Certificate{seen(a.cert)}, shown...)
		}
		leaf, err := x509.ParseCertificate(a.issue(t, "P-256", time.Hour, "client").der)
		if err != nil {
			t.Fatal(err)
		}
		return append([]*x509.Certificate{seen(leaf)}, shown...)
	}
	made := 0
	oneKey := func(a *authority) *authority {
		made++
		template := *a.cert
		template.DNSNames = []string{fmt.Sprint("x", made)} // else crypto/x509 sees that they are the same
		der, err := x509.CreateCertificate(rand.Reader, &template, other.cert, other.key.Public(), other.key)
		if err != nil {
			t.Fatal(err)
		}
		b := &authority{key: other.key}
		if b.cert, err = x509.ParseCertificate(der); err != nil {
			t.Fatal(err)
		}
		return b
	}
	sameName := func(a *authority) *authority { return a.below(t, name, time.Hour) }
	unsigned := func(*authority) *authority { return newAuthority(t, name).below(t, name, time.Hour) }
	names := func(a *authority) *authority { // the first below other, which nobody shows, bears its name too
		made++
		if a == other {
			return a.below(t, name, time.Hour)
		}
		return a.below(t, fmt.Sprint("between ", made), time.Hour)
	}
	for _, c := range []struct {
		shown []*x509.Certificate
		most  int
		why   string
	}{
		{chain(maxClientChain, names), 6, "each has signed the one before, and at the end the root's name makes one more"},
		{chain(maxClientChain, sameName), 6, "the same, and all have the root's name"},
		{chain(maxClientChain, unsigned), 6, "none has signed another"},
		{chain(maxClientChain, oneKey), 6, "all have one key and other names beside, so that each has signed each"},
		{chain(110, names), 0, "and of a long one not even one is tried"},
	} {
		asked = 0
		err := verify(tls.ConnectionState{PeerCertificates: c.shown})
		if tried := asked / each; err == nil || tried > c.most || c.most > 0 && tried == 0 {
			t.Errorf("%s: %d signatures, at most %d; %v", c.why, tried, c.most, err)
		}
	}
}
