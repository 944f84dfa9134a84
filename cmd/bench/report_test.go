package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/bench/victim"
)

func TestReportShowsARecordAgain(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		line string
		page bool
	}{
		{"siege -before 600ms -during 600ms -after 600ms -timeout 20s -rate 100 -attack connection-flood?conns=5&total=5 -html " + at("first.html") + " -target " + hello, true},
		{"load -rate 100 -duration 200ms -timeout 20s -target " + hello, true},
		{"attack connection-flood -conns 5 -total 5 -duration 100ms -target " + hello, false},
	} {
		status, printed, stderr := call(t, append(strings.Fields(c.line), "-json", at("run.json"))...)
		if status != exitOK {
			t.Fatalf("bench %s: status %d, %s", c.line, status, stderr)
		}
		if status, again, stderr := call(t, "report", at("run.json")); status != exitOK || again != printed {
			t.Errorf("bench %s printed\n%s\nand its record shows\n%s%s", c.line, printed, again, stderr)
		}
		status, stdout, stderr := call(t, "report", at("run.json"), "-html", at("page.html"))
		if status == exitOK != c.page || stdout != "" {
			t.Errorf("bench %s: its page: status %d, %s%s", c.line, status, stdout, stderr)
		}
		if first, err := os.ReadFile(at("first.html")); strings.HasPrefix(c.line, "siege") {
			if again, err2 := os.ReadFile(at("page.html")); err != nil || err2 != nil || !bytes.Equal(first, again) || len(first) == 0 {
				t.Errorf("siege and report draw different pages (%v, %v)", err, err2)
			}
		}
	}
}

func TestFlagsOfReportStandOnEitherSide(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "x.json"), filepath.Join(dir, "x.html")
	if err := os.WriteFile(file, []byte(`{"kind":"load","result":{"phases":[{"name":"run","for_seconds":1}]}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", "-html", page, file}, {"report", file, "-html", page}, {"report", "-html=" + page, file}} {
		if status, stdout, stderr := call(t, args...); status != exitOK || stdout != "" || stderr != "" {
			t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
		}
		if err := os.Remove(page); err != nil {
			t.Error(err)
		}
	}
}

func TestReportsThatCannotBeMadeAreFailures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", file}, {"report", file + "-not"}, {"report", file, "-html", "x.html"}} {
		if status, stdout, stderr := call(t, args...); status != exitFailed || stdout != "" || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}
