package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/engine/certs"
	"weir/internal/acme"
	"weir/internal/events"
)

// pair is a certificate that is its own root, with its files.
type pair struct {
	cert, key string // paths
	tls       tls.Certificate
	roots     *x509.CertPool
}

// newPair makes a pair for names, good for as long, and writes it to dir under a name.
func newPair(t *testing.T, dir, name string, good time.Duration, names ...string) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: names, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(good),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	p := pair{filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, x509.NewCertPool()}
	p.roots.AddCert(leaf)
	for file, block := range map[string]*pem.Block{p.cert: {Type: "CERTIFICATE", Bytes: der}, p.key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func TestPoliciesOfListeners(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	p := newPair(t, dir, "a", time.Hour, "a.example")
	s := mustResolve(t, "-listen=https://:1?name=web", "-listen=frames+tls://:2?name=frames&tls-min=1.3&tls-client-auth=required", "-listen=line+tls://:3?name=line",
		"-listen=http://:4?name=plain", "-tls-client-auth=optional", "-tls-client-ca="+p.cert, "-cert="+p.cert, "-key="+p.key)
	id, err := openIdentity(s, hooks{})
	if err != nil {
		t.Fatal(err)
	}
	defer id.close()
	if id.config("plain") != nil {
		t.Error("plain listeners have no TLS")
	}
	for _, c := range []struct {
		listener string
		min      uint16
		auth     tls.ClientAuthType
		alpn     string
	}{
		{"web", tls.VersionTLS12, tls.RequestClientCert, "http/1.1"},
		{"frames", tls.VersionTLS13, tls.RequireAnyClientCert, ""},
		{"line", tls.VersionTLS12, tls.RequestClientCert, ""},
	} {
		cfg := id.config(c.listener)()
		if cfg.MinVersion != c.min || cfg.ClientAuth != c.auth || strings.Join(cfg.NextProtos, " ") != c.alpn || cfg.ClientCAs == nil {
			t.Errorf("%s: %x %v %v", c.listener, cfg.MinVersion, cfg.ClientAuth, cfg.NextProtos)
		}
	}
	for _, l := range wire(s, id, nil, nil, nil, nil).Listeners {
		if (l.TLS == nil) != (l.Name == "plain") || (l.Limits.SourceHandshakeRate == 0) != (l.Name == "plain") {
			t.Errorf("%s is wired wrongly", l.Name)
		}
	}
	if s.listeners[3].limits.SourceHandshakeRate != 10 {
		t.Error("wiring changes the settings")
	}
	if list := id.expiries(); len(list) != 2 || list[0].Name != "a.example" || time.Until(list[0].NotAfter) > time.Hour ||
		list[1].Name != "client CA" || !list[1].NotAfter.Equal(p.tls.Leaf.NotAfter) {
		t.Errorf("for the metrics: %+v", list)
	}
}

func TestClientCertificatesAreAskedForWhenThereIsACA(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "off"},
		{[]string{"-tls-client-ca=x"}, "required"},
		{[]string{"-tls-client-ca=x", "-tls-client-auth=off"}, "off"},
		{[]string{"-tls-client-ca=x", "-tls-client-auth=optional"}, "optional"},
	} {
		s := mustResolve(t, append(c.args, "-listen=https://:1", "-tls-self-signed")...)
		if got := s.listeners[0].limits.clientAuth; got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
}

func TestProxyFromIsWired(t *testing.T) {
	clean(t)
	s := mustResolve(t, "-listen=http://:1", "-listen=http://:2?proxy-from=off", "-listen=http://:3?proxy-from=192.0.2.1", "-listen=http://unix:/run/x", "-proxy-from=10.0.0.0/8,::1")
	want := []string{"[10.0.0.0/8 ::1/128]", "[]", "[192.0.2.1/32]", "[]"}
	for i, l := range wire(s, nil, nil, nil, nil, nil).Listeners {
		if got := fmt.Sprint(l.ProxyFrom); got != want[i] {
			t.Errorf("%s: %s, want %s", l.Name, got, want[i])
		}
	}
}

func TestFilesThatCannotBeUsedNameTheirFlag(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	p, q := newPair(t, dir, "a", time.Hour, "a.example"), newPair(t, dir, "b", time.Hour, "b.example")
	listen := "-listen=https://:1"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-cert=" + dir + "/nosuch", "-key=" + p.key}, "-cert " + dir + "/nosuch: there is no such file"},
		{[]string{"-cert=" + p.cert, "-key=" + q.key}, "-key " + q.key + ": does not belong to the certificate in " + p.cert},
		{[]string{"-cert=" + p.key, "-key=" + p.cert}, "-cert " + p.key + ": holds a private key and no certificate: perhaps the two files are swapped"},
		{[]string{"-cert=" + dir, "-key=" + p.key}, "-cert " + dir + ": is no regular file"},
		{[]string{"-tls-self-signed", "-tls-client-ca=" + p.key}, "-tls-client-ca " + p.key + ": holds no whole PEM certificate"},
		{[]string{"-acme-domain=a.example", "-acme-cache=" + dir + "/acme", "-acme-ca=" + dir + "/no such"}, `-acme-ca "` + dir + `/no such": there is no such file`},
		{[]string{"-acme-domain=a.example", "-acme-cache=" + p.cert}, "-acme-cache " + p.cert + ": not a directory"},
	} {
		s := mustResolve(t, append(c.args, listen)...)
		id, err := openIdentity(s, hooks{})
		if err == nil {
			id.close()
			t.Errorf("%v is taken", c.args)
			continue
		}
		var out strings.Builder
		if code := complain(&out, err); code != exitFailed || !strings.HasPrefix(out.String(), "weir: "+c.want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%v: exit code %d, got %q, want %q", c.args, code, out.String(), c.want)
		}
		if _, checked := look(s); checked == nil || checked.Error() != err.Error() {
			t.Errorf("%v: -check says %v", c.args, checked)
		}
	}
	if _, err := os.Stat(dir + "/acme"); err == nil {
		t.Error("something was made although something else is wrong")
	}
}

func TestChangesAreLogged(t *testing.T) {
	var out bytes.Buffer
	log, sink := newLog(events.Writer(&out), "debug", "json")
	h := logChanges(log)
	info := certs.Info{Names: []string{"a.example", "b\n.example"}, NotAfter: time.Unix(1e9, 0).UTC(), Fingerprint: "AB", Key: "Ed25519", Source: "/a.pem"}
	bad := errors.New("bad\nnews")
	h.changed(certs.Change{Info: info})
	h.changed(certs.Change{Info: info, Err: bad})
	h.changed(certs.Change{Info: info, ClientCA: true})
	h.changed(certs.Change{Info: info, ClientCA: true, Err: bad})
	own, _, err := certs.SelfSigned("own.example")
	if err != nil {
		t.Fatal(err)
	}
	h.acme(acme.Event{Kind: acme.Obtained, Domain: "a.example", Leaf: own.Leaf})
	h.acme(acme.Event{Kind: acme.Adopted, Domain: "a.example", Leaf: own.Leaf})
	h.acme(acme.Event{Kind: acme.Failed, Domain: "a.example", Err: bad, Next: time.Unix(1e9, 0).UTC()})
	h.acme(acme.Event{Kind: acme.Failed, Domain: "a.example", Err: bad})
	h.acme(acme.Event{Kind: acme.Damaged, Domain: "a.example", Err: bad})
	h.acme(acme.Event{Kind: acme.Agreed, Terms: "https://ca.example/terms"})
	h.steps.With("order", 1).Error("step", slog.Any("error", bad))
	sink.Close(time.Minute)

	const when = "2001-09-09T01:46:40.000Z"
	want := []map[string]any{
		{"level": "info", "event": events.CertificateReloaded, "names": `a.example b\n.example`, "not-after": when, "fingerprint": "AB", "source": "/a.pem"},
		{"level": "error", "event": events.CertificateReloadFailed, "error": `bad\nnews`, "source": "/a.pem"},
		{"level": "info", "event": events.ClientCAReloaded, "names": `a.example b\n.example`},
		{"level": "error", "event": events.ClientCAReloadFailed, "error": `bad\nnews`},
		{"level": "info", "event": events.CertificateObtained, "domain": "a.example", "key": "ECDSA P-256"},
		{"level": "info", "event": events.CertificateObtained, "domain": "a.example"},
		{"level": "warn", "event": events.CertificateNotObtained, "domain": "a.example", "error": `bad\nnews`, "next-try": when},
		{"level": "warn", "event": events.CertificateNotObtained, "next-try": nil},
		{"level": "warn", "event": events.CertificateDamaged, "domain": "a.example"},
		{"level": "info", "event": events.ACMEAccount, "terms": "https://ca.example/terms"},
		{"level": "debug", "event": "acme_step", "msg": "step", "order": "1", "error": `bad\nnews`},
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i := range want {
		var got map[string]any
		if err := json.Unmarshal([]byte(lines[i]), &got); err != nil {
			t.Fatal(err)
		}
		for k, v := range want[i] {
			if got[k] != v {
				t.Errorf("line %d: %s is %v, want %v", i, k, got[k], v)
			}
		}
	}
}

func TestExpiryIsToldOnceADay(t *testing.T) {
	var out bytes.Buffer
	log, sink := newLog(events.Writer(&out), "info", "json")
	start := time.Now()
	days := func(n int) time.Time { return start.Add(time.Duration(n) * 24 * time.Hour) }
	list := []watched{
		{certs.Info{Names: []string{"a.example"}, NotBefore: days(-80), NotAfter: days(10), Fingerprint: "A"}, false},
		{certs.Info{Names: []string{"b.example"}, NotBefore: days(-80), NotAfter: days(100), Fingerprint: "B"}, false},
		{certs.Info{Names: []string{"ours"}, NotBefore: days(-80), NotAfter: days(100), Fingerprint: "C"}, true},
	}
	w := &expiryWatch{log: log, list: func() []watched { return list }, warned: map[string]time.Time{}}
	at := start
	for range 72 { // three days, once an hour
		w.look(at)
		at = at.Add(time.Hour)
	}
	w.look(days(11)) // it is over
	list[0].Fingerprint, list[0].NotAfter = "A2", days(200)
	w.look(days(12)) // renewed
	list[1].NotAfter = days(13)
	w.look(days(12))
	list[2].NotAfter = days(14)
	w.look(days(12))
	w.look(days(15))
	sink.Close(time.Minute)
	var got []string
	for line := range strings.Lines(out.String()) {
		var f map[string]any
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		if f["event"] != events.CertificateExpires {
			t.Errorf("event %v", f["event"])
		}
		if isCA := strings.Contains(f["msg"].(string), "client CA"); isCA != (f["names"] == "ours") {
			t.Errorf("%v: %v", f["names"], f["msg"])
		}
		got = append(got, f["level"].(string)+" "+f["names"].(string)+" "+f["left"].(string))
	}
	want := "warn a.example 240h0m0s, warn a.example 216h0m0s, warn a.example 192h0m0s, error a.example -24h0m0s, warn b.example 24h0m0s, " +
		"warn ours 48h0m0s, error b.example -48h0m0s, error ours -24h0m0s"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestNoTLSNoIdentity(t *testing.T) {
	clean(t)
	id, err := openIdentity(mustResolve(t), hooks{})
	if id != nil || err != nil {
		t.Fatalf("%v, %v", id, err)
	}
	id.start()
	if id.config("x") != nil || id.certificates() != nil || id.expiries() != nil || id.awaited() != nil {
		t.Error("nothing comes of nothing")
	}
	if _, ok := id.clientCA(); ok {
		t.Error("a client CA")
	}
	id.close()
}
