package load

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/latency"
	"weir/bench/target"
	"weir/bench/victim"
)

// A test binary that is told so is a worker: what bench is to its own processes.
func TestMain(m *testing.M) {
	switch os.Getenv("WEIR_LOAD_WORKER") {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Println(`{"Ready":true}`)
		os.Exit(3)
	case "hangs":
		fmt.Println(`{"Ready":true}`)
		time.Sleep(time.Minute)
	case "babbles":
		fmt.Println("what?")
		os.Exit(0)
	}
	once := func(loops, places int) error {
		if os.Getenv("WEIR_LOAD_WORKER") == "refuses" {
			return fmt.Errorf("no room for %d", places)
		}
		return nil
	}
	if err := Work(context.Background(), os.Stdin, os.Stdout, once); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

func worker(how string) func(context.Context) *exec.Cmd {
	return func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), "WEIR_LOAD_WORKER="+how)
		cmd.Stderr = os.Stderr
		return cmd
	}
}

// Whichever way a client is spread, the server sees the same number of connections from each source and each request once.
func TestSpreadClientIsOneClient(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		mu.Lock()
		from[c.RemoteAddr().(*net.TCPAddr).IP.String()]++
		mu.Unlock()
		victim.EchoLines(c)
	})
	cfg := Config{Target: to, Conns: 14, Rate: 700, Duration: time.Second, Timeout: patient,
		Sources: []netip.Addr{netip.MustParseAddr("127.0.5.1"), netip.MustParseAddr("127.0.6.1"), netip.MustParseAddr("127.0.7.1")},
		Phases:  []latency.Phase{{Name: "a", To: 400 * time.Millisecond}, {Name: "b", From: 400 * time.Millisecond, To: time.Second}}}
	type runner interface {
		Run(context.Context) (Result, error)
	}
	for why, spread := range map[string]func() (runner, error){
		"one loop":         func() (runner, error) { return New(cfg) },
		"three loops":      func() (runner, error) { return NewCrew(cfg, 3) },
		"three processes":  func() (runner, error) { return NewFleet(cfg, 1, 3, worker("works")) },
		"two times two":    func() (runner, error) { return NewFleet(cfg, 2, 2, worker("works")) },
		"more than enough": func() (runner, error) { return NewCrew(cfg, 20) },
	} {
		mu.Lock()
		clear(from)
		mu.Unlock()
		check := victim.Descriptors(t)
		c, err := spread()
		if err != nil {
			t.Fatal(err)
		}
		r, err := c.Run(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		if a, b := r.Phases[0], r.Phases[1]; a.OK != 280 || b.OK != 420 || a.Errors+b.Errors != 0 || r.Sent != 700 || r.Peak != 14 || r.Lag.Count != 700 || a.P50 <= 0 || r.CPU <= 0 {
			t.Errorf("%s: %+v", why, r)
		}
		var line int64
		for _, s := range r.Timeline {
			line += s.OK
		}
		if line != 700 {
			t.Errorf("%s: %d on the timeline", why, line)
		}
		mu.Lock()
		if from["127.0.5.1"] != 5 || from["127.0.6.1"] != 5 || from["127.0.7.1"] != 4 {
			t.Errorf("%s: connections from %v", why, from)
		}
		mu.Unlock()
		if processes := r.Setup.Processes; (processes > 1) != (r.RSSBytes > 0) || r.Setup.Loops > 14 {
			t.Errorf("%s: %d bytes resident, %+v", why, r.RSSBytes, r.Setup)
		}
		check()
	}
}

func TestFleetOverTLSAddsHandshakesUp(t *testing.T) {
	to := victim.HTTPS(t, victim.Config(t), hello)
	f, err := NewFleet(Config{Target: to, Conns: 6, Rate: 200, Duration: 500 * time.Millisecond, Timeout: patient}, 1, 2, worker("works"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Run(t.Context())
	if err != nil || r.TLS == nil || r.TLS.OK != 6 || r.TLS.Took.Count != 6 || r.Phases[0].OK != 100 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestFleetShowsHowFarItIs(t *testing.T) {
	f, err := NewFleet(Config{Target: victim.Frames(t), Conns: 4, Rate: 1000, Duration: 1500 * time.Millisecond, Timeout: patient}, 1, 2, worker("works"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan latency.Summary, 1)
	go func() {
		<-f.Started()
		for end := time.Now().Add(patient); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if s := f.At(0); s.OK >= 500 {
				seen <- s
				return
			}
		}
		close(seen)
	}()
	if _, err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := <-seen; s.OK != 500 || s.Goodput != 1000 || s.P50 <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestFleetEndsWithItsContextAndHasWhatItCounted(t *testing.T) {
	f, err := NewFleet(Config{Target: victim.Frames(t), Conns: 4, Rate: 1000, Duration: time.Minute, Timeout: patient}, 1, 2, worker("works"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.Started()
		for end := time.Now().Add(patient); f.At(0).OK < 100 && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	r, err := f.Run(ctx)
	if err != nil || r.Phases[0].OK < 100 {
		t.Errorf("%+v, %v", r.Phases, err)
	}
}

func TestFleetWithABadWorkerFails(t *testing.T) {
	cfg := Config{Target: victim.Frames(t), Conns: 4, Rate: 100, Duration: 200 * time.Millisecond, Timeout: patient}
	for how, want := range map[string]string{"dies": "ended without a result", "babbles": "ended without a result", "refuses": "no room for 2"} {
		f, err := NewFleet(cfg, 1, 2, worker(how))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", how, err)
		}
	}
	gone := func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, "/nowhere/bench") }
	f, _ := NewFleet(cfg, 1, 2, gone)
	if _, err := f.Run(t.Context()); err == nil {
		t.Error("a worker that is not there went well")
	}
	for _, n := range []int{-1, 0, 1, MaxProcesses + 1, 5} {
		if _, err := NewFleet(cfg, 1, n, worker("works")); err == nil {
			t.Errorf("%d processes for 4 connections passed", n)
		}
	}
	if _, err := NewCrew(cfg, 0); err == nil {
		t.Error("no loops passed")
	}
}

// What comes in on a worker's input is not trusted to be a loopback address either.
func TestWorkerTakesNoJobElsewhere(t *testing.T) {
	for _, text := range []string{
		"", "{}", `{"Config":{},"Loops":1,"Part":0,"Processes":1}`,
		`{"Config":{"Target":{"Scheme":"line","Addr":"192.0.2.1:1"}},"Loops":1,"Part":0,"Processes":2}`,
		`{"Config":{"Target":{"Scheme":"line","Addr":"127.0.0.1:1"}},"Loops":1,"Part":2,"Processes":2}`,
		`{"Config":{"Target":{"Scheme":"line","Addr":"127.0.0.1:1"}},"Loops":1000,"Part":0,"Processes":2}`,
	} {
		var out bytes.Buffer
		err := Work(t.Context(), strings.NewReader(text), &out, func(int, int) error { t.Error("got so far"); return nil })
		if err == nil {
			t.Errorf("%s passed: %s", text, &out)
		}
	}
}
