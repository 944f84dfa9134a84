package posture

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"weir/internal/scheme"
)

// The configurations of each row are in cmd/server, whose flags they are written in. Here is what holds for all rows.

func TestRowsAreInOrderAndWhole(t *testing.T) {
	for i, r := range Rows {
		if r.Name != fmt.Sprintf("R%d", i+1) {
			t.Errorf("row %s is number %d", r.Name, i+1)
		}
		if r.Practice == "" || r.on == nil || (r.among != nil) != (r.None != "") || len(r.Rules) == 0 {
			t.Errorf("%+v is not whole", r)
		}
		whens := map[string]bool{}
		for _, rule := range r.Rules {
			if (rule.process == nil) == (rule.listener == nil) || rule.When == "" || rule.Change == "" || rule.State != Weak && rule.State != Off {
				t.Errorf("%s: %+v is not whole", r.Name, rule)
			}
			if whens[rule.When] {
				t.Errorf("%s has two rules for %s", r.Name, rule.When)
			}
			whens[rule.When] = true
		}
	}
}

func TestCheckRow(t *testing.T) {
	for _, good := range []string{"R1", "R17", "R1@web", "R10@http://:2"} {
		if err := CheckRow(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "R", "R0", "R18", "R01", "R+1", "1", "R1@", "r1"} {
		if CheckRow(bad) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// at makes listeners of plain HTTP; the names of those that others reach have a capital.
func at(names ...string) (all []Listener) {
	http, _ := scheme.Named("http")
	for _, name := range names {
		all = append(all, Listener{Name: name, URL: "http://" + name, Scheme: http, Outside: strings.ToLower(name) != name})
	}
	return all
}

// bad is a row with one rule, which holds at listeners whose names end with x.
func bad(state string, advice bool) Row {
	return Row{
		Name: "R1", Practice: "a practice", on: func(*Server) string { return "all is well" },
		Rules: []Rule{{State: state, When: "its name ends with x", Change: "-listen", Advice: advice, listener: func(_ *Server, l *Listener) string {
			if !strings.HasSuffix(l.Name, "x") {
				return ""
			}
			return "x"
		}}},
	}
}

func TestARowIsJudged(t *testing.T) {
	for _, c := range []struct {
		row       Row
		listeners string
		accept    string
		want      string
		why       string
	}{
		{bad(Weak, false), "a B", "", "on all is well false", "no rule holds"},
		{bad(Weak, false), "ax b", "", "weak all is well false [ax]", "from this machine only"},
		{bad(Weak, false), "ax Bx", "", "weak all is well true [ax Bx]", "one reason is told once"},
		{bad(Weak, true), "Bx", "", "weak all is well false [Bx]", "advice never fails"},
		{bad(Weak, false), "Bx", "R1", "weak all is well false [Bx]", "accepted"},
		{bad(Weak, false), "Bx", "R1@Bx", "weak all is well false [Bx]", "accepted there"},
		{bad(Weak, false), "Bx Cx", "R1@Bx", "weak all is well true [Bx Cx]", "and not elsewhere"},
		{bad(Weak, false), "Bx", "R2", "weak all is well true [Bx]", "another row"},
		{bad(Off, false), "ax B", "", "weak all is well false [ax]", "off at some is weak"},
		{bad(Off, false), "ax Bx", "", "off  true [ax Bx]", "off at all is off"},
	} {
		s := &Server{Listeners: at(strings.Fields(c.listeners)...), Accept: strings.Fields(c.accept)}
		v := s.judge(c.row)
		got := fmt.Sprint(v.State, " ", v.Why, " ", v.Fails())
		for _, f := range v.Findings {
			got += fmt.Sprint(" ", f.Listeners)
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q: %s", c.listeners, got, c.want, c.why)
		}
	}
}

func TestWhatIsSaidOfTheProcess(t *testing.T) {
	row := Row{Name: "R1", on: func(*Server) string { return "on" }, Rules: []Rule{{State: Off, When: "always", process: func(*Server) string { return "why" }}}}
	for _, c := range []struct {
		s     Server
		fails bool
		why   string
	}{
		{Server{Listeners: at("a")}, false, "nobody else reaches it"},
		{Server{Listeners: at("a", "B")}, true, "one listener is enough"},
		{Server{Listeners: at("a"), AdminOutside: true}, true, "so is the admin page"},
	} {
		if v := c.s.judge(row); v.State != Off || v.Why != "" || v.Fails() != c.fails {
			t.Errorf("%+v: %s", v, c.why)
		}
	}
	row.among, row.None = (*Listener).isTLS, "there is no TLS"
	if v := (&Server{Listeners: at("B")}).judge(row); v.State != None || v.Why != "there is no TLS" || v.Fails() {
		t.Errorf("%+v", v)
	}
}

// A program reads an empty list where there is nothing, never null.
func TestNothingIsAnEmptyList(t *testing.T) {
	var out bytes.Buffer
	(&Server{Listeners: at("a")}).Judge().PrintJSON(&out)
	if text := out.String(); strings.Contains(text, "null") || !strings.Contains(text, `"warnings": []`) || !strings.Contains(text, `"findings": []`) {
		t.Error(text)
	}
}

func TestTheFirstLine(t *testing.T) {
	one := Report{Listeners: make([]Reported, 1), Connections: 1000}
	if got, want := one.head(), "the configuration is good: 1 listener, at most 1,000 connections"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	two := Report{Listeners: make([]Reported, 2), Connections: 1000, Warnings: []string{"old.example expired on 2026-11-20", "more"}}
	if got, want := two.head(), "the configuration is good: 2 listeners, at most 1,000 connections; warning: old.example expired on 2026-11-20; warning: more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "localhost:1": true,
		"10.0.0.1:1": false, "a.example:1": false, "127.0.0.1": false, "": false,
	} {
		if isLoopback(address) != want {
			t.Errorf("%q: %v", address, !want)
		}
	}
}
