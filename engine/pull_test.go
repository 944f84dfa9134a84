package engine

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/codec/line"
	"weir/engine/service"
	"weir/guard"
)

// pullService answers each line with a source that make makes, and the line "bye" by closing behind it.
type pullService struct {
	make           func(c service.Conn, line string) service.Source
	sent, released atomic.Int64
}

func (p *pullService) Name() string            { return "pull" }
func (p *pullService) ForLoop() service.Opener { return p }
func (p *pullService) Open(service.Conn) service.Session {
	return &pullSession{Decoder: line.Decoder{Max: 100}, p: p}
}

type pullSession struct {
	line.Decoder
	p *pullService
}

func (s *pullSession) Stage() service.Stage {
	if s.Partial() {
		return service.InFrame
	}
	return service.Between
}

func (s *pullSession) Serve(c service.Conn, u codec.Unit) int {
	c.WriteString("[")
	s.p.sent.Add(1)
	c.Send(&counted{Source: s.p.make(c, string(u.Data)), p: s.p})
	if string(u.Data) == "bye" {
		c.Close()
	}
	return len(u.Data)
}

func (s *pullSession) Refuse(c service.Conn, why service.Refusal) { c.WriteString("ERR") }
func (s *pullSession) Fault(c service.Conn, f codec.Fault)        {}
func (s *pullSession) Closed()                                    {}

// counted counts releases, and panics at what must not be.
type counted struct {
	service.Source
	p    *pullService
	over bool
}

func (s *counted) Release() {
	if s.over {
		panic("released twice")
	}
	s.over = true
	s.p.released.Add(1)
	s.Source.Release()
}

// text is a source of n bytes that count up, in pieces of at most piece, asked for with pause between.
type text struct {
	at, n, piece int
	pause        func(c service.Conn) service.Flow
	paused       bool
}

func (s *text) File(service.Conn) (r service.Range, f service.Flow) { return r, service.More }
func (s *text) Sent(int)                                            { panic("nothing was offered") }
func (s *text) Release()                                            {}
func (s *text) Read(c service.Conn, p []byte) (int, service.Flow) {
	if s.paused = !s.paused; s.pause != nil && s.paused {
		if f := s.pause(c); f != service.More {
			return 0, f
		}
	}
	n := min(len(p), s.n-s.at)
	if s.piece > 0 {
		n = min(n, s.piece)
	}
	for i := range n {
		p[i] = byte(s.at + i)
	}
	if s.at += n; s.at == s.n {
		return n, service.End
	}
	return n, service.More
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// fileRange is a source of a file.
type fileRange struct {
	f  *os.File
	at int64
	n  int64
}

func (s *fileRange) File(service.Conn) (service.Range, service.Flow) {
	if s.n == 0 {
		return service.Range{}, service.End
	}
	return service.Range{FD: int(s.f.Fd()), Offset: s.at, N: s.n}, service.More
}
func (s *fileRange) Sent(n int) { s.at, s.n = s.at+int64(n), s.n-int64(n) }
func (s *fileRange) Release()   {}
func (s *fileRange) Read(_ service.Conn, p []byte) (int, service.Flow) {
	if s.n == 0 {
		return 0, service.End
	}
	n, err := unix.Pread(int(s.f.Fd()), p[:min(int64(len(p)), s.n)], s.at)
	if err != nil || n <= 0 {
		return 0, service.Broken
	}
	if s.Sent(n); s.n == 0 {
		return n, service.End
	}
	return n, service.More
}

func fileOf(t testing.TB, content []byte) *os.File {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	return f
}

// Sources of all sorts arrive whole, in order, between other answers, plain and over TLS, also to a
// client that is late, and each is released once.
func TestSourcesArriveWhole(t *testing.T) {
	t.Parallel()
	const n = 3_000_000
	f := fileOf(t, counting(n))
	for name, source := range map[string]func(service.Conn) service.Source{
		"bytes":  func(service.Conn) service.Source { return &text{n: n} },
		"drops":  func(service.Conn) service.Source { return &text{n: 10_000, piece: 1} },
		"file":   func(service.Conn) service.Source { return &fileRange{f: f, n: n} },
		"nobody": func(service.Conn) service.Source { return &fileRange{f: f} },
		"work": func(service.Conn) service.Source {
			return &text{n: n, piece: 100_000, pause: func(c service.Conn) service.Flow {
				if !c.Work(func() { time.Sleep(time.Millisecond) }, func() {}) {
					t.Error("no work")
				}
				return service.Pause
			}}
		},
		"later": func(service.Conn) service.Source {
			return &text{n: 1000, piece: 100, pause: func(service.Conn) service.Flow { return service.Later }}
		},
	} {
		for _, over := range []string{"plain", "TLS"} {
			t.Run(name+" "+over, func(t *testing.T) {
				t.Parallel()
				p := &pullService{make: func(c service.Conn, _ string) service.Source { return source(c) }}
				var c net.Conn
				var e *Engine
				if over == "TLS" {
					var addr string
					e, addr = serveTLS(t, p, 1000, nil)
					c = dialTLS(t, addr, clientTLS(0))
				} else {
					var addr string
					e, addr = serve(t, p, 1000, unlimited)
					c = dial(t, addr)
				}
				want := counting(n)
				switch name {
				case "drops":
					want = want[:10_000]
				case "later":
					want = want[:1000]
				case "nobody":
					want = nil
				}
				io.WriteString(c, "a\nb\nbye\nnever\n")
				time.Sleep(50 * time.Millisecond)
				got, err := io.ReadAll(c)
				want = bytes.Repeat(append([]byte{'['}, want...), 3)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%d bytes, %v; want %d", len(got), err, len(want))
				}
				if p.sent.Load() != 3 || p.released.Load() != 3 {
					t.Errorf("%d sources, %d released", p.sent.Load(), p.released.Load())
				}
				if s := snap(e); name == "file" && over == "plain" && s.Sendfile != 3*n || over == "TLS" && s.Sendfile != 0 {
					t.Errorf("%d bytes by sendfile", s.Sendfile)
				}
			})
		}
	}
}

// A source that pauses goes on when Ready is called, from another connection's wake too.
func TestReadyFromElsewhere(t *testing.T) {
	t.Parallel()
	var waits service.Conn
	p := &pullService{}
	p.make = func(c service.Conn, line string) service.Source {
		if line == "wait" {
			ready := false
			return &text{n: 10, pause: func(c service.Conn) service.Flow {
				if !ready {
					ready, waits = true, c
					return service.Pause
				}
				return service.More
			}}
		}
		waits.Ready()
		waits.Ready()
		c.Ready() // nothing waits here
		return &text{n: 1}
	}
	e, addr := serve(t, p, 1000, func(c *Config) { c.Listeners[0].IdleTimeout = 300 * time.Millisecond })
	a, b := dial(t, addr), dial(t, addr)
	io.WriteString(a, "wait\nbye\n")
	eventually(t, "it waits", func() bool { return p.sent.Load() == 1 })
	time.Sleep(500 * time.Millisecond) // nothing is asked of a peer that waits for us
	io.WriteString(b, "go\n")
	a.SetDeadline(time.Now().Add(30 * time.Second))
	got := make([]byte, 11)
	if _, err := io.ReadFull(a, got); err != nil || !bytes.Equal(got[1:], counting(10)) {
		t.Fatalf("%q %v %v", got, err, snap(e).Shed)
	}
}

// A source that cannot go on cuts its connection, so that the client notices; so does one that panics,
// and a session that writes into the middle of one.
func TestBrokenSourcesCutTheConnection(t *testing.T) {
	t.Parallel()
	f := fileOf(t, counting(100_000))
	for name, source := range map[string]func() service.Source{
		"broken":  func() service.Source { return &text{n: 1 << 20, piece: 50_000, pause: after(3, service.Broken)} },
		"shorter": func() service.Source { return &fileRange{f: f, n: 200_000} },
		"no file": func() service.Source { return &fileRange{f: os.NewFile(1<<20, ""), n: 200_000} },
		"panics": func() service.Source {
			return &text{n: 1 << 20, piece: 50_000, pause: func(service.Conn) service.Flow { panic("ouch") }}
		},
		"more of nothing": func() service.Source { return &text{n: 1 << 20, piece: -1} },
		"writes": func() service.Source {
			return &text{n: 1 << 20, pause: func(c service.Conn) service.Flow { c.WriteString("x"); return service.Later }}
		},
		"sends": func() service.Source {
			return &text{n: 1 << 20, pause: func(c service.Conn) service.Flow { c.Send(&text{}); return service.Later }}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &pullService{make: func(service.Conn, string) service.Source {
				if s, ok := source().(*text); ok && s.piece < 0 {
					return &nothing{}
				}
				return source()
			}}
			e, addr := serve(t, p, 1000, unlimited)
			c := dial(t, addr)
			io.WriteString(c, "a\nb\n")
			if _, err := io.ReadAll(c); err == nil {
				t.Error("ended as if all were well")
			}
			s := snap(e)
			if s.Conns != 0 || p.sent.Load() != 1 || p.released.Load() != 1 {
				t.Errorf("%d open, %d sources, %d released", s.Conns, p.sent.Load(), p.released.Load())
			}
			if s.Shed[guard.ShedAnswer]+s.Shed[guard.ShedPanic]+s.Shed[guard.ShedOutput] != 1 {
				t.Errorf("%v", s.Shed)
			}
		})
	}
}

func after(n int, f service.Flow) func(service.Conn) service.Flow {
	return func(service.Conn) service.Flow {
		if n--; n < 0 {
			return f
		}
		return service.More
	}
}

// nothing says that it has more, and gives nothing.
type nothing struct{ fileRange }

func (*nothing) File(service.Conn) (r service.Range, f service.Flow) { return r, service.More }
func (*nothing) Read(service.Conn, []byte) (int, service.Flow)       { return 0, service.More }
func (*nothing) Release()                                            {}

// Whatever ends a connection releases its source, once: the peer's going, a deadline, a stop; while it
// is pulled, waits or works.
func TestSourcesAreReleased(t *testing.T) {
	t.Parallel()
	f := fileOf(t, counting(10<<20))
	sources := map[string]func() service.Source{
		"file": func() service.Source { return &fileRange{f: f, n: 10 << 20} },
		"pause": func() service.Source {
			return &text{n: 10, pause: func(service.Conn) service.Flow { return service.Pause }}
		},
		"later": func() service.Source {
			return &text{n: 10, pause: func(service.Conn) service.Flow { return service.Later }}
		},
		"work": func() service.Source {
			return &text{n: 1 << 30, pause: func(c service.Conn) service.Flow {
				c.Work(func() { time.Sleep(30 * time.Millisecond) }, func() {})
				return service.Pause
			}}
		},
	}
	for name, source := range sources {
		for _, end := range []string{"reset", "close", "stall", "lifetime", "stop"} {
			if end == "stall" && name != "file" || end == "close" && name == "work" {
				continue // nothing is owed; and who only closes may still read
			}
			t.Run(name+" "+end, func(t *testing.T) {
				t.Parallel()
				p := &pullService{make: func(service.Conn, string) service.Source { return source() }}
				e, addr := serve(t, p, 1000, func(c *Config) {
					unlimited(c)
					c.DrainTimeout = 100 * time.Millisecond
					switch l := &c.Listeners[0]; end {
					case "stall":
						l.WriteTimeout = 300 * time.Millisecond
					case "lifetime":
						l.Lifetime = 300 * time.Millisecond
					}
				})
				c := dial(t, addr)
				c.SetReadBuffer(4096)
				io.WriteString(c, "a\n")
				timed := end == "stall" || end == "lifetime" // it may be over already
				eventually(t, "it has begun", func() bool { return p.sent.Load() == 1 && (timed || snap(e).Conns == 1) })
				switch end {
				case "reset":
					c.SetLinger(0)
					c.Close()
				case "close":
					c.Close()
				case "stop":
					c.CloseWrite()
					go e.Stop(t.Context())
				}
				if end == "close" && name != "file" { // a FIN alone is no end
					time.Sleep(50 * time.Millisecond)
					return
				}
				eventually(t, "it is released", func() bool { return p.released.Load() == 1 })
			})
		}
	}
}

// Readers that stall inside a source hold next to nothing, are not shed while they keep the minimum
// rate, and get all.
func TestStalledReadersHoldLittle(t *testing.T) {
	t.Parallel()
	const n, readers = 30 << 20, 20
	f := fileOf(t, counting(n))
	want := sha256.Sum256(append([]byte{'['}, counting(n)...))
	for _, over := range []string{"plain", "TLS"} {
		t.Run(over, func(t *testing.T) {
			p := &pullService{make: func(service.Conn, string) service.Source { return &fileRange{f: f, n: n} }}
			var e *Engine
			var addr string
			patient := func(c *Config) {
				unlimited(c)
				c.Listeners[0].MinRate, c.Listeners[0].WriteTimeout = 0, time.Minute
			}
			if over == "TLS" {
				e, addr = serveTLS(t, p, 1000, patient)
			} else {
				e, addr = serve(t, p, 1000, patient)
			}
			var conns []net.Conn
			for range readers {
				var c net.Conn
				if over == "TLS" {
					c = dialTLS(t, addr, clientTLS(0))
				} else {
					c = dial(t, addr)
				}
				conns = append(conns, c)
				io.WriteString(c, "bye\n")
			}
			eventually(t, "all have begun", func() bool { return p.sent.Load() == readers })
			time.Sleep(300 * time.Millisecond)
			if s := snap(e); s.Buffered > readers*80<<10 {
				t.Errorf("%d bytes are held", s.Buffered)
			}
			for i, c := range conns {
				h := sha256.New()
				if n, err := io.Copy(h, c); err != nil || [32]byte(h.Sum(nil)) != want {
					t.Fatalf("reader %d: %d bytes, %v; %v", i, n, err, snap(e).Shed)
				}
			}
		})
	}
}

// One fast reader leaves the others their turn.
func TestFastReaderLeavesOthersTheirTurn(t *testing.T) {
	t.Parallel()
	f := fileOf(t, counting(1<<20))
	p := &pullService{}
	p.make = func(_ service.Conn, line string) service.Source {
		if line == "all" {
			return &endless{fileRange{f: f, n: 1 << 20}}
		}
		return &text{n: 1}
	}
	_, addr := serve(t, p, 1000, unlimited)
	for range 4 {
		c := dial(t, addr)
		io.WriteString(c, "all\n")
		go io.Copy(io.Discard, c)
	}
	c := dial(t, addr)
	var waited []time.Duration // for longer than a second: now and then the machine is late
	for range 200 {
		begin := time.Now()
		io.WriteString(c, "one\n")
		if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begin); d > time.Second {
			waited = append(waited, d)
		}
	}
	if len(waited) > 5 {
		t.Errorf("waited %s", waited)
	}
}

// endless sends its file over and over.
type endless struct{ fileRange }

func (s *endless) Sent(int) {}

func TestPullingAllocatesNothing(t *testing.T) {
	f := fileOf(t, counting(1<<20))
	src := &fileRange{f: f}
	p := &pullService{}
	s := &counted{p: p}
	op := &oneSource{s: s, reset: func() { *src = fileRange{f: f, n: 1 << 20}; *s = counted{Source: src, p: p} }}
	_, addr := serve(t, op, 1000, unlimited)
	c := dial(t, addr)
	buf, ask := make([]byte, 1<<20), []byte("x\n")
	once := func() {
		c.Write(ask)
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		once()
	}
	allocates(t, 200, 200/4, once)
}

// oneSource answers each line with the same source.
type oneSource struct {
	s     service.Source
	reset func()
}

func (p *oneSource) Name() string            { return "one" }
func (p *oneSource) ForLoop() service.Opener { return p }
func (p *oneSource) Open(service.Conn) service.Session {
	return &oneSession{pullSession{Decoder: line.Decoder{Max: 100}}, p}
}

type oneSession struct {
	pullSession
	p *oneSource
}

func (s *oneSession) Serve(c service.Conn, u codec.Unit) int {
	s.p.reset()
	c.Send(s.p.s)
	return len(u.Data)
}

// BenchmarkSource is 1 MiB of a file to a client on loopback, client included.
func BenchmarkSource(b *testing.B) {
	for _, over := range []string{"plain", "TLS"} {
		b.Run(over, func(b *testing.B) {
			const n = 1 << 20
			f := fileOf(b, counting(n))
			src := &fileRange{f: f}
			op := &oneSource{s: src, reset: func() { *src = fileRange{f: f, n: n} }}
			var c net.Conn
			if over == "TLS" {
				_, addr := serveTLS(b, op, 1000, nil)
				c = dialTLS(b, addr, clientTLS(0))
			} else {
				_, addr := serve(b, op, 1000, unlimited)
				c = dial(b, addr)
			}
			c.SetDeadline(time.Time{})
			buf, ask := make([]byte, n), []byte("x\n")
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				c.Write(ask)
				if _, err := io.ReadFull(c, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
