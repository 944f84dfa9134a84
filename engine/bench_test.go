package engine

import (
	"bytes"
	"io"
	"net"
	"testing"

	"weir/codec/length"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
)

const request = "GET / HTTP/1.1\r\nHost: weir\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"

// unlimited lifts the limits that one client would meet; every check still runs.
func unlimited(c *Config) {
	l := &c.Listeners[0]
	l.SourceFrameRate, l.SourceFrameBurst = 100_000_000, 100_000_000
	l.SourceByteRate, l.SourceByteBurst = 1<<33, 1<<30
	l.ConnByteRate, l.ConnByteBurst = 1<<33, 1<<30
	l.SourceHandshakeRate, l.SourceHandshakeBurst = 100_000_000, 100_000_000 // slow ones cost several
}

// pingPong returns a function that sends msg once and reads the answer, as many bytes as the first
// answer has.
func pingPong(t testing.TB, s service.Service, maxIn int, msg []byte) func() {
	_, addr := serve(t, s, maxIn, unlimited)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	buf := make([]byte, 64<<10)
	c.Write(msg)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	answer := buf[:n]
	return func() {
		if _, err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Fatal(err)
		}
	}
}

// refused is a request over the rate: its answer is a 429, and the connection goes on until it has had
// as many as it may.
func refused(t testing.TB) func() {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, func(c *Config) {
		l := &c.Listeners[0]
		l.SourceFrameRate, l.SourceFrameBurst, l.MaxRefusals = 1, 1, 1<<16-1
		l.ConnByteRate, l.ConnByteBurst = 1<<33, 1<<30
		l.SourceByteRate, l.SourceByteBurst = 1<<33, 1<<30
	})
	buf, msg := make([]byte, 4<<10), []byte(request)
	var c net.Conn
	connect := func() {
		var err error
		if c, err = net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		c.Write(msg)
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	connect()
	t.Cleanup(func() { c.Close() })
	return func() {
		if _, err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(buf[:n], []byte("Connection: close")) {
			c.Close()
			connect()
		}
	}
}

func cases() map[string]func(t testing.TB) func() {
	frame := length.Append(nil, bytes.Repeat([]byte{'x'}, 64))
	return map[string]func(t testing.TB) func(){
		"frame":   func(t testing.TB) func() { return pingPong(t, echo.Frames(1<<20), 1<<20+4, frame) },
		"frames8": func(t testing.TB) func() { return pingPong(t, echo.Frames(1<<20), 1<<20+4, bytes.Repeat(frame, 8)) },
		"line":    func(t testing.TB) func() { return pingPong(t, echo.Lines(1000), 1002, []byte("a line of text\r\n")) },
		"hello":   func(t testing.TB) func() { return pingPong(t, hello.New(hello.Config{}), 16<<10, []byte(request)) },
		"refused": refused,
	}
}

// TestNothingIsAllocatedPerFrame counts the allocations of the whole process, client included.
func TestNothingIsAllocatedPerFrame(t *testing.T) {
	for name, start := range cases() {
		t.Run(name, func(t *testing.T) {
			once := start(t)
			for range 100 {
				once()
			}
			allocates(t, 2000, 2000/20, once)
		})
	}
}

// BenchmarkRoundTrip is one message to the engine over loopback and its answer back, client
// included.
func BenchmarkRoundTrip(b *testing.B) {
	for name, start := range cases() {
		b.Run(name, func(b *testing.B) {
			once := start(b)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}
