package acme_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/engine/certs"
	"weir/internal/acme"
	"weir/internal/acme/pebble"
	"weir/internal/lab"
)

// front is a TLS server as weir is one: a store asks the keeper for certificates and proofs, and
// connections that only ask for proof are closed.
func front(t *testing.T, ln net.Listener, keeper *acme.Keeper, own ...tls.Certificate) {
	t.Helper()
	store, err := certs.Open(certs.Config{Own: own, More: keeper.Certificate, Challenge: keeper.Challenge, Every: -1})
	if err != nil {
		t.Fatal(err)
	}
	get, err := store.TLS(certs.Policy{ALPN: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(time.Minute))
				s := tls.Server(c, get())
				if s.Handshake() == nil && s.ConnectionState().NegotiatedProtocol != certs.ChallengeProtocol {
					_, _ = s.Read(make([]byte, 1))
				}
			}()
		}
	}()
}

// listen comes before a Pebble is started: it must know the port, and the keeper its directory.
func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// shown is the certificate that a client sees, checked against roots.
func shown(address, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 30 * time.Second}, "tcp", address, &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

type events struct {
	mu   sync.Mutex
	list []acme.Event
}

func (e *events) tell(event acme.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, event)
}

func (e *events) count(kind acme.Kind) (n int, last acme.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range e.list {
		if event.Kind == kind {
			n, last = n+1, event
		}
	}
	return n, last
}

func TestCertificatesFromARealCA(t *testing.T) {
	ln := listen(t)
	address := ln.Addr().String()
	ca := pebble.Start(t, address, "refused.weir.test")
	var log events
	cfg := acme.Config{
		Domains: []string{"one.weir.test", "two.weir.test", "refused.weir.test"}, Email: "ops@weir.test",
		Directory: ca.Directory, CAFile: ca.CAFile, Cache: filepath.Join(t.TempDir(), "acme"), Tell: log.tell,
	}
	keeper, err := acme.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	own, _, err := certs.SelfSigned("own.weir.test")
	if err != nil {
		t.Fatal(err)
	}
	ownRoots := x509.NewCertPool()
	ownRoots.AddCert(own.Leaf)
	front(t, ln, keeper, own)
	if _, err := shown(address, "own.weir.test", ownRoots); err != nil {
		t.Errorf("before there is anything from the CA: %v", err)
	}

	keeper.Start()
	lab.Eventually(t, 2*time.Minute, "two certificates", func() bool { n, _ := log.count(acme.Obtained); return n == 2 })
	roots := ca.Roots(t)
	serials := map[string]string{}
	for _, name := range cfg.Domains[:2] {
		c, err := shown(address, name, roots)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		serials[name] = c.SerialNumber.String()
	}
	if n, e := log.count(acme.Agreed); n != 1 || !strings.HasPrefix(e.Terms, "data:text/plain") {
		t.Errorf("agreed %d times, terms %q", n, e.Terms)
	}
	lab.Eventually(t, 2*time.Minute, "a refusal", func() bool { n, _ := log.count(acme.Failed); return n == 1 })
	if _, e := log.count(acme.Failed); e.Domain != "refused.weir.test" || !strings.Contains(e.Err.Error(), "the CA says rejectedIdentifier") || time.Until(e.Next) < 50*time.Second {
		t.Errorf("refused: %+v", e)
	}
	if _, err := shown(address, "own.weir.test", ownRoots); err != nil {
		t.Errorf("beside a refusal: %v", err)
	}
	if s := keeper.States(); s[0].Leaf == nil || s[0].Err != nil || s[2].Leaf != nil || s[2].Err == nil {
		t.Errorf("states: %+v", s)
	}
	// Nobody gets a proof when none is due.
	if _, err := tls.Dial("tcp", address, &tls.Config{ServerName: "one.weir.test", NextProtos: []string{certs.ChallengeProtocol}, InsecureSkipVerify: true}); err == nil {
		t.Error("a proof is shown that nobody has asked for")
	}
	err = filepath.WalkDir(cfg.Cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	keeper.Close()

	// A restart serves what it has, and with the CA down asks in vain for the rest.
	ca.Stop()
	log2 := &events{}
	cfg.Tell = log2.tell
	again, err := acme.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	ln = listen(t)
	address = ln.Addr().String()
	front(t, ln, again)
	for name, serial := range serials {
		c, err := shown(address, name, roots)
		if err != nil || c.SerialNumber.String() != serial {
			t.Errorf("after a restart, %s: %v", name, err)
		}
	}
	again.Start()
	lab.Eventually(t, 2*time.Minute, "a failure", func() bool { n, _ := log2.count(acme.Failed); return n == 1 })
	if n, _ := log2.count(acme.Obtained); n != 0 {
		t.Errorf("asked again for %d", n)
	}
	if _, err := shown(address, "one.weir.test", roots); err != nil {
		t.Errorf("with the CA down: %v", err)
	}
	begin := time.Now()
	again.Close()
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("closing took %v", took)
	}
}

// Two processes that share a cache, as when one takes over from another, have one account and obtain
// one certificate for each name.
func TestTwoKeepersObtainOne(t *testing.T) {
	plain := listen(t)
	ca := pebble.Start(t, plain.Addr().String())
	var log events
	cfg := acme.Config{Domains: []string{"shared.weir.test"}, Directory: ca.Directory, CAFile: ca.CAFile, Cache: filepath.Join(t.TempDir(), "acme"), Tell: log.tell}
	one, err := acme.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	cfg.Domains = append(cfg.Domains, "other.weir.test")
	two, err := acme.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	// Whichever is first: the port is answered by both.
	either := func(a, b func(*tls.ClientHelloInfo) (*tls.Certificate, error)) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		return func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c, err := a(h); c != nil || err != nil {
				return c, err
			}
			return b(h)
		}
	}
	store, err := certs.Open(certs.Config{More: either(one.Certificate, two.Certificate), Challenge: either(one.Challenge, two.Challenge), Every: -1})
	if err != nil {
		t.Fatal(err)
	}
	get, err := store.TLS(certs.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	ln := tls.NewListener(plain, get())
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _ = c.(*tls.Conn).Handshake(); _ = c.Close() }()
		}
	}()
	one.Start()
	two.Start()
	lab.Eventually(t, 2*time.Minute, "both have it", func() bool {
		// What is told is told once it is served.
		obtained, _ := log.count(acme.Obtained)
		adopted, _ := log.count(acme.Adopted)
		return one.States()[0].Leaf != nil && two.States()[0].Leaf != nil && two.States()[1].Leaf != nil && obtained >= 2 && adopted >= 1
	})
	obtained, _ := log.count(acme.Obtained)
	adopted, _ := log.count(acme.Adopted)
	agreed, _ := log.count(acme.Agreed)
	if obtained != 2 || adopted != 1 || agreed != 1 {
		t.Errorf("obtained %d, adopted %d, accounts %d", obtained, adopted, agreed)
	}
	if !one.States()[0].Leaf.Equal(two.States()[0].Leaf) {
		t.Error("they have different ones")
	}
}

// A directory whose certificate nobody knows is not asked anything.
func TestTheDirectoryIsChecked(t *testing.T) {
	ca := pebble.Start(t, listen(t).Addr().String())
	var log events
	keeper, err := acme.Open(acme.Config{Domains: []string{"a.weir.test"}, Directory: ca.Directory, Cache: filepath.Join(t.TempDir(), "acme"), Tell: log.tell})
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	keeper.Start()
	lab.Eventually(t, 2*time.Minute, "a failure", func() bool { n, _ := log.count(acme.Failed); return n == 1 })
	var unknown x509.UnknownAuthorityError
	if _, e := log.count(acme.Failed); !errors.As(e.Err, &unknown) {
		t.Errorf("got %v", e.Err)
	}
}
