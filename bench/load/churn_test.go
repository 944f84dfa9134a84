package load

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/tunnel"
	"weir/bench/victim"
)

func TestNewcomersHaveAConnectionEach(t *testing.T) {
	var begun, left atomic.Int64
	var mu sync.Mutex
	from := map[string]int{}
	// came counts a connection, and whether it ended with an orderly end of the stream.
	came := func(c net.Conn, serve func(net.Conn)) {
		begun.Add(1)
		mu.Lock()
		from[c.RemoteAddr().(*net.TCPAddr).IP.String()]++
		mu.Unlock()
		serve(c)
		if n, err := c.Read(make([]byte, 1)); n == 0 && err == io.EOF {
			left.Add(1)
		}
	}
	sources := []netip.Addr{netip.MustParseAddr("127.0.5.1"), netip.MustParseAddr("127.0.6.1"), netip.MustParseAddr("127.0.7.1")}
	for why, to := range map[string]target.Target{
		"frames": victim.Serve(t, target.Frames, func(c *net.TCPConn) { came(c, victim.EchoFrames) }),
		"line":   victim.Serve(t, target.Line, func(c *net.TCPConn) { came(c, victim.EchoLines) }),
		"frames+tls": victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) {
			came(c, victim.EchoFrames)
		}),
		"line+tls": victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { came(c, victim.EchoLines) }),
	} {
		begun.Store(0)
		left.Store(0)
		mu.Lock()
		clear(from)
		mu.Unlock()
		check := victim.Descriptors(t)
		r := run(t, Config{Target: to, Churn: true, Rate: 150, Duration: 300 * time.Millisecond, Timeout: patient, Sources: sources})
		if p := r.Phases[0]; p.OK != 45 || p.Errors != 0 || r.Sent != 45 || r.Cuts != 0 || r.ConnectFailures != 0 {
			t.Errorf("%s: %+v", why, r)
		}
		check()
		for end := time.Now().Add(patient); left.Load() < 45 && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		mu.Lock()
		if begun.Load() != 45 || left.Load() != 45 || len(from) != 3 || from["127.0.6.1"] != 15 {
			t.Errorf("%s: the server saw %d connections, %d of them leave in good order, from %v", why, begun.Load(), left.Load(), from)
		}
		mu.Unlock()
		if (r.TLS != nil) != to.TLS {
			t.Fatalf("%s: handshakes %+v", why, r.TLS)
		}
		if to.TLS {
			p := r.TLS.Phases[0]
			if r.TLS.OK != 45 || r.TLS.Resumed != 0 || p.OK != 45 || p.P50 <= 0 || p.P50 > r.Phases[0].P50 {
				t.Errorf("%s: handshakes %+v, requests %+v", why, r.TLS, r.Phases[0])
			}
		}
	}
}

func TestNewcomersOverHTTPS(t *testing.T) {
	to := victim.HTTPS(t, victim.Config(t), hello)
	for _, o := range []tunnel.Options{{Version: "1.2"}, {Version: "1.3"}, {Version: "1.2", Resume: true}, {Version: "1.3", Resume: true}} {
		// Who comes before anybody has a ticket has none.
		r := often(t, Config{Target: to, TLS: o, Churn: true, Rate: 100, Duration: 300 * time.Millisecond, Timeout: patient}, func(r Result) bool { return o.Resume == (r.TLS.Resumed > 10) })
		if p := r.Phases[0]; p.OK != 30 || p.Errors != 0 || r.TLS.OK != 30 || o.Resume != (r.TLS.Resumed > 10) {
			t.Errorf("%+v: %+v, %+v", o, r, r.TLS)
		}
	}
}

// The server accepts nobody for a while: who came meanwhile waited, and it shows.
func TestStallShowsInNewcomers(t *testing.T) {
	const stall = 200 * time.Millisecond
	var until atomic.Int64
	to := victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) {
		time.Sleep(time.Until(time.Unix(0, until.Load())))
		victim.EchoLines(c)
	})
	r := inAStall(t, Config{Target: to, Churn: true, Rate: 50, Duration: time.Second, Timeout: patient}, &until, stall, func(r Result) bool {
		p, s := r.Phases[0], r.TLS.Phases[0]
		return p.Max >= stall*9/10 && p.P99 >= stall/2 && s.Max >= stall*9/10 && s.P99 >= stall/2
	})
	for what, p := range map[string]struct{ p50, p99, max time.Duration }{
		"requests":   {r.Phases[0].P50, r.Phases[0].P99, r.Phases[0].Max},
		"handshakes": {r.TLS.Phases[0].P50, r.TLS.Phases[0].P99, r.TLS.Phases[0].Max},
	} {
		if p.max < stall*9/10 || p.p99 < stall/2 || p.p50 > stall/2 && calm(r) {
			t.Errorf("%s: %+v", what, p)
		}
	}
	if r.Phases[0].OK != 50 {
		t.Errorf("%+v", r.Phases[0])
	}
}

func TestNewcomersFailuresAreToldApart(t *testing.T) {
	secret := func(to target.Target) target.Target { to.TLS = true; return to }
	nobody := target.Target{Scheme: target.Line, Addr: victim.Nobody(t)}
	for _, c := range []struct {
		why   string
		to    target.Target
		want  string // of the requests
		shake string // of the handshakes; "" when all go well
	}{
		{"nobody there", nobody, "connect", ""},
		{"refused by status", victim.HTTPS(t, victim.Config(t), http.NotFoundHandler()), "status", ""},
		{"an alert", secret(victim.Serve(t, target.Line, func(c *net.TCPConn) {
			c.Read(make([]byte, 1000))
			c.Write([]byte{21, 3, 3, 0, 2, 2, 40})
			io.Copy(io.Discard, c)
		})), "handshake", "handshake"},
		{"closed in the handshake", secret(victim.Serve(t, target.Line, func(c *net.TCPConn) { c.Read(make([]byte, 1000)) })), "handshake", "cut"},
		{"silent in the handshake", secret(victim.Serve(t, target.Line, silent)), "timeout", "timeout"},
		{"silent", victim.Serve(t, target.Line, silent), "timeout", ""},
		{"closed after it", victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { c.Read(make([]byte, 1000)) }), "cut", ""},
	} {
		check := victim.Descriptors(t)
		timeout := patient
		if c.want == "timeout" {
			timeout = 100 * time.Millisecond
		}
		r := run(t, Config{Target: c.to, Churn: true, Rate: 100, Duration: 200 * time.Millisecond, Timeout: timeout})
		if p := r.Phases[0]; p.Errors != 20 || p.Failed[c.want] != 20 {
			t.Errorf("%s: %+v", c.why, p)
		}
		// On a busy machine a newcomer may time out before its handshake begins.
		if c.shake != "" && (r.TLS.Failed != 20 || r.TLS.Phases[0].Failed[c.shake] != 20) && (calm(r) || c.want != "timeout") {
			t.Errorf("%s: handshakes %+v", c.why, r.TLS)
		}
		if c.shake == "" && c.to.TLS && (r.TLS.OK != 20 || r.TLS.Failed != 0) {
			t.Errorf("%s: handshakes %+v", c.why, r.TLS)
		}
		check()
	}
}

func TestPlacesForNewcomers(t *testing.T) {
	to := target.Target{Scheme: target.Line, Addr: netip.MustParseAddrPort("127.0.0.1:1")}
	for _, c := range []struct {
		cfg  Config
		want int
	}{
		{Config{}, 10}, {Config{Conns: 3}, 3},
		{Config{Churn: true, Rate: 1}, minPlaces}, {Config{Churn: true, Rate: 100}, 200}, {Config{Churn: true, Rate: 1e5}, maxPlaces},
		{Config{Churn: true, Conns: 3}, 3},
	} {
		c.cfg.Target = to
		l, err := New(c.cfg)
		if err != nil || l.Places() != c.want {
			t.Errorf("%+v: %d places, %v", c.cfg, l.Places(), err)
		}
	}
}
