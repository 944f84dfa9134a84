package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/engine/certs"
	"weir/internal/acme/pebble"
	"weir/internal/events"
	"weir/internal/lab"
)

// client makes requests over TLS, each on a connection of its own.
func client(cfg *tls.Config) *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
}

// ask makes a request to address under a name, and returns the body and the certificate that was shown.
func ask(address string, cfg *tls.Config) (body string, cert *x509.Certificate, err error) {
	resp, err := client(cfg).Get("https://" + address + "/")
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.TLS.PeerCertificates[0], err
}

// bound reads the start block up to the listener called name, and returns its HOST:PORT.
func (s *server) bound(t *testing.T, name string) string {
	t.Helper()
	url := strings.Fields(s.wait(t, ", as "+name))[0]
	_, address, _ := strings.Cut(url, "://")
	return address
}

// startTLS is start for command lines that say themselves what to listen to.
func startTLS(t *testing.T, args ...string) *server {
	t.Helper()
	return launch(t, append(args, "-admin", "127.0.0.1:0"))
}

func TestProcessReloadsCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := newPair(t, dir, "a", time.Hour, "a.example")
	s := startTLS(t, "-listen", "https://127.0.0.1:0?name=web", "-listen", "line+tls://127.0.0.1:0?name=line", "-cert", first.cert, "-key", first.key)
	web, line := s.bound(t, "web"), s.bound(t, "line")
	s.wait(t, "a.example                        until "+first.tls.Leaf.NotAfter.UTC().Format(time.DateOnly)+", soon") // an hour
	s.wait(t, "SHA-256 "+certs.InfoOf(first.tls.Leaf, "", time.Now()).Fingerprint)
	s.wait(t, "a certificate expires soon: renew it")

	if body, _, err := ask(web, &tls.Config{ServerName: "a.example", RootCAs: first.roots}); err != nil || body != "hello, world!" {
		t.Errorf("got %q, %v", body, err)
	}
	held, err := tls.Dial("tcp", line, &tls.Config{ServerName: "a.example", RootCAs: first.roots})
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	says := func(text string) {
		t.Helper()
		_ = held.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(held, text+"\n"); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(text))
		if _, err := io.ReadFull(held, got); err != nil || string(got) != text {
			t.Fatalf("got %q, %v", got, err)
		}
		_, _ = held.Read(make([]byte, 2))
	}
	says("before")

	second := newPair(t, dir, "a", 1000*time.Hour, "a.example", "second.example")
	s.signal(t, syscall.SIGHUP)
	if text := s.wait(t, events.CertificateReloaded); !strings.Contains(text, "second.example") || !strings.Contains(text, first.cert) {
		t.Errorf("says %s", text)
	}
	s.wait(t, `"changed": true`)
	if _, cert, err := ask(web, &tls.Config{ServerName: "second.example", RootCAs: second.roots}); err != nil || !cert.Equal(second.tls.Leaf) {
		t.Errorf("after SIGHUP: %v", err)
	}
	says("after") // nobody is dropped

	if err := os.WriteFile(first.key, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(t, syscall.SIGHUP)
	if text := s.wait(t, events.CertificateReloadFailed); !strings.Contains(text, "holds no whole PEM private key") {
		t.Errorf("says %s", text)
	}
	if _, _, err := ask(web, &tls.Config{ServerName: "a.example", RootCAs: second.roots}); err != nil {
		t.Errorf("the old one stays: %v", err)
	}
	third := newPair(t, dir, "a", 1000*time.Hour, "third.example")
	s.wait(t, "third.example") // without a signal
	if _, _, err := ask(web, &tls.Config{ServerName: "third.example", RootCAs: third.roots}); err != nil {
		t.Errorf("by itself: %v", err)
	}
	says("still")
	s.signal(t, syscall.SIGTERM)
	_ = held.Close()
	if code := s.end(t, 30*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestProcessSelfSigned(t *testing.T) {
	t.Parallel()
	s := startTLS(t, "-listen", "https://127.0.0.1:0?name=web", "-tls-self-signed", "-sni-strict")
	web := s.bound(t, "web")
	admin := strings.TrimPrefix(strings.Fields(s.wait(t, "admin"))[0], "http://")
	fingerprint := strings.TrimPrefix(strings.TrimSpace(s.wait(t, "SHA-256 ")), "SHA-256 ")
	body, cert, err := ask(web, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	if err != nil || body != "hello, world!" {
		t.Fatalf("got %q, %v", body, err)
	}
	if got := certs.InfoOf(cert, "", time.Now()).Fingerprint; got != fingerprint {
		t.Errorf("shows %s and says %s", got, fingerprint)
	}
	if _, _, err := ask(web, &tls.Config{ServerName: "nosuch.example", InsecureSkipVerify: true}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("another name: %v", err)
	}
	if _, m := get(t, "http://"+admin+"/metrics"); !strings.Contains(m, `weir_certificate_expiry_timestamp_seconds{name="localhost"} `) {
		t.Error("the metrics do not tell when it expires")
	}
}

func TestProcessAsksForClientCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, clientPair, stranger := newPair(t, dir, "server", time.Hour, "a.example"), newPair(t, dir, "client", time.Hour), newPair(t, dir, "stranger", time.Hour)
	s := startTLS(t, "-listen", "https://127.0.0.1:0?name=private", "-listen", "https://127.0.0.1:0?name=public&tls-client-auth=off",
		"-cert", server.cert, "-key", server.key, "-tls-client-ca", clientPair.cert)
	private, public := s.bound(t, "private"), s.bound(t, "public")
	with := func(certs ...tls.Certificate) *tls.Config {
		return &tls.Config{ServerName: "a.example", RootCAs: server.roots, Certificates: certs}
	}
	for _, c := range []struct {
		address string
		cfg     *tls.Config
		served  bool
		why     string
	}{
		{private, with(clientPair.tls), true, "a client of ours"},
		{private, with(), false, "no certificate"},
		{private, with(stranger.tls), false, "somebody else's"},
		{public, with(), true, "a listener that does not ask"},
	} {
		if _, _, err := ask(c.address, c.cfg); (err == nil) != c.served {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	// The CA changes, and who was let in must show another certificate, whatever ticket he has.
	cached := with(clientPair.tls)
	cached.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if _, _, err := ask(private, cached); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(stranger.cert)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(clientPair.cert, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s.signal(t, syscall.SIGHUP)
	s.wait(t, events.ClientCAReloaded)
	if _, _, err := ask(private, cached); err == nil {
		t.Error("a ticket of the old CA is good")
	}
	if _, _, err := ask(private, with(stranger.tls)); err != nil {
		t.Errorf("the new CA's client: %v", err)
	}
}

// The whole of ACME with the real server: a CA that connects to it, a restart that serves from the
// cache with the CA down, and other certificates that do not care.
func TestProcessObtainsACertificate(t *testing.T) {
	t.Parallel()
	address := lab.FreePorts(t, 1)[0]
	ca := pebble.Start(t, address)
	dir := t.TempDir()
	own := newPair(t, dir, "own", 1000*time.Hour, "own.weir.test")
	args := []string{"-listen", "https://" + address + "?name=web", "-cert", own.cert, "-key", own.key, "-log-level", "debug",
		"-acme-domain", "one.weir.test", "-acme-directory", ca.Directory, "-acme-ca", ca.CAFile, "-acme-cache", filepath.Join(dir, "acme")}
	s := startTLS(t, args...)
	s.wait(t, "one.weir.test                    being obtained from "+ca.Directory)
	if _, _, err := ask(address, &tls.Config{ServerName: "own.weir.test", RootCAs: own.roots}); err != nil {
		t.Errorf("meanwhile: %v", err)
	}
	lab.Eventually(t, 2*time.Minute, "a certificate", func() bool { return strings.Contains(s.text(), events.CertificateObtained) })
	for _, want := range []string{events.ACMEAccount, "acme_step", "acme_port"} {
		if !strings.Contains(s.text(), want) {
			t.Errorf("the log lacks %s:\n%s", want, s.text())
		}
	}
	roots := ca.Roots(t)
	body, cert, err := ask(address, &tls.Config{ServerName: "one.weir.test", RootCAs: roots})
	if err != nil || body != "hello, world!" {
		t.Fatalf("got %q, %v", body, err)
	}
	if c, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, &tls.Config{ServerName: "one.weir.test", NextProtos: []string{certs.ChallengeProtocol}, InsecureSkipVerify: true}); err == nil {
		_ = c.Close()
		t.Error("a proof is shown that nobody has asked for")
	}
	s.signal(t, syscall.SIGTERM)
	if code := s.end(t, 30*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}

	ca.Stop()
	s = startTLS(t, args...)
	s.wait(t, "one.weir.test                    until")
	again, shown, err := ask(address, &tls.Config{ServerName: "one.weir.test", RootCAs: roots})
	if err != nil || again != body || !shown.Equal(cert) {
		t.Errorf("after a restart with the CA down: %v", err)
	}
	if _, _, err := ask(address, &tls.Config{ServerName: "own.weir.test", RootCAs: own.roots}); err != nil {
		t.Errorf("the other certificate: %v", err)
	}
}
