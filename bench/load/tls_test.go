package load

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/tunnel"
	"weir/bench/victim"
)

// patient is a timeout for tests in which nothing is to time out, however busy the machine is.
const patient = 50 * time.Second

var (
	hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	// bye answers and closes.
	bye = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
)

func TestLaneGetsItsRateOverTLS(t *testing.T) {
	servers := map[string]target.Target{
		"http": victim.HTTPS(t, victim.Config(t), hello),
		"post": victim.HTTPS(t, victim.Config(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, _ := io.Copy(io.Discard, r.Body); n != 500_000 || r.TLS == nil {
				w.WriteHeader(400)
			}
		})),
		"frames": victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) { victim.EchoFrames(c) }),
		"line":   victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { victim.EchoLines(c) }),
	}
	for name, to := range servers {
		for _, o := range []tunnel.Options{{Version: "1.2"}, {Version: "1.3"}, {Version: "1.2", Resume: true}, {Version: "1.3", Resume: true}} {
			check := victim.Descriptors(t)
			cfg := Config{Target: to, TLS: o, Conns: 4, Rate: 500, Duration: 200 * time.Millisecond, Timeout: patient,
				Sources: []netip.Addr{netip.MustParseAddr("127.0.3.1"), netip.MustParseAddr("127.0.3.2")}}
			want := int64(100)
			if name == "post" {
				cfg.Size, cfg.Rate, want = 500_000, 50, 10
			}
			r := run(t, cfg)
			if p := r.Phases[0]; p.OK != want || p.Errors != 0 || p.P50 <= 0 || r.Cuts != 0 {
				t.Errorf("%s, %+v: %+v", name, o, r)
			}
			if r.TLS == nil || r.TLS.OK != 4 || r.TLS.Failed != 0 || r.TLS.Took.Count != 4 || r.TLS.Took.Min <= 0 || r.Target != to.String() {
				t.Errorf("%s, %+v: handshakes %+v", name, o, r.TLS)
			}
			check()
		}
	}
}

func TestStallShowsOverTLS(t *testing.T) {
	const stall = 200 * time.Millisecond
	var until atomic.Int64
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) {
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
		return p.Max >= stall*9/10 && p.P99 >= stall/2
	})
	if p := r.Phases[0]; p.OK != 1000 || p.Max < stall*9/10 || p.P99 < stall/2 || p.P50 > stall/2 && calm(r) {
		t.Errorf("%+v", p)
	}
}

// calm reports whether the machine had time for the client: else its latencies say nothing of the server.
func calm(r Result) bool { return r.Lag.P99 < 20*time.Millisecond }

func TestReconnectsResumeWhenWanted(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		for _, resume := range []bool{false, true} {
			var full, resumed atomic.Int64
			to := victim.HTTPS(t, victim.Config(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.TLS.DidResume {
					resumed.Add(1)
				} else {
					full.Add(1)
				}
				bye(w, r)
			}))
			r := run(t, Config{Target: to, TLS: tunnel.Options{Version: version, Resume: resume}, Conns: 2, Rate: 100, Duration: 500 * time.Millisecond, Timeout: patient})
			if p := r.Phases[0]; p.OK != 50 || p.Errors != 0 || r.Cuts != 50 {
				t.Errorf("%s, resume %v: %+v", version, resume, r)
			}
			// The first two come without anything; each reply is followed by a new connection.
			if r.TLS.OK < 50 || r.TLS.Failed != 0 || resume != (r.TLS.Resumed >= 48) || !resume && r.TLS.Resumed != 0 {
				t.Errorf("%s, resume %v: handshakes %+v", version, resume, r.TLS)
			}
			if resume && full.Load() > 2 || !resume && resumed.Load() > 0 {
				t.Errorf("%s, resume %v: the server saw %d full, %d resumed", version, resume, full.Load(), resumed.Load())
			}
			if p := r.TLS.Phases[0]; p.OK == 0 || p.OK >= r.TLS.OK || p.P50 <= 0 {
				t.Errorf("%s, resume %v: handshakes in the run %+v, in all %+v", version, resume, p, r.TLS)
			}
		}
	}
}

func TestCutTLSConnectionsAreOpenedAgain(t *testing.T) {
	for why, cut := range map[string]func(raw *net.TCPConn, c *tls.Conn){
		"a reset before the handshake":  func(raw *net.TCPConn, c *tls.Conn) { raw.SetLinger(0) },
		"a close in the handshake":      func(raw *net.TCPConn, c *tls.Conn) { raw.Read(make([]byte, 1000)) },
		"a reset after the request":     func(raw *net.TCPConn, c *tls.Conn) { c.Read(make([]byte, 1)); raw.SetLinger(0) },
		"half a reply and a goodbye":    func(raw *net.TCPConn, c *tls.Conn) { c.Read(make([]byte, 1)); c.Write([]byte("abc")); c.Close() },
		"half a reply and no goodbye":   func(raw *net.TCPConn, c *tls.Conn) { c.Read(make([]byte, 1)); c.Write([]byte("abc")); raw.CloseWrite() },
		"a goodbye after the handshake": func(raw *net.TCPConn, c *tls.Conn) { c.Handshake(); c.Close() },
		"an alert in place of a flight": func(raw *net.TCPConn, c *tls.Conn) {
			raw.Read(make([]byte, 1000))
			raw.Write([]byte{21, 3, 3, 0, 2, 2, 40})
		},
		"nonsense in place of a flight":   func(raw *net.TCPConn, c *tls.Conn) { raw.Read(make([]byte, 1000)); raw.Write([]byte("nonsense\r\n")) },
		"nonsense in place of the record": func(raw *net.TCPConn, c *tls.Conn) { c.Read(make([]byte, 1)); raw.Write([]byte("nonsense\r\n")) },
	} {
		cfg := victim.Config(t)
		to := victim.Serve(t, target.Line, func(c *net.TCPConn) { cut(c, tls.Server(c, cfg)) })
		to.TLS = true
		check := victim.Descriptors(t)
		r := run(t, Config{Target: to, Conns: 4, Rate: 200, Duration: 300 * time.Millisecond, Timeout: 100 * time.Millisecond})
		if p := r.Phases[0]; p.OK != 0 || p.Errors != 60 {
			t.Errorf("%s: %+v", why, r)
		}
		tries := r.TLS.OK + r.TLS.Failed
		if tries < 4 || tries > 4*60 {
			t.Errorf("%s: %d handshakes in 300 ms by 4 connections", why, tries)
		}
		check()
	}
}

func TestAServerThatWritesAByteAtATime(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		cfg := victim.Config(t)
		to := victim.Serve(t, target.Line, func(c *net.TCPConn) { victim.EchoLines(tls.Server(victim.Trickle{Conn: c}, cfg)) })
		to.TLS = true
		r := run(t, Config{Target: to, TLS: tunnel.Options{Version: version}, Conns: 4, Rate: 200, Duration: 300 * time.Millisecond, Timeout: patient})
		if p := r.Phases[0]; p.OK != 60 || p.Errors != 0 || r.TLS.OK != 4 {
			t.Errorf("%s: %+v", version, r)
		}
	}
}

// A body that the end of the connection ends is whole only when the server says that it is.
func TestTruncationIsNoReply(t *testing.T) {
	for _, goodbye := range []bool{true, false} {
		to := victim.ServeTLS(t, target.HTTP, victim.Config(t), func(c *tls.Conn) {
			if n, _ := c.Read(make([]byte, 1000)); n > 0 {
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhalf of someth")
				if goodbye {
					c.Close()
				}
			}
		})
		r := run(t, Config{Target: to, Conns: 2, Rate: 100, Duration: 200 * time.Millisecond, Timeout: patient})
		p := r.Phases[0]
		if goodbye && p.OK != 20 || !goodbye && (p.OK != 0 || p.Failed["cut"] == 0) {
			t.Errorf("goodbye %v: %+v", goodbye, p)
		}
	}
}

func TestSilenceInAHandshakeTimesOut(t *testing.T) {
	to := victim.Serve(t, target.Line, silent)
	to.TLS = true
	check := victim.Descriptors(t)
	r := run(t, Config{Target: to, Conns: 4, Rate: 100, Duration: 300 * time.Millisecond, Timeout: 100 * time.Millisecond})
	if p := r.Phases[0]; p.OK != 0 || p.Failed["timeout"] != 30 || r.TLS.Failed < 4 || r.TLS.OK != 0 {
		t.Errorf("%+v, %+v", r, r.TLS)
	}
	check()
}

func TestManyTLSConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("seconds of handshakes")
	}
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { victim.EchoLines(c) })
	check := victim.Descriptors(t)
	r := run(t, Config{Target: to, Conns: 300, Rate: 600, Duration: time.Second, Timeout: patient})
	if p := r.Phases[0]; p.OK != 600 || p.Errors != 0 || r.TLS.OK != 300 || r.TLS.Failed != 0 {
		t.Errorf("%+v, %+v", r.Phases, r.TLS)
	}
	check()
}

func silent(c *net.TCPConn) { io.Copy(io.Discard, c) }
