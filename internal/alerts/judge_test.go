package alerts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/guard"
)

// rig is a judge whose time is moved by hand.
type rig struct {
	t   *testing.T
	j   *judge
	now time.Time
	in  Reading
}

func newRig(t *testing.T, rules ...string) *rig {
	t.Helper()
	for _, d := range Defaults {
		if name, _, _ := strings.Cut(d, "="); !slices.ContainsFunc(rules, func(r string) bool { return strings.HasPrefix(r, name+"=") }) {
			rules = append(rules, name+"=off")
		}
	}
	list, err := parseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, j: newJudge("host", list), now: time.Unix(1000, 0)}
	r.wants("") // the first reading is what others are compared with
	return r
}

// wants reads after a second and compares what is told: "rule key value".
func (r *rig) wants(want string) {
	r.t.Helper()
	r.now = r.now.Add(time.Second)
	if got := told(r.j.read(r.now, &r.in)); got != want {
		r.t.Errorf("at %d s: told %q, want %q", r.now.Unix()-1001, got, want)
	}
}

func told(all []Alert) string {
	var list []string
	for _, a := range all {
		list = append(list, fmt.Sprintf("%s %s %d", a.Rule, a.Key, a.Value))
	}
	return strings.Join(list, ", ")
}

func TestShedsOfOneReason(t *testing.T) {
	r := newRig(t, "sheds=shed:100/10s/30s", "idle=shed.idle:5/2s")
	r.in.Shed[guard.ShedSourceConns] = 60
	r.wants("")
	r.in.Shed[guard.ShedFirstFrame] = 60 // another reason
	r.in.Shed[guard.SlowConnBytes] = 10_000
	r.wants("")
	r.in.Shed[guard.ShedSourceConns] = 99
	r.wants("")
	r.in.Shed[guard.ShedSourceConns] = 100
	r.wants("sheds source-conns 100")
	for range 29 {
		r.in.Shed[guard.ShedSourceConns] += 50
		r.wants("") // it is told
	}
	r.in.Shed[guard.ShedSourceConns] += 50
	r.wants("sheds source-conns 500")
	r.in.Shed[guard.ShedIdle] = 5
	r.wants("idle idle 5")
	for range 60 {
		r.wants("")
	}
	r.in.Shed[guard.ShedSourceConns] += 99 // the window has passed
	r.wants("")
	if n := r.j.rules[0].fired.Load(); n != 2 {
		t.Errorf("%d were counted", n)
	}
}

func TestWhatWasCountedBeforeTheStartIsNoRise(t *testing.T) {
	list, _ := parseRules(nil)
	j := newJudge("", list)
	in := Reading{Panics: 7}
	in.Shed[guard.ShedIdle] = 1 << 40
	if got := told(j.read(time.Unix(1, 0), &in)); got != "" {
		t.Error(got)
	}
}

func TestLevelsMustLast(t *testing.T) {
	r := newRig(t, "descriptors=descriptors:90%/3s/10s", "servers=servers-down:2/1s/1m")
	r.in.Descriptors = 95.5
	r.wants("")
	r.wants("")
	r.in.Descriptors = 89.9
	r.wants("")
	r.in.Descriptors = 90
	r.wants("")
	r.wants("")
	r.wants("")
	r.wants("descriptors  90")
	for range 9 {
		r.wants("")
	}
	r.wants("descriptors  90")
	r.in.Descriptors, r.in.ServersDown = 0, 2
	r.wants("")
	r.wants("servers  2")
}

func TestFailuresAtOneAccount(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:20/60s/5m")
	fail := func(name string, n int) string {
		var all []string
		for range n {
			r.now = r.now.Add(time.Second)
			if s := told(r.j.failed(r.now, name)); s != "" {
				all = append(all, s)
			}
		}
		return strings.Join(all, ", ")
	}
	if got := fail("alice", 19) + fail("bob", 19); got != "" {
		t.Error(got)
	}
	if got := fail("bob", 30); got != "accounts bob 20" {
		t.Error(got)
	}
	if got := fail("alice", 19); got != "" { // the first are more than a minute ago
		t.Error(got)
	}
	r.now = r.now.Add(5 * time.Minute)
	if got := fail("bob", 20); got != "accounts bob 20" {
		t.Error(got)
	}
}

// TestMadeUpAccountsDoNotHideOne has somebody guess at one account below a flood of made-up names.
func TestMadeUpAccountsDoNotHideOne(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:20/60s/5m")
	var all []string
	for i := range 30_000 {
		r.now = r.now.Add(time.Millisecond)
		if s := told(r.j.failed(r.now, fmt.Sprint("made-up-", i))); s != "" {
			all = append(all, s)
		}
		if i%100 == 0 {
			if s := told(r.j.failed(r.now, "alice")); s != "" {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(s string) bool { return !strings.HasPrefix(s, "accounts alice ") }) {
		t.Errorf("told %v", all)
	}
	if n := len(r.j.rules[0].names.byName); n != mostAccounts {
		t.Errorf("%d places", n)
	}
}

func TestManyAccountsAreNoFloodOfAlerts(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:1/60s/5m")
	for i := range 100 {
		got := r.j.failed(r.now, fmt.Sprint("a", i))
		if (len(got) == 1) != (i < mostAtOnce) {
			t.Errorf("account %d: %v", i, got)
		}
	}
	r.now = r.now.Add(5 * time.Minute)
	got := r.j.failed(r.now, "b")
	if len(got) != 1 || got[0].Suppressed != 90 || !strings.Contains(got[0].Text, "90 more were not told") {
		t.Errorf("%+v", got)
	}
}
