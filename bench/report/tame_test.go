package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/watch"
)

// greedy is a record with as much of everything as is drawn at all, and names of that length.
func greedy(t *testing.T, name string) Record {
	t.Helper()
	huge := int64(math.MaxInt64)
	names := func(n int) map[string]int64 {
		out := map[string]int64{}
		for i := range n {
			out[fmt.Sprint(i)+name] = huge - int64(i)
		}
		return out
	}
	some := max(1, min(200, (20<<10)/len(name))) // all of them together are not to be more than a record may have
	summaries := func(n int, step float64) (out []latency.Summary) {
		for i := range n {
			s := latency.Summary{Name: fmt.Sprint(i) + name[:min(len(name), 2000)], FromSecs: float64(i) * step, ForSecs: step, OK: huge, Errors: huge, Goodput: math.MaxFloat64,
				Failed: map[string]int64{"timeout": huge, "cut": huge, "status": huge, "protocol": huge, "overrun": huge, "connect": huge, "handshake": huge, "x" + name[:min(len(name), 100)]: huge},
				P50:    time.Duration(huge), P99: time.Duration(huge - int64(i)), P999: time.Duration(huge), Max: time.Duration(huge)}
			out = append(out, s)
		}
		return out
	}
	lane := load.Result{Target: name, Phases: summaries(maxPhases, 6), Timeline: summaries(maxSlices, 0.5), Setup: load.Setup{Rate: math.MaxFloat64, First: name}, ConnectError: name,
		TLS: &load.Handshakes{Phases: summaries(maxPhases, 6)}}
	o := bench.Outcome{Good: lane, Newcomers: &lane}
	for i, p := range lane.Phases {
		o.Server = append(o.Server, bench.Stretch{Name: p.Name, Sheds: names(some), CPU: time.Duration(huge), Wall: 1, RSSBytes: huge})
		o.Costs = append(o.Costs, bench.Cost{Phase: p.Name, Refused: huge, CountedBy: name[:min(len(name), 1000)], ServerCPU: time.Duration(huge), AttackerCPU: time.Duration(huge)})
		for range maxStruck / maxPhases {
			short := name[:min(len(name), 1000)]
			o.Attacks = append(o.Attacks, bench.Struck{Phase: p.Name, Result: attack.Result{Name: short, Target: short, UnitName: short, Shortened: short,
				Live:    attack.Live{Attempts: huge - int64(i), Refused: huge, Resets: huge, Units: huge, Bytes: huge, Bad: huge, TLS: attack.TLS{Handshakes: huge}},
				Options: attack.Options{First: short, Version: short, Name: short, Form: short, Victim: short, Rate: math.MaxFloat64}}})
		}
	}
	for i := range maxSamples {
		cpu, all := time.Duration(i), int64(i)<<40
		o.Samples = append(o.Samples, bench.Sample{AtSecs: float64(i), Sheds: names(min(some, 20)), Shed: &all, CPU: &cpu, RSSBytes: huge, Attempts: all, Refused: all})
	}
	for range 1000 {
		o.Remarks = append(o.Remarks, name[:min(len(name), 1000)])
		o.Programs = append(o.Programs, watch.Program{Command: slices.Repeat([]string{name[:min(len(name), 100)]}, 200), Go: name[:min(len(name), 1000)]})
	}
	r := NewRecord(slices.Repeat([]string{name[:min(len(name), 1000)]}, 1000), 7, o, fmt.Errorf("%s", name))
	r.Scenario, r.Machine.Settings = strings.Repeat(name, 10), map[string]string{name: name}
	b, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > maxRecordBytes {
		t.Fatalf("%d MB, which nobody reads", len(b)>>20)
	}
	t.Logf("a record of %d MB", len(b)>>20)
	if r, err = Parse(b); err != nil {
		t.Fatal(err)
	}
	return r
}

// What a page may have is a few times what that of the longest siege has.
func TestNoRecordMakesAnEnormousPage(t *testing.T) {
	for _, c := range []struct {
		why, name string
		most      int
	}{
		{"names of a usual length", strings.Repeat("'", 60), 12 << 20}, {"names without end", strings.Repeat("'", 20_000), 12 << 20},
	} {
		if testing.Short() && len(c.name) > 1000 {
			continue // a record of 63 MB
		}
		r := greedy(t, c.name)
		var page, text bytes.Buffer
		if err := HTML(&page, r); err != nil {
			t.Fatal(err)
		}
		Siege(&text, r.Result.(bench.Outcome))
		t.Logf("%s: a page of %d kB, tables of %d kB", c.why, page.Len()>>10, text.Len()>>10)
		if page.Len() > c.most || text.Len() > c.most {
			t.Errorf("%s: a page of %d bytes, tables of %d", c.why, page.Len(), text.Len())
		}
	}
}

// A name in a drawing's every slice made 101 MB of it.
func TestALongReasonInEachSampleIsCut(t *testing.T) {
	o := besieged()
	long := strings.Repeat("r", 20_000)
	for i := range o.Samples {
		if o.Samples[i].Sheds != nil {
			o.Samples[i].Sheds[long] = int64(i) << 20
		}
	}
	if page := draws(t, nil, o, nil); len(page) > 200_000 || !strings.Contains(page, ">"+long[:maxNameBytes]+"...<") {
		t.Errorf("%d bytes", len(page))
	}
}

// foul fills each text of an outcome.
func foul(text string) bench.Outcome {
	o := besieged()
	o.Good.Phases, o.Remarks = slices.Clone(o.Good.Phases), []string{text}
	o.Good.Target, o.Good.ConnectError, o.Good.Phases[1].Name, o.Good.Phases[1].Failed = text, text, text, map[string]int64{text: 1}
	o.Good.TLS = &load.Handshakes{Phases: []latency.Summary{{Name: text, ForSecs: 1, OK: 1, Failed: map[string]int64{text: 1}}}}
	o.Attacks = []bench.Struck{{Phase: text, Result: attack.Result{Name: text, Target: text, UnitName: text, Shortened: text}}}
	o.Server = []bench.Stretch{{Name: text, Sheds: map[string]int64{text: 1}, Wall: 1, RSSBytes: 1}}
	o.Costs = []bench.Cost{{Phase: text, Refused: 1, CountedBy: text}, {Phase: text, Refused: 1, CountedBy: text}}
	o.Programs = []watch.Program{{Command: []string{text}, Go: text, Commit: text}}
	for i := range o.Samples {
		o.Samples[i].Sheds = map[string]int64{text: 1}
	}
	return o
}

// Of text from a server or a record, neither escape sequences nor lines nor turned directions reach the terminal.
func TestNothingFromElsewhereSteersTheTerminal(t *testing.T) {
	o := foul("<a>\x1b]0;owned\x07\n\u202eevil\u2066\r\u009b2J\x00")
	var text bytes.Buffer
	Siege(&text, o)
	Load(&text, o.Good)
	Attack(&text, o.Attacks[0].Result)
	check := func(what, s string) {
		for line := range strings.Lines(s) {
			if i := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) && r != '\t' }); i >= 0 || strings.HasPrefix(line, "?") || strings.HasPrefix(line, "evil") {
				t.Errorf("%s: %q", what, line)
			}
		}
	}
	check("tables", text.String())
	if !strings.Contains(text.String(), "note: <a>?]0;owned???evil???2J?\n") {
		t.Errorf("no remark in\n%s", text.String())
	}
	check("page", draws(t, []string{o.Good.Target}, o, fmt.Errorf("%s", o.Good.Target)))
}

func TestWhatIsTamedStaysAsItWas(t *testing.T) {
	o := besieged()
	before, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	tamed := siegeTamed(o)
	if after, err := json.Marshal(tamed); err != nil || !bytes.Equal(before, after) {
		t.Errorf("an honest record changed, %v:\n%s\n%s", err, before, after)
	}
	wild := foul("\x1b")
	if siegeTamed(wild); wild.Remarks[0] != "\x1b" || wild.Good.Phases[1].Name != "\x1b" || wild.Samples[1].Sheds["\x1b"] != 1 {
		t.Error("the caller's own was changed")
	}
}

func TestReasonsWithoutNumberAreOther(t *testing.T) {
	many := map[string]int64{}
	for i := range 1000 {
		many[fmt.Sprint(i)] = int64(i + 1)
	}
	got := siegeTamed(bench.Outcome{Server: []bench.Stretch{{Sheds: many}, {Sheds: map[string]int64{"0": 1, "999": 5}}, {}}}).Server
	if len(got[0].Sheds) != maxReasons+1 || got[0].Sheds["999"] != 1000 || got[1].Sheds[other] != 1 || got[1].Sheds["999"] != 5 || got[2].Sheds != nil {
		t.Errorf("%v", got)
	}
}
