package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/bench/victim"
)

// call runs the command and returns its exit status and what it wrote.
func call(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	c := command{stdout: &out, stderr: &err}
	status = c.run(t.Context(), args)
	return status, out.String(), err.String()
}

func TestMistakesAreOneLineAndStatusTwo(t *testing.T) {
	for _, line := range []string{
		"", "nothing", "help nothing",
		"load", "load -target", "load -nothing", "load -target http://127.0.0.1:1/ more", "load -target http://192.0.2.1/",
		"load -target http://127.0.0.1:1/ -rate -1", "load -target http://127.0.0.1:1/ -rate many", "load -target http://127.0.0.1:1/ -duration 0s",
		"load -target http://127.0.0.1:1/ -source 10.0.0.1", "load -target http://127.0.0.1:1/ -source ::1",
		"load -target http://127.0.0.1:1/ -closed -rate 5", "load -target http://127.0.0.1:1/ -think 1s", "load -target http://127.0.0.1:1/ -pipeline 0x", "load -target http://127.0.0.1:1/ -pipeline 2 -churn",
		"load -target http://127.0.0.1:1/ -arrivals odd", "load -target http://127.0.0.1:1/ -arrivals burst?every=0s", "load -target http://127.0.0.1:1/ -loops 0", "load -target http://127.0.0.1:1/ -rate 0", "load -target http://127.0.0.1:1/ -timeout 0s", "load -target http://127.0.0.1:1/ -processes 1 -conns 1000000", "load -target http://127.0.0.1:1/ -processes 11",
		"attack", "attack -target http://127.0.0.1:1/", "attack nothing", "attack slowloris", "attack slowloris -target http://192.0.2.1/",
		"attack slowloris -target http://127.0.0.1:1/ -conns 0", "attack slowloris -target http://127.0.0.1:1/ -conns many",
		"siege", "siege -target http://127.0.0.1:1/", "siege -target http://127.0.0.1:1/ -attack nothing",
		"siege -target http://127.0.0.1:1/ -attack slowloris -metrics http://192.0.2.1/", "siege -target http://127.0.0.1:1/ -attack slowloris -metrics frames://127.0.0.1:1",
		"siege -target http://127.0.0.1:1/ -attack slowloris -pid x", "siege -target http://127.0.0.1:1/ -attack slowloris -during 0s",
		"siege -target http://127.0.0.1:1/ -good-target http://192.0.2.1/ -attack slowloris",
		"report", "report -html x.html", "report -html", "report -html x.html x.json y.json", "report x.json -nothing", "report x.json y.json",
		"load -target https://192.0.2.1/", "load -target https://127.0.0.1:1/ -tls-version 1.1", "load -target frames+tls://127.0.0.1", "load -target http://127.0.0.1:1/ -churn -conns -1",
		"attack tls-hello -target http://127.0.0.1:1/", "attack tls-handshake -target https://127.0.0.1:1/ -version 1", "attack tls-dribble -target https://127.0.0.1:1/ -size 0",
		"attack proxy-spoof -target http://127.0.0.1:1/ -form odd", "attack proxy-spoof -target http://127.0.0.1:1/ -version 3", "attack proxy-spoof -target http://127.0.0.1:1/ -victim me",
		"siege -target http://127.0.0.1:1/ -attack tls-hello", "siege -target https://127.0.0.1:1/ -attack tls-hello -metrics https://127.0.0.1:2/metrics",
		"siege -target http://127.0.0.1:1/ -attack slowloris -newcomers -1", "siege -target http://127.0.0.1:1/ -attack slowloris -newcomers many",
		"siege -target http://127.0.0.1:1/ -attack slowloris -newcomers 5 -newcomer-source 10.0.0.1", "siege -target http://127.0.0.1:1/ -attack slowloris -newcomers 5 -newcomer-source ::1",
		"siege -target http://127.0.0.1:1/ -attack slowloris -newcomers 5 -newcomer-sources 100000",
	} {
		status, stdout, stderr := call(t, strings.Fields(line)...)
		if status != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "bench: ") {
			t.Errorf("bench %s: status %d, stdout %q, stderr %q", line, status, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"help": "connection-flood", "-h": "exit status", "help load": "-rate", "help attack": "slowloris", "help attack slow-read": "-sip",
		"help attack slowloris": "drips", "attack slowloris -help": "(default 2000)", "attack -help": "help attack NAME",
		"help siege": "-metrics", "help report": "-html", "siege --help": "self-contained", "report -h": "FILE.json", "siege -h": "-pid", "load -h": "-churn", "siege -help": "-newcomers", "help attack tls-dribble": "-records",
		"help attack proxy-spoof": "-victim", "help attack tls-hello": "(default 1.3)", "help attack tls-handshake": "-finish",
	} {
		status, stdout, stderr := call(t, strings.Fields(line)...)
		if status != exitOK || !strings.Contains(stdout, want) || stderr != "" {
			t.Errorf("bench %s: status %d, stdout %q, stderr %q", line, status, stdout, stderr)
		}
	}
}

func TestRuns(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
	echo := victim.Frames(t).String()
	nothing := victim.HTTP(t, http.NotFoundHandler()).String()
	secret := victim.HTTPS(t, victim.Config(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })).String()
	for _, c := range []struct {
		line   string
		status int
		want   []string // in stdout
	}{
		{"load -rate 100 -duration 200ms -timeout 20s -sources 3 -source 127.0.4.1 -arrivals poisson -target " + hello, exitOK, []string{"goodput/s", "run"}},
		{"load -rate 100 -duration 300ms -timeout 20s -pipeline 3 -loops 2 -arrivals ramp?from=300 -target " + hello, exitOK, []string{"goodput/s", "run"}},
		{"load -closed -timeout 20s -conns 5 -think 10ms -duration 200ms -target " + hello, exitOK, []string{"goodput/s", "closed loop"}},
		{"load -rate 100 -duration 200ms -timeout 20s -target " + nothing, exitFailed, []string{"status 20"}},
		{"attack slowloris -conns 10 -nice 0 -duration 2s -target " + echo, exitOK, []string{"slowloris on frames://", "10 open at the end"}},
		{"siege -before 200ms -during 300ms -after 200ms -timeout 20s -rate 100 -attack frame-flood?conns=2&rate=100,connection-flood?conns=5&total=5 -target " + hello,
			exitOK, []string{"before", "during", "after", "frame-flood on", "connection-flood on"}},
		{"siege -before 100ms -during 100ms -after 0s -rate 100 -attack slowloris?conns=5 -target " + echo + " -good-target " + nothing, exitFailed, []string{"slowloris on"}},
		{"load -rate 100 -duration 200ms -timeout 20s -tls-version 1.2 -resume -sni weir.test -target " + secret, exitOK, []string{"goodput/s", "TLS on https://", "10 handshakes ok"}},
		{"load -churn -rate 50 -duration 300ms -timeout 20s -target " + secret, exitOK, []string{"goodput/s", "15 handshakes ok", "handshakes/s"}},
		{"load -churn -rate 50 -duration 300ms -timeout 20s -target " + hello, exitOK, []string{"goodput/s"}},
		{"attack tls-hello -conns 10 -nice 0 -duration 4s -target " + secret, exitOK, []string{"tls-hello on https://", "10 hellos answered", "10 open at the end"}},
		{"siege -before 300ms -during 500ms -after 300ms -timeout 20s -rate 100 -newcomers 20 -attack tls-handshake?rate=20,proxy-spoof?rate=20&total=5 -target " + secret,
			exitOK, []string{"good client on https://", "newcomers on https://", "handshakes/s", "tls-handshake on https://", "proxy-spoof on https://"}},
	} {
		file := filepath.Join(t.TempDir(), "run.json")
		status, stdout, stderr := call(t, append(strings.Fields(c.line), "-json", file)...)
		if status != c.status {
			t.Errorf("bench %s: status %d, stderr %q", c.line, status, stderr)
		}
		for _, w := range c.want {
			if !strings.Contains(stdout, w) {
				t.Errorf("bench %s: no %q in\n%s", c.line, w, stdout)
			}
		}
		if strings.Contains(stderr, "\r") {
			t.Errorf("bench %s: overwrites a line where there is no terminal: %q", c.line, stderr)
		}
		b, err := os.ReadFile(file)
		var record struct{ Failure string }
		if err != nil || json.Unmarshal(b, &record) != nil || (record.Failure != "") != (c.status != exitOK) {
			t.Errorf("bench %s: record %s, %v", c.line, b, err)
		}
	}
}
