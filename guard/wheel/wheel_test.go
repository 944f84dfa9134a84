package wheel

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"weir/guard/mono"
)

// rig is the least that a user of the wheel has: a due tick and the wheel's word for each id.
type rig struct {
	w     *Wheel
	due   []uint32 // 0 = none
	at    []uint32
	fired map[uint32]bool
	visit func(uint32)
	seen  int
}

func newRig(n int, cur uint32) *rig {
	r := &rig{w: New(cur), due: make([]uint32, n), at: make([]uint32, n), fired: map[uint32]bool{}}
	r.visit = func(id uint32) {
		r.seen++
		if !r.w.Claim(id, &r.at[id]) || r.due[id] == 0 {
			return
		}
		if int32(r.due[id]-r.w.cur) <= 0 {
			r.fired[id] = true
			r.due[id] = 0
			return
		}
		r.w.Arm(id, &r.at[id], r.due[id])
	}
	return r
}

func (r *rig) set(id, due uint32) {
	if due == 0 {
		due = 1
	}
	r.due[id] = due
	r.w.Arm(id, &r.at[id], due)
}

// Every id fires at the first Advance to its tick or beyond, never before, whatever was armed,
// moved, cancelled and reused in between; Next never lies beyond a deadline.
func TestAgainstModel(t *testing.T) {
	for name, start := range map[string]uint32{"start": 1, "wrap": ^uint32(0) - 20_000, "signed wrap": 1<<31 - 20_000} {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			r := rand.New(rand.NewPCG(seed, 4))
			const n = 300
			g := newRig(n, start)
			cur := start
			steps := 30_000
			if testing.Short() {
				steps = 5_000
			}
			for step := range steps {
				for range r.IntN(12) {
					id := uint32(r.IntN(n))
					switch r.IntN(8) {
					case 0:
						g.due[id] = 0 // cancelled, or gone: at stays
					case 1, 2:
						g.set(id, cur+1+uint32(r.IntN(50)))
					default:
						g.set(id, cur+1+uint32(r.IntN(3*Slots)))
					}
				}
				jump := uint32(1)
				switch r.IntN(200) {
				case 0:
					jump = uint32(r.IntN(3 * Slots))
				case 1:
					jump = uint32(r.IntN(1 << 20))
				case 2, 3, 4, 5:
					jump = uint32(r.IntN(100))
				case 6:
					jump = 0
				}
				cur += jump
				if next, some := g.w.Next(); true {
					for id, d := range g.due {
						if d != 0 && (!some || int32(next-d) > 0) {
							t.Fatalf("seed %d step %d: Next %d,%v but %d is due at %d", seed, step, next, some, id, d)
						}
					}
				}
				want := map[uint32]bool{}
				for id, d := range g.due {
					if d != 0 && int32(d-cur) <= 0 {
						want[uint32(id)] = true
					}
				}
				clear(g.fired)
				for budget := 1 + r.IntN(20); !g.w.Advance(cur, budget, g.visit); {
					if r.IntN(3) == 0 { // what happens between two turns with work left
						id := uint32(r.IntN(n))
						if g.due[id] == 0 && !want[id] {
							g.set(id, cur+1+uint32(r.IntN(2*Slots)))
						}
					}
				}
				if len(want) != len(g.fired) {
					t.Fatalf("seed %d step %d: fired %d, want %d", seed, step, len(g.fired), len(want))
				}
				for id := range want {
					if !g.fired[id] {
						t.Fatalf("seed %d step %d: %d did not fire", seed, step, id)
					}
				}
			}
		})
	}
}

// Pitfall 1: a tick behind is ignored, and a jump of half a wrap costs one round.
func TestJumps(t *testing.T) {
	g := newRig(10_000, 100)
	for id := range uint32(10_000) {
		g.set(id, 101+id)
	}
	if !g.w.Advance(99, 1<<30, g.visit) || g.seen != 0 {
		t.Fatal("went backward")
	}
	g.w.Advance(100+1<<30, 1<<30, g.visit)
	if len(g.fired) != 10_000 || g.seen > 10_000+Slots {
		t.Errorf("%d fired in %d visits", len(g.fired), g.seen)
	}
	if _, some := g.w.Next(); some {
		t.Error("something is left")
	}
}

// Pitfall 3: a deadline that moves closer is met closer, and its old entry does no harm.
func TestShortening(t *testing.T) {
	g := newRig(1, 1)
	g.set(0, 1000)
	g.set(0, 10)
	g.w.Advance(9, 99, g.visit)
	if g.fired[0] {
		t.Fatal("early")
	}
	g.w.Advance(10, 99, g.visit)
	if !g.fired[0] {
		t.Fatal("late")
	}
	clear(g.fired)
	g.set(0, 2000)
	g.w.Advance(1999, 99, g.visit)
	if g.fired[0] {
		t.Fatal("the entry left behind at 1000 fired")
	}
}

// A million deadlines in one tick in lots of 1024.
func TestMassExpiryInLots(t *testing.T) {
	n := 200_000
	g := newRig(n, 1)
	for _, id := range rand.Perm(n) {
		g.set(uint32(id), 50)
	}
	turns, fired := 0, 0
	g.visit = func(id uint32) {
		if g.w.Claim(id, &g.at[id]) {
			fired++
		}
	}
	for !g.w.Advance(50, 1024, g.visit) {
		turns++
		if fired != 1024*turns {
			t.Fatalf("%d after %d turns", fired, turns)
		}
		if next, some := g.w.Next(); !some || next != 50 {
			t.Fatal("unfinished work is not announced")
		}
	}
	if fired != n {
		t.Errorf("%d fired", fired)
	}
}

// Chunks are reused: churn does not make the wheel grow.
func TestMemoryStaysFlat(t *testing.T) {
	g := newRig(1000, 1)
	cur := uint32(1)
	var early int64
	for i := range 200_000 {
		id := uint32(i % 1000)
		g.set(id, cur+600)
		g.due[id] = 0
		if i%10 == 0 {
			cur++
			g.w.Advance(cur, 1<<30, g.visit)
		}
		if i == 20_000 {
			early = g.w.Bytes()
		}
	}
	if late := g.w.Bytes(); late > early {
		t.Errorf("grew from %d to %d bytes", early, late)
	}
}

// Pitfall 2: never early, and late by a tick at most, measured in nanoseconds.
func TestDueIsNeverEarly(t *testing.T) {
	for range 100_000 {
		at := mono.Time(rand.Int64N(1 << 60))
		begins := mono.Time(int64((at+mono.Time(Tick)-1)>>TickShift)) << TickShift
		if uint32(begins>>TickShift) != Due(at) || begins < at || begins-at >= mono.Time(Tick) {
			t.Fatalf("%d: tick %d begins at %d", at, Due(at), begins)
		}
	}
}

func TestNoAllocationsOnceWarm(t *testing.T) {
	g := newRig(1000, 1)
	cur := uint32(1)
	g.visit = func(id uint32) {
		if g.w.Claim(id, &g.at[id]) {
			g.w.Arm(id, &g.at[id], cur+100)
		}
	}
	for id := range uint32(1000) {
		g.w.Arm(id, &g.at[id], cur+1+id%100)
	}
	work := func() {
		for range 300 {
			cur++
			g.w.Advance(cur, 1<<30, g.visit)
		}
	}
	work()
	if n := testing.AllocsPerRun(10, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func xs(x *uint64) uint64 { *x ^= *x << 13; *x ^= *x >> 7; *x ^= *x << 17; return *x }

type node struct{ due, at uint32 }

// BenchmarkRearm moves the deadline of a random timer, a million times a second of synthetic time
// with the wheel advancing; beside it time.Timer.Reset, and how many times the wheel's ns it takes.
func BenchmarkRearm(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		const timeout = 1800
		var ours float64
		b.Run(fmt.Sprintf("wheel/%d", n), func(b *testing.B) {
			w, nodes, x := New(1), make([]node, n), uint64(7)
			for i := range nodes {
				nodes[i].due = 2 + uint32(xs(&x)>>33)%timeout
				w.Arm(uint32(i), &nodes[i].at, nodes[i].due)
			}
			cur := uint32(1)
			visit := func(id uint32) {
				if c := &nodes[id]; w.Claim(id, &c.at) {
					w.Arm(id, &c.at, max(c.due, cur+1))
				}
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				id := uint32((xs(&x) >> 32) * uint64(n) >> 32)
				c := &nodes[id]
				c.due = cur + timeout
				w.Arm(id, &c.at, c.due)
				if i++; i%16777 == 0 {
					cur++
					w.Advance(cur, 1<<30, visit)
				}
			}
			ours = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
		})
		b.Run(fmt.Sprintf("time.Timer/%d", n), func(b *testing.B) {
			ts, x := make([]*time.Timer, n), uint64(7)
			for i := range ts {
				ts[i] = time.AfterFunc(time.Minute, func() {})
			}
			b.ReportAllocs()
			for b.Loop() {
				ts[(xs(&x)>>32)*uint64(n)>>32].Reset(time.Minute)
			}
			if ours > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/ours, "times-wheel")
			}
			for _, t := range ts {
				t.Stop()
			}
		})
	}
}

// BenchmarkExpire is a million timers that come due over 4000 ticks, per timer.
func BenchmarkExpire(b *testing.B) {
	const n = 1_000_000
	nodes := make([]node, n)
	for b.Loop() {
		b.StopTimer()
		w, fired := New(1), 0
		for i := range nodes {
			nodes[i] = node{}
			w.Arm(uint32(i), &nodes[i].at, 2+uint32(i*7919)%4000)
		}
		b.StartTimer()
		w.Advance(4002, 1<<30, func(id uint32) {
			if w.Claim(id, &nodes[id].at) {
				fired++
			}
		})
		if fired != n {
			b.Fatal(fired)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/timer")
}

// BenchmarkMillionInOneTick is a million deadlines in one tick, in random order of ids, in turns
// of 1024 entries.
func BenchmarkMillionInOneTick(b *testing.B) {
	const n = 1_000_000
	nodes, order := make([]node, n), rand.Perm(n)
	var turns []time.Duration
	for b.Loop() {
		b.StopTimer()
		w, fired := New(1), 0
		for _, id := range order {
			nodes[id] = node{}
			w.Arm(uint32(id), &nodes[id].at, 100)
		}
		visit := func(id uint32) {
			if w.Claim(id, &nodes[id].at) {
				fired++
			}
		}
		b.StartTimer()
		for done := false; !done; {
			t := time.Now()
			done = w.Advance(100, 1024, visit)
			turns = append(turns, time.Since(t))
		}
		if fired != n {
			b.Fatal(fired)
		}
	}
	sort.Slice(turns, func(i, j int) bool { return turns[i] < turns[j] })
	b.ReportMetric(float64(turns[len(turns)*99/100].Microseconds()), "us-p99/turn")
	b.ReportMetric(float64(turns[len(turns)/2].Microseconds()), "us-p50/turn")
	b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/million")
}
