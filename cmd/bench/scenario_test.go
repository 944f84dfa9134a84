package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/bench/report"
	"weir/bench/victim"
)

// file writes a text for the test and returns where.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const plan = `target = "%s"
seed = 7
[good]
rate = 50
timeout = "20s"
arrivals = "poisson"
pipeline = 2
[newcomers]
rate = 20
[[phase]]
for = "600ms"
[[phase]]
name = "one by one"
for = "600ms"
attacks = ["connection-flood?conns=5&total=5"]
[[phase]]
for = "600ms"
attacks = ["slowloris?conns=5", "slowloris?conns=3"]
[[phase]]
name = "end"
for = "500ms"
`

func TestASiegeOfAScenarioCanBeDoneAgainFromItsRecord(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
	dir := t.TempDir()
	first, second, page := filepath.Join(dir, "first.json"), filepath.Join(dir, "second.json"), filepath.Join(dir, "page.html")
	// Flags win over the file: nobody is at its target.
	path := file(t, "plan.toml", fmt.Sprintf(plan, "http://127.0.0.1:1/"))
	var missing []string
	for range 8 { // a busy machine is late, and leaves out some of it
		status, stdout, stderr := call(t, "siege", "-scenario", path, "-target", hello, "-rate", "100", "-json", first, "-html", page)
		if status != exitOK {
			t.Fatalf("status %d, %s", status, stderr)
		}
		missing = nil
		for _, w := range []string{"quiet", "one by one", "in phase one by one, from 0.6s", "in phase slowloris+slowloris, from 1.2s", "3 open at the end"} {
			if !strings.Contains(stdout, w) {
				missing = append(missing, fmt.Sprintf("no %q in\n%s", w, stdout))
			}
		}
		for _, w := range []string{`phase=quiet number=1 of=4 elapsed=0.0s left=2.3s`, `phase="one by one" number=2 of=4`, "slowloris#2.begun=", "phase=end number=4 of=4"} {
			if !strings.Contains(stderr, w) {
				missing = append(missing, fmt.Sprintf("no %q in\n%s", w, stderr))
			}
		}
		if len(missing) == 0 {
			break
		}
	}
	if len(missing) > 0 {
		t.Error(strings.Join(missing, "\n"))
	}
	status, _, stderr := call(t, "siege", "-scenario", first, "-json", second, "-quiet")
	if status != exitOK || stderr != "" {
		t.Fatalf("status %d, %s", status, stderr)
	}
	one, err1 := report.Read(first)
	two, err2 := report.Read(second)
	if err1 != nil || err2 != nil || one.Scenario != two.Scenario || one.Seed != 7 || two.Seed != 7 {
		t.Errorf("%v, %v: first\n%s\nsecond\n%s", err1, err2, one.Scenario, two.Scenario)
	}
	for _, w := range []string{`target = "` + hello + `"`, "rate = 100\n", "rate = 20\n", `arrivals = "poisson"`, "pipeline = 2\n", "seed = 7", `"slowloris?conns=3"`, `name = "end"`} {
		if !strings.Contains(two.Scenario, w) {
			t.Errorf("no %q in\n%s", w, two.Scenario)
		}
	}
	if b, err := os.ReadFile(page); err != nil || strings.Count(string(b), `<rect class="shade"`) < 8 || !strings.Contains(string(b), "one by one: connection-flood") {
		t.Errorf("the page has no phases: %v", err)
	}
}

// A siege by flags is recorded as a scenario, too.
func TestASiegeOfFlagsIsRecordedAsAScenario(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
	path := filepath.Join(t.TempDir(), "run.json")
	status, _, stderr := call(t, "siege", "-target", hello, "-attack", "connection-flood?conns=5&total=5,silent?conns=2", "-before", "200ms", "-during", "200ms", "-after", "0s",
		"-timeout", "20s", "-json", path)
	if status != exitOK {
		t.Fatalf("status %d, %s", status, stderr)
	}
	var r struct{ Scenario string }
	if b, err := os.ReadFile(path); err != nil || json.Unmarshal(b, &r) != nil {
		t.Fatal(err)
	}
	if want := "[[phase]]\nname = \"before\"\nfor = \"200ms\"\n\n[[phase]]\nname = \"during\"\nfor = \"200ms\"\nattacks = [\n  \"connection-flood?conns=5&total=5\",\n  \"silent?conns=2\",\n]\n"; !strings.HasSuffix(r.Scenario, want) {
		t.Errorf("got\n%s\nwant the end\n%s", r.Scenario, want)
	}
}

func TestMistakesInAScenarioNameTheirLine(t *testing.T) {
	const phase = "[[phase]]\nfor = \"1s\"\nattacks = [\"silent\"]\n"
	const target = "target = \"http://127.0.0.1:1/\"\n"
	for _, c := range []struct{ why, text, flags, want string }{
		{"no server", phase, "", "no target: give -target"},
		{"not loopback", "\ntarget = \"http://192.0.2.1/\"\n" + phase, "", `plan.toml:2: target "http://192.0.2.1/": target 192.0.2.1 is not a loopback address`},
		{"a number that is none", target + "[good]\nrate = \"many\"\n" + phase, "", `plan.toml:3: rate "many": want a number: requests a second`},
		{"no unit", target + "[good]\ntimeout = 2\n" + phase, "", `plan.toml:3: timeout "2": want a length of time such as "500ms" or "2s": of a request`},
		{"neither", target + "[good]\nresume = \"maybe\"\n" + phase, "", `plan.toml:3: resume "maybe": want true or false`},
		{"a flag with words of its own", target + "[good]\narrivals = \"odd\"\n" + phase, "", `plan.toml:3: arrivals "odd": want constant, poisson`},
		{"out of range", target + "[good]\nrate = -1\n" + phase, "", "plan.toml: siege: good client: rate -1: must be"},
		{"metrics by TLS", target + "metrics = \"https://127.0.0.1:2/\"\n" + phase, "", "plan.toml:2: metrics "},
		{"no process", target + "pid = [0]\n" + phase, "", "plan.toml:2: pid "},
		{"another family", target + "[newcomers]\nrate = 5\nsource = \"::1\"\n" + phase, "", "plan.toml:4: newcomer-source ::1"},
		{"an attack that does not fit", target + phase + "[[phase]]\nfor = \"1s\"\nattacks = [\"tls-hello\"]\n", "", "plan.toml:7: phase tls-hello: attack tls-hello: "},
		{"unknown", target + "nothing = 1\n" + phase, "", `plan.toml:2: no setting "nothing"`},
		{"phases twice", target + phase, "-attack silent", "siege: the scenario has the phases: leave out -attack"},
		{"phases twice", target + phase, "-after 0s", "siege: the scenario has the phases: leave out -after"},
	} {
		path := file(t, "plan.toml", c.text)
		status, stdout, stderr := call(t, append([]string{"siege", "-scenario", path}, strings.Fields(c.flags)...)...)
		got := strings.ReplaceAll(stderr, filepath.Dir(path)+"/", "")
		if status != exitUsage || stdout != "" || strings.Count(got, "\n") != 1 || !strings.Contains(got, c.want) {
			t.Errorf("%s: status %d, got\n%swant\n%s", c.why, status, got, c.want)
		}
	}
	for name, want := range map[string]string{"slo": "the ready ones are everything, flood", filepath.Join(t.TempDir(), "x.json"): "no such file",
		file(t, "old.json", `{"kind":"siege","result":{}}`): "holds no scenario"} {
		if status, _, stderr := call(t, "siege", "-scenario", name); status != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("-scenario %s: status %d, %s", name, status, stderr)
		}
	}
}

// Whatever a scenario can set, a record of it has: a flag that cannot tell its value would be lost.
func TestEverySettingIsRecorded(t *testing.T) {
	f := new(command).flags("siege")
	var g good
	g.flags(f)
	new(newcomers).flags(f)
	for _, name := range []string{"target", "good-target", "metrics", "shed-metric", "shed-label"} {
		f.String(name, "", "")
	}
	some := map[string]string{"arrivals": "poisson", "source": "127.0.0.1", "tls-version": "1.2", "sni": "weir.test", "resume": "true", "timeout": "3s", "newcomers": "5"}
	f.VisitAll(func(v *flag.Flag) {
		if err := f.Set(v.Name, cmp.Or(some[v.Name], "7")); err != nil {
			t.Fatal(err)
		}
	})
	got := redone(f, "", nil, nil)
	names := map[string]bool{}
	for _, s := range got.Settings {
		names[flagOf(s.Table, s.Name)] = true
	}
	f.VisitAll(func(v *flag.Flag) {
		if !names[v.Name] {
			t.Errorf("-%s is not in the record: %+v", v.Name, got.Settings)
		}
	})
}

func TestHelpListsReadyScenarios(t *testing.T) {
	_, stdout, _ := call(t, "help", "siege")
	for _, w := range []string{"  everything   each attack alone", "  slow ", "  flood ", "  tls ", "[[phase]]", "-quiet"} {
		if !strings.Contains(stdout, w) {
			t.Errorf("no %q in\n%s", w, stdout)
		}
	}
}
