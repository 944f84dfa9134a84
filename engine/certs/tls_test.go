package certs

import (
	"crypto/tls"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// oneCert is a store with one certificate, for a.example.
func oneCert(t testing.TB, cfg Config) (*Store, *authority) {
	t.Helper()
	ca := newAuthority(t, "ca")
	cfg.Pairs = []Pair{ca.issue(t, "P-256", time.Hour, "a.example").pairIn(t, t.TempDir(), "a")}
	return open(t, cfg), ca
}

func TestVersionsAndSuites(t *testing.T) {
	s, _ := oneCert(t, Config{})
	any12, only13 := policy(t, s, Policy{}), policy(t, s, Policy{MinVersion: tls.VersionTLS13})
	client := func(change func(*tls.Config)) *tls.Config {
		c := asks("a.example")
		change(c)
		return c
	}
	var weak []uint16
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, suite := range list {
			if !slices.Contains(suites12, suite.ID) {
				weak = append(weak, suite.ID)
			}
		}
	}
	const version, failure = "protocol version not supported", "handshake failure"
	for _, c := range []struct {
		server func() *tls.Config
		client *tls.Config
		want   string // part of what the client says, "" for success
		why    string
	}{
		{any12, client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), "", "TLS 1.2"},
		{any12, client(func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }), "", "TLS 1.3"},
		{any12, client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }), version, "TLS 1.1"},
		{any12, client(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }), version, "TLS 1.0"},
		{only13, client(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }), version, "1.2 where 1.3 is asked for"},
		{only13, client(func(c *tls.Config) {}), "", "1.3 where it is asked for"},
		{any12, client(func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, weak }), failure, "weak suites only"},
		{any12, client(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }), "", "the usual key exchange"},
		{any12, client(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP256} }), "", "that of FIPS"},
		{any12, client(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521, tls.CurveP384} }), failure, "those that cost the server most"},
		{any12, client(func(c *tls.Config) {
			c.MaxVersion, c.CurvePreferences = tls.VersionTLS12, []tls.CurveID{tls.CurveP521}
		}), failure, "in 1.2 too"},
	} {
		o := handshake(t, c.server(), c.client)
		if (o.clientErr == nil) != (c.want == "") || o.clientErr != nil && !strings.Contains(o.clientErr.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.why, o.clientErr, c.want)
		}
	}
}

func TestPoliciesThatCheckNothingAreRefused(t *testing.T) {
	s, _ := oneCert(t, Config{})
	for _, p := range []Policy{
		{MinVersion: tls.VersionTLS11}, {MinVersion: 7},
		{ClientAuth: tls.RequestClientCert}, {ClientAuth: tls.RequireAnyClientCert},
		{ClientAuth: tls.RequireAndVerifyClientCert}, {ClientAuth: tls.VerifyClientCertIfGiven},
	} {
		if _, err := s.TLS(p); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

func TestALPN(t *testing.T) {
	s, _ := oneCert(t, Config{})
	web, frames := policy(t, s, Policy{ALPN: []string{"http/1.1"}}), policy(t, s, Policy{})
	for _, c := range []struct {
		server func() *tls.Config
		offers []string
		want   string
		why    string
	}{
		{web, []string{"h2", "http/1.1"}, "http/1.1", "what browsers offer"},
		{web, nil, "", "who offers nothing is served"},
		{web, []string{"h2"}, "no application protocol", "nothing in common"},
		{web, []string{ChallengeProtocol}, "no application protocol", "no challenges here"},
		{frames, []string{"h2", "imap"}, "", "ignored"},
	} {
		client := asks("a.example")
		client.NextProtos = c.offers
		o := handshake(t, c.server(), client)
		if o.clientErr != nil && !strings.Contains(o.clientErr.Error(), c.want) || o.clientErr == nil && o.client.NegotiatedProtocol != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.why, o.client.NegotiatedProtocol, o.clientErr, c.want)
		}
	}
}

func TestClientCertificates(t *testing.T) {
	clients, strangers := newAuthority(t, "clients"), newAuthority(t, "strangers")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	put(t, caFile, clients.pem())
	s, _ := oneCert(t, Config{ClientCA: caFile})
	off, optional, required := policy(t, s, Policy{}), policy(t, s, Policy{ClientAuth: tls.VerifyClientCertIfGiven}), policy(t, s, Policy{ClientAuth: tls.RequireAndVerifyClientCert})
	with := func(l leaf) []tls.Certificate { return []tls.Certificate{l.tls()} }
	good := with(clients.issue(t, "P-256", time.Hour, "client"))
	for _, c := range []struct {
		server func() *tls.Config
		certs  []tls.Certificate
		served bool
		why    string
	}{
		{off, nil, true, "nobody asks"},
		{off, good, true, "nobody asks"},
		{optional, nil, true, "none is fine"},
		{optional, good, true, "a good one"},
		{optional, with(strangers.issue(t, "P-256", time.Hour, "client")), false, "one that somebody else has signed"},
		{required, nil, false, "none"},
		{required, good, true, "a good one"},
		{required, with(strangers.issue(t, "P-256", time.Hour, "client")), false, "one that somebody else has signed"},
		{required, with(clients.issue(t, "P-256", -time.Hour, "client")), false, "one that is expired"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := asks("a.example")
			client.MaxVersion = version
			// Whatever the server would like to see: Go's client shows only what it lists.
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(c.certs) == 0 {
					return &tls.Certificate{}, nil
				}
				return &c.certs[0], nil
			}
			o := handshake(t, c.server(), client)
			if (o.clientErr == nil) != c.served || (o.serverErr == nil) != c.served {
				t.Errorf("%s, %s: client %v, server %v", c.why, tls.VersionName(version), o.clientErr, o.serverErr)
			}
		}
	}
}

func TestChallenges(t *testing.T) {
	clients := newAuthority(t, "clients")
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	put(t, caFile, clients.pem())
	proof := clients.issue(t, "P-256", time.Hour, "proof.example").tls()
	s, _ := oneCert(t, Config{ClientCA: caFile, StrictSNI: true, Challenge: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "a.example" {
			return &proof, nil
		}
		return nil, nil
	}})
	plain, frames, closed := policy(t, s, Policy{ALPN: []string{"http/1.1"}}), policy(t, s, Policy{}), policy(t, s, Policy{ClientAuth: tls.RequireAndVerifyClientCert})
	ca := func(name string, offers ...string) *tls.Config {
		c := asks(name)
		c.NextProtos = offers
		return c
	}
	for _, c := range []struct {
		server       func() *tls.Config
		client       *tls.Config
		want, proto  string
		why          string
		neverResumed bool
	}{
		{plain, ca("a.example", ChallengeProtocol), "proof.example", ChallengeProtocol, "the CA asks", true},
		{frames, ca("a.example", ChallengeProtocol), "proof.example", ChallengeProtocol, "where no protocol is negotiated otherwise", true},
		{plain, ca("b.example", ChallengeProtocol), "remote error: tls: unrecognized name", "", "no challenge is open", false},
		{plain, ca("", ChallengeProtocol), "remote error: tls: unrecognized name", "", "nor without a name", false},
		{plain, ca("a.example", "http/1.1", ChallengeProtocol), "a.example", "http/1.1", "no CA offers two", false},
		{plain, ca("a.example", ChallengeProtocol, "http/1.1"), "a.example", "http/1.1", "in whatever order", false},
		{frames, ca("a.example", "http/1.1", ChallengeProtocol), "a.example", "", "no CA offers two", false},
		{plain, ca("a.example"), "a.example", "", "everybody else", false},
	} {
		c.client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		o := handshake(t, c.server(), c.client)
		if o.got() != c.want || o.client.NegotiatedProtocol != c.proto {
			t.Errorf("%s: got %s %q, want %s %q", c.why, o.got(), o.client.NegotiatedProtocol, c.want, c.proto)
		}
		if again := handshake(t, c.server(), c.client); c.neverResumed && again.client.DidResume {
			t.Errorf("%s: a challenge gave a ticket", c.why)
		}
	}
	// A CA that speaks TLS 1.3 has seen the proof before the server turns it away for its lack of a
	// certificate; nobody else gets in by offering acme-tls/1.
	seen := ""
	client := ca("a.example", ChallengeProtocol)
	client.VerifyConnection = func(cs tls.ConnectionState) error {
		seen = cs.NegotiatedProtocol + " " + cs.PeerCertificates[0].DNSNames[0]
		return nil
	}
	if o := handshake(t, closed(), client); o.serverErr == nil || seen != ChallengeProtocol+" proof.example" {
		t.Errorf("where client certificates are required: server %v, seen %q", o.serverErr, seen)
	}
}

func TestSslscanFindsNothingWeak(t *testing.T) {
	sslscan := lab.Need(t, "sslscan")
	ca, dir := newAuthority(t, "ca"), t.TempDir()
	get := policy(t, open(t, Config{Pairs: []Pair{
		ca.issue(t, "RSA", time.Hour, "localhost").pairIn(t, dir, "rsa"),
		ca.issue(t, "P-256", time.Hour, "localhost").pairIn(t, dir, "ec"),
	}}), Policy{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				s := tls.Server(c, get())
				if s.Handshake() == nil {
					_, _ = s.Read(make([]byte, 1))
				}
			}()
		}
	}()
	out, err := exec.Command(sslscan, "--no-colour", "--sni-name=localhost", ln.Addr().String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text := string(out)
	for _, want := range []string{"TLSv1.0   disabled", "TLSv1.1   disabled", "TLSv1.2   enabled", "TLSv1.3   enabled", "SSLv3     disabled", "not vulnerable to heartbleed"} {
		if !strings.Contains(text, want) {
			t.Errorf("sslscan does not say %q", want)
		}
	}
	// The list of suites comes before that of the key exchanges.
	suites := regexp.MustCompile(`(?m)^(?:Preferred|Accepted) +(\S+) +\d+ bits +(\S+)`).FindAllStringSubmatch(text, -1)
	if len(suites) < 6 {
		t.Errorf("%d suites", len(suites))
	}
	for _, m := range suites {
		strong := strings.Contains(m[2], "GCM") || strings.Contains(m[2], "CHACHA20")
		if m[1] != "TLSv1.2" && m[1] != "TLSv1.3" || !strong || m[1] == "TLSv1.2" && !strings.HasPrefix(m[2], "ECDHE-") {
			t.Errorf("weak: %s", m[0])
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}
