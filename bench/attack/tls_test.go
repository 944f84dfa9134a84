package attack

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

func TestFrameFloodOverTLS(t *testing.T) {
	hello := victim.HTTPS(t, victim.Config(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	for _, to := range []target.Target{
		victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) { victim.EchoFrames(c) }),
		victim.ServeTLS(t, target.Line, victim.Config(t), func(c *tls.Conn) { victim.EchoLines(c) }),
		hello,
	} {
		for _, version := range []string{"1.2", "1.3"} {
			r := storm(t, "frame-flood?conns=8&count=3000&duration=1m&loops=2&version="+version, to)
			// Nothing that came was wrong, or there were more than 8 attempts. How much comes in the time for the last
			// replies is up to the machine, and so is whether all 8 are there before everything is sent.
			if r.Units != 3000 || r.Replies == 0 || r.Bad != 0 || r.Took > 50*time.Second || r.Attempts != 8 || r.Open != 8 ||
				r.Handshakes == 0 || r.Handshake.Count != r.Handshakes {
				t.Errorf("%s, %s: %+v", to, version, r)
			}
		}
	}
}

// A server that reads nothing for a while: the flood waits and loses nothing.
func TestFrameFloodOverTLSWaitsForRoom(t *testing.T) {
	to := victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) {
		c.Handshake()
		time.Sleep(300 * time.Millisecond)
		victim.EchoFrames(c)
	})
	r := storm(t, "frame-flood?conns=2&size=100000&count=200&duration=1m", to)
	if r.Units != 200 || r.Replies == 0 || r.Attempts != 2 || r.Open != 2 {
		t.Errorf("%+v", r)
	}
}

func TestSlowlorisDripsInsideTLS(t *testing.T) {
	var heads atomic.Int64
	to := victim.ServeTLS(t, target.HTTP, victim.Config(t), func(c *tls.Conn) {
		in := bufio.NewReader(c)
		if line, _ := in.ReadString('\n'); line == "GET / HTTP/1.1\r\n" {
			heads.Add(1)
		}
		io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.Close()
	})
	r := storm(t, "slowloris?conns=20&interval=2ms&duration=1m&sources=5", to)
	if r.Attempts != 20 || r.Handshakes != 20 || r.Closes+r.Resets != 20 || r.Answered != 20 || heads.Load() != 20 || r.Units < 20*16 {
		t.Errorf("%d heads: %+v", heads.Load(), r)
	}
}

// shaking serves the given protocol inside TLS and counts handshakes as the server sees them.
func shaking(t *testing.T, cfg *tls.Config, done, failed *atomic.Int64) target.Target {
	return victim.ServeTLS(t, target.Line, cfg, func(c *tls.Conn) {
		if c.Handshake() != nil {
			failed.Add(1)
			return
		}
		if c.ConnectionState().DidResume {
			failed.Add(1)
			return
		}
		done.Add(1)
		io.Copy(io.Discard, c)
	})
}

func TestTLSHandshakesAreWhatTheServerCounts(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		var done, failed atomic.Int64
		to := shaking(t, victim.Config(t), &done, &failed)
		r := storm(t, "tls-handshake?conns=16&total=100&duration=1m&sources=7&loops=2&version="+version, to)
		waitFor(t, func() bool { return done.Load()+failed.Load() == 100 })
		if r.Units != 100 || r.Handshakes != 100 || r.Handshake.Count != 100 || r.Alerts != 0 || r.Odd != 0 || r.Open != 0 || done.Load() != 100 {
			t.Errorf("%s: the server saw %d, and %d failed; %+v", version, done.Load(), failed.Load(), r)
		}
	}
}

func TestTLSHandshakesAreHeldForAsLongAsSaid(t *testing.T) {
	var done, failed atomic.Int64
	to := shaking(t, victim.Config(t), &done, &failed)
	if r := often(t, "tls-handshake?conns=10&total=100&hold=20s&duration=300ms", to, func(r Result) bool { return r.Handshakes == 10 }); r.Open != 10 || r.Handshakes != 10 {
		t.Errorf("for longer than the attack: %+v", r)
	}
	if r := storm(t, "tls-handshake?conns=10&total=30&hold=50ms&duration=1m", to); r.Open != 0 || r.Handshakes != 30 || r.Took < 150*time.Millisecond {
		t.Errorf("for 50 ms: %+v", r)
	}
}

func TestUnfinishedHandshakesEndWithTheServerHello(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		var done, failed atomic.Int64
		to := shaking(t, victim.Config(t), &done, &failed)
		r := storm(t, "tls-handshake?finish=false&conns=16&total=100&duration=1m&version="+version, to)
		waitFor(t, func() bool { return done.Load()+failed.Load() == 100 })
		if r.Units != 100 || r.ServerHellos != 100 || r.Handshakes != 0 || r.Alerts != 0 || failed.Load() != 100 {
			t.Errorf("%s: the server saw %d, and %d failed; %+v", version, done.Load(), failed.Load(), r)
		}
	}
}

func TestRefusedHandshakesAreToldApart(t *testing.T) {
	old := victim.Config(t)
	old.MaxVersion = tls.VersionTLS12
	var done, failed atomic.Int64
	alert := shaking(t, old, &done, &failed)
	plain := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "what?\n")
		c.CloseWrite()
		io.Copy(io.Discard, c)
	})
	reset := victim.Serve(t, target.Line, func(c *net.TCPConn) { c.Read(make([]byte, 1)); c.SetLinger(0) })
	plain.TLS, reset.TLS = true, true
	for _, spec := range []string{"tls-handshake?", "tls-handshake?finish=false&", "tls-hello?", "tls-dribble?size=50&interval=1ms&"} {
		spec += "conns=5&total=20&duration=1m"
		if r := storm(t, spec, alert); r.Alerts != r.Established || r.Ended() != r.Established || r.Handshakes+r.ServerHellos+r.Odd != 0 {
			t.Errorf("%s, alerts: %+v", spec, r)
		}
		if r := storm(t, spec, plain); r.Odd != r.Established || r.Handshakes+r.ServerHellos+r.Alerts != 0 {
			t.Errorf("%s, nonsense: %+v", spec, r)
		}
		if r := storm(t, spec, reset); r.Resets != r.Established || r.Handshakes+r.ServerHellos+r.Alerts+r.Odd != 0 {
			t.Errorf("%s, resets: %+v", spec, r)
		}
	}
}

func TestTLSHelloIsServedAndSilent(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		var done, failed atomic.Int64
		names := make(chan string, 50)
		cfg := victim.Config(t)
		cfg.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) { names <- h.ServerName; return nil, nil }
		to := shaking(t, cfg, &done, &failed)
		r := storm(t, "tls-hello?conns=50&total=200&sources=7&duration=4s&loops=2&sni=weir.test&version="+version, to)
		if r.Attempts != 50 || r.Open != 50 || r.Units != 50 || r.ServerHellos != 50 || r.Handshakes != 0 || r.Ended() != 0 {
			t.Errorf("%s: %+v", version, r)
		}
		if name := <-names; name != "weir.test" {
			t.Errorf("%s: server name %q", version, name)
		}
		waitFor(t, func() bool { return failed.Load() == 50 })
		if done.Load() != 0 {
			t.Errorf("%s: %d handshakes complete", version, done.Load())
		}
	}
}

func TestTLSHelloFindsTheDeadline(t *testing.T) {
	const deadline = 1500 * time.Millisecond // the server's part of a handshake must fit in
	cfg := victim.Config(t)
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		c.SetReadDeadline(time.Now().Add(deadline))
		tls.Server(c, cfg).Handshake()
	})
	to.TLS = true
	r := storm(t, "tls-hello?conns=20&total=20&duration=1m", to)
	if r.Ended() != 20 || r.ServerHellos != 20 || r.Age.Min < deadline/2 || r.Age.Max > deadline+20*time.Second {
		t.Errorf("%+v", r)
	}
	if r := storm(t, "tls-hello?conns=20&total=40&hold=50ms&duration=1m", to); r.Ended() != 0 || r.Attempts != 40 {
		t.Errorf("held for less: %+v", r)
	}
}

func TestTLSDribbleNeverGetsThere(t *testing.T) {
	var bytes atomic.Int64
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) { n, _ := io.Copy(io.Discard, c); bytes.Add(n) })
	to.TLS = true
	r := storm(t, "tls-dribble?conns=30&interval=20ms&duration=1500ms", to)
	waitFor(t, func() bool { return bytes.Load() == r.Bytes })
	if r.Open != 30 || r.Units < 30*4 || r.Bytes != r.Units || r.ServerHellos != 0 || bytes.Load() != r.Bytes {
		t.Errorf("%d bytes came: %+v", bytes.Load(), r)
	}
	r = storm(t, "tls-dribble?conns=30&interval=20ms&duration=1500ms&records=1", to)
	if r.Open != 30 || r.Units < 30*4 || r.Bytes != 6*r.Units {
		t.Errorf("in records: %+v", r)
	}
}

// In time it is a good hello, and served; what follows is silence.
func TestTLSDribbleIsServedInTheEnd(t *testing.T) {
	var done, failed atomic.Int64
	to := shaking(t, victim.Config(t), &done, &failed)
	for _, spec := range []string{"records=true&size=20", "records=false&size=7", "size=16000000&records=true"} {
		r := often(t, "tls-dribble?conns=10&interval=1ms&duration=1500ms&"+spec, to, func(r Result) bool { return r.ServerHellos == 10 })
		if r.Open != 10 || r.ServerHellos != 10 || r.Alerts != 0 || r.Bytes%10 != 0 {
			t.Errorf("%s: %+v", spec, r)
		}
	}
}

func TestTLSAttacksWantTLS(t *testing.T) {
	plain := victim.Serve(t, target.Line, mute)
	secret := plain
	secret.TLS = true
	for spec, to := range map[string]target.Target{
		"tls-handshake": plain, "tls-hello": plain, "tls-dribble": plain,
		"tls-dribble?size=0": secret, "tls-hello?version=1.1": secret, "frame-flood?version=1": secret, "slowloris?version=x": secret,
	} {
		k, o, err := ParseSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		if k.Check(o, to) == nil {
			t.Errorf("%s on %s passed", spec, to)
		}
	}
}

func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Error("it never came to that")
}
