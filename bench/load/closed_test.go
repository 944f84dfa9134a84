package load

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/pacer"
	"weir/bench/target"
	"weir/bench/victim"
)

// stalling echoes lines, each connection at once, and stands still until the instant that is stored.
func stalling(t *testing.T, until *atomic.Int64) target.Target {
	return victim.Serve(t, target.Line, func(c *net.TCPConn) {
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
}

// A closed loop asks when it has its reply: in a stall it asks nothing, and so hardly anything of it shows.
func TestClosedLoopHidesAStall(t *testing.T) {
	const stall = 200 * time.Millisecond
	var until atomic.Int64
	r := inAStall(t, Config{Target: stalling(t, &until), Conns: 4, Closed: true, Duration: time.Second, Timeout: patient}, &until, stall, func(r Result) bool {
		p := r.Phases[0]
		return p.OK >= 1000 && p.Max >= stall*9/10 && p.P99 <= stall/4
	})
	p := r.Phases[0]
	if p.Errors != 0 || p.OK < 500 || r.Sent != p.OK {
		t.Fatalf("%+v", r)
	}
	if p.Max < stall*9/10 {
		t.Errorf("max %v: the stall of %v did not happen", p.Max, stall)
	}
	if p.P99 > stall/4 {
		t.Errorf("p99 %v: 4 of %d requests met the stall", p.P99, p.OK)
	}
	if r.Lag.Count != 0 || r.Setup.Rate != 0 {
		t.Errorf("a closed loop with a rate: %+v", r)
	}
}

func TestClosedLoopThinks(t *testing.T) {
	r := run(t, Config{Target: victim.Frames(t), Conns: 20, Closed: true, Think: 50 * time.Millisecond, Duration: time.Second, Timeout: patient})
	// 20 connections that ask each 50 ms and a little more.
	if p := r.Phases[0]; p.Errors != 0 || p.OK > 400 || p.OK < 300 && p.P99 < 5*time.Millisecond {
		t.Errorf("%+v", p)
	}
	first := r.Timeline[0]
	if first.OK > 210 {
		t.Errorf("%d in the first half second: they all began at once", first.OK)
	}
}

func TestClosedLoopOfNewcomers(t *testing.T) {
	var begun atomic.Int64
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		begun.Add(1)
		victim.EchoLines(c)
	})
	check := victim.Descriptors(t)
	r := run(t, Config{Target: to, Conns: 5, Closed: true, Churn: true, Duration: time.Second, Timeout: patient})
	if p := r.Phases[0]; p.Errors != 0 || p.OK < 20 || r.Sent != p.OK || begun.Load() != p.OK || r.Peak > 5 {
		t.Errorf("%d connections, %+v", begun.Load(), r)
	}
	check()

	nobody := to
	nobody.Addr = victim.Nobody(t)
	r = run(t, Config{Target: nobody, Conns: 5, Closed: true, Churn: true, Duration: 500 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.OK != 0 || p.Failed["connect"] != p.Errors || p.Errors < 5 || p.Errors > 5*60 {
		t.Errorf("with nobody there: %+v", p)
	}
}

// The server answers only when it has as many requests as there are to be under way, so that fewer would end in a
// timeout, and looks whether there are ever more.
func TestPipelineHoldsAsManyUnderWay(t *testing.T) {
	const deep = 8
	var most atomic.Int64
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		var lines []byte
		for n := 1; ; n++ {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			lines = append(lines, line...)
			if n%deep == 0 {
				c.SetReadDeadline(time.Now().Add(time.Millisecond))
				more, _ := in.Peek(1)
				most.Store(max(most.Load(), int64(deep+len(more))))
				c.SetReadDeadline(time.Time{})
				c.Write(lines)
				lines = lines[:0]
			}
		}
	})
	for _, size := range []int{10, 5000} { // 5000: a batch is longer than one write takes
		r := run(t, Config{Target: to, Conns: 3, Pipeline: deep, Closed: true, Duration: 200 * time.Millisecond, Size: size, Timeout: patient})
		if p := r.Phases[0]; p.Errors != 0 || p.OK < 3*deep || p.OK%deep != 0 || most.Load() != deep {
			t.Errorf("closed, %d bytes: %d under way at most, %+v", size, most.Load(), p)
		}
	}
	most.Store(0)
	r := run(t, Config{Target: to, Conns: 2, Pipeline: deep, Rate: 2 * deep * 100, Arrivals: pacer.Arrivals{Shape: pacer.Bursts, Every: 50 * time.Millisecond},
		Duration: 200 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.Errors != 0 || p.OK != 2*deep*20 || most.Load() != deep {
		t.Errorf("open: %d under way at most, %+v", most.Load(), p)
	}
}

func TestPipelinedOverTLS(t *testing.T) {
	for _, to := range []target.Target{victim.HTTPS(t, victim.Config(t), hello), victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) { victim.EchoFrames(c) })} {
		r := often(t, Config{Target: to, Conns: 3, Pipeline: 16, Closed: true, Duration: 500 * time.Millisecond, Timeout: patient}, func(r Result) bool { return r.Phases[0].OK >= 16*3 && r.TLS.OK == 3 })
		if p := r.Phases[0]; p.Errors != 0 || p.OK < 16*3 || r.TLS.OK != 3 {
			t.Errorf("%s: %+v", to, r)
		}
	}
}

// The server ends each connection after three replies and says so in the third: what was sent after it was never looked
// at, is no error, and in an open loop goes to the next connection.
func TestRequestsAfterTheLastReplyAreSentAgain(t *testing.T) {
	to := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		for n := 1; ; n++ {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if n == 3 {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
				c.CloseWrite()
				io.Copy(io.Discard, c) // bytes left unread would make the end a reset, and the reply might go with it
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	to.Path, to.Host = "/", "x"
	r := run(t, Config{Target: to, Conns: 2, Pipeline: 5, Rate: 1000, Arrivals: pacer.Arrivals{Shape: pacer.Bursts, Every: 100 * time.Millisecond},
		Duration: 200 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.OK != 200 || p.Errors != 0 || r.Sent != 200 || r.Cuts < 200/3 {
		t.Errorf("open: %+v", r)
	}
	r = run(t, Config{Target: to, Conns: 2, Pipeline: 5, Closed: true, Duration: 200 * time.Millisecond, Timeout: patient})
	if p := r.Phases[0]; p.OK < 6 || p.Errors != 0 || r.Sent != p.OK {
		t.Errorf("closed: %+v", r)
	}
}

// One request of a pipeline is never answered: it times out, and those behind it go with their connection.
func TestPipelineBehindALateReply(t *testing.T) {
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	r := run(t, Config{Target: to, Conns: 1, Pipeline: 4, Rate: 100, Duration: 200 * time.Millisecond, Timeout: 100 * time.Millisecond})
	if p := r.Phases[0]; p.Errors != 20 || p.Failed["timeout"]+p.Failed["cut"] != 20 || p.Failed["timeout"] == 0 {
		t.Errorf("%+v", p)
	}
}
