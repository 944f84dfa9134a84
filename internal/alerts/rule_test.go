package alerts

import (
	"fmt"
	"strings"
	"testing"

	"weir/guard"
)

func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"a=shed:1000/10s/5m":           "a shed 1000 10s 5m0s",
		"a=shed:1/1s":                  "a shed 1 1s 5m0s",
		"a-1_b=shed.source-conns:2/1m": "a-1_b shed/source-conns 2 1m0s 5m0s",
		"a=descriptors:90%/10s/24h":    "a descriptors 90 10s 24h0m0s",
		"a=auth-failed:20/60s":         "a auth-failed 20 1m0s 5m0s",
		"a=servers-down:1/10s":         "a servers-down 1 10s 5m0s",
		"a=off":                        "a off",
	} {
		r, off, err := parseRule(text)
		got := fmt.Sprintf("%s %s %d %s %s", r.name, r.subject.name, r.threshold, r.window, r.coolDown)
		if r.reason != guard.OK {
			got = strings.Replace(got, "shed", "shed/"+r.reason.Label(), 1)
		}
		if off {
			got = r.name + " off"
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "=shed:1/1s", "A=shed:1/1s", "a=", "a=on", "a=shed", "a=shed:", "a=shed:1", "a=shed:1/", "a=shed:0/1s", "a=shed:-1/1s", "a=shed:01/1s", "a=shed:+1/1s",
		"a=shed:1%/1s", "a=shed:1000000001/1s", "a=shed:1/0s", "a=shed:1/1500ms", "a=shed:1/11m", "a=shed:1/1s/", "a=shed:1/1s/0s", "a=shed:1/1s/25h", "a=shed:1/1s/1s/1s", "a=shed.ok:1/1s", "a=shed.x:1/1s",
		"a=shed.conn-bytes:1/1s", "a=descriptors:90/1s", "a=descriptors:101%/1s", "a=descriptors:0%/1s", "a=bananas:1/1s", "a=shed: 1/1s", "a=shed:1/10", "a=shed:1e3/1s", strings.Repeat("a", 41) + "=shed:1/1s"} {
		if err := CheckRule(text); err == nil || !strings.HasPrefix(err.Error(), "must be NAME=") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
	all, err := parseRules([]string{"sheds=shed:5/1s", "panics=off", "more=shed.idle:7/1s"})
	names := []string{}
	for _, r := range all {
		names = append(names, fmt.Sprint(r.name, " ", r.threshold))
	}
	if err != nil || fmt.Sprint(names) != "[sheds 5 accounts 20 descriptors 90 servers 1 more 7]" {
		t.Errorf("%v, %v", names, err)
	}
	for _, list := range [][]string{{"x=off"}, {"a=shed:1/1s", "a=shed:2/1s"}, {"panics=off", "panics=off"}} {
		if CheckRules(list) == nil {
			t.Errorf("%v is taken", list)
		}
	}
	many := []string{}
	for i := range maxRules {
		many = append(many, fmt.Sprintf("r%d=shed:1/1s", i))
	}
	if CheckRules(many) == nil {
		t.Error("any number of rules is taken")
	}
}
