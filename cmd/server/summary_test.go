package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"weir/guard"
)

func sampleSummary(t *testing.T) *summary {
	clean(t)
	s := mustResolve(t, "-listen", "http://127.0.0.1:80", "-listen", "frames://[::1]:0?name=games&source-conns=9&max-frame=64KiB",
		"-exempt", "10.0.0.0/8", "-source-frame-rate", "0")
	return &summary{
		build: build{version: "v1.2.3", revision: "0123456789ab", golang: "go1.26.0"},
		listeners: []served{
			{name: "http://127.0.0.1:80", url: "http://127.0.0.1:80", service: "hello"},
			{name: "games", url: "frames://[::1]:4711", service: "echo"},
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
	log, sink := newLog(&out, "info", "json")
	m.log(log)
	sink.Close(time.Second)
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
	if n := strings.Count(out.String(), `"event":"listening"`); n != 3 {
		t.Errorf("%d listening lines:\n%s", n, out.String())
	}
}

func TestBuffersAreBoundedByMaxBuffered(t *testing.T) {
	clean(t)
	for _, c := range []struct {
		args []string
		want int64
		why  string
	}{
		{[]string{"-max-conns=10", "-listen=http://:1"}, 10 * (16<<10 + 256<<10), "few connections cannot fill it"},
		{[]string{"-max-conns=10000", "-listen=frames://:1"}, 2 << 30, "many can"},
		{[]string{"-max-conns=10000", "-listen=http://:1", "-max-buffered=0"}, 10000 * (16<<10 + 256<<10), "no bound"},
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
