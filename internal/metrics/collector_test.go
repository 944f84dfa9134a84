package metrics

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"weir/codec"
	"weir/engine"
	"weir/guard"
)

func sources(snap engine.Snapshot) Sources {
	cfg := engine.Config{MaxBuffered: 1 << 20}
	cfg.Guard.MaxConns = 99
	return Sources{
		Sampler: NewSampler(func() engine.Snapshot { return snap }), Config: cfg,
		Tables:     func() Tables { return Tables{UsedRatio: 0.25, Evictions: 3} },
		EventsLost: func() uint64 { return 4 }, LogLinesLost: func() uint64 { return 5 },
		Certificates: func() []Certificate {
			return []Certificate{{"a.example", time.Unix(300, 0)}, {"a.example", time.Unix(200, 0)}, {"b.example", time.Unix(100, 0)}}
		},
		Alerts: func() Alerts {
			return Alerts{[]AlertRule{{"sheds", 2}}, []AlertReceiver{{"https://hooks.example", 1, 2, 3}}}
		},
		Files: func() Files { return Files{Uploads: Uploads{Ends: map[string]uint64{"stored": 1}}} },
		Upstreams: func() []Upstream {
			return []Upstream{{"cache", "", "a.example:6379", true, 3}, {"tls", "*.example.org", "a.example:443", false, 0}}
		},
		SpeaksHTTP: func(listener string) bool { return listener == "web" },
		Version:    "v1", Revision: "abc", GoVersion: "go1",
	}
}

func busy() engine.Snapshot {
	s := engine.Snapshot{
		Conns: 7, BytesIn: 10, BytesOut: 20, Writes: 30, Panics: 1, Buffered: 4096, Unproven: 5, HandshakesBegun: 50, HandshakesFailed: 2, HandshakesOpen: 3, HandshakesQueued: 1,
		Handshakes: [engine.HandshakeKinds]uint64{engine.TLS12: 10, engine.TLS13: 20, engine.TLS13Resumed: 7}, WorkQueued: 2, WorkRunning: 3, Draining: true,
		Listeners:    []engine.ListenerSnapshot{{Name: "web", Accepted: 11, Refused: 12, Frames: 13, Conns: 6, Answers: [6]uint64{2: 5, 4: 3}}, {Name: "frames", Conns: 1}},
		Loops:        []engine.LoopSnapshot{{Conns: 3, Lag: time.Millisecond, MaxLag: 20 * time.Millisecond, Wakes: 5}, {Conns: 4, Stale: true}},
		AcceptErrors: map[string]uint64{"EMFILE": 8, "EWHATEVER": 1, "E777": 2},
	}
	s.Shed[guard.ShedSourceConns] = 9
	s.Shed[guard.SlowConnBytes] = 2
	s.Faults[codec.BadHost] = 6
	return s
}

func TestCollectorSaysWhatTheSnapshotSays(t *testing.T) {
	const want = `
# HELP weir_accept_errors_total Accepts that failed, by errno.
# TYPE weir_accept_errors_total counter
weir_accept_errors_total{errno="ECONNABORTED"} 0
weir_accept_errors_total{errno="EINVAL"} 0
weir_accept_errors_total{errno="EMFILE"} 8
weir_accept_errors_total{errno="ENETDOWN"} 0
weir_accept_errors_total{errno="ENFILE"} 0
weir_accept_errors_total{errno="ENOBUFS"} 0
weir_accept_errors_total{errno="ENOMEM"} 0
weir_accept_errors_total{errno="EPERM"} 0
weir_accept_errors_total{errno="EPROTO"} 0
weir_accept_errors_total{errno="other"} 3
# HELP weir_accepted_total Connections admitted.
# TYPE weir_accepted_total counter
weir_accepted_total{listener="frames"} 0
weir_accepted_total{listener="web"} 11
# HELP weir_bytes_total Bytes read from peers (in) and handed to the kernel for them (out).
# TYPE weir_bytes_total counter
weir_bytes_total{dir="in"} 10
weir_bytes_total{dir="out"} 20
# HELP weir_connections Open connections.
# TYPE weir_connections gauge
weir_connections 7
# HELP weir_frames_total Frames, requests and lines served.
# TYPE weir_frames_total counter
weir_frames_total{listener="frames"} 0
weir_frames_total{listener="web"} 13
# HELP weir_http_answers_total Answers of HTTP, by class of their status: all that weir gives itself, refusals and faults too, and those of servers behind. Interim ones (100, 103) are none.
# TYPE weir_http_answers_total counter
weir_http_answers_total{class="1xx",listener="web"} 0
weir_http_answers_total{class="2xx",listener="web"} 5
weir_http_answers_total{class="3xx",listener="web"} 0
weir_http_answers_total{class="4xx",listener="web"} 3
weir_http_answers_total{class="5xx",listener="web"} 0
# HELP weir_loop_lag_max_seconds How late a loop ran at most within the last minute.
# TYPE weir_loop_lag_max_seconds gauge
weir_loop_lag_max_seconds{loop="0"} 0.02
weir_loop_lag_max_seconds{loop="1"} 0
# HELP weir_loop_stale 1 while a loop does not answer: its numbers are old.
# TYPE weir_loop_stale gauge
weir_loop_stale{loop="0"} 0
weir_loop_stale{loop="1"} 1
# HELP weir_slowed_total Times that reading from a connection was paused, by reason.
# TYPE weir_slowed_total counter
weir_slowed_total{reason="conn-bytes"} 2
weir_slowed_total{reason="source-bytes"} 0
# HELP weir_source_evictions_total Sources that lost their place in a table to another one.
# TYPE weir_source_evictions_total counter
weir_source_evictions_total 3
# HELP weir_certificate_expiry_timestamp_seconds When a certificate expires, in Unix time, the roots of client certificates being called client CA; of several with one name the earliest.
# TYPE weir_certificate_expiry_timestamp_seconds gauge
weir_certificate_expiry_timestamp_seconds{name="a.example"} 200
weir_certificate_expiry_timestamp_seconds{name="b.example"} 100
# HELP weir_tls_handshakes_total TLS handshakes that succeeded.
# TYPE weir_tls_handshakes_total counter
weir_tls_handshakes_total{resumed="false",version="1.2"} 10
weir_tls_handshakes_total{resumed="false",version="1.3"} 20
weir_tls_handshakes_total{resumed="true",version="1.2"} 0
weir_tls_handshakes_total{resumed="true",version="1.3"} 7
# HELP weir_unproven_connections Open connections that have not sent a first frame.
# TYPE weir_unproven_connections gauge
weir_unproven_connections 5
`
	err := testutil.CollectAndCompare(NewCollector(sources(busy())), strings.NewReader(want),
		"weir_accept_errors_total", "weir_accepted_total", "weir_bytes_total", "weir_connections", "weir_frames_total", "weir_http_answers_total",
		"weir_loop_lag_max_seconds", "weir_loop_stale", "weir_slowed_total", "weir_source_evictions_total",
		"weir_certificate_expiry_timestamp_seconds", "weir_tls_handshakes_total", "weir_unproven_connections")
	if err != nil {
		t.Error(err)
	}
}

func TestCollectorPassesTheLinter(t *testing.T) {
	problems, err := testutil.CollectAndLint(NewCollector(sources(busy())))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(NewCollector(sources(busy()))); err != nil {
		t.Fatal(err)
	}
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

func TestEveryMetricIsSent(t *testing.T) {
	families, err := Registry(sources(busy())).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range families {
		names = append(names, f.GetName())
	}
	for _, m := range List {
		if !slices.Contains(names, m.Name) {
			t.Errorf("%s is in the list and not sent", m.Name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes"} {
		if !slices.Contains(names, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

// The labels must not depend on what peers do: a snapshot of a server that nobody has met yet has
// the same series as one in the middle of an attack.
func TestSeriesNeverGrow(t *testing.T) {
	series := func(change func(*engine.Snapshot)) (all []string) {
		s := engine.Snapshot{Listeners: make([]engine.ListenerSnapshot, 1), Loops: make([]engine.LoopSnapshot, 2)}
		change(&s)
		families, err := Registry(sources(s)).Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if !strings.HasPrefix(f.GetName(), "weir_") {
				continue
			}
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += "," + l.GetName() + "=" + l.GetValue()
				}
				all = append(all, name)
			}
		}
		slices.Sort(all)
		return all
	}
	quiet := series(func(*engine.Snapshot) {})
	attack := series(func(s *engine.Snapshot) {
		for i := range s.Shed {
			s.Shed[i] = rand.Uint64()
		}
		for i := range s.Faults {
			s.Faults[i] = rand.Uint64()
		}
		s.AcceptErrors = map[string]uint64{"E1": 1, "E2": 2, "EMFILE": 3}
	})
	if !slices.Equal(quiet, attack) {
		t.Errorf("quiet: %v\nattack: %v", quiet, attack)
	}
	for r := guard.OK + 1; int(r) < guard.Reasons; r++ {
		shed, slowed := slices.Contains(quiet, "weir_shed_total,reason="+r.Label()), slices.Contains(quiet, "weir_slowed_total,reason="+r.Label())
		if shed == slowed || slowed != r.Slows() {
			t.Errorf("%s: in weir_shed_total %v, in weir_slowed_total %v", r.Label(), shed, slowed)
		}
	}
	for f := codec.OK + 1; int(f) < codec.Faults; f++ {
		if !slices.Contains(quiet, "weir_faults_total,fault="+f.Label()) {
			t.Errorf("fault %s has no series", f.Label())
		}
	}
}

func TestMaxLagIsRememberedForAMinute(t *testing.T) {
	s := NewSampler(nil)
	loop := func(ms int) []engine.LoopSnapshot {
		return []engine.LoopSnapshot{{MaxLag: time.Duration(ms) * time.Millisecond}}
	}
	s.remember(1000, loop(5))
	s.remember(1000, loop(3))
	s.remember(1001, loop(1))
	for _, c := range []struct {
		unix int64
		want time.Duration
		why  string
	}{
		{1001, 5 * time.Millisecond, "the greatest, whoever asked in between"},
		{1059, 5 * time.Millisecond, "59 s later still"},
		{1060, 1 * time.Millisecond, "after a minute no more"},
		{1061, 0, "nor the next"},
	} {
		if got := s.maxLag(c.unix)[0]; got != c.want {
			t.Errorf("at %d: got %v, want %v: %s", c.unix, got, c.want, c.why)
		}
	}
	s.remember(1060, loop(2))
	if got := s.maxLag(1060)[0]; got != 2*time.Millisecond {
		t.Errorf("a slot that is used again starts anew: %v", got)
	}
}
