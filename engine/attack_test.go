package engine

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/codec/length"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
	"weir/guard"
)

// Each test here was an attack that worked once.

// TestEndedLoopIsNotWritten: a snapshot after a loop has ended used to write to its wake-up
// descriptor, whose number another socket had by then.
func TestEndedLoopIsNotWritten(t *testing.T) {
	e, addr := serve(t, echo.Frames(100), 104, func(c *Config) { c.Loops, c.DrainTimeout = 4, 5*time.Second })
	last := dial(t, addr) // keeps its loop, the other three end
	last.Write([]byte{0, 0, 0, 9, 'x'})
	eventually(t, "half a frame is there", func() bool { return snap(e).BytesIn == 5 })
	stopped := make(chan error, 1)
	go func() { stopped <- e.Stop(context.Background()) }()
	time.Sleep(100 * time.Millisecond)
	var ours []net.Conn // would get the numbers
	for range 20 {
		a, b := net.Pipe()
		a.Close()
		b.Close()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		ours = append(ours, c, s)
	}
	for range 3 {
		e.Snapshot()
	}
	last.Close()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	for _, c := range ours {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, _ := c.Read(make([]byte, 100)); n > 0 {
			t.Fatalf("%d bytes that nobody sent", n)
		}
	}
}

// TestPartialBytesAreNotAmplified: after many large frames, one-byte pieces used to sit in buffers
// of 128 KiB.
func TestPartialBytesAreNotAmplified(t *testing.T) {
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		unlimited(c)
		c.Listeners[0].SourceConnRate, c.Listeners[0].FirstFrameTimeout = 0, time.Minute
	})
	c := dial(t, addr)
	frame := length.Append(nil, make([]byte, 70<<10))
	got := make([]byte, len(frame))
	for range 200 {
		c.Write(frame)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		dial(t, addr).Write([]byte{0})
	}
	eventually(t, "all are there", func() bool { s := snap(e); return s.Conns == 101 && s.BytesIn == uint64(200*len(frame)+100) })
	if b := snap(e).Buffered; b > 100*512 {
		t.Fatalf("%d bytes are held for 100", b)
	}
}

// TestSlowFrameAboveTheRateIsServed: a frame in pieces, above the minimum rate but longer than the
// frame timeout, used to be cut while its bytes waited in the kernel.
func TestSlowFrameAboveTheRateIsServed(t *testing.T) {
	t.Parallel()
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		l := &c.Listeners[0]
		l.FirstFrameTimeout, l.FrameTimeout, l.MinRate, l.MinRateGrace = 2*time.Second, 2*time.Second, 5000, 2*time.Second
	})
	c := dial(t, addr)
	frame := length.Append(nil, bytes.Repeat([]byte{'x'}, 75_000))
	begun := time.Now()
	for at := 0; at < len(frame); { // 15,000 B/s for five seconds, whatever else the machine does
		n := min(1+int(time.Since(begun)*15_000/time.Second)-at, len(frame)-at)
		if _, err := c.Write(frame[at : at+n]); err != nil {
			t.Fatalf("cut after %d bytes: %v", at, snap(e).Shed)
		}
		at += n
		time.Sleep(10 * time.Millisecond)
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, frame) {
		t.Fatalf("%v; %v", err, snap(e).Shed)
	}
}

// TestLifetimeHoldsForTheBusy: a peer that always had bytes waiting used to live on.
func TestLifetimeHoldsForTheBusy(t *testing.T) {
	t.Parallel()
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		unlimited(c)
		c.Listeners[0].Lifetime = 500 * time.Millisecond
	})
	over := uint64(0)
	inTime(t, 2*time.Second, func() time.Duration {
		for range 4 {
			c := dial(t, addr)
			go io.Copy(io.Discard, c)
			go func() {
				for {
					if _, err := io.WriteString(c, strings.Repeat("POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000), 20)); err != nil {
						return
					}
				}
			}()
		}
		t0 := time.Now()
		over += 4
		eventually(t, "all four are over", func() bool { return snap(e).Shed[guard.ShedLifetime] == over })
		return time.Since(t0)
	})
}

// TestAnswersBeforeATornEndArrive: whole frames, then half of one, then FIN: what was served
// arrives although the end is wrong.
func TestAnswersBeforeATornEndArrive(t *testing.T) {
	_, addr := serve(t, echo.Frames(1<<20), 1<<20+4, unlimited)
	c := dial(t, addr)
	frame := length.Append(nil, make([]byte, 40_000))
	go func() {
		c.Write(append(bytes.Repeat(frame, 50), 0, 0))
		c.CloseWrite()
	}()
	time.Sleep(300 * time.Millisecond)
	n, err := io.Copy(io.Discard, c)
	if n != int64(50*len(frame)) || err != nil {
		t.Fatalf("%d of %d bytes, %v", n, 50*len(frame), err)
	}
}

// TestOneAnswerForEachRequest: a refused request whose body then stalls used to be answered twice.
func TestOneAnswerForEachRequest(t *testing.T) {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		c.Listeners[0].MinRateGrace = 200 * time.Millisecond
	})
	c := dial(t, addr)
	io.WriteString(c, "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n0123456789")
	b, _ := io.ReadAll(c)
	if n := bytes.Count(b, []byte("HTTP/1.1 ")); n != 1 {
		t.Fatalf("%d answers: %q", n, b)
	}
}

// TestAnEarlyAnswerIsRead: who is answered and closed while there is much to send still, as with a large
// body that nobody wants, is not reset in the middle of it, within its byte budgets.
func TestAnEarlyAnswerIsRead(t *testing.T) {
	for _, over := range []bool{false, true} {
		e, addr := serve(t, handler{func(c service.Conn, cmd string) {
			c.WriteString("early")
			c.Close()
		}}, 1000, func(c *Config) {
			if over {
				c.Listeners[0].ConnByteRate, c.Listeners[0].ConnByteBurst = 64<<10, 2<<20
			}
		})
		c := dial(t, addr)
		io.WriteString(c, "question\n")
		var err error
		for junk, i := make([]byte, 64<<10), 0; i < 128 && err == nil; i++ { // 8 MiB
			_, err = c.Write(junk)
		}
		if over {
			eventually(t, "it is cut above its budget", func() bool { return snap(e).Shed[guard.ShedLinger] == 1 })
			continue
		}
		if err != nil {
			t.Error(err)
		}
		c.CloseWrite()
		if b, err := io.ReadAll(c); string(b) != "early" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if n := snap(e).Shed[guard.ShedLinger]; n != 0 {
			t.Errorf("%d were cut", n)
		}
	}
}

// TestWhoGoesOnBehindItsRefusalIsCut: the answer to wrong bytes is given time to arrive, and what comes
// behind them is thrown away, but not without end.
func TestWhoGoesOnBehindItsRefusalIsCut(t *testing.T) {
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, nil)
	c := dial(t, addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
	answer := make([]byte, 1<<10)
	n, err := c.Read(answer)
	if err != nil || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 400")) {
		t.Fatalf("%q, %v", answer[:n], err)
	}
	sent := 0
	for junk := make([]byte, 16<<10); err == nil; sent += len(junk) {
		_, err = c.Write(junk)
		if time.Sleep(time.Millisecond); sent > 64<<20 {
			t.Fatal("it is read for ever")
		}
	}
	eventually(t, "it is counted", func() bool { return snap(e).Shed[guard.ShedLinger] == 1 })
	if in := snap(e).BytesIn; in < lingerBytes || in > lingerBytes+2*readBytes {
		t.Errorf("%d bytes were read", in)
	}
}

// TestIdleLoopIsNotLate: the first deadline after a long quiet time used to count as lag.
func TestIdleLoopIsNotLate(t *testing.T) {
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, nil)
	inTime(t, 200*time.Millisecond, func() time.Duration {
		snap(e) // what was measured before is forgotten
		time.Sleep(300 * time.Millisecond)
		c := dial(t, addr)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.Read(make([]byte, 1000))
		time.Sleep(100 * time.Millisecond)
		return snap(e).Loops[0].MaxLag
	})
}

// TestThrottledResetIsNoticed: a connection that is not read for its byte debt used to be kept,
// with its source's place, until the debt was paid.
func TestThrottledResetIsNoticed(t *testing.T) {
	e, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) {
		c.Listeners[0].ConnByteRate, c.Listeners[0].ConnByteBurst = 100, 1000
	})
	tries := uint64(0)
	inTime(t, 3*time.Second, func() time.Duration {
		tries++
		c := dial(t, addr)
		c.Write(length.Append(nil, make([]byte, 1900)))
		eventually(t, "throttled", func() bool { return snap(e).Shed[guard.SlowConnBytes] == tries })
		c.SetLinger(0)
		c.Close()
		t0 := time.Now()
		eventually(t, "gone", func() bool { return snap(e).Conns == 0 })
		return time.Since(t0)
	})
}

// TestChat writes to, and closes, connections from the wakes of others.
func TestChat(t *testing.T) {
	var room []service.Conn
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		switch cmd {
		case "join":
			room = append(room, c)
			c.WriteString("joined\n")
		case "kick":
			for _, other := range room {
				other.WriteString("bye\n")
				other.Close()
			}
		case "close":
			for _, other := range room {
				other.Close()
			}
		default:
			for _, other := range room {
				other.WriteString(cmd + "\n")
			}
		}
	}}, 100, nil)
	a, b, op := dial(t, addr), dial(t, addr), dial(t, addr)
	got := make([]byte, 7)
	for _, c := range []net.Conn{a, b} {
		io.WriteString(c, "join\n")
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
	}
	io.WriteString(op, "hi all\n")
	for _, c := range []net.Conn{a, b} {
		if _, err := io.ReadFull(c, got); err != nil || string(got) != "hi all\n" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	io.WriteString(op, "kick\n")
	for _, c := range []net.Conn{a, b} {
		if rest, err := io.ReadAll(c); string(rest) != "bye\n" || err != nil {
			t.Fatalf("%q, %v", rest, err)
		}
		c.Close()
	}
	eventually(t, "gone and nothing held", func() bool { s := snap(e); return s.Conns == 1 && s.Buffered == 0 })
}

// TestPushedBytesAreBounded: what is pushed to a peer that does not read counts like any output.
func TestPushedBytesAreBounded(t *testing.T) {
	var target service.Conn
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		if cmd == "target" {
			target = c
			return
		}
		target.Write(make([]byte, 8<<10))
		c.WriteString("!")
	}}, 100, func(c *Config) {
		unlimited(c)
		l := &c.Listeners[0]
		l.MaxOut, l.MinRateGrace, l.WriteTimeout, l.FirstFrameTimeout = 64<<10, time.Minute, time.Minute, time.Minute
	})
	quiet, op := dial(t, addr), dial(t, addr)
	io.WriteString(quiet, "target\n")
	eventually(t, "it is known", func() bool { return snap(e).BytesIn == 7 })
	most := int64(0)
	for range 2000 {
		io.WriteString(op, "push\n")
		if _, err := op.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if s := snap(e); s.Shed[guard.ShedOutput] == 1 {
			break
		} else {
			most = max(most, s.Buffered)
		}
	}
	s := snap(e)
	if s.Shed[guard.ShedOutput] != 1 || most == 0 || most > 2*(64<<10+4<<10) {
		t.Fatalf("shed %d, most held %d", s.Shed[guard.ShedOutput], most)
	}
}

// TestIdleTimeoutRunsAfterWork: the guard used to take a connection whose only frame went to the
// pool for busy for ever.
func TestIdleTimeoutRunsAfterWork(t *testing.T) {
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		c.Work(func() {}, func() { c.WriteString("done\n") })
	}}, 100, func(c *Config) { c.Listeners[0].IdleTimeout = 300 * time.Millisecond })
	c := dial(t, addr)
	io.WriteString(c, "work\n")
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if b, err := io.ReadAll(c); string(b) != "done\n" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if snap(e).Shed[guard.ShedIdle] != 1 {
		t.Error("not counted")
	}
}
