package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/bench/victim"
)

func hello(t *testing.T) string {
	t.Helper()
	return victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
}

func short(target string) [][]string {
	return [][]string{
		strings.Fields("attack connection-flood -conns 5 -total 5 -duration 100ms -target " + target),
		strings.Fields("siege -before 300ms -during 300ms -after 0s -timeout 20s -rate 100 -attack connection-flood?conns=5&total=5 -target " + target),
	}
}

func TestAClosedPipeCostsNoRecord(t *testing.T) {
	for _, args := range short(hello(t)) {
		file := filepath.Join(t.TempDir(), "run.json")
		cmd := process(t, "run", append(args, "-json", file)...)
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		cmd.Stdout, cmd.Stderr = w, w
		if err := cmd.Run(); err != nil {
			t.Errorf("%s: %v", args[0], err)
		}
		w.Close()
		if b, err := os.ReadFile(file); err != nil || !bytes.HasSuffix(b, []byte("}\n")) {
			t.Errorf("%s: record %.50q, %v", args[0], b, err)
		}
	}
}

func TestTablesThatCannotBeWrittenAreAFailure(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, args := range append(short(hello(t)), []string{"help"}) {
		if args[0] != "help" {
			args = append(args, "-json", filepath.Join(t.TempDir(), "run.json"))
		}
		var said bytes.Buffer
		c := command{stdout: full, stderr: &said}
		if status := c.run(t.Context(), args); status != exitFailed || !strings.HasSuffix(said.String(), "bench: write to stdout: write /dev/full: no space left on device\n") {
			t.Errorf("%s: status %d, %q", args[0], status, said.String())
		}
		if args[0] == "help" {
			continue
		}
		if b, err := os.ReadFile(args[len(args)-1]); err != nil || len(b) == 0 {
			t.Errorf("%s: no record: %v", args[0], err)
		}
	}
}

func TestFilesThatCannotBeWrittenAreToldBeforeTheRun(t *testing.T) {
	target := hello(t)
	attack, siege := short(target)[0], short(target)[1]
	siege = append(siege, "-before", "5m")
	missing := filepath.Join(t.TempDir(), "no", "such")
	for _, args := range [][]string{append(attack, "-json", missing), append(siege, "-json", missing), append(siege[:len(siege):len(siege)], "-html", missing)} {
		start := time.Now()
		status, stdout, stderr := call(t, args...)
		if status != exitFailed || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "bench: write ") || time.Since(start) > time.Minute {
			t.Errorf("%q: status %d, %q, %q", args, status, stdout, stderr)
		}
	}
}

func TestErrorsAreOneLineWhateverARecordSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(file, []byte(`{"kind":"siege","scenario":"a = 1\u001b[2J\u202e"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"report", file + "\x1b[2J\n\u202e"}, {"siege", "-scenario", file}, {"x\ny\x1b"}} {
		_, stdout, stderr := call(t, args...)
		if strings.ContainsAny(stdout+stderr, "\x1b\u202e\r") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %q, %q", args, stdout, stderr)
		}
	}
}
