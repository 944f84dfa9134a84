package attack

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
	"weir/bench/wire"
)

// collect is a server that answers nothing and keeps what each connection said, up to a bound.
func collect(t *testing.T, s target.Scheme) (to target.Target, all func() map[string]int) {
	var mu sync.Mutex
	said := map[string]int{}
	to = victim.Serve(t, s, func(c *net.TCPConn) {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		mu.Lock()
		said[string(b)]++
		mu.Unlock()
	})
	return to, func() map[string]int { mu.Lock(); defer mu.Unlock(); out := said; said = map[string]int{}; return out }
}

func TestMalformedSendsAllThereIs(t *testing.T) {
	for _, s := range []target.Scheme{target.HTTP, target.Frames, target.Line, "tls"} {
		to, said := collect(t, target.Line)
		want := wire.MalformedTLS()
		if to.TLS = s == "tls"; !to.TLS {
			to.Scheme = s
			want = wire.Malformed(to)
		}
		r := storm(t, "malformed?conns=8&total=400&hold=20ms&duration=1m", to)
		if r.Units != 400 || r.Open != 0 || r.Odd+r.Replies != 0 {
			t.Errorf("%s: %+v", s, r)
		}
		var got map[string]int
		seen := 0
		waitFor(t, func() bool {
			for b, n := range said() {
				if got == nil {
					got = map[string]int{}
				}
				got[b] += n
				seen += n
			}
			return seen == 400
		})
		for _, w := range want {
			if got[w.Bytes] == 0 {
				t.Errorf("%s: nobody said %q", s, w.Why)
			}
		}
	}
}

func TestMalformedCountsWhatWasAnswered(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); io.WriteString(w, "hello") })
	for _, to := range []target.Target{victim.HTTP(t, h), victim.HTTPS(t, quiet(victim.Config(t)), h)} {
		r := storm(t, "malformed?conns=16&total=130&hold=2s&finish=true&duration=1m", to)
		if r.Units != 130 || r.Bad < 60 || r.Odd != 0 || r.Open != 0 || to.TLS && r.Handshakes != 130 {
			t.Errorf("%s: %+v", to, r)
		}
		if !to.TLS {
			continue
		}
		if r = storm(t, "malformed?conns=16&total=50&hold=2s&duration=1m", to); r.Units != 50 || r.Alerts < 20 || r.ServerHellos != 0 {
			t.Errorf("garbage: %+v", r)
		}
	}
}

func quiet(c *tls.Config) *tls.Config { c.SessionTicketsDisabled = true; return c }

func TestOversizeGoesOnUpToItsSize(t *testing.T) {
	for _, s := range []target.Scheme{target.HTTP, target.Frames, target.Line} {
		to, said := collect(t, s)
		r := storm(t, "oversize?conns=4&total=40&size=100000&hold=500ms&duration=1m", to)
		if r.Units != 40 || r.Bytes != 40*100_000 || r.Open != 0 {
			t.Errorf("%s: %+v", s, r)
		}
		seen, n := map[string]int{}, 0
		waitFor(t, func() bool {
			for b, k := range said() {
				seen[b] += k
				n += k
			}
			return n == 40
		})
		for _, o := range wire.Oversize(to) {
			begins := o.Append(nil, 0, 100_000)
			if seen[string(begins)] == 0 {
				t.Errorf("%s: nobody said %q", s, begins[:20])
			}
		}
		for b := range seen {
			if len(b) != 100_000 {
				t.Errorf("%s: %d bytes of %q", s, len(b), b[:min(len(b), 20)])
			}
		}
	}
}

func TestOversizeIsCutAndComesBack(t *testing.T) {
	refuse := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		io.CopyN(io.Discard, c, 20_000)
		io.WriteString(c, "HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		c.CloseWrite()
		io.CopyN(io.Discard, c, 1<<20)
		c.SetLinger(0)
	})
	r := storm(t, "oversize?conns=4&total=60&duration=1m", refuse)
	if r.Attempts != 60 || r.Bad != 60 || r.Ended() != 60 {
		t.Errorf("%+v", r)
	}
	secret := victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) { io.CopyN(io.Discard, c, 20_000) })
	if r = storm(t, "oversize?conns=4&total=20&duration=1m", secret); r.Handshakes != 20 || r.Ended() != 20 || r.Bytes < 20*20_000 {
		t.Errorf("%+v", r)
	}
}

func TestResetChurnSendsAPartAndResets(t *testing.T) {
	for _, secret := range []bool{false, true} {
		var mu sync.Mutex
		resets, parts := 0, 0
		to := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
			var b bytes.Buffer
			_, err := io.Copy(&b, c)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				resets++
			}
			if strings.HasPrefix(b.String(), "GET / ") && !strings.Contains(b.String(), "\r\n\r\n") || secret && b.Len() > 50 && b.Bytes()[0] == 22 {
				parts++
			}
		})
		to.TLS = secret
		r := storm(t, "reset-churn?conns=16&total=300&duration=1m&sources=5&loops=2", to)
		waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return resets == 300 })
		mu.Lock()
		// A reset may overtake the bytes before it; most of the time it does not.
		if r.Units != 300 || r.Established != 300 || r.Open != 0 || parts == 0 {
			t.Errorf("%d resets, %d parts: %+v", resets, parts, r)
		}
		mu.Unlock()
	}
	if r := often(t, "reset-churn?conns=10&total=10&size=10&hold=20s&duration=200ms", victim.Serve(t, target.Frames, mute), func(r Result) bool { return r.Open == 10 }); r.Bytes != 100 || r.Open != 10 {
		t.Errorf("held: %+v", r)
	}
}

func TestCloseStormClosesInTheOrderlyWay(t *testing.T) {
	var mu sync.Mutex
	ends, resets := 0, 0
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) {
		n, err := io.Copy(io.Discard, c)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || n > 0 {
			resets++
		} else {
			ends++
		}
	})
	r := storm(t, "close-storm?conns=16&total=300&duration=1m&sources=5&loops=2", to)
	waitFor(t, func() bool { mu.Lock(); defer mu.Unlock(); return ends+resets == 300 })
	mu.Lock()
	if r.Units != 300 || r.Established != 300 || r.Open != 0 || ends != 300 {
		t.Errorf("%d ends, %d resets: %+v", ends, resets, r)
	}
	mu.Unlock()
	// Half of it only: it is the server's to close the other.
	if r = storm(t, "close-storm?conns=10&total=20&hold=20s&duration=1m", to); r.Closes != 20 || r.Open != 0 {
		t.Errorf("half: %+v", r)
	}
	lazy := victim.Serve(t, target.Line, func(c *net.TCPConn) { io.Copy(io.Discard, c); time.Sleep(time.Second) })
	if r = often(t, "close-storm?conns=10&hold=20s&duration=300ms", lazy, func(r Result) bool { return r.Open == 10 }); r.Open != 10 || r.Closes != 0 {
		t.Errorf("half, and nobody cares: %+v", r)
	}
}

func TestPipelineFloodComesInWholeBursts(t *testing.T) {
	hello := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	for _, to := range []target.Target{victim.Frames(t), victim.Lines(t), hello} {
		r := often(t, "pipeline-flood?conns=4&pipeline=300&count=4100&duration=1m&loops=2", to, func(r Result) bool { return r.Replies == 4100 })
		if r.Units != 4100 || r.Replies != 4100 || r.Bad != 0 || r.Took > 50*time.Second {
			t.Errorf("%s: %+v", to, r)
		}
	}
	r := often(t, "pipeline-flood?conns=4&pipeline=200&rate=1000&duration=900ms", victim.Frames(t), func(r Result) bool { return r.Units >= 400 && r.Units <= 1000 })
	if r.Units%200 != 0 || r.Units < 400 || r.Units > 1000 {
		t.Errorf("%d requests in 0.9 s at 1,000 a second", r.Units)
	}
}

func TestUploadFloodSendsLargeBodies(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n != 300_000 {
			w.WriteHeader(500)
		}
	})
	secret := victim.ServeTLS(t, target.Frames, victim.Config(t), func(c *tls.Conn) { victim.EchoFrames(c) })
	for _, to := range []target.Target{victim.HTTP(t, h), victim.Frames(t), secret} {
		r := storm(t, "upload-flood?conns=4&size=300000&count=40&duration=1m", to)
		if r.Units != 40 || r.Replies == 0 || r.Bad != 0 || r.Attempts != 4 || r.Bytes < 40*300_000 {
			t.Errorf("%s: %+v", to, r)
		}
	}
}
