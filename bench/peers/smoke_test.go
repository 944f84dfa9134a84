package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSmokeBesideNetHTTP measures weir and net/http with tiny durations, and sees that nothing is left running.
func TestSmokeBesideNetHTTP(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and starts servers")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin+"/", "./cmd/server", "./cmd/bench", "./bench/peers/nethttp")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(bin, "peers.json")
	var out strings.Builder
	err := run(t.Context(), []string{"-bin", bin, "-json", file, "-what", "churn,idle,refused-requests,siege", "-peers", "weir,net/http", "-attacks", "frame-flood",
		"-rounds", "1", "-for", "1s", "-idle-conns", "50", "-before", "500ms", "-during", "500ms", "-after", "500ms", "-driver", "bench"}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	r, err := readRecord(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Samples) != 8 {
		t.Errorf("%d samples, want 8", len(r.Samples))
	}
	for _, s := range r.Samples {
		if s.Values == nil || s.Why != "" || len(s.Server) == 0 {
			t.Errorf("%s of %s: %+v", s.What, s.Peer, s)
		}
		if s.Values["good"] == 0 && s.What == "siege" {
			t.Errorf("the good client of %s got nothing", s.Peer)
		}
	}
	for _, pid := range descendants(unix.Getpid())[1:] {
		t.Errorf("process %d is left", pid)
	}
}
