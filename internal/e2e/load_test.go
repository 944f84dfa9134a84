package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// loaded is what of a load's record the tests look at.
type loaded struct {
	Result struct {
		lane
		Sent int64 `json:"sent"`
		Peak int   `json:"peak_connections"`
		RSS  int64 `json:"client_rss_bytes"`
		CPU  int64 `json:"client_cpu_ns"`
		Lag  struct {
			P99 int64 `json:"p99_ns"`
		} `json:"client_lag"`
	} `json:"result"`
}

// load runs bench load and returns its record.
func load(t testing.TB, args ...string) loaded {
	t.Helper()
	file := filepath.Join(t.TempDir(), "load.json")
	out, err := exec.Command(lab.Command(t, "bench"), append(append([]string{"load"}, args...), "-json", file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r loaded
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Result.Phases) != 1 {
		t.Fatalf("%s", b)
	}
	return r
}

// stop holds a process up for a while.
func stop(pid int, after, length time.Duration) (done chan error) {
	done = make(chan error, 1)
	go func() {
		time.Sleep(after)
		err := syscall.Kill(pid, syscall.SIGSTOP)
		time.Sleep(length)
		if again := syscall.Kill(pid, syscall.SIGCONT); err == nil {
			err = again
		}
		done <- err
	}()
	return done
}

// TestStoppedServerShows stops the server for 200 ms: who asks at a rate sees it in each request that was due meanwhile,
// who asks when he has his reply sees next to nothing of it.
func TestStoppedServerShows(t *testing.T) {
	const stall = 200 * time.Millisecond
	s := lab.Start(t, nil, "-profile", "bench")
	url := "http://" + s.HTTP + "/"

	for try := 1; ; try++ {
		done := stop(s.PID, 700*time.Millisecond, stall)
		open := load(t, "-target", url, "-rate", "1000", "-conns", "10", "-duration", "2s", "-timeout", "60s").Result.Phases[0]
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		done = stop(s.PID, 700*time.Millisecond, stall)
		closed := load(t, "-target", url, "-closed", "-conns", "10", "-duration", "2s", "-timeout", "60s").Result.Phases[0]
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		t.Logf("open loop: p99 %s, closed loop: p99 %s of %.0f/s", time.Duration(open.P99), time.Duration(closed.P99), closed.Goodput)
		if open.Errors != 0 || closed.Errors != 0 {
			t.Fatalf("open loop: %+v, closed loop: %+v", open, closed)
		}
		// A tenth of the requests were due in the stall, so that the slowest hundredth waited for nine tenths of it or more.
		if time.Duration(open.P99) >= stall*3/4 && open.Goodput == 1000 && time.Duration(closed.P99) <= stall/4 {
			return
		}
		if try == tries {
			t.Fatalf("open loop: %+v, closed loop: %+v", open, closed)
		}
	}
}

// TestThousandsOfConnectionsInOneProcess holds as many as the descriptors of a process allow for, and weighs the client.
func TestThousandsOfConnectionsInOneProcess(t *testing.T) {
	n := 15_000
	if testing.Short() {
		n = 3_000
	}
	s := lab.Start(t, nil, "-profile", "bench")
	r := load(t, "-target", "http://"+s.HTTP+"/", "-conns", strconv.Itoa(n), "-rate", "5000", "-duration", "4s", "-timeout", "60s").Result
	t.Logf("%d connections: %.1f MB", r.Peak, float64(r.RSS)/1e6)
	if r.Peak != n || r.Phases[0].Errors != 0 || r.Sent != 20_000 {
		t.Errorf("%+v", r)
	}
	if r.RSS == 0 || r.RSS > 100e6 {
		t.Errorf("%d bytes resident", r.RSS)
	}
}

// TestLatencyAgreesWithH2load puts the same steady load on the server by both, in turns.
func TestLatencyAgreesWithH2load(t *testing.T) {
	h2load := lab.Need(t, "h2load")
	s := lab.Start(t, nil, "-profile", "bench")
	url := "http://" + s.HTTP + "/"
	for try := 1; ; try++ {
		var ours, theirs []time.Duration
		for range 3 {
			// Its ten clients begin at one instant, so that their requests come ten at a time.
			r := load(t, "-target", url, "-rate", "1000", "-arrivals", "burst?every=10ms", "-conns", "10", "-duration", "2s").Result
			ours = append(ours, time.Duration(r.Phases[0].P50))
			theirs = append(theirs, h2loadMedian(t, h2load, url))
		}
		slices.Sort(ours)
		slices.Sort(theirs)
		t.Logf("p50 of three runs: %v, h2load %v", ours, theirs)
		// Ours count from when a request was due, theirs from when it was sent; what is to be found here is an error of a factor.
		a, b := ours[1].Seconds(), theirs[1].Seconds()
		if a <= 2*b+200e-6 && b <= 2*a+200e-6 {
			return
		}
		if try == tries {
			t.Fatalf("the medians do not agree: %v and h2load %v", ours[1], theirs[1])
		}
	}
}

// h2loadMedian has h2load ask as well and returns the median of what its log says.
func h2loadMedian(t *testing.T, h2load, url string) time.Duration {
	t.Helper()
	file := filepath.Join(t.TempDir(), "h2load.log")
	out, err := exec.Command(h2load, "--h1", "-t", "1", "-c", "10", "--rps", "100", "-D", "2", "--log-file", file, url).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for line := range strings.Lines(string(b)) { // start, status, microseconds
		var start int64
		var status, us int
		if _, err := fmt.Sscan(line, &start, &status, &us); err != nil || status != 200 {
			t.Fatalf("%q in the log of h2load", line)
		}
		took = append(took, time.Duration(us)*time.Microsecond)
	}
	if len(took) < 200 { // of 2,000
		t.Fatalf("only %d requests of h2load:\n%s", len(took), out)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
