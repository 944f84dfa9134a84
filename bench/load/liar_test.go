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
	"weir/bench/pacer"
	"weir/bench/target"
	"weir/bench/victim"
)

// liar serves HTTP with answers of the test's own. asked counts requests, conns connections.
type liar struct {
	target       target.Target
	conns, asked atomic.Int64
}

func lie(t *testing.T, answer func(c *net.TCPConn, n int64) (more bool)) *liar {
	l := &liar{}
	l.target = victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		l.conns.Add(1)
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if !answer(c, l.asked.Add(1)) {
				return
			}
		}
	})
	l.target.Host, l.target.Path = "x", "/"
	return l
}

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

func TestAReplyCutByAnOrderlyEndIsAFailure(t *testing.T) {
	for why, last := range map[string]string{"nothing": "", "half": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhi"} {
		for _, closed := range []bool{false, true} {
			l := lie(t, func(c *net.TCPConn, n int64) bool {
				if n%2 == 0 {
					io.WriteString(c, last)
					return false
				}
				io.WriteString(c, okay)
				return true
			})
			cfg := Config{Target: l.target, Conns: 3, Rate: 300, Duration: 300 * time.Millisecond, Timeout: patient}
			if closed {
				cfg.Rate, cfg.Closed = 0, true
			}
			r := run(t, cfg)
			p := r.Phases[0]
			if p.Failed["cut"] != p.Errors || p.Errors < p.OK/2 || p.OK+p.Errors != r.Sent || l.asked.Load() != r.Sent || !closed && r.Sent != 90 {
				t.Errorf("%s, closed %v: %d asked, %+v", why, closed, l.asked.Load(), r)
			}
		}
	}
}

func TestNewcomersWhoAreTurnedAwayDoNotComeAgain(t *testing.T) {
	l := lie(t, func(*net.TCPConn, int64) bool { return false })
	r := run(t, Config{Target: l.target, Churn: true, Rate: 100, Duration: 300 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.Failed["cut"] != 30 || l.conns.Load() != 30 {
		t.Errorf("%d connections, %+v", l.conns.Load(), r)
	}
}

func TestThinkingOutlastsTheConnection(t *testing.T) {
	for why, answer := range map[string]string{
		"said so":    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
		"just ended": okay,
		"refused":    "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
	} {
		for _, churn := range []bool{false, true} {
			l := lie(t, func(c *net.TCPConn, n int64) bool {
				io.WriteString(c, answer)
				return false
			})
			run(t, Config{Target: l.target, Conns: 4, Closed: true, Think: 100 * time.Millisecond, Churn: churn, Duration: 500 * time.Millisecond, Timeout: patient})
			if n := l.asked.Load(); n < 4 || n > 20 {
				t.Errorf("%s, churn %v: %d requests of 4 clients who think five times", why, churn, n)
			}
		}
	}
}

func TestAnswersToWhatWasNotAskedAreNone(t *testing.T) {
	l := lie(t, func(c *net.TCPConn, n int64) bool {
		io.WriteString(c, okay+okay)
		return true
	})
	r := run(t, Config{Target: l.target, Conns: 2, Rate: 100, Duration: 200 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.OK > l.asked.Load() || r.Cuts == 0 {
		t.Errorf("%d asked, %+v", l.asked.Load(), r)
	}
}

// The server never stops sending, faster than it can be read.
func TestAServerThatNeverEndsDoesNotHoldTheRun(t *testing.T) {
	for why, unit := range map[string]string{"chunks": "1\na\n", "interim": "HTTP/1.1 100 Continue\r\n\r\n", "body": "xxxxxxxxxxxxxxxxxxxxxxxx"} {
		head := ""
		if why != "interim" {
			head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		}
		if why == "body" {
			head = "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n"
		}
		flood := make([]byte, 0, 1<<20)
		for len(flood) < 1<<20-100 {
			flood = append(flood, unit...)
		}
		l := lie(t, func(c *net.TCPConn, n int64) bool {
			io.WriteString(c, head)
			for {
				if _, err := c.Write(flood); err != nil {
					return false
				}
			}
		})
		start := time.Now()
		r := run(t, Config{Target: l.target, Conns: 2, Rate: 50, Duration: 200 * time.Millisecond, Timeout: 200 * time.Millisecond})
		if took := time.Since(start); took > 30*time.Second || r.Phases[0].Errors != 10 {
			t.Errorf("%s: %v, %+v", why, took, r.Phases[0])
		}
	}
}

func TestASilentWorkerDoesNotHoldTheRun(t *testing.T) {
	f, err := NewFleet(Config{Target: victim.Frames(t), Conns: 4, Rate: 100, Duration: 200 * time.Millisecond, Timeout: 100 * time.Millisecond}, 1, 2, worker("hangs"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := f.Run(context.Background()); err == nil || time.Since(start) > 40*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

func TestWhatAnotherProcessMayNotAskFor(t *testing.T) {
	good := target.Target{Scheme: target.HTTP, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Host: "x", Path: "/"}
	split := good
	split.Path = "/ HTTP/1.1\r\nX: y"
	for why, c := range map[string]Config{
		"a source elsewhere":          {Target: good, Sources: []netip.Addr{netip.MustParseAddr("192.0.2.1")}},
		"a source that is not local":  {Target: good, Sources: []netip.Addr{netip.MustParseAddr("2001:db8:ffff::1")}},
		"a path of two lines":         {Target: split},
		"phases without an end":       {Target: good, Phases: []latency.Phase{{Name: "a", To: 1 << 62}}},
		"a burst that fills memory":   {Target: good, Rate: 1e6, Arrivals: pacer.Arrivals{Shape: pacer.Bursts, Every: 10 * time.Minute}},
		"a ramp from beyond the rate": {Target: good, Rate: 1, Arrivals: pacer.Arrivals{Shape: pacer.Ramp, From: 1e9}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s passed", why)
		}
	}
}
