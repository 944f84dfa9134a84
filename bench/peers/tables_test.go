package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/bench/latency"
	"weir/bench/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example has what tables have to show: rounds, losses, a peer that cannot, one that broke, a siege that was lost.
func example() record {
	cost := func(what, peer string, values ...float64) (out []sample) {
		for i, v := range values {
			out = append(out, sample{What: what, Peer: peer, Round: i + 1, Client: []string{"wrk", "-t1"},
				Values: map[string]float64{"cpu_us": v, "per_second": 1e6 / v}})
		}
		return out
	}
	siege := func(which, peer string, good, p99, newcomers float64) sample {
		v := map[string]float64{"good": good, "newcomers": newcomers, "cores": 0.25, "grown_mib": 12}
		if good > 0 {
			v["p99_ms"], v["newcomers_p99_ms"] = p99, 2*p99
		}
		return sample{What: "siege", Case: which, Peer: peer, Round: 1, Values: v}
	}
	timeline := func(ok ...int64) (out []latency.Summary) {
		for i, n := range ok {
			out = append(out, latency.Summary{FromSecs: float64(i) / 2, ForSecs: 0.5, OK: n, Errors: 250 - n})
		}
		return out
	}
	drawn := siege("slowloris + flood", "weir", 100, 2, 100)
	drawn.Course = &course{Good: timeline(250, 250, 250), Newcomers: timeline(250, 250, 250), From: 0.5, To: 1}
	lost := siege("slowloris + flood", "nginx", 0, 0, 0)
	lost.Course = &course{Good: timeline(250, 0, 250), Newcomers: timeline(250, 0, 100), From: 0.5, To: 1}
	r := record{Time: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Commit: "0123456789abcdef", Go: "go1.26",
		Machine:  report.Machine{Cores: 2, CPU: "a CPU", MemoryBytes: 24 << 30, Kernel: "6.18"},
		Setup:    setup{Rounds: 3, SiegeRounds: 1, For: 4 * time.Second, Before: 2 * time.Second, During: 5 * time.Second, After: time.Second},
		Versions: map[string]string{"nginx": "nginx/1.22.1", "haproxy": "HAProxy version 2.6.12-1 2026/10/17 - https://haproxy.org/"},
		Absent:   map[string]string{"caddy": "caddy is not installed"}}
	r.Samples = append(r.Samples, cost("hello", "weir", 10.2, 9.8, 30)...)
	r.Samples = append(r.Samples, cost("hello", "nginx", 9, 10, 8)...)
	r.Samples = append(r.Samples, cost("hello", "gnet", 12, 13, 11)...)
	r.Samples = append(r.Samples, sample{What: "hello", Peer: "caddy", Round: 1, Why: "caddy is not installed"})
	r.Samples = append(r.Samples, siege("frame-flood", "weir", 100, 3, 98.5), siege("frame-flood", "nginx", 100, 1.2, 100),
		sample{What: "siege", Case: "frame-flood", Peer: "haproxy", Round: 1, Why: "start haproxy: it ended"}, drawn, lost)
	return r
}

func TestTablesAreGolden(t *testing.T) {
	var b strings.Builder
	for _, name := range regionNames() {
		text, err := example().region(name)
		if err != nil {
			t.Fatal(err)
		}
		if text != "" {
			b.WriteString("<!-- peers:" + name + " -->\n" + text)
		}
	}
	golden := filepath.Join("testdata", "tables.md")
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("the tables changed; go test ./bench/peers -run Golden -update accepts that:\n%s", b.String())
	}
}

func TestRecordSurvivesItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "peers.json")
	r := example()
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	back, err := readRecord(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r, back) {
		t.Errorf("%+v\nwant %+v", back, r)
	}
	if _, err := readRecord(path + "x"); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestMergeKeepsWhatWasNotMeasuredAgain(t *testing.T) {
	r := record{Versions: map[string]string{}, Samples: []sample{{What: "hello", Peer: "weir", Round: 1, Values: map[string]float64{"cpu_us": 1}}}}
	r.merge(example())
	by := r.of("hello", "")
	if len(by["weir"]) != 1 || len(by["nginx"]) != 3 || len(r.of("siege", "frame-flood")) != 3 || r.Versions["nginx"] == "" {
		b, _ := json.Marshal(r)
		t.Errorf("%s", b)
	}
}

func TestEveryRegionIsInTheDocument(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	if _, err := replaceRegions(string(b), func(name string) (string, error) {
		seen[name] = true
		return example().region(name)
	}); err != nil {
		t.Fatal(err)
	}
	for _, name := range regionNames() {
		if !seen[name] {
			t.Errorf("docs/performance.md has no region peers:%s", name)
		}
	}
}
