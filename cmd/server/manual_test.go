package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/codec"
	"weir/guard"
	"weir/internal/events"
	"weir/internal/metrics"
	"weir/internal/scheme"
	"weir/internal/usercmd"
)

var update = flag.Bool("update", false, "write golden files and the generated parts of docs/operations.md")

// golden compares got with testdata/name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run go test ./cmd/server -update and read the difference. Got:\n%s", name, got)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	printHelp(&out)
	golden(t, "help.txt", out.Bytes())
	for line := range strings.Lines(out.String()) {
		if len(line) > 81 {
			t.Errorf("wider than 80: %s", line)
		}
	}
}

func TestAccountsHelp(t *testing.T) {
	for _, args := range [][]string{{"user"}, {"token"}, {"user", "-help"}, {"token", "issue", "-help"}} {
		var out, errs bytes.Buffer
		if code := run(args, &out, &errs); code != exitOK || errs.Len() > 0 {
			t.Errorf("%q: %d, %s", args, code, errs.String())
		}
		golden(t, "help-accounts.txt", out.Bytes())
	}
}

func TestHelpOfCommands(t *testing.T) {
	for _, c := range []struct {
		args   string
		code   int
		stdout string // its beginning
		stderr string // all
	}{
		{"help", exitOK, helpHead, ""},
		{"help user", exitOK, "Accounts and tokens are in", ""},
		{"help user add", exitOK, "Accounts and tokens are in", ""},
		{"help token", exitOK, "Accounts and tokens are in", ""},
		{"help alert", exitOK, "Whom to tell", ""},
		{"help alert test", exitOK, "Whom to tell", ""},
		{"alert", exitOK, "Whom to tell", ""},
		{"alert -help", exitOK, "Whom to tell", ""},
		{"alert test -help", exitOK, helpHead, ""},
		{"alert foo", exitUsage, "", "weir: \"alert foo\": no such command; there is alert test, which sends one alert to each -alert-url\n"},
		{"help foo", exitUsage, "", "weir: foo: flags begin with a dash, commands are user, token, alert and help; -help lists them\n"},
	} {
		var out, errs bytes.Buffer
		if code := run(strings.Fields(c.args), &out, &errs); code != c.code || !strings.HasPrefix(out.String(), c.stdout) || errs.String() != c.stderr {
			t.Errorf("%s: %d\n%s%s", c.args, code, out.String(), errs.String())
		}
	}
}

func TestPrintConfig(t *testing.T) {
	clean(t)
	for name, args := range map[string][]string{
		"config-default.txt": nil,
		"config-bench.txt":   {"-profile", "bench"},
		"config-changed.txt": {"-listen", "http://[::1]:80?name=web&source-conns=9 frames://[::1]:7000", "-exempt", "10.0.0.0/8 2001:db8::/32", "-admin", "off", "-lifetime", "90m", "-max-frame", "0"},
	} {
		var out bytes.Buffer
		s := mustResolve(t, args...)
		printConfig(&out, s)
		golden(t, name, out.Bytes())

		var again bytes.Buffer
		printConfig(&again, mustResolve(t, "-config", inFile(t, out.String())))
		if again.String() != out.String() {
			t.Errorf("%s: -config does not read what -print-config writes; got:\n%s", name, again.String())
		}
	}
}

const operations = "../../docs/operations.md"

func TestOperationsPageIsUpToDate(t *testing.T) {
	for name, want := range map[string]string{
		"flags": flagsTable(), "reasons": reasonsTable(), "faults": faultsTable(), "metrics": metricsTable(), "events": eventsTable(),
		"accounts": accountsTable(), "posture": postureTable(),
	} {
		page, err := os.ReadFile(operations)
		if err != nil {
			t.Fatal(err)
		}
		begin := "<!-- " + name + ": generated, do not edit -->\n"
		before, rest, ok := strings.Cut(string(page), begin)
		got, after, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("%s has no part %s", operations, name)
		}
		if got == want {
			continue
		}
		if !*update {
			t.Errorf("%s: the part %s is old: run go test ./cmd/server -update", operations, name)
			continue
		}
		if err := os.WriteFile(operations, []byte(before+begin+want+"<!-- end -->"+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func accountsTable() string {
	var b strings.Builder
	b.WriteString("| command | what it does |\n|---|---|\n")
	for i := range usercmd.Commands {
		c := &usercmd.Commands[i]
		fmt.Fprintf(&b, "| `%s` | %s. |\n", c.Usage(), c.Help)
	}
	return b.String()
}

// The comment of the package says what is in which file.
func TestTheCommentOfThePackageNamesItsFiles(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{"flags_*.go": true}
	for _, name := range names {
		there[name] = true
		isOther := name == "doc.go" || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "flags_")
		if !isOther && !regexp.MustCompile(`[\t ]`+regexp.QuoteMeta(name)+`[ \n]`).Match(doc) {
			t.Errorf("doc.go does not name %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`[a-z_*]+\.go\b`).FindAllString(string(doc), -1) {
		if !there[name] {
			t.Errorf("doc.go names %s, which is not there", name)
		}
	}
}

func eventsTable() string {
	var b strings.Builder
	b.WriteString("| event | level | when |\n|---|---|---|\n")
	for _, n := range events.Names {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", n.Name, n.Level, n.Text)
	}
	return b.String()
}

func flagsTable() string {
	var b strings.Builder
	for _, g := range flags {
		fmt.Fprintf(&b, "\n### %s\n\n| flag | default | range | per listener | what it sets |\n|---|---|---|---|---|\n", g.title)
		for i := range g.rows {
			r := &g.rows[i]
			listener := ""
			if r.limit != nil {
				listener = "yes"
				if r.needs != 0 {
					listener = strings.Join(scheme.Names(r.needs, 0), ", ")
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s. |\n", r.usage(), r.defaultText(), r.rangeText(), listener, strings.ReplaceAll(r.help, "|", `\|`))
		}
	}
	return b.String()
}

func reasonsTable() string {
	var b strings.Builder
	b.WriteString("| reason | level | meaning | flag |\n|---|---|---|---|\n")
	for r := guard.OK + 1; int(r) < guard.Reasons; r++ {
		flag := ""
		if r == guard.ShedListenerConns {
			flag = "`max-conns` of the listener"
		} else if r.Flag() != "" {
			flag = "`-" + r.Flag() + "`"
		}
		label := "`" + r.Label() + "`"
		if r.Slows() {
			label += " (slowed)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", label, r.Level(), r, flag)
	}
	return b.String()
}

func faultsTable() string {
	var b strings.Builder
	b.WriteString("| fault | meaning |\n|---|---|\n")
	for f := codec.OK + 1; int(f) < codec.Faults; f++ {
		fmt.Fprintf(&b, "| `%s` | %s |\n", f.Label(), f.Error())
	}
	return b.String()
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("| metric | type | meaning |\n|---|---|---|\n")
	for _, m := range metrics.List {
		name := m.Name
		if len(m.Labels) > 0 {
			name += "{" + strings.Join(m.Labels, ",") + "}"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, m.Type, m.Help)
	}
	return b.String()
}
