package guard

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"
	"weir/guard/mono"
)

func addrOf(i uint32) netip.Addr {
	v := i*2654435761 + 12345
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// benchLimits admit everything that the benchmarks do, but count all of it: the admit path is what
// is timed, a refusal is several times cheaper.
func benchLimits() Limits {
	lim := DefaultLimits()
	lim.SourceConns, lim.SourceConnRate, lim.SourceConnBurst = 0, 0, 0
	lim.SourceFrameRate, lim.SourceFrameBurst = 2_000_000, 2_000_000
	lim.SourceByteRate, lim.SourceByteBurst = 2<<30, 2<<30
	lim.ConnFrameRate, lim.ConnFrameBurst = 2_000_000, 2_000_000
	lim.ConnByteRate, lim.ConnByteBurst = 2<<30, 2<<30
	lim.IdleTimeout = 30 * time.Second
	return lim
}

type guardBench struct {
	l   *Loop
	n   uint64
	x   uint64
	bad int
	due func(ID, Reason)
}

func newGuardBench(tb testing.TB, n int) *guardBench {
	g, err := New(Config{MaxConns: n})
	if err != nil {
		tb.Fatal(err)
	}
	p, err := g.Policy("bench", benchLimits())
	if err != nil {
		tb.Fatal(err)
	}
	l := g.Loop(n)
	now := mono.Time(time.Hour)
	l.Turn(now)
	for i := range n {
		if i&1023 == 0 { // spread over the idle timeout
			now += mono.Time(20*time.Second) / mono.Time(n/1024+1)
			l.Turn(now)
		}
		id, r := l.Admit(p, addrOf(uint32(i)))
		if r != OK {
			tb.Fatal(r)
		}
		l.Phase(id, Idle)
	}
	b := &guardBench{l: l, n: uint64(n), x: 88172645463325252}
	b.due = func(id ID, _ Reason) { l.Phase(id, Idle) }
	return b
}

func (b *guardBench) pick() ID {
	b.x ^= b.x << 13
	b.x ^= b.x >> 7
	b.x ^= b.x << 17
	return ID((b.x >> 32) * b.n >> 32)
}

func (b *guardBench) turn(d time.Duration) {
	b.l.Turn(b.l.now + mono.Time(d))
	b.l.Expire(1<<30, b.due)
}

func (b *guardBench) frame(id ID, n int) {
	if v, r := b.l.ReadFrame(id, n); v.Reason != OK || r != OK {
		b.bad++
	}
}

// library is the same policy put together from libraries: time.Now, rate.Limiter for bytes and for
// frames, a map in 64 shards with a mutex of *rate.Limiter, an average rate, time.Timer.Reset.
type library struct {
	conns  []*libraryConn
	shards [64]struct {
		sync.Mutex
		m map[netip.Addr]*rate.Limiter
	}
}

type libraryConn struct {
	bytes, frames *rate.Limiter
	idle          *time.Timer
	start         time.Time
	n             int64
	addr          netip.Addr
}

func newLibrary(n int) *library {
	s := &library{conns: make([]*libraryConn, n)}
	for i := range s.shards {
		s.shards[i].m = map[netip.Addr]*rate.Limiter{}
	}
	start := time.Now()
	for i := range s.conns {
		a := addrOf(uint32(i))
		s.conns[i] = &libraryConn{rate.NewLimiter(2<<30, 2<<30), rate.NewLimiter(2e6, 2e6),
			time.AfterFunc(time.Minute, func() {}), start, 0, a}
		s.shards[a.As4()[3]&63].m[a] = rate.NewLimiter(2e6, 2e6)
	}
	return s
}

func (s *library) stop() {
	for _, c := range s.conns {
		c.idle.Stop()
	}
}

func (s *library) frame(id ID, n int) bool {
	c := s.conns[id]
	now := time.Now()
	c.idle.Reset(time.Minute)
	c.n += int64(n)
	ok := true
	if d := now.Sub(c.start); d > 5*time.Second && float64(c.n)/d.Seconds() < 0.1 {
		ok = false
	}
	ok = ok && c.bytes.AllowN(now, n) && c.frames.AllowN(now, 1)
	h := &s.shards[c.addr.As4()[3]&63]
	h.Lock()
	l := h.m[c.addr]
	h.Unlock()
	return ok && l.AllowN(now, 1)
}

// BenchmarkGuardFrame is the whole guard for one frame of a random connection (ReadFrame:
// Read, Frame and Phase(Idle)) with 1 MiB tables, the wheel running, a turn every 16 frames and a frame every
// microsecond of synthetic time; beside it the same policy from libraries, whose ns are also
// reported as a ratio. warm16 is the same with the 16 connections of a turn known beforehand, as
// an event loop knows them, and fetched by Warm. every8 is a read of 8 frames, per frame.
func BenchmarkGuardFrame(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000, 1_000_000} {
		var ours, warm float64
		b.Run(fmt.Sprintf("guard/%d", n), func(b *testing.B) {
			g := newGuardBench(b, n)
			runtime.GC()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i&15 == 0 {
					g.turn(16 * time.Microsecond)
				}
				i++
				g.frame(g.pick(), 700)
			}
			ours = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if g.bad > 0 {
				b.Fatal(g.bad, " refused")
			}
		})
		b.Run(fmt.Sprintf("warm16/%d", n), func(b *testing.B) {
			g := newGuardBench(b, n)
			runtime.GC()
			b.ReportAllocs()
			var ready [16]ID
			i := 0
			for b.Loop() {
				if i&15 == 0 {
					g.turn(16 * time.Microsecond)
					for j := range ready {
						ready[j] = g.pick()
						g.l.Warm(ready[j])
					}
				}
				g.frame(ready[i&15], 700)
				i++
			}
			warm = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if g.bad > 0 {
				b.Fatal(g.bad, " refused")
			}
		})
		b.Run(fmt.Sprintf("every8/%d", n), func(b *testing.B) {
			g := newGuardBench(b, n)
			runtime.GC()
			b.ReportAllocs()
			reads := 0
			for b.Loop() {
				g.turn(8 * time.Microsecond)
				id := g.pick()
				g.l.Read(id, 8*700)
				for range 8 {
					if g.l.Frame(id) != OK {
						g.bad++
					}
				}
				g.l.Phase(id, Idle)
				reads++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(reads)/8, "ns/frame")
			if g.bad > 0 {
				b.Fatal(g.bad, " refused")
			}
		})
		b.Run(fmt.Sprintf("libraries/%d", n), func(b *testing.B) {
			s := newLibrary(n)
			defer s.stop()
			g := &guardBench{n: uint64(n), x: 88172645463325252}
			runtime.GC()
			b.ReportAllocs()
			for b.Loop() {
				s.frame(g.pick(), 700)
			}
			theirs := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if ours > 0 {
				b.ReportMetric(theirs/ours, "times-guard")
			}
			if warm > 0 {
				b.ReportMetric(theirs/warm, "times-warm16")
			}
		})
	}
}
