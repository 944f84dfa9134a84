package report

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
)

// besieged is a siege with a course: eleven seconds, an attack from 3 to 8.
func besieged() bench.Outcome {
	o := outcome
	o.Good.Setup, o.Good.Target = load.Setup{Rate: 500, Conns: 10, Timeout: 2 * time.Second, Sources: 1, First: "127.0.0.1"}, "http://127.0.0.1:8080/"
	o.Good.Phases = []latency.Summary{outcome.Good.Phases[0], outcome.Good.Phases[1], {Name: "after", FromSecs: 8, ForSecs: 3, Errors: 1500}}
	o.Good.Phases[1].FromSecs = 3
	for i := range 22 {
		s := latency.Summary{FromSecs: float64(i) / 2, ForSecs: 0.5, OK: 250, Goodput: 500, P50: 100_000, P99: 200_000, Max: 300_000}
		if i >= 16 {
			s = latency.Summary{FromSecs: float64(i) / 2, ForSecs: 0.5, Errors: 250, Failed: map[string]int64{"timeout": 250}}
		}
		o.Good.Timeline = append(o.Good.Timeline, s)
	}
	n := *outcome.Newcomers
	n.Timeline, n.Setup = o.Good.Timeline, load.Setup{Rate: 50, Churn: true, Conns: 100}
	o.Newcomers = &n
	for i := range 12 {
		shed, cpu := int64(i*100), time.Duration(i)*100*time.Millisecond
		s := bench.Sample{AtSecs: float64(i), Shed: &shed, CPU: &cpu, RSSBytes: 10 << 20, Attempts: shed, Refused: shed}
		if i > 0 {
			s.Sheds = map[string]int64{"source_conns": shed - 9, "min_rate": 1}
			for r := range 8 {
				s.Sheds[fmt.Sprintf("rare-%d", r)] = 1
			}
		}
		if i == 5 {
			s.Shed, s.Sheds = nil, nil // the page did not come
		}
		o.Samples = append(o.Samples, s)
	}
	return o
}

// draws returns the page of a result, by way of its JSON.
func draws(t *testing.T, command []string, result any, failure error) string {
	t.Helper()
	b, err := NewRecord(command, 7, result, failure).JSON()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	return page.String()
}

var ids = regexp.MustCompile(`<svg id="([a-z0-9-]+)"`)

func plots(page string) string {
	var out []string
	for _, m := range ids.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return strings.Join(out, " ")
}

func TestPageHasAllPlotsAndTables(t *testing.T) {
	page := draws(t, []string{"siege", "-attack", "slowloris?conns=5&rate=1"}, besieged(), nil)
	if got, want := plots(page), "good-latency good-goodput new-latency new-goodput sheds server-cpu server-memory attackers cost"; got != want {
		t.Errorf("plots %s, want %s", got, want)
	}
	for _, w := range []string{
		"<caption>Good client on http://127.0.0.1:8080/</caption>", "<caption>Attacks</caption>", "<caption>Shed by the server</caption>", "<caption>Machine and build</caption>",
		"bench siege -attack &#39;slowloris?conns=5&amp;rate=1&#39;", // so that a shell reads it
		"3 other reasons", `class="shade" x="151.8"`, "prefers-color-scheme: dark", "Content-Security-Policy", "before: p50 87.1us",
	} {
		if !strings.Contains(page, w) {
			t.Errorf("no %q", w)
		}
	}
	if got := strings.Count(page, `role="img"`); got != 9 {
		t.Errorf("%d of 9 plots are told to those who cannot see", got)
	}
	if t.Failed() {
		t.Log(page)
	}
}

// many is a siege of twenty phases: a quiet one, and then an attack each, twice two at once.
func many() bench.Outcome {
	o := besieged()
	template, server := o.Good.Phases[0], o.Server[1]
	o.Good.Phases, o.Good.Timeline, o.Attacks, o.Server, o.Costs, o.Newcomers = nil, nil, nil, nil, nil, nil
	for i := range 20 {
		p := template
		p.Name, p.FromSecs, p.ForSecs = fmt.Sprintf("slow-read %d", i), float64(i)*2, 2
		o.Good.Phases = append(o.Good.Phases, p)
		server.Name = p.Name
		o.Server = append(o.Server, server)
		for range 4 {
			s := besieged().Good.Timeline[i%8]
			s.FromSecs = float64(len(o.Good.Timeline)) / 2
			o.Good.Timeline = append(o.Good.Timeline, s)
		}
		for j := range min(i, 1+i/18) {
			o.Attacks = append(o.Attacks, bench.Struck{Phase: p.Name, Result: outcome.Attacks[(i+j)%4].Result})
		}
		if i > 0 {
			o.Costs = append(o.Costs, bench.Cost{Phase: p.Name, Refused: 100, CountedBy: "server", ServerCPU: time.Duration(i) * 1000, AttackerCPU: 50000})
		}
	}
	return o
}

// Twenty phases: numbers above the drawings, and tables that grow downwards.
func TestPageOfManyPhases(t *testing.T) {
	page := draws(t, nil, many(), nil)
	for _, w := range []string{
		"<caption>Phases</caption>", "<caption>Cost of shedding</caption>", `>18<title>slow-read 17: connection-flood</title></text>`,
		`<th scope="row">slow-read 19: slowloris</th>`, "in 19 phases with attacks", "Shaded are the phases with attacks: 2 slow-read 1, 3 slow-read 2, ", "Siege: connection-flood, tls-handshake, proxy-spoof, slowloris<",
	} {
		if !strings.Contains(page, w) {
			t.Errorf("no %q", w)
		}
	}
	for _, row := range regexp.MustCompile(`(?s)<thead>.*?</thead>`).FindAllString(page, -1) {
		if n := strings.Count(row, "<th"); n > 32 {
			t.Errorf("%d columns: %s", n, row)
		}
	}
	if got, want := strings.Count(page, `class="shade"`), 19*(strings.Count(page, `class="chart"`)-1); got != want {
		t.Errorf("%d shades, want %d", got, want)
	}
	var text bytes.Buffer
	Siege(&text, many())
	for line := range strings.Lines(text.String()) {
		if len(line) > 200 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	if !strings.Contains(text.String(), "\nin phase slow-read 19, from 38.0s for 2.0s\nproxy-spoof on") {
		t.Errorf("got\n%s", text.String())
	}
}

// Records of before there were scenarios have attacks and costs without the name of a phase.
func TestEarlierRecordsAreRead(t *testing.T) {
	r, err := Parse([]byte(`{"kind":"siege","result":{"good":{"phases":[{"name":"before","for_seconds":1},{"name":"during","from_seconds":1,"for_seconds":1}]},
		"attacks":[{"name":"slowloris","attempts":7}],"cost":{"refused":3,"counted_by":"server","server_cpu_per_refused_ns":5}}}`))
	if err != nil {
		t.Fatal(err)
	}
	o := r.Result.(bench.Outcome)
	if len(o.Attacks) != 1 || o.Attacks[0].Phase != "during" || o.Attacks[0].Attempts != 7 || len(o.Costs) != 1 || o.Costs[0].Phase != "during" || o.Costs[0].ServerCPU != 5 {
		t.Errorf("%+v", o)
	}
	var page bytes.Buffer
	if err := HTML(&page, r); err != nil || !strings.Contains(page.String(), "slowloris") {
		t.Errorf("%v\n%s", err, page.String())
	}
}

// Whatever the page names, it has itself.
func TestPageNeedsNothingElse(t *testing.T) {
	page := draws(t, nil, besieged(), nil)
	for _, m := range regexp.MustCompile(`(?i)(src|href|srcset|action|xlink:href)\s*=\s*"?([^" >]*)|url\(|@import|<script|<iframe|<object`).FindAllStringSubmatch(page, -1) {
		if m[2] != "data:," {
			t.Errorf("%s", m[0])
		}
	}
}

func TestPagesOfLess(t *testing.T) {
	bare := bench.Outcome{Good: besieged().Good, Attacks: outcome.Attacks[:1]}
	if got := plots(draws(t, nil, bare, nil)); got != "good-latency good-goodput" {
		t.Errorf("a siege of a server that says nothing: %s", got)
	}
	page := draws(t, []string{"load"}, besieged().Good, fmt.Errorf("the good client got nothing"))
	if got := plots(page); got != "good-latency good-goodput" || !strings.Contains(page, "The run failed:") || !strings.Contains(page, "<title>Load on http://127.0.0.1:8080/</title>") {
		t.Errorf("a load: %s", got)
	}
	draws(t, nil, bench.Outcome{}, nil)
	if HTML(&bytes.Buffer{}, Record{Kind: "attack", Result: attack.Result{}}) == nil {
		t.Error("an attack alone was drawn")
	}
}

// A record may come from anybody.
func TestHostileRecords(t *testing.T) {
	const evil = `</title></style><script>alert(1)</script>"'><img src=x onerror=alert(1)>`
	o := besieged()
	o.Good.Phases = slices.Clone(o.Good.Phases)
	o.Good.Target, o.Remarks = evil, []string{evil}
	o.Attacks = []bench.Struck{{Phase: "during", Result: attack.Result{Name: evil, Target: evil, Shortened: evil}}, {Phase: evil}}
	o.Good.Phases = append(o.Good.Phases, latency.Summary{Name: evil, FromSecs: 8, ForSecs: 3})
	o.Costs = append(o.Costs, bench.Cost{Phase: evil, Refused: 1, AttackerCPU: 1, CountedBy: evil})
	for i := range o.Samples {
		if o.Samples[i].Sheds != nil {
			o.Samples[i].Sheds[evil] = int64(i)
		}
	}
	page := draws(t, []string{evil}, o, fmt.Errorf(evil+"%s", ""))
	for _, w := range []string{"<script", "<img", "onerror=alert(1)>"} {
		if strings.Contains(page, w) {
			t.Errorf("%q got through", w)
		}
	}

	for why, spoil := range map[string]func(*bench.Outcome){
		"a slice before time":    func(o *bench.Outcome) { o.Good.Timeline[0].FromSecs = -1 },
		"a slice without end":    func(o *bench.Outcome) { o.Newcomers.Timeline[0].ForSecs = math.MaxFloat64 },
		"a sample out of time":   func(o *bench.Outcome) { o.Samples[0].AtSecs = 1e300 },
		"slices without number":  func(o *bench.Outcome) { o.Good.Timeline = make([]latency.Summary, maxSlices+1) },
		"phases without number":  func(o *bench.Outcome) { o.Good.Phases = make([]latency.Summary, maxPhases+1) },
		"attacks without number": func(o *bench.Outcome) { o.Attacks = make([]bench.Struck, maxStruck+1) },
		"costs without number":   func(o *bench.Outcome) { o.Costs = make([]bench.Cost, maxPhases+1) },
		"samples without number": func(o *bench.Outcome) { o.Samples = make([]bench.Sample, maxSamples+1) },
		"handshakes without number": func(o *bench.Outcome) {
			o.Good.TLS = &load.Handshakes{Phases: make([]latency.Summary, maxPhases+1)}
		},
	} {
		o := besieged()
		spoil(&o)
		if HTML(&bytes.Buffer{}, Record{Kind: "siege", Result: o}) == nil {
			t.Errorf("%s was drawn", why)
		}
		b, err := NewRecord(nil, 7, o, nil).JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(b); err == nil || strings.Count(err.Error(), "record") != 1 {
			t.Errorf("%s was read: %v", why, err)
		}
	}
	for why, text := range map[string]string{"no JSON": "{", "no kind": "{}", "another kind": `{"kind":"x"}`, "no result": `{"kind":"siege"}`,
		"of a wrong type": `{"kind":"siege","result":[]}`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s was read", why)
		}
	}
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, nil, 0o600); err != nil || os.Truncate(file, maxRecordBytes+1) != nil {
		t.Fatal(err)
	}
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "MiB") {
		t.Errorf("a file without end: %v", err)
	}
}

func TestLongNamesOfPhasesAreCut(t *testing.T) {
	o := besieged()
	o.Good.Phases = slices.Clone(o.Good.Phases)
	long := strings.Repeat("\u00e9", 100_000)
	o.Good.Phases[1].Name, o.Attacks = long, []bench.Struck{{Phase: long, Result: attack.Result{Name: "silent"}}}
	if page := draws(t, nil, o, nil); len(page) > len(long) {
		t.Errorf("%d bytes", len(page))
	}
}

func TestShell(t *testing.T) {
	for want, words := range map[string][]string{
		"bench siege -before 3s": {"bench", "siege", "-before", "3s"}, "'a?b&c' 'it'\\''s' ''": {"a?b&c", "it's", ""}, "'$(x)' '`x`' 'a\nb'": {"$(x)", "`x`", "a\nb"},
	} {
		if got := Shell(words); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.25: "0.25", 12.5: "12.5", 500: "500", 1250: "1,250", 60000: "60k", 12_500_000: "12.5M"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{0.001: "1ms", 0.0000871: "87.1us", 1: "1s", 0.1: "100ms", 100: "100s", 0: "-"} {
		if got := secs(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for part, want := range map[float64]string{1: "100 %", 0.999999: "99.99 %", 0.5: "50 %", 0.998: "99.8 %", 0.12345: "12.35 %", 0: "0 %"} {
		if got := percent(part); got != want {
			t.Errorf("%v: %s, want %s", part, got, want)
		}
	}
}
