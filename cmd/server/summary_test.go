package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"weir/engine/certs"
	"weir/guard"
	"weir/internal/events"
)

func sampleSummary(t *testing.T) *summary {
	clean(t)
	s := mustResolve(t, "-listen", "http://127.0.0.1:80", "-listen", "frames://[::1]:0?name=games&source-conns=9&max-frame=64KiB",
		"-listen", "https://:443?proxy-from=192.0.2.0/24&max-conns=1000", "-cert", "c", "-key", "k", "-acme-domain", "acme.example", "-tls-client-ca", "ca",
		"-tls-client-auth", "optional", "-exempt", "10.0.0.0/8", "-source-frame-rate", "0")
	day := func(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n) }
	info := func(source string, begin, end int, names ...string) certs.Info {
		return certs.Info{Source: source, Names: names, NotBefore: day(begin), NotAfter: day(end), Fingerprint: "AB:CD", Key: "ECDSA P-256"}
	}
	return &summary{
		now: day(60),
		certificates: []certs.Info{
			info("/etc/weir/a.pem", 0, 90, "a.example", "b.example", "c.example", "d.example", "e.example"),
			info("/etc/weir/b.pem", 0, 70, "soon.example"),
			info("/etc/weir/c.pem", 0, 50, "over.example"),
			info("/etc/weir/d\x1b.pem", 61, 90, "early.example"),
			info("self-signed", 0, 365),
		},
		awaited:  []string{"acme.example"},
		clientCA: &certs.Info{Names: []string{"Our clients"}, NotAfter: day(1000), NotBefore: day(0), Source: "ca"},
		build:    build{version: "v1.2.3", revision: "0123456789ab", golang: "go1.26.0"},
		listeners: []served{
			{name: "http://127.0.0.1:80", url: "http://127.0.0.1:80", service: "hello"},
			{name: "games", url: "frames://[::1]:4711", service: "echo"},
			{name: "https://:443", url: "https://[::]:443", service: "hello"},
		},
		admin: "off", settings: s, memory: append([]term{{"guard: a table", 1 << 20}}, engineTerms(s)...),
	}
}

func TestStartBlock(t *testing.T) {
	var out bytes.Buffer
	sampleSummary(t).print(&out)
	golden(t, "start.txt", out.Bytes())
}

func TestStartLines(t *testing.T) {
	var out bytes.Buffer
	m := sampleSummary(t)
	log, sink := newLog(events.Writer(&out), "info", "json")
	m.log(log)
	sink.Close(time.Minute)
	var limits, memory map[string]any
	for line := range strings.Lines(out.String()) {
		var f map[string]any
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch {
		case f["event"] == "limits" && f["listener"] == nil:
			limits = f
		case f["event"] == "memory":
			memory = f
		}
	}
	if limits["source-conns"] != "256" || limits["source-frame-rate"] != "0/s" || limits["exempt"] != "10.0.0.0/8" {
		t.Errorf("limits: %v", limits)
	}
	if memory["guard: a table"] != float64(1<<20) || memory["total"].(float64) < 1<<30 {
		t.Errorf("memory: %v", memory)
	}
	if n := strings.Count(out.String(), `"event":"listening"`); n != 4 {
		t.Errorf("%d listening lines:\n%s", n, out.String())
	}
}

func TestStartLinesOfCertificates(t *testing.T) {
	var out bytes.Buffer
	m := sampleSummary(t)
	log, sink := newLog(events.Writer(&out), "info", "json")
	m.log(log)
	sink.Close(time.Minute)
	for text, n := range map[string]int{
		`"event":"certificate",`: 5, `"event":"certificate_awaited","domain":"acme.example"`: 1, `"event":"client_ca",`: 1,
		`"names":"soon.example","not-after":"2026-03-12T00:00:00.000Z","fingerprint":"AB:CD","key":"ECDSA P-256"`: 1,
		`"source":"/etc/weir/d\\x1b.pem"`: 1,
	} {
		if got := strings.Count(out.String(), text); got != n {
			t.Errorf("%d times %s, want %d:\n%s", got, text, n, out.String())
		}
	}
}

func TestMemoryOfTLS(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		args []string
		want string
		why  string
	}{
		{[]string{"-listen=http://:1"}, "", "nothing speaks it"},
		{[]string{"-max-conns=100", "-listen=https://:1", "-tls-self-signed"}, "TLS connections, 100 x 10KiB; TLS handshakes, 100 x 28KiB", "no more handshakes than connections"},
		{[]string{"-max-conns=5000", "-listen=https://:1", "-tls-self-signed"}, "TLS connections, 5,000 x 10KiB; TLS handshakes, 2,048 x 28KiB", "no more than -max-handshakes"},
		{[]string{"-max-conns=5000", "-listen=https://:1?max-conns=10", "-listen=line+tls://:2?max-conns=20", "-listen=http://:3", "-tls-self-signed"},
			"TLS connections, 30 x 10KiB; TLS handshakes, 30 x 28KiB", "no more than those listeners take"},
	} {
		s := mustResolve(t, c.args...)
		var got []string
		for _, term := range tlsTerms(s, int64(s.engine.Guard.MaxConns)) {
			got = append(got, term.name)
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

func TestBuffersAreBoundedByMaxBuffered(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		args []string
		want int64
		why  string
	}{
		{[]string{"-max-conns=10", "-listen=http://:1"}, 10 * (16<<10 + 128<<10), "few connections cannot fill it"},
		{[]string{"-max-conns=10000", "-listen=frames://:1"}, 2 << 30, "many can"},
		{[]string{"-max-conns=10000", "-listen=http://:1", "-max-buffered=0"}, 10000 * (16<<10 + 128<<10), "no bound"},
	} {
		s := mustResolve(t, c.args...)
		if got := bufferTerm(s, int64(s.engine.Guard.MaxConns)); got.bytes != c.want {
			t.Errorf("%s: got %d, want %d", c.why, got.bytes, c.want)
		}
	}
}

func TestThresholdIsTheListenersOwn(t *testing.T) {
	clean(t)
	s := mustResolve(t, "-listen", "http://:1?name=a&source-conns=9&max-conns=5&max-out=8KiB", "-listen", "http://:2?name=b", "-conn-rate", "77")
	for _, c := range []struct {
		listener string
		why      guard.Reason
		want     string
	}{
		{"a", guard.ShedSourceConns, "9"},
		{"b", guard.ShedSourceConns, "256"},
		{"a", guard.ShedPrefixConns, "9"},
		{"a", guard.ShedListenerConns, "5"},
		{"a", guard.ShedMaxConns, "19912"},
		{"a", guard.ShedOutput, "8KiB"},
		{"b", guard.ShedIdle, "75s"},
		{"b", guard.ShedConnRate, "77"},
		{"b", guard.ShedMemory, "2GiB"},
		{"a", guard.ShedProxySpoof, "off"},
		{"b", guard.ShedSourceHandshakes, "10"},
		{"b", guard.ShedHandshakes, "2048"},
		{"b", guard.ShedUnproven, "9956"},
		{"b", guard.ShedMalformed, ""},
		{"b", guard.ShedPanic, ""},
		{"nosuch", guard.ShedIdle, "75s"},
	} {
		if got := s.threshold(c.listener, c.why); got != c.want {
			t.Errorf("%s at %s: got %q, want %q", c.why.Label(), c.listener, got, c.want)
		}
	}
	for why := guard.OK; int(why) < guard.Reasons; why++ {
		s.threshold("a", why) // none may panic
	}
}
