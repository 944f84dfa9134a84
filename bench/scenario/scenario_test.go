package scenario

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/bench/target"
)

var goods = []string{"rate", "conns", "timeout", "size", "source", "sources", "arrivals", "resume"}

const whole = `# all there is
about = "all there is"
target = "http://127.0.0.1:8080/"
pid = [12, 34]
seed = 7

[good]
rate = 250.5 # a second
resume = true
timeout = "2s"

[newcomers]
rate = 50

[[phase]]
for = "3s"

[[phase]]
name = "flood"
for = "1m"
attacks = ["frame-flood?rate=100"]

[[phase]]
for = "500ms"

[[phase]]
for = "5s"
attacks = [
  "slowloris?conns=5", # and
  "slowloris",
]
`

func TestParseReadsAllThereIs(t *testing.T) {
	s, err := Parse("x.toml", whole, goods)
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{File: "x.toml", About: "all there is",
		Settings: []Setting{
			{Top, "target", "http://127.0.0.1:8080/", 3}, {Top, "pid", "12,34", 4}, {Top, "seed", "7", 5},
			{Good, "rate", "250.5", 8}, {Good, "resume", "true", 9}, {Good, "timeout", "2s", 10}, {Newcomers, "rate", "50", 13},
		},
		Phases: []Phase{
			{"quiet", 3 * time.Second, nil, 15, nil}, {"flood", time.Minute, []string{"frame-flood?rate=100"}, 18, []int{21}},
			{"quiet 2", 500 * time.Millisecond, nil, 23, nil}, {"slowloris+slowloris", 5 * time.Second, []string{"slowloris?conns=5", "slowloris"}, 26, []int{29, 30}},
		}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got\n%+v\nwant\n%+v", s, want)
	}
}

func TestAScenarioWrittenSaysTheSame(t *testing.T) {
	first, err := Parse("x.toml", whole, goods)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse("x.toml", first.String(), goods)
	if err != nil {
		t.Fatalf("%v in\n%s", err, first)
	}
	if a, b := unlined(first), unlined(again); !reflect.DeepEqual(a, b) {
		t.Errorf("got\n%+v\nwant\n%+v", b, a)
	}
}

// unlined is a scenario without lines.
func unlined(s Scenario) Scenario {
	s.Settings, s.Phases = append([]Setting(nil), s.Settings...), append([]Phase(nil), s.Phases...)
	for i := range s.Settings {
		s.Settings[i].Line = 0
	}
	for i := range s.Phases {
		s.Phases[i].Line, s.Phases[i].Lines = 0, nil
	}
	return s
}

func TestMistakesAreOneLineThatSaysWhereAndWhat(t *testing.T) {
	const phase = "[[phase]]\nfor = \"1s\"\nattacks = [\"silent\"]\n"
	long := "[[phase]]\nfor = \"9m\"\nattacks = [\"silent\"]\n"
	for _, c := range []struct{ why, text, want string }{
		{"empty", "", "x.toml: has no [[phase]]: a siege needs at least one, with attacks"},
		{"no TOML", "target = \n" + phase, "x.toml:1: "},
		{"a string without end", "target = \"http\n" + phase, "x.toml:1: "},
		{"a key twice", "seed = 1\nseed = 2\n" + phase, "x.toml:2: "},
		{"a typing error", "taget = \"x\"\n" + phase, `x.toml:1: no setting "taget" at the top, above all [tables]; did you mean target?`},
		{"underscores", "\ngood_target = \"x\"\n" + phase, `x.toml:2: no setting "good_target" at the top, above all [tables]; did you mean good-target?`},
		{"capitals", "[good]\nRate = 1\n" + phase, `x.toml:2: no setting "Rate" in [good]; did you mean rate?`},
		{"in the wrong table", "rate = 1\n" + phase, `x.toml:1: no setting "rate" at the top, above all [tables]; it stands in [good] or in [newcomers]`},
		{"in the wrong table", "[good]\nseed = 1\n" + phase, `x.toml:2: no setting "seed" in [good]; it stands at the top, above all [tables]`},
		{"far off", "[newcomers]\nxyzzy = 1\n" + phase, `x.toml:2: no setting "xyzzy" in [newcomers]: there are rate, source, sources`},
		{"an unknown table", phase + "[goood]\nrate = 1\n", `x.toml:4: no table "goood": there are [good], [newcomers] and [[phase]]; did you mean good?`},
		{"a table that is a value", "good = 1\n" + phase, "x.toml:1: good: want a table, begun by a line [good]"},
		{"single brackets", "[phase]\nfor = \"1s\"\n", "x.toml:1: phase: want [[phase]] in double brackets, once for each phase"},
		{"no length", phase + "\n[[phase]]\nname = \"x\"\n", `x.toml:5: this phase does not say how long it lasts: add for = "10s"`},
		{"a length without unit", "[[phase]]\nfor = 10\n", `x.toml:2: for: want a length of time in quotes, with its unit, such as "10s" or "1m30s"`},
		{"no time", "[[phase]]\nfor = \"0s\"\n", "x.toml:2: for 0s: must be above 0 and at most 10m0s"},
		{"too long", "[[phase]]\nfor = \"11m\"\n", "x.toml:2: for 11m: must be above 0 and at most 10m0s"},
		{"too long together", long + long, "x.toml:4: up to this phase it would take 18m0s: at most 10m0s"},
		{"quiet all over", "[[phase]]\nfor = \"1s\"\n", `x.toml: has no attack: give a phase some, such as attacks = ["slowloris"]`},
		{"an attack that is none", "[[phase]]\nfor = \"1s\"\nattacks = [\n  \"silent\",\n  \"slowlori\",\n]\n", `x.toml:5: no attack "slowlori": there are connection-flood, `},
		{"an option that is none", "[[phase]]\nfor = \"1s\"\nattacks = [\"silent\", \"silent?cons=5\"]\n", `x.toml:3: attack silent: no option "cons"`},
		{"two in one pair of quotes", "[[phase]]\nfor = \"1s\"\nattacks = [\"silent,spray\"]\n", "x.toml:3: attacks: want each attack in quotes of its own"},
		{"no list", "[[phase]]\nfor = \"1s\"\nattacks = \"silent\"\n", "x.toml:3: attacks: want a list"},
		{"a list of numbers", "[[phase]]\nfor = \"1s\"\nattacks = [1]\n", "x.toml:3: attacks: want each attack in quotes"},
		{"a typing error in the second phase", phase + "[[phase]]\nfor = \"1s\"\natacks = []\n", `x.toml:6: no setting "atacks" in a [[phase]]; did you mean attacks?`},
		{"one name twice", "[[phase]]\nname = \"a\"\nfor = \"1s\"\n[[phase]]\nname = \"a\"\nfor = \"1s\"\nattacks = [\"silent\"]\n", `x.toml:4: two phases are called "a"`},
		{"a name for terminals", "[[phase]]\nname = \"\\u001b[2J\"\nfor = \"1s\"\n", `x.toml:2: phase name "\x1b[2J": must be of ASCII letters`},
		{"a name without end", "[[phase]]\nname = \"" + strings.Repeat("x", 41) + "\"\nfor = \"1s\"\n", "x.toml:2: phase name "},
		{"phases without number", strings.Repeat(phase, 65), "x.toml:193: more than 64 phases"},
		{"attacks without number", "[[phase]]\nfor = \"1s\"\nattacks = [" + strings.Repeat("\"silent\",", 257) + "]\n", "x.toml:1: up to this phase there are 257 attacks: at most 256"},
		{"a list where one value is meant", "target = [\"a\"]\n" + phase, "x.toml:1: target: want one value"},
		{"a table where one value is meant", "[good.rate]\nx = 1\n" + phase, "x.toml:1: rate: want one value"},
		{"no number", "[good]\nrate = nan\n" + phase, "x.toml:2: rate: want one value"},
		{"a text of two lines", "about = \"a\\nb\"\n" + phase, "x.toml:1: about: want one line of text in quotes"},
		{"a key that is a trick", "\"\\u001b[2J\" = 1\n" + phase, `x.toml:1: no setting "\x1b[2J" at the top`},
		{"too large", strings.Repeat("#", maxBytes+1), "x.toml: has more than 128 KiB"},
	} {
		_, err := Parse("x.toml", c.text, goods)
		var mistake *Error
		if !errors.As(err, &mistake) || !strings.HasPrefix(err.Error(), c.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: got\n%v\nwant\n%s", c.why, err, c.want)
		}
	}
}

func TestLinesAreFoundWhateverStandsBetween(t *testing.T) {
	text := "# x = 1\na = '''\n[b]\nc = 1\n''' # [d]\n\n[[phase]]\nfor = \"1s\" # \"\nattacks = [ # [\n  [1, 2], \"]\\\"\",\n\n  '#', \"\"\"\n\"\"\", 5]\n[[ phase ]]\n\"for\" = {x = [1], y = 2}\nz = 3\n"
	got := lines(text)
	want := map[string]int{"a": 2, "phase": 7, "phase.0": 7, "phase.0.for": 8, "phase.0.attacks": 9, "phase.0.attacks.0": 10, "phase.0.attacks.1": 10,
		"phase.0.attacks.2": 12, "phase.0.attacks.3": 12, "phase.0.attacks.4": 13, "phase.1": 14, "phase.1.for": 15, "phase.1.z": 16}
	for path, line := range want {
		if got[path] != line {
			t.Errorf("%s: line %d, want %d", path, got[path], line)
		}
	}
	if got["b"] != 0 || got["b.c"] != 0 || got["d"] != 0 {
		t.Errorf("found in a string or a comment: %v", got)
	}
}

func TestReadyScenariosRunAgainstWhatTheyAreFor(t *testing.T) {
	if got := strings.Join(Ready(), " "); got != "everything flood slow tls" {
		t.Errorf("ready: %s", got)
	}
	for _, name := range Ready() {
		file, text, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Parse(file, text, goods)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		to := target.Target{Scheme: target.HTTP, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Host: "127.0.0.1:1", Path: "/", TLS: name == "tls"}
		if phases, err := s.Against(to); err != nil || len(phases) != len(s.Phases) || s.About == "" {
			t.Errorf("%v", err)
		}
	}
	s, err := Parse("x.toml", "[[phase]]\nfor = \"1s\"\nattacks = [\"silent\",\n\"tls-hello\"]", goods)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Against(target.Target{Scheme: target.HTTP, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Path: "/"}); err == nil || !strings.HasPrefix(err.Error(), "x.toml:4: phase silent+tls-hello: attack tls-hello: ") {
		t.Errorf("TLS against a plain target: %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile(filepath.Join(dir, "slow"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, text, err := Open("./slow"); err != nil || text != "mine" {
		t.Errorf("%q, %v", text, err)
	}
	if file, text, err := Open("slow"); err != nil || text == "mine" || file != "scenario slow" {
		t.Errorf("%s: %q, %v", file, text, err)
	}
	for name, want := range map[string]string{"slo": "the ready ones are everything, flood, slow, tls", "slo.toml": "no such file", dir: "scenario: "} {
		if _, _, err := Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever the text: one line of error, or a scenario that, written and read, is the same.
func FuzzParse(f *testing.F) {
	f.Add(whole)
	for _, name := range Ready() {
		_, text, _ := Open(name)
		f.Add(text)
	}
	f.Add("phase = [{for = \"1s\", attacks = [\"silent\"]}]\ngood = {rate = 5}\n")
	f.Add("[[phase]]\nfor=\"1s\"\nattacks=['''silent''', \"\"\"\nspray\"\"\"]\n\"a\\\"b\" = 1")
	f.Add("a.b.c = [[[\"]\", {x = '}'}]]]\n[[phase]")
	f.Fuzz(func(t *testing.T, text string) {
		lines(text)
		s, err := Parse("x", text, goods)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b\x00") {
				t.Errorf("%q", err)
			}
			return
		}
		again, err := Parse("x", s.String(), goods)
		if err != nil {
			t.Fatalf("%v in\n%s", err, s)
		}
		if a, b := grouped(s), grouped(again); !reflect.DeepEqual(a, b) {
			t.Errorf("got\n%+v\nwant\n%+v", b, a)
		}
	})
}

// grouped is a scenario without lines whose settings stand in the order of their tables, as they are written.
func grouped(s Scenario) Scenario {
	s = unlined(s)
	var out []Setting
	for _, table := range []string{Top, Good, Newcomers} {
		for _, v := range s.Settings {
			if v.Table == table {
				out = append(out, v)
			}
		}
	}
	s.Settings = out
	return s
}
