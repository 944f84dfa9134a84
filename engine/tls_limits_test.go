package engine

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/codec/length"
	"weir/engine/service/echo"
	"weir/guard"
)

// Warnings and empty records, before anything is encrypted: a few are ignored, a flood is not.
func TestTLSWarningsInTheHandshake(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	c := dial(t, addr)
	hi := helloOf(t, tls.VersionTLS12)
	c.Write(hi)
	peersTurn(t, e, 1)
	const warning = "\x15\x03\x03\x00\x02\x01\x5a"
	io.WriteString(c, strings.Repeat(warning, 5))
	eventually(t, "they are read", func() bool { return snap(e).BytesIn == uint64(len(hi)+5*len(warning)) })
	time.Sleep(50 * time.Millisecond)
	if s := snap(e); s.HandshakesOpen != 1 {
		t.Errorf("five warnings ended the handshake: %v", s.Shed)
	}
	io.WriteString(c, strings.Repeat(warning, 100))
	ends(t, c)
	if s := snap(e); s.Shed[guard.ShedTLS] != 1 || s.HandshakesFailed != 1 {
		t.Errorf("%v", s.Shed)
	}
}

// Whoever does not finish a handshake costs a deadline, wherever he stops, and holds nothing after.
func TestTLSDeadlines(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) {
		c.Listeners[0].HandshakeTimeout = 3 * time.Second
		c.Listeners[0].FirstFrameTimeout = 3 * time.Second
	})
	hi := helloOf(t, 0)
	begun := time.Now()
	var conns []net.Conn
	for _, first := range [][]byte{nil, hi[:1], hi[:len(hi)-1], hi} {
		c := dial(t, addr)
		c.Write(first)
		conns = append(conns, c)
	}
	drip := dial(t, addr)
	go func() {
		for i := range hi {
			if _, err := drip.Write(hi[i : i+1]); err != nil {
				return
			}
			time.Sleep(max(10*time.Millisecond, 10*time.Second/time.Duration(len(hi))))
		}
	}()
	idle := dialTLS(t, addr, clientTLS(0)) // its first frame has a deadline of its own
	for _, c := range append(conns, drip) {
		ends(t, c)
		if d := time.Since(begun); d < 3*time.Second {
			t.Errorf("ended after %v", d)
		}
	}
	ends(t, idle.NetConn())
	eventually(t, "all is given back", func() bool {
		s := snap(e)
		return s.Conns == 0 && s.HandshakesOpen == 0 && s.Buffered == 0 && s.Unproven == 0
	})
	if s := snap(e); s.Shed[guard.ShedHandshake] != 5 || s.Shed[guard.ShedFirstFrame] != 1 || s.HandshakesBegun != 2 {
		t.Errorf("%d by handshake, %d by first frame, %d begun", s.Shed[guard.ShedHandshake], s.Shed[guard.ShedFirstFrame], s.HandshakesBegun)
	}
}

func TestTLSHandshakesOfASourceAreLimited(t *testing.T) {
	hold := make(chan struct{}) // a slow handshake costs several: none ends before all are judged
	letGo := sync.OnceFunc(func() { close(hold) })
	e, addr := serve(t, echo.Frames(1000), 1004, tlsWith(holding(hold), func(c *Config) {
		l := &c.Listeners[0]
		l.SourceHandshakeRate, l.SourceHandshakeBurst, l.HandshakeTimeout = 1, 5, time.Minute
	}))
	t.Cleanup(letGo)
	hi := helloOf(t, 0)
	begun := time.Now()
	for range 20 {
		dial(t, addr).Write(hi)
	}
	var s Snapshot
	eventually(t, "all are begun or shed", func() bool {
		s = snap(e)
		return s.HandshakesBegun+s.Shed[guard.ShedSourceHandshakes] == 20
	})
	if n := s.HandshakesBegun; n < 5 || n > 5+uint64(time.Since(begun)/time.Second) { // one more each second
		t.Errorf("%d begun in %s", n, time.Since(begun))
	}
	letGo()
}

// holding has handshakes wait for their certificate until hold is closed.
func holding(hold chan struct{}) *tls.Config {
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		<-hold
		c := testCert()
		return &c, nil
	}}
}

// peersTurn waits until n handshakes at least are under way and wait for their peers.
func peersTurn(t *testing.T, e *Engine, n int) {
	t.Helper()
	eventually(t, "handshakes wait for their peers", func() bool {
		waiting := make(chan int, 1)
		l := e.loops[0]
		l.do(func() {
			k := 0
			for sh := l.shakes.first; sh != nil; sh = sh.next {
				if !sh.running {
					k++
				}
			}
			waiting <- k
		})
		return <-waiting >= n
	})
}

// With all places taken the handshake that has waited longest for its peer makes room, once it has
// had its time; with the queue full newcomers are shed, and who has begun is not.
func TestTLSHandshakePlacesAndQueue(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) { c.MaxHandshakes, c.Listeners[0].HandshakeTimeout = 4, time.Minute })
	hi := helloOf(t, 0)
	first := dial(t, addr)
	first.Write(hi)
	peersTurn(t, e, 1)
	for range 3 {
		dial(t, addr).Write(hi)
	}
	peersTurn(t, e, 4)
	time.Sleep(2 * evictShakeAfter)
	good := dialTLS(t, addr, clientTLS(0))
	ends(t, first)
	roundTrip(t, good)
	if s := snap(e); s.Shed[guard.ShedHandshakes] != 1 {
		t.Errorf("%d shed", s.Shed[guard.ShedHandshakes])
	}

	hold := make(chan struct{})
	letGo := sync.OnceFunc(func() { close(hold) })
	e, addr = serve(t, echo.Frames(1000), 1004, tlsWith(holding(hold), func(c *Config) {
		unlimited(c)
		c.HandshakeWorkers, c.HandshakeQueue = 1, 2
		c.Listeners[0].HandshakeTimeout = time.Minute
	}))
	t.Cleanup(letGo)
	var waiting []*tls.Conn
	for i := range 3 { // one with the worker, two in the queue
		c := tls.Client(dial(t, addr), clientTLS(0))
		go c.Handshake()
		waiting = append(waiting, c)
		eventually(t, "it is begun", func() bool { return snap(e).HandshakesBegun == uint64(i+1) && snap(e).HandshakesQueued == i })
	}
	for range 5 {
		c := dial(t, addr)
		c.Write(hi)
		ends(t, c)
	}
	if s := snap(e); s.Shed[guard.ShedHandshakes] != 5 {
		t.Errorf("%d shed", s.Shed[guard.ShedHandshakes])
	}
	letGo()
	for _, c := range waiting {
		roundTrip(t, c)
	}
}

func TestTLSPanicEndsItsOwnHandshake(t *testing.T) {
	bad := &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "bad.test" {
			panic("ouch")
		}
		c := testCert()
		return &c, nil
	}}
	e, addr := serve(t, echo.Frames(1000), 1004, tlsWith(bad, nil))
	good := dialTLS(t, addr, clientTLS(0))
	cfg := clientTLS(0)
	cfg.ServerName = "bad.test"
	if err := tls.Client(dial(t, addr), cfg).Handshake(); err == nil {
		t.Error("the handshake went well")
	}
	roundTrip(t, good)
	if s := snap(e); s.Panics != 1 {
		t.Errorf("%d panics", s.Panics)
	}
}

// A reader that stops costs max-out and no more, over TLS too, and gets every byte when it goes on.
func TestTLSSilentReaderCostsMaxOut(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) { c.Listeners[0].MaxOut = 64 << 10 })
	c := dialTLS(t, addr, clientTLS(0))
	frame := length.Append(nil, bytes.Repeat([]byte("x"), 60_000))
	const frames = 300
	go func() {
		for range frames {
			c.Write(frame)
		}
	}()
	time.Sleep(300 * time.Millisecond)
	if s := snap(e); s.Buffered > 600<<10 {
		t.Errorf("%d bytes are held", s.Buffered)
	}
	if n, err := io.CopyN(io.Discard, c, int64(frames*len(frame))); err != nil {
		t.Fatalf("%d bytes came, %v, shed %v", n, err, snap(e).Shed)
	}
}

// Many tiny records are charged for what they cost: reading pauses, nothing is lost.
func TestTLSTinyRecordsAreSlowed(t *testing.T) {
	e, addr := serveTLS(t, echo.Lines(8<<10), 8<<10+2, func(c *Config) {
		c.Listeners[0].ConnByteRate, c.Listeners[0].ConnByteBurst = 1<<20, 512<<10
	})
	raw := dial(t, addr)
	w := &prefixed{Conn: raw}
	c := tls.Client(w, clientTLS(0))
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	const n = 2000 // records of a byte: 48 KB on the wire, 1 MB in the books
	hold := &kept{}
	w.Conn = hold
	for range n / 2 {
		c.Write([]byte("x"))
		c.Write([]byte("\n"))
	}
	w.Conn = raw
	begun := time.Now()
	go raw.Write(hold.b) // all at once: who is slow himself is not slowed
	if _, err := io.CopyN(io.Discard, c, n/2*3); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begun); d < 350*time.Millisecond {
		t.Errorf("took %v", d)
	}
	if s := snap(e); s.Shed[guard.SlowConnBytes] == 0 {
		t.Error("never slowed")
	}
}

func TestTLSStopDuringHandshakes(t *testing.T) {
	hi := helloOf(t, 0)
	for range 10 {
		e, addr := serveTLS(t, echo.Frames(1000), 1004, func(c *Config) { c.Loops, c.DrainTimeout = 2, 50*time.Millisecond })
		for i := range 30 {
			dial(t, addr).Write(hi[:len(hi)-i%2])
		}
		if err := e.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	} // TestMain sees goroutines that were left
}

// A flood of silent connections from many sources cannot lock newcomers out, nor one from one source.
func TestSilentFloodLeavesRoom(t *testing.T) {
	for _, sources := range []int{1, 250} {
		e, addr := serve(t, echo.Frames(1000), 1004, tlsWith(&tls.Config{}, func(c *Config) {
			unlimited(c)
			c.Guard.MaxUnproven = 200
			c.Listeners[0].SourceConnRate = 0
		}))
		for i := range 600 {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 3, byte(i%sources), 1)}}
			if c, err := d.Dial("tcp", addr); err == nil {
				t.Cleanup(func() { c.Close() })
			}
		}
		eventually(t, "some are shed", func() bool {
			s := snap(e)
			return s.Shed[guard.ShedUnproven]+s.Shed[guard.ShedSourceUnproven]+s.Shed[guard.ShedPrefixUnproven] >= 300
		})
		time.Sleep(700 * time.Millisecond) // the silent ones have had their time
		for i := range 20 {
			c := tls.Client(dial(t, addr), clientTLS(0))
			if err := c.Handshake(); err != nil {
				t.Fatalf("%d sources, newcomer %d: %v, shed %v", sources, i, err, snap(e).Shed)
			}
			roundTrip(t, c)
		}
		if s := snap(e); s.Unproven > 200 {
			t.Errorf("%d unproven", s.Unproven)
		}
	}
}
