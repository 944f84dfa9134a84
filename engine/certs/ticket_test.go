package certs

import (
	"crypto/tls"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// returning is a client that keeps its last ticket.
func returning(name string, version uint16, now func() time.Time, certs ...tls.Certificate) *tls.Config {
	c := asks(name)
	c.MaxVersion, c.Time, c.Certificates = version, now, certs
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	return c
}

func eachVersion(t *testing.T, test func(t *testing.T, version uint16)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) { test(t, v) })
	}
}

func TestTicketsOutliveAReload(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		ca, dir := newAuthority(t, "ca"), t.TempDir()
		p := ca.issue(t, "P-256", time.Hour, "a.example").pairIn(t, dir, "a")
		s := open(t, Config{Pairs: []Pair{p}})
		get := policy(t, s, Policy{})
		client := returning("a.example", version, nil)
		if got := handshake(t, get(), client).got(); got != "a.example" {
			t.Fatal(got)
		}
		next := ca.issue(t, "P-256", time.Hour, "a.example", "new.example")
		put(t, p.Cert, next.certPEM())
		put(t, p.Key, next.keyPEM(t))
		if changed, err := s.Reload(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if got := handshake(t, get(), client).got(); got != "resumed" {
			t.Errorf("got %s: everybody would have to begin anew", got)
		}
		if got := handshake(t, get(), asks("a.example")).got(); got != "a.example new.example" {
			t.Errorf("newcomers get %s", got)
		}
		if other := policy(t, s, Policy{}); handshake(t, other(), client).client.DidResume {
			t.Error("a ticket of one listener is good at another")
		}
	})
}

func TestTicketsEndWithTheClientCA(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		old, next := newAuthority(t, "old"), newAuthority(t, "next")
		caFile := filepath.Join(t.TempDir(), "ca.pem")
		put(t, caFile, old.pem())
		var log told
		s, _ := oneCert(t, Config{ClientCA: caFile, Tell: log.tell})
		required, open := policy(t, s, Policy{ClientAuth: tls.RequireAndVerifyClientCert}), policy(t, s, Policy{})
		client := returning("a.example", version, nil, old.issue(t, "P-256", time.Hour, "client").tls())
		anybody := returning("a.example", version, nil)
		for _, want := range []string{"a.example", "resumed"} {
			if got := handshake(t, required(), client).got(); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			if got := handshake(t, open(), anybody).got(); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		before := required()

		put(t, caFile, []byte("rubbish"))
		if changed, err := s.Reload(); changed || err == nil || required() != before {
			t.Errorf("rubbish is no CA: %v, %v", changed, err)
		}
		put(t, caFile, next.pem())
		if changed, err := s.Reload(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if got := log.all(); len(got) != 2 || got[1] != "CA next" {
			t.Errorf("told %q", got)
		}
		if info, ok := s.ClientCA(); !ok || info.Names[0] != "next" || info.Source != caFile {
			t.Errorf("info: %+v", info)
		}
		if o := handshake(t, required(), client); o.serverErr == nil {
			t.Errorf("a ticket of the old CA's client is good (%s)", o.got())
		}
		if got := handshake(t, open(), anybody).got(); got != "resumed" {
			t.Errorf("and where nobody is asked for a certificate: %s", got)
		}
		// One that has both CAs makes the client begin anew, which it can.
		put(t, caFile, append(old.pem(), next.pem()...))
		if changed, err := s.Reload(); !changed || err != nil {
			t.Fatal(changed, err)
		}
		if got := handshake(t, required(), client).got(); got != "a.example" {
			t.Errorf("with both CAs: %s", got)
		}
	})
}

func TestStrictNamesHoldForTicketsToo(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		s, _ := oneCert(t, Config{StrictSNI: true})
		get := policy(t, s, Policy{})
		client := returning("a.example", version, nil)
		handshake(t, get(), client)
		// The same ticket under another name.
		session, ok := client.ClientSessionCache.Get("a.example")
		if !ok {
			t.Fatal("no ticket")
		}
		client.ServerName = "b.example"
		client.ClientSessionCache.Put("b.example", session)
		if got := handshake(t, get(), client).got(); got != "remote error: tls: unrecognized name" {
			t.Errorf("got %s", got)
		}
	})
}

// The clock moves by hand. Go 1.26 makes new keys for tickets after a day, and forgets keys and
// tickets after seven.
func TestTicketKeysRotate(t *testing.T) {
	var clock atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(clock.Load())) }
	at := func(d time.Duration) { clock.Store(int64(d)) }
	const day = 24 * time.Hour

	ca := newAuthority(t, "ca")
	s := open(t, Config{Pairs: []Pair{ca.issue(t, "P-256", 300*day, "a.example").pairIn(t, t.TempDir(), "a")}, now: now})
	get := policy(t, s, Policy{})
	cache := func(c *tls.Config) *tls.ClientSessionState {
		session, ok := c.ClientSessionCache.Get("a.example")
		if !ok {
			t.Fatal("no ticket")
		}
		return session
	}
	resumes := func(session *tls.ClientSessionState) (bool, *tls.ClientSessionState) {
		t.Helper()
		client := returning("a.example", tls.VersionTLS13, now)
		client.ClientSessionCache.Put("a.example", session)
		o := handshake(t, get(), client)
		if o.clientErr != nil {
			t.Fatal(o.clientErr)
		}
		return o.client.DidResume, cache(client)
	}

	first := returning("a.example", tls.VersionTLS13, now)
	handshake(t, get(), first)
	atStart := cache(first)

	at(6 * day)
	ok, afterSix := resumes(atStart)
	if !ok {
		t.Error("a ticket is good for seven days, over the change of keys")
	}
	// On the eighth day the first key is gone. The ticket that was given on the sixth day, in exchange
	// for one of the first key, is good: it was made with another key.
	at(7*day + time.Hour)
	if ok, _ := resumes(atStart); ok {
		t.Error("a ticket is good for more than seven days")
	}
	if ok, _ := resumes(afterSix); !ok {
		t.Error("new tickets are made with an old key")
	}
	at(14 * day)
	if ok, _ := resumes(afterSix); ok {
		t.Error("the second key is not forgotten")
	}
}
