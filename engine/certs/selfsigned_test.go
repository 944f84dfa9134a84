package certs

import (
	"crypto/tls"
	"crypto/x509"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

func TestSelfSigned(t *testing.T) {
	c, print, err := SelfSigned("edge.example", "192.0.2.7", "LOCALHOST", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, Config{Own: []tls.Certificate{c}})
	info := s.Info()[0]
	if info.Fingerprint != print || len(print) != 95 || info.Source != "" || info.Key != "ECDSA P-256" {
		t.Errorf("%+v", info)
	}
	names := " " + strings.Join(info.Names, " ") + " "
	for _, want := range []string{" localhost ", " 127.0.0.1 ", " ::1 ", " edge.example ", " 192.0.2.7 "} {
		if strings.Count(names, want) != 1 {
			t.Errorf("names %s: want %s once", names, want)
		}
	}
	if left, soon := info.Expires(time.Now()); soon || left < 364*24*time.Hour || left > 365*24*time.Hour {
		t.Errorf("good for %v", left)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	for _, name := range []string{"localhost", "edge.example", "127.0.0.1", "::1"} {
		if o := handshake(t, policy(t, s, Policy{})(), &tls.Config{ServerName: name, RootCAs: roots}); o.clientErr != nil {
			t.Errorf("%s: %v", name, o.clientErr)
		}
	}
	again, otherPrint, err := SelfSigned()
	if err != nil || otherPrint == print || again.Leaf.SerialNumber.Cmp(c.Leaf.SerialNumber) == 0 {
		t.Errorf("each start has its own: %v", err)
	}
}

func TestTheFingerprintIsOpenssls(t *testing.T) {
	openssl := lab.Need(t, "openssl")
	l := newAuthority(t, "ca").issue(t, "P-256", time.Hour, "a.example")
	file := filepath.Join(t.TempDir(), "c")
	put(t, file, l.certPEM())
	out, err := exec.Command(openssl, "x509", "-in", file, "-noout", "-fingerprint", "-sha256").Output()
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.TrimSpace(string(out)); !strings.HasSuffix(want, "="+fingerprint(l.der)) {
		t.Errorf("got %s, openssl says %s", fingerprint(l.der), want)
	}
}

func TestWhenToWarn(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for _, c := range []struct {
		life, left time.Duration
		soon       bool
		why        string
	}{
		{365 * day, 15 * day, false, "two weeks are enough"},
		{365 * day, 13 * day, true, "and less is not"},
		{90 * day, 13 * day, true, "as Let's Encrypt's, which should have been renewed at 30"},
		{6 * day, 2 * day, false, "a short life is renewed late"},
		{6 * day, day, true, "but not this late"},
		{day, 7 * time.Hour, false, "a day's life"},
		{90 * day, -day, true, "expired"},
	} {
		i := Info{NotBefore: now.Add(c.left - c.life), NotAfter: now.Add(c.left)}
		if left, soon := i.Expires(now); soon != c.soon || left.Round(time.Second) != c.left {
			t.Errorf("%v of %v: %v, %v: %s", c.left, c.life, soon, left, c.why)
		}
	}
}
