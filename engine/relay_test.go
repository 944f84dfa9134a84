package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/codec/length"
	"weir/codec/proxyproto"
	"weir/engine/service"
	"weir/engine/service/relay"
	"weir/guard"
	"weir/guard/mono"
	"weir/internal/lab"
)

// behind listens for a relay and gives each connection to f, on a goroutine of its own.
func behind(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			all.Go(func() {
				f(c.(*net.TCPConn))
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return ln.Addr().String()
}

func echoes(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// nobody is an address where nothing listens.
func nobody(t testing.TB) string {
	t.Helper()
	_, at := lab.Bound(t)
	return at.String()
}

// pool opens a pool for the length of a test.
func pool(t testing.TB, cfg relay.Config) *relay.Pool {
	t.Helper()
	p, err := relay.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// serveRelay serves a relay of bytes without limits per source.
func serveRelay(t testing.TB, change func(*Config), to ...string) (*Engine, string) {
	t.Helper()
	return serve(t, relay.Bytes(pool(t, relay.Config{To: to})), 64<<10, func(c *Config) {
		unlimited(c)
		if change != nil {
			change(c)
		}
	})
}

// noUpstreams waits until none is open.
func noUpstreams(t testing.TB, e *Engine) {
	t.Helper()
	eventually(t, "no upstream is open", func() bool { s := snap(e); return s.Upstreams == 0 && s.Conns == 0 && s.Buffered == 0 })
}

// wasReset reports whether a read ended by a reset.
func wasReset(err error) bool { return err != nil && strings.Contains(err.Error(), "reset") }

func TestRelayCarriesHalfCloseThrough(t *testing.T) {
	t.Run("client first", func(t *testing.T) {
		to := behind(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			time.Sleep(50 * time.Millisecond) // the answer comes when the question has long ended
			fmt.Fprintf(c, "you said %s", b)
		})
		e, addr := serveRelay(t, nil, to)
		c := dial(t, addr)
		io.WriteString(c, "hello")
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "you said hello" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
		noUpstreams(t, e)
	})
	t.Run("server first", func(t *testing.T) {
		heard := make(chan string, 1)
		to := behind(t, func(c *net.TCPConn) {
			io.WriteString(c, "goodbye")
			c.CloseWrite()
			b, _ := io.ReadAll(c)
			heard <- string(b)
		})
		e, addr := serveRelay(t, nil, to)
		c := dial(t, addr)
		if b, err := io.ReadAll(c); string(b) != "goodbye" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
		io.WriteString(c, "one more")
		time.Sleep(20 * time.Millisecond)
		io.WriteString(c, " thing")
		c.CloseWrite()
		if got := <-heard; got != "one more thing" {
			t.Fatalf("the server heard %q", got)
		}
		noUpstreams(t, e)
	})
}

// noise writes n random bytes from a seed and returns their hash.
func noise(w io.Writer, seed uint64, n int) hash.Hash {
	h := sha256.New()
	r := rand.NewChaCha8([32]byte{byte(seed)})
	buf := make([]byte, 128<<10)
	for n > 0 {
		b := buf[:min(n, 1+rand.IntN(len(buf)))]
		r.Read(b)
		h.Write(b)
		if _, err := w.Write(b); err != nil {
			return h
		}
		n -= len(b)
	}
	return h
}

type closeWriter interface {
	net.Conn
	CloseWrite() error
}

// TestRelayChangesNothing sends both ways at once, hashes compared, while reads are slow at times: the
// bytes go through the loop's buffer, through the pipe and through what is kept.
func TestRelayChangesNothing(t *testing.T) {
	size := 32 << 20
	if testing.Short() {
		size = 8 << 20
	}
	for name, c := range map[string]struct {
		maxOut int
		tls    bool
		slow   bool
	}{
		"plain": {maxOut: 256 << 10}, "plain, slow": {maxOut: 256 << 10, slow: true}, "plain, small": {maxOut: 4 << 10},
		"tls": {maxOut: 256 << 10, tls: true}, "tls, slow": {maxOut: 64 << 10, tls: true, slow: true},
	} {
		t.Run(name, func(t *testing.T) {
			size := size
			if c.maxOut < 64<<10 {
				size /= 16
			}
			read := func(r io.Reader) []byte {
				h := sha256.New()
				if !c.slow {
					io.Copy(h, r)
					return h.Sum(nil)
				}
				buf := make([]byte, 1<<20)
				for {
					n, err := io.ReadAtLeast(r, buf, 1+rand.IntN(len(buf)))
					h.Write(buf[:n])
					if err != nil {
						return h.Sum(nil)
					}
					time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
				}
			}
			sums := make(chan []byte, 2)
			to := behind(t, func(u *net.TCPConn) {
				done := make(chan bool)
				go func() {
					sums <- noise(u, 1, size).Sum(nil)
					u.CloseWrite()
					close(done)
				}()
				sums <- read(u)
				<-done
			})
			change := func(cfg *Config) { cfg.Listeners[0].MaxOut = c.maxOut }
			if c.tls {
				change = tlsWith(&tls.Config{}, change)
			}
			e, addr := serveRelay(t, change, to)
			var conn closeWriter
			if c.tls {
				conn = dialTLS(t, addr, clientTLS(0))
			} else {
				conn = dial(t, addr)
			}
			conn.SetDeadline(time.Now().Add(3 * time.Minute))
			sent := make(chan []byte, 1)
			go func() {
				sent <- noise(conn, 2, size).Sum(nil)
				conn.CloseWrite()
			}()
			got := read(conn)
			mine, a, b := <-sent, <-sums, <-sums
			if !(bytes.Equal(got, a) && bytes.Equal(mine, b)) && !(bytes.Equal(got, b) && bytes.Equal(mine, a)) {
				t.Fatal("what arrived is not what was sent")
			}
			conn.Close()
			noUpstreams(t, e)
			if s := snap(e); s.UpstreamBytesIn != uint64(size) || s.UpstreamBytesOut != uint64(size) {
				t.Errorf("counted %d bytes in, %d out, not %d", s.UpstreamBytesIn, s.UpstreamBytesOut, size)
			}
		})
	}
}

// TestRelayToAUnixSocket moves enough for the pipe.
func TestRelayToAUnixSocket(t *testing.T) {
	const size = 16 << 20
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c)
		c.(*net.UnixConn).CloseWrite()
	}()
	e, addr := serveRelay(t, nil, "unix:"+path)
	c := dial(t, addr)
	sent := make(chan []byte, 1)
	go func() { sent <- noise(c, 1, size).Sum(nil); c.CloseWrite() }()
	h := sha256.New()
	if n, err := io.Copy(h, c); n != size || err != nil || !bytes.Equal(h.Sum(nil), <-sent) {
		t.Fatalf("%d bytes came back, %v", n, err)
	}
	noUpstreams(t, e)
}

// TestRelayPausesInsteadOfHolding lets readers stall on both sides.
func TestRelayPausesInsteadOfHolding(t *testing.T) {
	const each = 32 << 20
	t.Run("clients", func(t *testing.T) {
		to := behind(t, func(c *net.TCPConn) { noise(c, 1, each) })
		e, addr := serveRelay(t, func(c *Config) { // who is read last has to wait
			l := &c.Listeners[0]
			l.FirstFrameTimeout, l.WriteTimeout, l.MinRate = time.Minute, time.Minute, 0
		}, to)
		want := noise(io.Discard, 1, each).Sum(nil)
		var conns []*net.TCPConn
		for range 4 {
			conns = append(conns, dial(t, addr))
		}
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if n := snap(e).Buffered; n > 4*(256<<10) {
				t.Fatalf("%d bytes are held for 4 readers that have stalled", n)
			}
		}
		for i, c := range conns {
			h := sha256.New()
			if n, err := io.Copy(h, c); n != each || err != nil || !bytes.Equal(h.Sum(nil), want) {
				t.Errorf("client %d got %d bytes, %v", i, n, err)
			}
		}
	})
	t.Run("servers", func(t *testing.T) {
		goOn := make(chan bool)
		sums := make(chan []byte, 4)
		to := behind(t, func(c *net.TCPConn) {
			<-goOn
			h := sha256.New()
			io.Copy(h, c)
			sums <- h.Sum(nil)
		})
		e, addr := serveRelay(t, func(c *Config) { c.Listeners[0].IdleTimeout = time.Second }, to)
		want := noise(io.Discard, 1, each).Sum(nil)
		for range 4 {
			c := dial(t, addr)
			go func() { noise(c, 1, each); c.CloseWrite() }()
		}
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if n := snap(e).Buffered; n > 4*(256<<10) {
				t.Fatalf("%d bytes are held for 4 servers that have stalled", n)
			}
		}
		close(goOn) // longer than the idle timeout: it is not the clients who are idle
		for range 4 {
			if !bytes.Equal(<-sums, want) {
				t.Error("a server got other bytes")
			}
		}
	})
}

// turnedAway connects and returns how that ended; a reset may come before connecting is done.
func turnedAway(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	_, err = io.ReadAll(c)
	return err
}

func TestRelayTellsAtOnceThatNobodyIsThere(t *testing.T) {
	e, addr := serveRelay(t, nil, nobody(t))
	tries := uint64(0)
	inTime(t, time.Second, func() time.Duration {
		tries++
		begun := time.Now()
		if err := turnedAway(addr); !wasReset(err) {
			t.Fatal(err)
		}
		return time.Since(begun)
	})
	noUpstreams(t, e)
	s := snap(e)
	if s.Shed[guard.ShedUpstreamConnect] != tries || tries == 1 && s.UpstreamEnds[service.EndRefused] != 1 {
		t.Errorf("counted %d sheds, %d refusals", s.Shed[guard.ShedUpstreamConnect], s.UpstreamEnds[service.EndRefused])
	}
}

func TestRelayTriesAnotherServer(t *testing.T) {
	e, addr := serveRelay(t, nil, nobody(t), behind(t, echoes), nobody(t))
	for i := range 20 {
		c := dial(t, addr)
		io.WriteString(c, "hello")
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
			t.Fatalf("client %d: %q, %v", i, b, err)
		}
	}
	if s := snap(e); s.Shed[guard.ShedUpstreamConnect]+s.Shed[guard.ShedNoUpstream] != 0 {
		t.Error("somebody was shed")
	}
}

// blackhole is an address whose queue of connections is full: SYNs are dropped.
func blackhole(t testing.TB) string {
	t.Helper()
	fd, at := lab.Bound(t)
	addr := at.String()
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	late := 0
	for range 8 {
		c, err := net.DialTimeout("tcp", addr, 250*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			late = 0
		} else if late++; late == 2 { // one alone may have been late itself
			return addr
		}
	}
	t.Skip("the queue does not fill")
	return ""
}

func TestRelayDoesNotWaitForeverToConnect(t *testing.T) {
	p := pool(t, relay.Config{To: []string{blackhole(t)}, ConnectTimeout: 3 * time.Second})
	e, addr := serve(t, relay.Bytes(p), 64<<10, func(c *Config) { c.Listeners[0].FirstFrameTimeout = 1500 * time.Millisecond })
	begun := time.Now() // before it is accepted
	c := dial(t, addr)
	io.WriteString(c, "is anybody there?")
	_, err := io.ReadAll(c)
	if took := time.Since(begun); !wasReset(err) || took < 3*time.Second || took > 20*time.Second {
		t.Fatalf("after %s: %v", took, err)
	}
	noUpstreams(t, e)
	s := snap(e)
	if s.UpstreamEnds[service.EndTimeout] != 1 || s.Shed[guard.ShedUpstreamConnect] != 1 || s.Shed[guard.ShedFirstFrame] != 0 {
		t.Errorf("%v; shed %d and %d: the client does not pay for our connecting", s.UpstreamEnds, s.Shed[guard.ShedUpstreamConnect], s.Shed[guard.ShedFirstFrame])
	}
}

// TestRelayTriesAnotherServerAfterATimeout loses nothing that the client has sent meanwhile.
func TestRelayTriesAnotherServerAfterATimeout(t *testing.T) {
	p := pool(t, relay.Config{To: []string{blackhole(t), behind(t, echoes)}, ConnectTimeout: time.Second})
	_, addr := serve(t, relay.Bytes(p), 64<<10, unlimited)
	for range 4 {
		c := dial(t, addr)
		io.WriteString(c, "hello")
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "hello" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
	}
}

func TestRelayPassesAResetOn(t *testing.T) {
	t.Run("of the server", func(t *testing.T) {
		to := behind(t, func(c *net.TCPConn) {
			io.WriteString(c, "last words")
			c.Read(make([]byte, 1))
			c.SetLinger(0)
		})
		e, addr := serveRelay(t, nil, to)
		c := dial(t, addr)
		got := make([]byte, 10)
		if _, err := io.ReadFull(c, got); string(got) != "last words" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		c.Write([]byte("x"))
		if _, err := c.Read(got); !wasReset(err) {
			t.Fatalf("a cut looks like an end: %v", err)
		}
		noUpstreams(t, e)
		if n := snap(e).Shed[guard.ShedUpstreamReset]; n != 1 {
			t.Errorf("counted %d", n)
		}
	})
	t.Run("of the server, that says why", func(t *testing.T) {
		to := behind(t, func(c *net.TCPConn) {
			io.WriteString(c, "too many clients") // and closes with the question unread: a reset
			raw, _ := c.SyscallConn()
			for n := 0; n < 800; time.Sleep(10 * time.Millisecond) {
				if raw.Control(func(fd uintptr) { n = waiting(int(fd)) }) != nil {
					return // the test is over
				}
			}
		})
		_, addr := serveRelay(t, nil, to)
		c := dial(t, addr)
		io.WriteString(c, strings.Repeat("question", 100))
		b, err := io.ReadAll(c)
		if string(b) != "too many clients" || !wasReset(err) {
			t.Fatalf("%q, %v", b, err)
		}
	})
	t.Run("of the client", func(t *testing.T) {
		heard := make(chan error, 1)
		to := behind(t, func(c *net.TCPConn) {
			_, err := io.ReadAll(c)
			heard <- err
		})
		e, addr := serveRelay(t, nil, to)
		c := dial(t, addr)
		io.WriteString(c, "hel")
		eventually(t, "it is passed on", func() bool { return snap(e).UpstreamBytesOut == 3 })
		c.SetLinger(0)
		c.Close()
		if err := <-heard; !wasReset(err) {
			t.Fatalf("the server takes it for the end: %v", err)
		}
		noUpstreams(t, e)
	})
}

// TestRelayDoesNotPassOnATruncation ends a TLS connection with close_notify, and without.
func TestRelayDoesNotPassOnATruncation(t *testing.T) {
	heard := make(chan error, 1)
	to := behind(t, func(c *net.TCPConn) {
		_, err := io.ReadAll(c)
		heard <- err
	})
	e, addr := serveRelay(t, tlsWith(&tls.Config{}, nil), to)
	for i, orderly := range []bool{true, false} {
		c := dialTLS(t, addr, clientTLS(0))
		io.WriteString(c, "pay 100")
		eventually(t, "it is passed on", func() bool { return snap(e).UpstreamBytesOut == uint64(7*(i+1)) })
		if orderly {
			c.CloseWrite()
		} else {
			c.NetConn().(*net.TCPConn).CloseWrite()
		}
		if err := <-heard; wasReset(err) == orderly {
			t.Fatalf("close_notify %t: the server saw %v", orderly, err)
		}
	}
	noUpstreams(t, e)
	if n := snap(e).Faults[codec.Truncated]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

// TestRelayNoticesResetsWhilePaused: who is not read, because the other side takes nothing, and goes.
func TestRelayNoticesResetsWhilePaused(t *testing.T) {
	t.Run("client", func(t *testing.T) {
		goOn := make(chan bool)
		e, addr := serveRelay(t, nil, behind(t, func(*net.TCPConn) { <-goOn }))
		defer close(goOn)
		c := dial(t, addr)
		c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		noise(c, 1, 64<<20)
		c.SetLinger(0)
		c.Close()
		noUpstreams(t, e)
	})
	t.Run("server", func(t *testing.T) {
		e, addr := serveRelay(t, nil, behind(t, func(c *net.TCPConn) {
			c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			noise(c, 1, 64<<20)
			c.SetLinger(0)
		}))
		c := dial(t, addr)
		eventually(t, "noticed", func() bool { return snap(e).UpstreamEnds[service.EndReset] == 1 })
		if _, err := io.Copy(io.Discard, c); !wasReset(err) {
			t.Errorf("%v", err)
		}
		noUpstreams(t, e)
	})
}

// TestRelayPassesAnEndOnThatCameWhilePaused has both sides finish while neither is read: nothing of
// what they sent is lost.
func TestRelayPassesAnEndOnThatCameWhilePaused(t *testing.T) {
	const size = 16 << 20
	sums := make(chan []byte, 2)
	to := behind(t, func(c *net.TCPConn) {
		sent := make(chan bool)
		go func() { sums <- noise(c, 1, size).Sum(nil); c.CloseWrite(); close(sent) }()
		defer func() { <-sent }()
		time.Sleep(300 * time.Millisecond)
		h := sha256.New()
		if n, err := io.Copy(h, c); n != size || err != nil {
			t.Errorf("the server got %d bytes, %v", n, err)
		}
		sums <- h.Sum(nil)
	})
	e, addr := serveRelay(t, nil, to)
	c := dial(t, addr)
	go func() { noise(c, 1, size); c.CloseWrite() }()
	time.Sleep(300 * time.Millisecond)
	h := sha256.New()
	if n, err := io.Copy(h, c); n != size || err != nil {
		t.Errorf("the client got %d bytes, %v", n, err)
	}
	want := h.Sum(nil)
	if a, b := <-sums, <-sums; !bytes.Equal(a, want) || !bytes.Equal(b, want) {
		t.Error("what arrived is not what was sent")
	}
	noUpstreams(t, e)
}

func TestRelayDeadlines(t *testing.T) {
	silent := func(c *net.TCPConn) { io.Copy(io.Discard, c) }
	stays := func(c *net.TCPConn) { // until its connection has gone, and reads nothing
		raw, _ := c.SyscallConn()
		gone := false
		for !gone {
			time.Sleep(10 * time.Millisecond)
			err := raw.Control(func(fd uintptr) {
				p := []unix.PollFd{{Fd: int32(fd)}}
				unix.Poll(p, 0)
				gone = p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
			})
			gone = gone || err != nil
		}
	}
	for _, c := range []struct {
		why    string
		server func(*net.TCPConn)
		client func(*net.TCPConn)
		limits func(*Limits)
		reason guard.Reason
	}{
		{"a client that says nothing", func(c *net.TCPConn) {
			for { // however much the server says
				if _, err := io.WriteString(c, "welcome"); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}, func(*net.TCPConn) {}, func(l *Limits) { l.FirstFrameTimeout = 300 * time.Millisecond }, guard.ShedFirstFrame},
		{"a server that accepts and says nothing", silent, func(c *net.TCPConn) { io.WriteString(c, "hello?") },
			func(l *Limits) { l.IdleTimeout = 300 * time.Millisecond }, guard.ShedIdle},
		{"a client that has ended, and a server that does not", stays, func(c *net.TCPConn) {
			io.WriteString(c, "that is all")
			c.CloseWrite()
		}, func(l *Limits) { l.HalfCloseTimeout = 300 * time.Millisecond }, guard.ShedHalfClosed},
		{"a server that has ended, and a client that does not", func(c *net.TCPConn) { c.CloseWrite(); silent(c) }, func(c *net.TCPConn) { io.WriteString(c, "x") },
			func(l *Limits) { l.HalfCloseTimeout = 300 * time.Millisecond }, guard.ShedHalfClosed},
		{"a server that takes nothing", stays, func(c *net.TCPConn) {
			c.Write(make([]byte, 32<<20))
		}, func(l *Limits) { l.WriteTimeout = 300 * time.Millisecond }, guard.ShedUpstreamStall},
		{"a client that takes nothing", func(c *net.TCPConn) { c.Write(make([]byte, 32<<20)) }, func(c *net.TCPConn) {
			io.WriteString(c, "give me all")
		}, func(l *Limits) { l.WriteTimeout = 300 * time.Millisecond }, guard.ShedWriteStall},
		{"lifetime", echoes, func(c *net.TCPConn) { io.WriteString(c, "x") }, func(l *Limits) { l.Lifetime = 300 * time.Millisecond }, guard.ShedLifetime},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			e, addr := serveRelay(t, func(cfg *Config) { c.limits(&cfg.Listeners[0].Limits) }, behind(t, c.server))
			begun := time.Now()
			conn := dial(t, addr)
			c.client(conn)
			eventually(t, c.reason.Label(), func() bool { return snap(e).Shed[c.reason] == 1 })
			if took := time.Since(begun); took < 250*time.Millisecond {
				t.Errorf("after %s already", took)
			}
			noUpstreams(t, e)
			for r, n := range snap(e).Shed {
				if n > 0 && guard.Reason(r) != c.reason {
					t.Errorf("%s was counted, too", guard.Reason(r).Label())
				}
			}
		})
	}
}

// TestRelayKeepsWhoIsSlowButReads has a server that takes little at a time for longer than the write
// timeout.
func TestRelayKeepsWhoIsSlowButReads(t *testing.T) {
	const size = 8 << 20
	got := make(chan int64, 1)
	to := behind(t, func(c *net.TCPConn) {
		c.SetReadBuffer(256 << 10)
		var n int64
		for range 60 {
			k, _ := io.CopyN(io.Discard, c, 64<<10)
			n += k
			time.Sleep(50 * time.Millisecond)
		}
		k, _ := io.Copy(io.Discard, c)
		got <- n + k
	})
	e, addr := serveRelay(t, func(c *Config) { c.Listeners[0].WriteTimeout = 2 * time.Second }, to)
	c := dial(t, addr)
	c.Write(make([]byte, size))
	c.CloseWrite()
	if n := <-got; n != size {
		t.Fatalf("%d bytes arrived; shed %d", n, snap(e).Shed[guard.ShedUpstreamStall])
	}
}

func TestRelayByteBudgetSlowsAndLosesNothing(t *testing.T) {
	const size = 2 << 20
	e, addr := serveRelay(t, func(c *Config) {
		l := &c.Listeners[0]
		l.ConnByteRate, l.ConnByteBurst = 1<<20, 512<<10
	}, behind(t, echoes))
	c := dial(t, addr)
	begun := time.Now()
	go func() { c.Write(make([]byte, size)); c.CloseWrite() }()
	n, err := io.Copy(io.Discard, c)
	if took := time.Since(begun); n != size || err != nil || took < 1200*time.Millisecond {
		t.Fatalf("%d bytes after %s, %v", n, took, err)
	}
	if snap(e).Shed[guard.SlowConnBytes] == 0 {
		t.Error("not counted")
	}
}

// TestRelaySmallReadsCount: passing on one byte costs as much as passing on many.
func TestRelaySmallReadsCount(t *testing.T) {
	e, addr := serveRelay(t, func(c *Config) {
		l := &c.Listeners[0]
		l.ConnByteRate, l.ConnByteBurst = 1<<10, 32<<10
	}, behind(t, echoes))
	c := dial(t, addr)
	b := make([]byte, 1)
	for range 100 {
		c.Write(b)
		if _, err := c.Read(b); err != nil {
			t.Fatal(err)
		}
		if snap(e).Shed[guard.SlowConnBytes] > 0 {
			return
		}
	}
	t.Error("100 reads of a byte were 100 bytes")
}

func TestRelayTellsTheServerWhoTheClientIs(t *testing.T) {
	for version := 1; version <= 2; version++ {
		headers := make(chan proxyproto.Header, 1)
		rest := make(chan string, 1)
		to := behind(t, func(c *net.TCPConn) {
			b, _ := io.ReadAll(c)
			d := proxyproto.Decoder{}
			if u := d.Decode(b); u.Kind == codec.Frame {
				headers <- d.Header()
				rest <- string(b[u.N:])
				return
			}
			headers <- proxyproto.Header{}
			rest <- fmt.Sprintf("not a header: %q", b)
		})
		_, addr := serve(t, relay.Bytes(pool(t, relay.Config{To: []string{to}, ProxyTo: version})), 64<<10, behindProxies(nil))
		c := dial(t, addr)
		c.Write(header(2, "192.0.2.77:5000"))
		io.WriteString(c, "hello")
		c.CloseWrite()
		h := <-headers
		if got := <-rest; h.Source.Addr().String() != "192.0.2.77" || h.Destination.String() != addr || got != "hello" {
			t.Errorf("version %d: %+v, then %q", version, h, got)
		}
	}
}

// TestRelayOutOfDescriptors leaves none but the reserve, for clients and for servers.
func TestRelayOutOfDescriptors(t *testing.T) {
	to := behind(t, echoes)
	e, addr := serveRelay(t, nil, to)
	first := dial(t, addr)
	io.WriteString(first, "x")
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	e.loops[0].do(func() { e.fdCap = 0 })
	if err := turnedAway(addr); !wasReset(err) {
		t.Errorf("%v", err)
	}
	done := make(chan service.Ending, 1)
	e.loops[0].do(func() {
		_, why := e.loops[0].connect(service.Target{Addr: e.addrs[0].(*net.TCPAddr).AddrPort()})
		done <- why
	})
	if why := <-done; why != service.EndDescriptors {
		t.Errorf("%s", why)
	}
	io.WriteString(first, "y")
	if _, err := first.Read(make([]byte, 1)); err != nil {
		t.Errorf("who is there already: %v", err)
	}
}

func TestRelayDrains(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		e, addr := serveRelay(t, func(c *Config) { c.DrainTimeout = 20 * time.Second }, behind(t, echoes))
		c := dial(t, addr)
		begun := time.Now()
		io.WriteString(c, "x")
		c.Read(make([]byte, 1))
		go func() { io.Copy(io.Discard, c) }()
		e.Stop(context.Background())
		if took := time.Since(begun); took < drainQuiet || took > 10*time.Second {
			t.Errorf("after %s", took)
		}
	})
	t.Run("an answer under way", func(t *testing.T) {
		to := behind(t, func(c *net.TCPConn) {
			c.Read(make([]byte, 1))
			time.Sleep(1500 * time.Millisecond)
			io.WriteString(c, "the answer")
		})
		e, addr := serveRelay(t, func(c *Config) { c.DrainTimeout = 20 * time.Second }, to)
		c := dial(t, addr)
		io.WriteString(c, "x")
		eventually(t, "asked", func() bool { return snap(e).UpstreamBytesOut == 1 })
		stopped := make(chan error)
		go func() { stopped <- e.Stop(context.Background()) }()
		if b, err := io.ReadAll(c); string(b) != "the answer" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
		<-stopped
	})
}

// TestRelayOthersNeverNotice runs good clients beside servers that come, go, reset, send garbage and
// say nothing.
func TestRelayOthersNeverNotice(t *testing.T) {
	var bad atomic.Int64
	to := behind(t, func(c *net.TCPConn) {
		first := make([]byte, 1)
		if _, err := c.Read(first); err != nil {
			return
		}
		switch first[0] {
		case 'r':
			c.SetLinger(0)
		case 'g':
			noise(c, 3, 1<<20)
		case 's':
			io.Copy(io.Discard, c)
		default:
			c.Write(first)
			echoes(c)
			return
		}
		bad.Add(1)
	})
	e, addr := serveRelay(t, nil, to)
	stop := make(chan bool)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", addr)
				if err != nil {
					continue
				}
				c.Write([]byte{"rgs"[i]})
				c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
				io.Copy(io.Discard, c)
				c.Close()
			}
		})
	}
	c := dial(t, addr)
	buf := make([]byte, 4096)
	for i := range 2000 {
		p := buf[:1+i%len(buf)]
		for k := range p {
			p[k] = byte('A' + i%26)
		}
		c.Write(p)
		got := make([]byte, len(p))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	close(stop)
	all.Wait()
	c.Close()
	noUpstreams(t, e)
	if bad.Load() == 0 {
		t.Error("nobody disturbed")
	}
}

// TestRelayFramesAndLines checks what passes, and that what does not never reaches the server.
func TestRelayFramesAndLines(t *testing.T) {
	heard := make(chan []byte, 1)
	to := behind(t, func(c *net.TCPConn) {
		b, _ := io.ReadAll(c)
		heard <- b
		c.Write(b)
	})
	p := pool(t, relay.Config{To: []string{to}})
	var frames []byte
	for i := range 50 {
		frames = length.Append(frames, bytes.Repeat([]byte{byte(i)}, 1+i*i*40))
	}
	for _, c := range []struct {
		why        string
		s          service.Service
		in         string
		heard, got string
		fault      codec.Fault
	}{
		{"frames larger than what is held", relay.Frames(p, 1<<20), string(frames), string(frames), string(frames), codec.OK},
		{"lines with both ends, empty and not text", relay.Lines(p, 100), "a\nb\r\n\n\r\n\xff\xfe\n", "a\nb\r\n\n\r\n\xff\xfe\n", "a\nb\r\n\n\r\n\xff\xfe\n", codec.OK},
		{"a frame that is too large", relay.Frames(p, 10), "\x00\x00\x00\x02ok\x00\x00\x00\x0b", "", "", codec.FrameTooLarge},
		{"a line that is too long", relay.Lines(p, 10), "01234567890123", "", "ERR the line exceeds the limit\r\n", codec.LineTooLong},
		{"one behind another, whose answer the words would be taken for", relay.Lines(p, 10), "ok\n01234567890123", "", "", codec.LineTooLong},
		{"half a line at the end, and still the answer to the one before", relay.Lines(p, 10), "ok\nha", "ok\n", "ok\n", codec.Truncated},
	} {
		t.Run(c.why, func(t *testing.T) {
			e, addr := serve(t, c.s, 1<<20+4, func(cfg *Config) { unlimited(cfg); cfg.Listeners[0].MaxOut = 16 << 10 })
			conn := dial(t, addr)
			go func() { io.WriteString(conn, c.in); conn.CloseWrite() }()
			got, _ := io.ReadAll(conn)
			if b := <-heard; string(b) != c.heard {
				t.Errorf("the server heard %d bytes, not %d", len(b), len(c.heard))
			}
			if string(got) != c.got {
				t.Errorf("%.100q came back", got)
			}
			noUpstreams(t, e)
			for f, n := range snap(e).Faults {
				if (n > 0) != (codec.Fault(f) == c.fault && f != 0) {
					t.Errorf("%s: %d", codec.Fault(f), n)
				}
			}
		})
	}
}

// TestRelayedFramesAreCounted: the limits on frames hold in front of a server.
func TestRelayedFramesAreCounted(t *testing.T) {
	p := pool(t, relay.Config{To: []string{behind(t, echoes)}})
	e, addr := serve(t, relay.Lines(p, 100), 102, func(c *Config) { c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceFrameBurst = 1, 5 })
	c := dial(t, addr)
	io.WriteString(c, strings.Repeat("x\n", 20))
	io.ReadAll(c)
	eventually(t, "shed", func() bool { return snap(e).Shed[guard.ShedSourceFrames] == 1 })
	c.Close()
	noUpstreams(t, e)
}

// asker is a service that uses an upstream by hand: it sends each line on and upper-cases the answers,
// a line at a time, as far as there is room.
type asker struct{ to service.Target }

func (a asker) Name() string            { return "asker" }
func (a asker) ForLoop() service.Opener { return a }
func (a asker) Open(c service.Conn) service.Session {
	s := &asking{c: c}
	var why service.Ending
	if s.up, why = c.Dial(a.to, s); s.up == nil {
		c.Fail(why, "nobody\n")
	}
	return s
}

type asking struct {
	c       service.Conn
	up      service.Upstream
	drained int
}

func (s *asking) Decode(b []byte) (u codec.Unit) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		u.Kind, u.N, u.Data = codec.Frame, i+1, b[:i+1]
	}
	return u
}
func (s *asking) Lacks() int                                 { return 1 }
func (s *asking) Partial() bool                              { return false }
func (s *asking) Stage() service.Stage                       { return service.Between }
func (s *asking) Refuse(service.Conn, service.Refusal)       {}
func (s *asking) Fault(service.Conn, codec.Fault)            {}
func (s *asking) Closed()                                    { s.up = nil }
func (s *asking) Connected(service.Upstream)                 {}
func (s *asking) Drained(service.Upstream)                   { s.drained++ }
func (s *asking) Ended(_ service.Upstream, e service.Ending) { s.c.Close() }
func (s *asking) Serve(_ service.Conn, u codec.Unit) int {
	if string(u.Data) == "panic\n" {
		panic("as told")
	}
	n := min(len(u.Data), s.up.Room())
	s.up.Write(u.Data[:n])
	return n
}
func (s *asking) Received(_ service.Upstream, p []byte) (taken int) {
	if bytes.Contains(p, []byte("bang")) {
		panic("as told")
	}
	for taken < len(p) {
		n := bytes.IndexByte(p[taken:], '\n') + 1
		if n == 0 || n > s.c.Room() {
			break
		}
		s.c.Write(bytes.ToUpper(p[taken : taken+n]))
		taken += n
	}
	return taken
}

func serveAsker(t testing.TB, to string, maxOut int) (*Engine, string) {
	a, err := net.ResolveTCPAddr("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, asker{service.Target{Addr: a.AddrPort(), Timeout: time.Second}}, 64<<10, func(c *Config) {
		unlimited(c)
		c.Listeners[0].MaxOut = maxOut
	})
}

// TestUpstreamByHand sends much through a service that takes answers in pieces.
func TestUpstreamByHand(t *testing.T) {
	e, addr := serveAsker(t, behind(t, echoes), 16<<10)
	c := dial(t, addr)
	lines := strings.Repeat("abcdefghijklmnopqrstuvwxyz\n", 100_000)
	go io.WriteString(c, lines)
	got := make([]byte, len(lines))
	for at := 0; at < len(got); {
		n, err := c.Read(got[at:min(len(got), at+300<<10)])
		if err != nil {
			t.Fatalf("after %d bytes: %v", at, err)
		}
		if at += n; rand.IntN(20) == 0 {
			time.Sleep(time.Millisecond)
			if held := snap(e).Buffered; held > 512<<10 {
				t.Fatalf("%d bytes are held", held)
			}
		}
	}
	if string(got) != strings.ToUpper(lines) {
		t.Fatal("something else came back")
	}
	c.Close()
	noUpstreams(t, e)
}

func TestUpstreamPanicsAreContained(t *testing.T) {
	e, addr := serveAsker(t, behind(t, echoes), 64<<10)
	good := dial(t, addr)
	for i, said := range []string{"panic\n", "bang\n"} {
		c := dial(t, addr)
		io.WriteString(c, said)
		io.ReadAll(c)
		c.Close()
		eventually(t, "counted", func() bool { return snap(e).Panics == uint64(i+1) })
	}
	io.WriteString(good, "hello\n")
	b := make([]byte, 6)
	if _, err := io.ReadFull(good, b); err != nil || string(b) != "HELLO\n" {
		t.Fatalf("%q, %v", b, err)
	}
	good.Close()
	noUpstreams(t, e)
}

func TestUpstreamThatFailsAtOnceIsTold(t *testing.T) {
	e, addr := serveAsker(t, nobody(t), 64<<10)
	c := dial(t, addr)
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	c.Close()
	noUpstreams(t, e)
	bad, addr := serve(t, asker{service.Target{Path: "/nosuch/socket"}}, 64<<10, nil)
	if b, err := io.ReadAll(dial(t, addr)); string(b) != "nobody\n" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if n := snap(bad).Shed[guard.ShedUpstreamConnect]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

// relayRoundTrip returns a function that sends size bytes through a relay to an echo and back. It
// writes and reads at once: nothing between holds as much as the largest size.
func relayRoundTrip(t testing.TB, size int) func() {
	to := behind(t, func(c *net.TCPConn) {
		b := make([]byte, 256<<10)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			c.Write(b[:n])
		}
	})
	_, addr := serveRelay(t, nil, to)
	c := dial(t, addr)
	c.SetDeadline(time.Time{})
	msg, got := make([]byte, size), make([]byte, size)
	write := make(chan bool)
	go func() {
		for range write {
			c.Write(msg)
		}
	}()
	t.Cleanup(func() { close(write) })
	return func() {
		write <- true
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerRelayedRead(t *testing.T) {
	for _, size := range []int{64, 1 << 20} {
		once := relayRoundTrip(t, size)
		for range 100 {
			once()
		}
		// A large one is 16 reads and more; the race detector and collections have pools forget.
		const n = 1000
		allocates(t, n, uint64(n/20+n*(size>>20)), once)
	}
}

// BenchmarkRelay is one message through a relay and back, client and server included.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []int{64, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			once := relayRoundTrip(b, size)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				once()
			}
		})
	}
}

// TestWaitsAreInOrder holds the list of deadlines against sorting.
func TestWaitsAreInOrder(t *testing.T) {
	var w waits
	var all []*upstream
	for range 2000 {
		if len(all) > 0 && rand.IntN(3) == 0 {
			i := rand.IntN(len(all))
			all[i].noDeadline()
			all = append(all[:i], all[i+1:]...)
		} else {
			u := &upstream{}
			w.add(u, 1+[]mono.Time{3, 30, 300}[rand.IntN(3)]*mono.Time(1+rand.IntN(100)))
			all = append(all, u)
		}
		n, last := 0, mono.Time(0)
		for u := w.first; u != nil; u = u.next {
			if n++; u.due < last || u.next == nil && w.last != u || u.next != nil && u.next.prev != u {
				t.Fatal("not in order")
			}
			last = u.due
		}
		if n != len(all) {
			t.Fatalf("%d of %d are there", n, len(all))
		}
	}
}
