package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"weir/engine/certs"
	"weir/internal/events"
)

func TestWhatIsProbablyNotMeantIsWarnedOf(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	good, nameless := newPair(t, dir, "good", 1000*time.Hour, "a.example"), newPair(t, dir, "nameless", 1000*time.Hour)
	over, ca := newPair(t, dir, "over", -time.Hour, "old.example"), newPair(t, dir, "ca", -time.Hour)
	open := newPair(t, dir, "open", 1000*time.Hour, "a.example")
	if err := os.Chmod(open.key, 0o644); err != nil {
		t.Fatal(err)
	}
	shared := newPair(t, dir, "shared", 1000*time.Hour, "a.example")
	if err := os.Chmod(shared.key, 0o640); err != nil {
		t.Fatal(err)
	}
	on := over.tls.Leaf.NotAfter.UTC().Format(time.DateOnly)
	pair := func(p pair) string { return "-cert=" + p.cert + " -key=" + p.key }
	acme := "-acme-domain=b.example -acme-cache=" + dir + "/acme"
	const https, client = "-listen=https://:1", "every TLS listener requires client certificates, and the CA has none to show"
	for _, c := range []struct {
		args string
		want []string // parts of what -check warns of, in order
		log  []string // the events at start; expired ones have an alarm
		why  string
	}{
		{https + " " + pair(good), nil, nil, "nothing"},
		{"", nil, nil, "no TLS"},
		{"-listen tcp://:0?to=127.0.0.1:1&to-tls=1&to-insecure=1", []string{"-to-insecure at tcp://:0: no certificate of a server is checked"}, []string{events.UpstreamInsecure}, "whoever is on the way"},
		{https + " " + pair(nameless), []string{"the certificate in " + nameless.cert + " has no name in its subjectAltName"}, []string{events.CertificateNameless}, "no name"},
		{https + " " + pair(open), []string{"-key " + open.key + ": every user of this machine may read or write it (mode 0644): chmod 600 it"}, []string{events.KeyReadable}, "a key for everybody"},
		{https + " " + pair(shared), nil, nil, "one for a group"},
		{"-listen tcp://:0?to=127.0.0.1:1&to-tls=1&to-cert=" + open.cert + "&to-key=" + open.key, []string{"-to-key " + open.key}, []string{events.KeyReadable}, "one to show to servers"},
		{https + " " + pair(over), []string{"old.example expired on " + on}, nil, "expired"},
		{https + " " + pair(nameless) + " " + pair(over), []string{nameless.cert, "old.example expired on " + on}, []string{events.CertificateNameless}, "two"},
		{https + " -tls-self-signed -tls-client-ca=" + ca.cert, []string{"client CA ca expired on " + on}, nil, "an expired client CA"},
		{"-proxy-from=0.0.0.0/0,10.0.0.0/8", []string{"-proxy-from 0.0.0.0/0 at http://127.0.0.1:8080: whoever connects may claim any address", "at frames://127.0.0.1:7000"},
			[]string{events.ProxyExposed, events.ProxyExposed}, "everybody is a balancer"},
		{"-listen=http://:1 -listen=http://:2?name=v6&proxy-from=::/0 -listen=http://unix:/x?name=u -proxy-from=10.0.0.0/8", []string{"-proxy-from ::/0 at v6"}, []string{events.ProxyExposed}, "at one listener"},
		{"-listen=http://unix:/x -proxy-from=::/0", nil, nil, "not spoken on a unix socket"},
		{https + " " + pair(good) + " " + acme + " -tls-client-ca=" + good.cert, []string{client}, []string{events.ACMEClientAuth}, "the CA is asked for a certificate"},
		{https + " -listen=https://:2?tls-client-auth=optional " + pair(good) + " " + acme + " -tls-client-ca=" + good.cert, nil, nil, "and here it can do without"},
		{https + " -listen=http://:2 " + pair(good) + " " + acme + " -tls-client-ca=" + good.cert, []string{client}, []string{events.ACMEClientAuth}, "plain listeners are of no use"},
	} {
		s := mustResolve(t, strings.Fields(c.args)...)
		in, err := look(s)
		if err != nil {
			t.Fatal(err)
		}
		got := s.checkWarnings(in.certs, in.now)
		if len(got) != len(c.want) {
			t.Errorf("%s: %q", c.why, got)
			continue
		}
		for i := range got {
			if !strings.Contains(got[i], c.want[i]) || strings.Contains(got[i], "\n") {
				t.Errorf("%s: got %q, want %q", c.why, got[i], c.want[i])
			}
		}

		id, err := openIdentity(s, hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		log, sink := newLog(events.Writer(&out), "info", "json")
		for _, w := range s.warnings(id.certificates()) {
			w.log(log)
		}
		id.close()
		sink.Close(time.Minute)
		var events []string
		for line := range strings.Lines(out.String()) {
			var f map[string]any
			if err := json.Unmarshal([]byte(line), &f); err != nil || f["level"] != "warn" {
				t.Fatalf("%s: %v", line, err)
			}
			events = append(events, f["event"].(string))
		}
		if strings.Join(events, " ") != strings.Join(c.log, " ") {
			t.Errorf("%s: logs %v, want %v", c.why, events, c.log)
		}
	}
}

func TestOver(t *testing.T) {
	at := time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC)
	info := func(names ...string) certs.Info {
		return certs.Info{Names: names, NotBefore: at.Add(-time.Hour), NotAfter: at, Source: "/a\x1b.pem"}
	}
	for _, c := range []struct {
		info certs.Info
		now  time.Time
		want string
	}{
		{info("old.example"), at.Add(time.Second), "old.example expired on 2026-11-20"},
		{info("old.example"), at, ""},
		{info("old.example"), at.Add(-2 * time.Hour), "old.example is not good before 2026-11-20"},
		{info("a", "b", "c", "d"), at.Add(time.Second), "a, b, c and 1 more expired on 2026-11-20"},
		{info(), at.Add(time.Second), `/a\x1b.pem expired on 2026-11-20`},
	} {
		if got, over := overText("", c.info, c.now); got != c.want || over != (c.want != "") {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestANamelessCertificateIsToldOfWhenItIsReloaded(t *testing.T) {
	var out bytes.Buffer
	log, sink := newLog(events.Writer(&out), "info", "json")
	logChanges(log).changed(certs.Change{Info: certs.Info{Source: "/a.pem"}})
	sink.Close(time.Minute)
	if text := out.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, events.CertificateNameless) {
		t.Errorf("says %s", text)
	}
}
