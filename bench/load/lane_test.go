package load

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/latency"
	"weir/bench/target"
	"weir/bench/victim"
)

func run(t *testing.T, cfg Config) Result {
	t.Helper()
	lane, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r, err := lane.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// often is run, again and a few times at most until is says that it was one: a busy machine spoils one, and not all of them.
func often(t *testing.T, cfg Config, is func(Result) bool) (r Result) {
	t.Helper()
	for range 8 {
		if r = run(t, cfg); is(r) {
			break
		}
	}
	return r
}

// inAStall runs cfg against a server that stands still until the instant that is stored, 400 ms after the start for as long as
// said; again and a few times at most until is says that it was as it should be.
func inAStall(t *testing.T, cfg Config, until *atomic.Int64, stall time.Duration, is func(Result) bool) (r Result) {
	t.Helper()
	for range 8 {
		until.Store(0)
		lane, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stood := make(chan bool)
		go func() {
			<-lane.Started()
			time.Sleep(400 * time.Millisecond)
			until.Store(time.Now().Add(stall).UnixNano())
			close(stood)
		}()
		if r, err = lane.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if <-stood; is(r) {
			break
		}
	}
	return r
}

func TestLaneGetsItsRateFromEachProtocol(t *testing.T) {
	for name, to := range map[string]target.Target{
		"http": victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })),
		"post": victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if len(b) != 1000 {
				w.WriteHeader(400)
			}
			w.Write(b)
		})),
		"frames": victim.Frames(t),
		"line":   victim.Lines(t),
	} {
		check := victim.Descriptors(t)
		size := 0
		if name == "post" {
			size = 1000
		}
		r := run(t, Config{Target: to, Conns: 4, Rate: 500, Duration: 400 * time.Millisecond, Size: size, Timeout: patient,
			Sources: []netip.Addr{netip.MustParseAddr("127.0.3.1"), netip.MustParseAddr("127.0.3.2")}})
		if p := r.Phases[0]; p.OK != 200 || p.Errors != 0 || p.P50 <= 0 || r.Sent != 200 || r.Cuts != 0 {
			t.Errorf("%s: %+v", name, r)
		}
		check()
	}
}

// The server answers in no time, but stands still for 200 ms once. A client that waits for each answer would see
// one slow request in hundreds; this one was due all the while.
func TestStallShowsInEveryRequestThatWasDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	var until atomic.Int64
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			time.Sleep(time.Until(time.Unix(0, until.Load())))
			c.Write(line)
		}
	})
	r := inAStall(t, Config{Target: to, Conns: 1, Rate: 1000, Duration: time.Second, Timeout: patient}, &until, stall, func(r Result) bool {
		p := r.Phases[0]
		return p.Max >= stall*9/10 && p.P99 >= stall/2 && p.P50 <= stall/2
	})
	p := r.Phases[0]
	if p.OK != 1000 || p.Errors != 0 {
		t.Fatalf("%+v", p)
	}
	if p.Max < stall*9/10 {
		t.Errorf("max %v hides the stall of %v", p.Max, stall)
	}
	// 200 of 1,000 requests were due during the stall and waited 100 ms on average: the p99 waited about 190.
	if p.P99 < stall/2 {
		t.Errorf("p99 %v: the requests that were due during the stall do not count", p.P99)
	}
	if p.P50 > stall/2 {
		t.Errorf("p50 %v: the stall spoils requests that it did not touch", p.P50)
	}
}

func TestCutConnectionsAreOpenedAgainAndCounted(t *testing.T) {
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") }))
	r := run(t, Config{Target: to, Conns: 4, Rate: 200, Duration: 500 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.OK < 90 || r.Cuts < p.OK {
		t.Errorf("polite closes: %+v", r)
	}
	to = victim.Serve(t, target.Line, func(c *net.TCPConn) {
		c.Read(make([]byte, 1))
		c.SetLinger(0) // a reset
	})
	check := victim.Descriptors(t)
	r = often(t, Config{Target: to, Conns: 4, Rate: 200, Duration: 500 * time.Millisecond, Timeout: 100 * time.Millisecond}, func(r Result) bool {
		cut := r.Phases[0].Failed["cut"]
		return cut > 0 && r.Cuts == cut // a request may time out just before its connection is cut
	})
	p := r.Phases[0]
	if p.OK != 0 || p.Errors != 100 || p.Failed["cut"] == 0 || r.Cuts != p.Failed["cut"] {
		t.Errorf("resets: %+v", r)
	}
	if r.Cuts > 4*60 {
		t.Errorf("%d connections in half a second: a good client does not hammer", r.Cuts)
	}
	check()
}

func TestFailuresAreToldApart(t *testing.T) {
	for want, to := range map[latency.Failure]target.Target{
		latency.Status:   victim.HTTP(t, http.NotFoundHandler()),
		latency.Timeout:  victim.Serve(t, target.Line, func(c *net.TCPConn) { io.Copy(io.Discard, c) }),
		latency.Protocol: victim.Serve(t, target.Line, func(c *net.TCPConn) { c.Read(make([]byte, 100)); c.Write([]byte("what?\n")); io.Copy(io.Discard, c) }),
	} {
		timeout := patient
		if want == latency.Timeout {
			timeout = 50 * time.Millisecond
		}
		r := run(t, Config{Target: to, Conns: 2, Rate: 100, Duration: 200 * time.Millisecond, Timeout: timeout})
		if p := r.Phases[0]; p.Errors != 20 || p.Failed[want.String()] == 0 {
			t.Errorf("%s: %+v", want, p)
		}
	}
}

func TestNobodyThereIsAnErrorForEachRequest(t *testing.T) {
	to := target.Target{Scheme: target.Line, Addr: victim.Nobody(t)}
	r := run(t, Config{Target: to, Rate: 100, Duration: 200 * time.Millisecond, Timeout: 50 * time.Millisecond})
	if p := r.Phases[0]; p.Errors != 20 || r.ConnectFailures == 0 {
		t.Errorf("%+v", r)
	}
}

func TestLaneEndsWithItsContext(t *testing.T) {
	lane, err := New(Config{Target: victim.Frames(t), Duration: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := lane.Run(ctx); err != nil || time.Since(start) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestConfigOutOfRangeIsRefused(t *testing.T) {
	good := target.Target{Scheme: target.Line, Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	for _, c := range []Config{
		{}, {Target: target.Target{Scheme: target.Line, Addr: netip.MustParseAddrPort("192.0.2.1:1")}},
		{Target: good, Conns: -1}, {Target: good, Conns: MaxConns + 1}, {Target: good, Rate: -1}, {Target: good, Rate: 2e7}, {Target: good, Pipeline: MaxPipeline + 1}, {Target: good, Pipeline: 2, Churn: true}, {Target: good, Closed: true, Rate: 1}, {Target: good, Closed: true, Think: -1}, {Target: good, Think: 1},
		{Target: good, Duration: -1}, {Target: good, Duration: time.Hour}, {Target: good, Timeout: 1}, {Target: good, Size: -1},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v passed", c)
		}
	}
}
