package engine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/length"
	"weir/codec/line"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
	"weir/guard"
)

func TestHalfCloseGetsTheWholeAnswer(t *testing.T) {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, nil)
	c := dial(t, addr)
	io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 50))
	c.CloseWrite()
	b, err := io.ReadAll(c)
	if n := bytes.Count(b, []byte("hello, world!")); n != 50 || err != nil {
		t.Fatalf("%d answers, %v", n, err)
	}
}

func TestHalfAFrameAtTheEndIsNotDelivered(t *testing.T) {
	e, addr := serve(t, echo.Frames(100), 104, nil)
	c := dial(t, addr)
	c.Write(append(length.Append(nil, []byte("whole")), 0, 0, 0, 9, 'h', 'a', 'l', 'f'))
	c.CloseWrite()
	b, _ := io.ReadAll(c)
	if want := length.Append(nil, []byte("whole")); !bytes.Equal(b, want) {
		t.Fatalf("%q came back", b)
	}
	eventually(t, "counted", func() bool { return snap(e).Faults[codec.Truncated] == 1 })
}

// TestPipelinedFloodLeavesOthersTheirTurn sends 100,000 requests at once on one connection; they
// are all answered, and another client is served meanwhile.
func TestPipelinedFloodLeavesOthersTheirTurn(t *testing.T) {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		c.Listeners[0].SourceFrameRate, c.Listeners[0].ConnByteRate, c.Listeners[0].SourceByteRate = 0, 0, 0
	})
	const n = 100_000
	c, g := dial(t, addr), dial(t, addr)
	var slowest time.Duration
	served := 0
	stop, done := make(chan bool), make(chan error, 1)
	go io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", n))
	go func() {
		r := bufio.NewReader(g)
		for ; ; served++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			t0 := time.Now()
			io.WriteString(g, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				done <- err
				return
			}
			io.Copy(io.Discard, resp.Body)
			slowest = max(slowest, time.Since(t0))
		}
	}()
	r := bufio.NewReader(c)
	for i := range n {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if served < 10 || slowest > 10*time.Second {
		t.Fatalf("the other client was served %d times, and waited %s", served, slowest)
	}
}

// TestSilentReaderCostsMaxOut asks for 64 MiB and reads nothing.
func TestSilentReaderCostsMaxOut(t *testing.T) {
	t.Parallel()
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		l := &c.Listeners[0]
		l.MaxOut, l.MinRateGrace, l.WriteTimeout = 256<<10, time.Second, 2*time.Second
		l.SourceByteRate, l.ConnByteRate = 0, 0
	})
	c := dial(t, addr)
	frame := length.Append(nil, make([]byte, 16<<10))
	go func() {
		for range 4096 {
			if _, err := c.Write(frame); err != nil {
				return
			}
		}
	}()
	most := int64(0)
	eventually(t, "shed as a slow reader", func() bool {
		s := snap(e)
		most = max(most, s.Buffered)
		return s.Shed[guard.ShedSlowReader]+s.Shed[guard.ShedWriteStall] == 1
	})
	// Queued output, and one wake's worth of input that is not served for want of room.
	if limit := int64(256<<10 + 4<<10 + 2*(64<<10)); most > limit {
		t.Fatalf("%d bytes were held, more than %d", most, limit)
	}
	eventually(t, "given back", func() bool { s := snap(e); return s.Buffered == 0 && s.Conns == 0 })
}

// TestSlowReaderAboveTheRateGetsAll reads at a steady trickle that stays above the minimum.
func TestSlowReaderAboveTheRateGetsAll(t *testing.T) {
	t.Parallel()
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		l := &c.Listeners[0]
		l.MaxOut, l.MinRate, l.MinRateGrace, l.WriteTimeout = 32<<10, 50_000, 2*time.Second, 10*time.Second
	})
	c := dial(t, addr)
	c.SetReadBuffer(16 << 10)
	const frames, size = 40, 16 << 10 // more than the grace lasts
	go func() {
		for i := range frames {
			c.Write(length.Append(nil, bytes.Repeat([]byte{byte(i)}, size)))
		}
	}()
	time.Sleep(50 * time.Millisecond)
	got := 0
	buf := make([]byte, 8<<10)
	for begun := time.Now(); got < frames*(size+4); {
		if time.Since(begun) < time.Duration(got)*time.Second/250_000 { // 250 kB/s, whatever else the machine does
			time.Sleep(5 * time.Millisecond)
			continue
		}
		n, err := io.ReadFull(c, buf[:min(len(buf), frames*(size+4)-got)])
		if err != nil {
			t.Fatalf("cut after %d bytes: %v; %v", got, err, snap(e).Shed)
		}
		got += n
	}
}

// TestDrippedFrameSleepsInTheKernel: a frame in one-byte pieces costs a few wakes, not one a byte,
// and arrives whole.
func TestDrippedFrameSleepsInTheKernel(t *testing.T) {
	e, addr := serve(t, echo.Frames(1000), 1004, nil)
	c := dial(t, addr)
	frame := length.Append(nil, bytes.Repeat([]byte{'x'}, 200))
	for _, b := range frame {
		c.Write([]byte{b})
		time.Sleep(time.Millisecond)
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, frame) {
		t.Fatalf("%v", err)
	}
	if w := snap(e).Loops[0].Wakes; w > 20 {
		t.Fatalf("%d wakes for %d bytes", w, len(frame))
	}
	c.Write(length.Append(nil, []byte("next"))) // the low-water mark is back at one byte
	if _, err := io.ReadFull(c, got[:8]); err != nil || string(got[4:8]) != "next" {
		t.Fatalf("%q, %v", got[:8], err)
	}
}

// TestDrippedHeadIsLookedAtSeldom: a head has no length to wait for; a hundred drips still cost few
// wakes, and the end of it is noticed.
func TestDrippedHeadIsLookedAtSeldom(t *testing.T) {
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, nil)
	c := dial(t, addr)
	head := "GET / HTTP/1.1\r\nHost: x\r\nX-Drip: " + strings.Repeat("y", 150) + "\r\n\r\n"
	begun := time.Now()
	for i := range head {
		io.WriteString(c, head[i:i+1])
		time.Sleep(3 * time.Millisecond)
	}
	t0 := time.Now()
	b := make([]byte, 1000)
	if n, err := c.Read(b); err != nil || !bytes.HasPrefix(b[:n], []byte("HTTP/1.1 200")) {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if took := time.Since(t0); took > min(4*t0.Sub(begun), dripMost)+2*time.Second {
		t.Errorf("answered %s after the last byte of a head of %s", took, t0.Sub(begun))
	}
	if w := snap(e).Loops[0].Wakes; w > 20 {
		t.Errorf("%d wakes for %d bytes", w, len(head))
	}
	lowat := make(chan int32, 1)
	e.loops[0].do(func() {
		for _, c := range e.loops[0].byFD {
			if c != nil {
				lowat <- c.lowat
			}
		}
	})
	if n := <-lowat; n != 1 {
		t.Errorf("the next request is to be noticed after %d bytes", n)
	}
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if n, err := c.Read(b); err != nil || n == 0 {
		t.Errorf("the next request: %d bytes, %v", n, err)
	}
}

func TestDeadlines(t *testing.T) {
	for _, tc := range []struct {
		why    string
		send   string
		every  time.Duration // one byte of send at a time; 0: at once
		reason guard.Reason
		after  time.Duration
		reply  string
	}{
		{"silence is cut at the first-frame timeout", "", 0, guard.ShedFirstFrame, 300 * time.Millisecond, ""},
		{"a dripped head does not extend it", "GET / HTTP/1.1\r\nHost: a-very-long-name-indeed", 20 * time.Millisecond, guard.ShedFirstFrame, 300 * time.Millisecond, "HTTP/1.1 408"},
		{"idle after an answer ends in order", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, guard.ShedIdle, 800 * time.Millisecond, "HTTP/1.1 200"},
		{"the second head has its own timeout", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET", 0, guard.ShedFrame, 500 * time.Millisecond, "HTTP/1.1 200"},
		{"a body below the minimum rate", "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab", 0, guard.ShedSlowSender, 600 * time.Millisecond, "HTTP/1.1 200"},
	} {
		t.Run(tc.why, func(t *testing.T) {
			t.Parallel()
			e, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
				l := &c.Listeners[0]
				l.FirstFrameTimeout, l.FrameTimeout, l.IdleTimeout = 300*time.Millisecond, 500*time.Millisecond, 800*time.Millisecond
				l.MinRateGrace = 600 * time.Millisecond
			})
			tries := uint64(0)
			inTime(t, tc.after+400*time.Millisecond, func() time.Duration {
				tries++
				t0 := time.Now() // before it is accepted
				c := dial(t, addr)
				if tc.every == 0 {
					io.WriteString(c, tc.send)
				} else {
					io.WriteString(c, tc.send[:1])
					go func() {
						for i := 1; ; i++ {
							time.Sleep(tc.every)
							if _, err := c.Write([]byte{tc.send[min(i, len(tc.send)-1)]}); err != nil {
								return
							}
						}
					}()
				}
				b, _ := io.ReadAll(c)
				took := time.Since(t0)
				c.Close()
				if !strings.HasPrefix(string(b), tc.reply) || tc.reply == "" && len(b) > 0 {
					t.Errorf("answered %q", b)
				}
				if took < tc.after {
					t.Errorf("ended after %s, expected %s", took, tc.after)
				}
				if s := snap(e); s.Shed[tc.reason] != tries {
					t.Errorf("counted %v", s.Shed)
				}
				return took
			})
		})
	}
}

func TestByteBudgetSlowsAndLosesNothing(t *testing.T) {
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		c.Listeners[0].ConnByteRate, c.Listeners[0].ConnByteBurst = 1<<20, 64<<10
	})
	frame := length.Append(nil, bytes.Repeat([]byte("0123456789abcdef"), 4<<10))
	inTime(t, 2*time.Second, func() time.Duration {
		c := dial(t, addr)
		t0 := time.Now()
		go func() {
			for range 8 {
				c.Write(frame)
			}
		}()
		got := make([]byte, 8*len(frame))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		took := time.Since(t0)
		if took < 300*time.Millisecond {
			t.Errorf("512 KiB at 1 MiB/s after a burst of 64 KiB took %s", took)
		}
		return took
	})
	if s := snap(e); s.Shed[guard.SlowConnBytes] == 0 {
		t.Fatal("not counted")
	}
}

// TestFrameRateIsAnswered429: the connection goes on for as many refusals in a row as it may have, and
// ends with the next; where more than a head is refused it ends at once.
func TestFrameRateIsAnswered429(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, tt := range []struct {
		name     string
		most     int
		send     string
		ok, no   int
		withBody bool
	}{
		{"as many as may be", 3, strings.Repeat(get, 20), 5, 4, false},
		{"none", 0, strings.Repeat(get, 20), 5, 1, false},
		{"HEAD", 2, strings.Repeat(get, 5) + strings.Repeat("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", 9), 5, 3, false},
		{"the client's last", 50, strings.Repeat(get, 7) + "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + get, 5, 3, false},
		{"HTTP/1.0", 50, strings.Repeat(get, 5) + "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get, 5, 1, false},
		{"a body", 50, strings.Repeat(get, 6) + "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + get, 5, 2, true},
		{"chunks", 50, strings.Repeat(get, 6) + "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get, 5, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
				c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceFrameBurst = 1, 5
				c.Listeners[0].MaxRefusals = tt.most
			})
			c := dial(t, addr)
			io.WriteString(c, tt.send)
			b, err := io.ReadAll(c)
			ok, no, last := bytes.Count(b, []byte("HTTP/1.1 200")), bytes.Count(b, []byte("HTTP/1.1 429")), bytes.Count(b, []byte("Connection: close"))
			if ok != tt.ok || no != tt.no || last != 1 || err != nil {
				t.Fatalf("%d answered, %d refused, %d said to be the last, %v\n%s", ok, no, last, err, b)
			}
			if s := snap(e); s.Shed[guard.ShedSourceFrames] != uint64(tt.no) {
				t.Fatalf("%d counted", s.Shed[guard.ShedSourceFrames])
			}
		})
	}
}

// TestRefusalsAreCountedInARow lets one request pass between those that are refused.
func TestRefusalsAreCountedInARow(t *testing.T) {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceFrameBurst = 10, 1
		c.Listeners[0].MaxRefusals = 100
	})
	c := dial(t, addr)
	r := bufio.NewReader(c)
	for ok, no := 0, 0; ok < 8 || no < 150; time.Sleep(2 * time.Millisecond) {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("after %d answered and %d refused: %v", ok, no, err)
		}
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode == 200 {
			ok++
		} else if no++; resp.StatusCode != 429 || resp.Header.Get("Retry-After") != "1" {
			t.Fatal(resp)
		}
	}
}

// TestNothingAdmittedEndsInTime: requests that are refused are no first frame, and a connection has no
// more than that time for one, whatever it sends and however.
func TestNothingAdmittedEndsInTime(t *testing.T) {
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceFrameBurst = 1, 1
		c.Listeners[0].MaxRefusals = 60_000
		c.Listeners[0].FirstFrameTimeout = 400 * time.Millisecond
	})
	// flood goes on until the connection ends, or something is admitted: there is a token each second.
	flood := func(c net.Conn, pieces ...string) (admitted bool) {
		b := make([]byte, 4<<10)
		for {
			for _, p := range pieces {
				if _, err := io.WriteString(c, p); err != nil {
					return false
				}
				time.Sleep(time.Millisecond)
			}
			n, err := c.Read(b)
			if err != nil {
				return false
			}
			if bytes.Contains(b[:n], []byte("HTTP/1.1 200")) {
				return true
			}
		}
	}
	for name, pieces := range map[string][]string{
		"whole":     {"GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		"in pieces": {"GET / HTTP/1.1\r\nHo", "st: x\r\n\r\n"},
		"pipelined": {"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHo", "st: x\r\n\r\n"},
	} {
		before := snap(e).Shed[guard.ShedFirstFrame]
		tries := 0
		for t0 := time.Now(); flood(dial(t, addr), pieces...); t0 = time.Now() {
			if tries++; tries == 20 {
				t.Fatalf("%s: something was admitted %d times, the last after %s", name, tries, time.Since(t0))
			}
		}
		if n := snap(e).Shed[guard.ShedFirstFrame] - before; n != 1 {
			t.Errorf("%s: %d were ended for it", name, n)
		}
	}
}

// handler is a line service whose lines are commands for the test.
type handler struct {
	serve func(c service.Conn, cmd string)
}

func (h handler) Name() string            { return "handler" }
func (h handler) ForLoop() service.Opener { return h }
func (h handler) Open(service.Conn) service.Session {
	return &handled{h: h}
}

type handled struct {
	line.Decoder
	h handler
}

func (s *handled) Stage() service.Stage { return service.Between }
func (s *handled) Serve(c service.Conn, u codec.Unit) int {
	s.h.serve(c, string(u.Data))
	return len(u.Data)
}
func (s *handled) Refuse(c service.Conn, why service.Refusal) {
	c.WriteString("refused: " + why.String())
}
func (s *handled) Fault(service.Conn, codec.Fault) {}
func (s *handled) Closed()                         {}

func TestPanicEndsItsOwnConnection(t *testing.T) {
	var told atomic.Int32
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		if cmd == "panic" {
			panic("as told")
		}
		c.WriteString(cmd)
	}}, 100, func(c *Config) {
		c.Events = func(ev Event) {
			if ev.Reason == guard.ShedPanic && ev.Detail == "as told" && len(ev.Stack) > 0 {
				told.Add(1)
			}
		}
	})
	other, c := dial(t, addr), dial(t, addr)
	io.WriteString(c, "panic\n")
	if b, err := io.ReadAll(c); string(b) != "refused: internal error" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	io.WriteString(other, "alive\n")
	var b [5]byte
	if _, err := io.ReadFull(other, b[:]); err != nil || string(b[:]) != "alive" {
		t.Fatal(err)
	}
	if s := snap(e); s.Panics != 1 || s.Shed[guard.ShedPanic] != 1 || told.Load() != 1 {
		t.Fatalf("panics %d, told %d", s.Panics, told.Load())
	}
}

func TestWorkRunsOffTheLoopAndSheds(t *testing.T) {
	release := make(chan bool)
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		switch cmd {
		case "wait":
			if !c.Work(func() { <-release }, func() { c.WriteString("done\n") }) {
				c.WriteString("busy\n")
				c.Close()
			}
		case "panic":
			c.Work(func() { panic("in the pool") }, func() {})
		default:
			c.WriteString(cmd + "\n")
		}
	}}, 100, func(c *Config) { c.Workers, c.WorkQueue = 1, 1 })
	a, b, x := dial(t, addr), dial(t, addr), dial(t, addr)
	io.WriteString(a, "wait\nafter\n")
	eventually(t, "running", func() bool { return snap(e).WorkRunning == 1 })
	io.WriteString(b, "wait\n")
	eventually(t, "queued", func() bool { return snap(e).WorkQueued == 1 })
	io.WriteString(x, "wait\n")
	if got, err := io.ReadAll(x); string(got) != "busy\n" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if s := snap(e); s.Shed[guard.ShedWork] != 1 {
		t.Fatal("not counted")
	}
	close(release)
	want := "done\nafter\n" // the second line waits for the first one's work
	got := make([]byte, len(want))
	if _, err := io.ReadFull(a, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
	io.WriteString(b, "panic\n")
	if got, _ := io.ReadAll(b); string(got) != "done\nrefused: internal error" {
		t.Fatalf("%q", got)
	}
}

func TestStopFinishesWhatIsInFlight(t *testing.T) {
	started := make(chan bool, 1)
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		c.Work(func() { started <- true; time.Sleep(200 * time.Millisecond) }, func() { c.WriteString("finished\n") })
	}}, 100, func(c *Config) { c.DrainTimeout = 30 * time.Second })
	idle, c := dial(t, addr), dial(t, addr)
	io.WriteString(c, "go\n")
	<-started
	t0 := time.Now()
	if err := e.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(t0); took > 10*time.Second {
		t.Errorf("took %s with nothing left to wait for", took)
	}
	if b, err := io.ReadAll(c); string(b) != "finished\n" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := io.ReadAll(idle); len(b) != 0 || err != nil {
		t.Errorf("idle: %q, %v", b, err)
	}
	if _, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
		t.Error("still accepting")
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
}

func TestStopCutsAtTheTimeout(t *testing.T) {
	e, addr := serve(t, echo.Frames(100), 104, func(c *Config) {
		c.DrainTimeout = 200 * time.Millisecond
		c.Listeners[0].FirstFrameTimeout = time.Minute
	})
	c := dial(t, addr)
	c.Write([]byte{0, 0, 0, 9, 'x'})
	eventually(t, "half a frame is there", func() bool { return snap(e).BytesIn == 5 })
	t0 := time.Now()
	e.Stop(context.Background())
	if took := time.Since(t0); took < 200*time.Millisecond || took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	if s := snap(e); s.Shed[guard.ShedDrain] != 1 {
		t.Errorf("counted %d", s.Shed[guard.ShedDrain])
	}
}

func TestUnixSocketAndIPv6(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.sock")
	e, _ := serve(t, echo.Lines(100), 102, func(c *Config) {
		l := c.Listeners[0]
		l.Name, l.Network, l.Address = "unix", "unix", path
		c.Listeners = append(c.Listeners, l)
		l.Name, l.Network, l.Address = "v6", "tcp", "[::1]:0"
		c.Listeners = append(c.Listeners, l)
		c.Loops = 2
	})
	for _, a := range e.Addrs() {
		c, err := net.Dial(a.Network(), a.String())
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		fmt.Fprintf(c, "over %s\n", a.Network())
		got, err := bufio.NewReader(c).ReadString('\n')
		if want := fmt.Sprintf("over %s\r\n", a.Network()); got != want {
			t.Errorf("%s: %q, %v", a, got, err)
		}
		c.Close()
	}
	// A second engine does not take the path over while the first one lives.
	cfg := e.Config()
	cfg.Listeners = cfg.Listeners[1:2]
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("%v", err)
	}
}

func TestPortInUseIsSaid(t *testing.T) {
	e, addr := serve(t, echo.Lines(100), 102, nil)
	cfg := e.Config()
	cfg.Listeners = append([]Listener{}, cfg.Listeners...)
	cfg.Listeners[0].Address = addr
	if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "another process listens there") {
		t.Errorf("%v", err)
	}
}

// TestStormOfResetsLeavesNothing opens, half-sends and resets thousands of connections, so that
// descriptor numbers are reused within batches of events.
func TestStormOfResetsLeavesNothing(t *testing.T) {
	e, addr := serve(t, echo.Frames(1000), 1004, func(c *Config) {
		c.Loops = 2
		c.Listeners[0].SourceConnRate, c.Listeners[0].SourceFrameRate, c.Listeners[0].SourceUnproven = 0, 0, 0
		c.Listeners[0].SourceConns, c.Guard.MaxConns, c.Guard.MaxUnproven = 4000, 4000, 8000 // the loops may be late
	})
	good := dial(t, addr)
	for i := range 3000 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0:
			c.Write([]byte{0, 0, 0, 9, 'x'})
		case 1:
			c.Write(length.Append(nil, make([]byte, 900)))
		}
		if i%2 == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		c.Close()
	}
	frame := length.Append(nil, []byte("still here"))
	good.Write(frame)
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(good, got); err != nil || !bytes.Equal(got, frame) {
		t.Fatal(err)
	}
	eventually(t, "all gone but one", func() bool { s := snap(e); return s.Conns == 1 && s.Buffered == 0 })
}

func TestBufferedBytesAreBoundedForAll(t *testing.T) {
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		c.MaxBuffered = 1 << 20
		c.Listeners[0].FirstFrameTimeout, c.Listeners[0].MinRateGrace = time.Minute, time.Minute
	})
	for range 20 {
		c := dial(t, addr)
		c.Write(length.Append(nil, make([]byte, 1<<20))[:200<<10])
	}
	eventually(t, "some are shed", func() bool { return snap(e).Shed[guard.ShedMemory] > 0 })
	if s := snap(e); s.Buffered > 1<<19 {
		t.Fatalf("%d bytes held by connections that have proved nothing", s.Buffered)
	}
	proven := dial(t, addr)
	roundTrip(t, proven)
	proven.Write(length.Append(nil, make([]byte, 1<<20))[:300<<10])
	eventually(t, "one that has proved something holds more", func() bool { return snap(e).Buffered > 1<<19 })
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// snap is a Snapshot that all loops have answered. One that is late is asked again: its last known numbers
// may be older than what the test has seen since.
func snap(e *Engine) (s Snapshot) {
	for range 100 {
		over := false
		select {
		case <-e.done:
			over = true
		default:
		}
		s = e.Snapshot()
		if over || !slices.ContainsFunc(s.Loops, func(l LoopSnapshot) bool { return l.Stale }) {
			break
		}
	}
	return s
}

// inTime runs f until what it has timed is no more than most: a busy machine is late now and then, what is
// broken is late each time.
func inTime(t testing.TB, most time.Duration, f func() time.Duration) {
	t.Helper()
	var took []time.Duration
	for range 5 {
		d := f()
		if d <= most {
			return
		}
		took = append(took, d)
	}
	t.Errorf("took %s, each time more than %s", took, most)
}

// allocates runs once n times and fails if that makes more than most allocations, client and runtime
// included. The runtime allocates now and then, as when it starts threads: that is not so each time.
func allocates(t *testing.T, n int, most uint64, once func()) {
	t.Helper()
	var got []uint64
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			once()
		}
		runtime.ReadMemStats(&after)
		m := after.Mallocs - before.Mallocs
		if m <= most {
			return
		}
		got = append(got, m)
	}
	t.Errorf("%d allocations for %d times, each time more than %d", got, n, most)
}

func TestStopWithoutStart(t *testing.T) {
	cfg := Config{Loops: 2, Guard: guard.DefaultConfig(), Listeners: []Listener{{
		Name: "test", Network: "tcp", Address: "127.0.0.1:0", Service: echo.Lines(10), MaxIn: 12, Limits: DefaultLimits(),
	}}}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if err := e.Wait(); err != nil {
		t.Error(err)
	}
}
