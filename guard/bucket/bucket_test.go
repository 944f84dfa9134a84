package bucket

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"weir/guard/mono"
)

var long = flag.Bool("weir.long", false, "run the long forms")

const t0 = mono.Time(3 * time.Hour)

func mix(x uint64) uint64 { // splitmix64, a stand-in for the keyed hash
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// exact is a token bucket in whole nanoseconds times tokens, slow and obvious: it holds
// tokens·per, so nothing is ever rounded.
type exact struct {
	l    Limit
	have int64 // tokens × per
	raw  int64 // have as if the bucket had no brim
	last mono.Time
}

func newExact(l Limit) *exact {
	l, _ = l.normal()
	return &exact{l: l, have: l.Burst * int64(l.Per), raw: 2 * l.Burst * int64(l.Per)}
}

func (e *exact) refill(now mono.Time) {
	if e.last != 0 && e.last != now {
		d := min(int64(now-e.last), (e.l.Burst+max(0, e.l.Debt))*int64(e.l.Per)/e.l.Tokens+1)
		e.raw = e.have + d*e.l.Tokens
		e.have = min(e.raw, e.l.Burst*int64(e.l.Per))
	}
	e.last = now
}

func (e *exact) allow(n int64, now mono.Time) bool {
	e.refill(now)
	if e.have < n*int64(e.l.Per) {
		return false
	}
	e.have -= n * int64(e.l.Per)
	e.raw = e.have
	return true
}

// near reports whether the bucket is so close to n tokens that a unit of time decides.
func (e *exact) near(n int64, slack float64) bool {
	d := float64(e.raw)/float64(e.l.Per) - float64(n)
	return d > -slack && d < slack
}

func TestCellAndTableAreExact(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	for _, l := range []Limit{
		{Tokens: 1, Per: time.Minute, Burst: 3},
		{Tokens: 20, Burst: 5}, {Tokens: 50, Burst: 100}, {Tokens: 3, Burst: 1},
		{Tokens: 2000, Burst: 4000}, {Tokens: 999_983, Burst: 77},
		{Tokens: 10_000_000, Burst: 1}, {Tokens: 7, Per: 13 * time.Second, Burst: 1000},
	} {
		m, tb := NewMeter(l), New(64, l, 0)
		var c Cell
		h := HandleOf(r.Uint64())
		e := newExact(l)
		gap := float64(time.Second) / (float64(l.Tokens) / (float64(max(l.Per, time.Second)) / 1e9))
		now := t0
		skipped := 0
		for i := range 100_000 {
			now += mono.Time(r.Float64() * gap * 1.5)
			if r.IntN(2000) == 0 {
				now += mono.Time(gap * float64(l.Burst) * 2)
			}
			tb.Sweep(now)
			n := uint64(1 + r.IntN(int(min(l.Burst, 4))))
			// Time is cut into units, so at the very edge a decision may fall either way.
			e.refill(now)
			if e.near(int64(n), 0.04) {
				skipped++
				continue
			}
			want := e.allow(int64(n), now)
			var ok bool
			if c, ok = m.Allow(c, n, now); ok != want {
				t.Fatalf("seed %d %+v step %d: cell %v, exact %v", seed, l, i, ok, want)
			}
			got := false
			if n == 1 && i&1 == 0 {
				got = tb.AllowOne(&h, now)
			} else {
				got = tb.Allow(&h, n, now)
			}
			if got != want {
				t.Fatalf("seed %d %+v step %d: table %v, exact %v", seed, l, i, got, want)
			}
		}
		if skipped > 20_000 {
			t.Errorf("%+v: %d steps too close to call", l, skipped)
		}
	}
}

// Over any window w a source gets at most burst + rate·w, and nearly that when it asks all the
// time, at every rate and burst that a limit may have.
func TestRateIsKeptWithinOnePercent(t *testing.T) {
	for _, l := range []Limit{
		{Tokens: 1, Per: time.Minute, Burst: 10},
		{Tokens: 1, Burst: MaxBurst}, {Tokens: 50, Burst: 100}, {Tokens: 2000, Burst: 4000},
		{Tokens: MaxRate, Burst: MaxBurst}, {Tokens: MaxRate, Burst: 1000}, {Tokens: 999_999_937, Burst: 1},
		{Tokens: 32 << 20, Burst: 64 << 20, Grain: 1}, {Tokens: 10 << 30, Burst: 1 << 30, Grain: 1},
		{Tokens: 10 << 30, Burst: 10 << 30, Debt: 10 << 30, Grain: 1}, {Tokens: 1, Burst: 10 << 30, Debt: 10 << 30, Grain: 1},
	} {
		tb, m := New(64, l, 0), NewMeter(l)
		if tb.tau == 0 || tb.cap < tb.tau || tb.live <= tb.cap || tb.live >= 1<<31 {
			t.Fatalf("%+v: tau %d cap %d live %d", l, tb.tau, tb.cap, tb.live)
		}
		h := HandleOf(mix(uint64(l.Tokens)))
		var c Cell
		l, _ := l.normal()
		window := float64(l.Burst)/float64(l.Tokens)*2 + 100/float64(l.Tokens) // of Per
		window = min(window, 4000)
		step := max(1, l.Burst/1000)
		byTable, byCell := int64(0), int64(0)
		const steps = 20_000
		for i := range steps {
			now := t0 + mono.Time(float64(i)/steps*window*float64(l.Per))
			for range 3 {
				if tb.Allow(&h, uint64(step), now) {
					byTable += step
				}
				var ok bool
				if c, ok = m.Allow(c, uint64(step), now); ok {
					byCell += step
				}
			}
		}
		want := float64(l.Burst) + window*float64(l.Tokens)
		asked := float64(step) * 3 * steps
		want = min(want, asked)
		for name, got := range map[string]int64{"table": byTable, "cell": byCell} {
			if d := float64(got) / want; d > 1.01 || d < 0.99-float64(2*step)/want {
				t.Errorf("%+v: %s gave %d of %.0f (%.4f)", l, name, got, want, d)
			}
		}
	}
}

// Pitfalls 5 and 6: n·cost does not overflow, and more than the burst is never there.
func TestNoCostOverflows(t *testing.T) {
	l := Limit{Tokens: 1000, Burst: 1000}
	tb, m := New(64, l, 0), NewMeter(l)
	for _, n := range []uint64{1001, 1 << 26, 1 << 32, 1<<58 + 1, 1<<64 - 1} {
		h := HandleOf(1)
		if tb.Allow(&h, n, t0) {
			t.Errorf("table allows %d of 1000", n)
		}
		if _, ok := m.Allow(0, n, t0); ok {
			t.Errorf("cell allows %d of 1000", n)
		}
	}
}

// Pitfall 5: the clocks of two loops are 20 ms or more apart, and the slower one must not take a
// full debt for an old word.
func TestSkewedClocksGiveNothingAway(t *testing.T) {
	for _, skew := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond} {
		for _, l := range []Limit{{Tokens: 1000, Burst: 10}, {Tokens: 50, Burst: 100}, {Tokens: 100_000, Burst: 1000}} {
			tb := New(1024, l, 0)
			h := HandleOf(mix(5))
			admitted := 0
			const seconds = 20
			for ns := mono.Time(0); ns < mono.Time(seconds*time.Second); ns += mono.Time(5 * time.Microsecond) {
				now := t0 + ns
				if (ns/mono.Time(5*time.Microsecond))&1 == 0 {
					now -= mono.Time(skew)
				}
				if tb.Allow(&h, 1, now) {
					admitted++
				}
			}
			want := float64(l.Burst) + seconds*float64(l.Tokens)
			if d := float64(admitted) / want; d > 1.01 || d < 0.99 {
				t.Errorf("%+v, %v apart: %d of %.0f (%.3f)", l, skew, admitted, want, d)
			}
		}
	}
}

// Pitfall 10: who is refused is not charged.
func TestRefusalsAreFree(t *testing.T) {
	tb := New(64, Limit{Tokens: 10, Burst: 10}, 0)
	h := HandleOf(9)
	admitted := 0
	for i := range 10_000 { // 10 s at 1000/s
		if tb.Allow(&h, 1, t0+mono.Time(i)*mono.Time(time.Millisecond)) {
			admitted++
		}
	}
	if admitted < 105 || admitted > 111 {
		t.Errorf("%d admitted, want 109", admitted)
	}
}

func TestTakeChargesAlwaysAndSaysHowLong(t *testing.T) {
	l := Limit{Tokens: 1000, Burst: 2000, Debt: 500, Grain: 1}
	tb, m := New(64, l, 0), NewMeter(l)
	h := HandleOf(3)
	cell := Cell(0)
	take := func(n uint64, now mono.Time) (time.Duration, time.Duration) {
		var over bool
		var wait time.Duration
		if cell, over = m.Take(cell, n, now); over {
			cell, wait = m.Owe(cell, now)
		}
		return tb.Take(&h, n, now), wait
	}
	steps := []struct {
		n    uint64
		at   time.Duration
		wait time.Duration
		why  string
	}{
		{2000, 0, 0, "the burst is there"},
		{100, 0, 100 * time.Millisecond, "a debt of 100 takes 100 ms"},
		{100, 0, 200 * time.Millisecond, "it adds up"},
		{1 << 30, 0, 500 * time.Millisecond, "and ends at the greatest debt"},
		{0, 0, 0, "nothing taken, nothing said"},
		{1, 600 * time.Millisecond, 0, "paid: 100 tokens are there"},
		{99, 600 * time.Millisecond, 0, "just enough"},
		{1, 600 * time.Millisecond, time.Millisecond, "and now one too many"},
		{2000, time.Minute, 0, "full again"},
	}
	for i, s := range steps {
		a, b := take(s.n, t0+mono.Time(s.at))
		if s.n == 0 {
			b = 0
		}
		for name, got := range map[string]time.Duration{"table": a, "cell": b} {
			if got < s.wait || got > s.wait+2*time.Millisecond {
				t.Errorf("step %d, %s: wait %v, want %v: %s", i, name, got, s.wait, s.why)
			}
		}
	}
}

func TestAllowSomeAndRefund(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 3))
	one, batch := New(64, Limit{Tokens: 100, Burst: 40}, 0), New(64, Limit{Tokens: 100, Burst: 40}, 0)
	h1, h2 := HandleOf(77), HandleOf(77)
	now := t0
	for i := range 20_000 {
		now += mono.Time(r.IntN(int(200 * time.Millisecond)))
		n := uint64(1 + r.IntN(30))
		want := uint64(0)
		for want < n && one.Allow(&h1, 1, now) {
			want++
		}
		if got := batch.AllowSome(&h2, n, now); got != want {
			t.Fatalf("seed %d step %d: %d of %d, want %d", seed, i, got, n, want)
		}
		if want > 0 && r.IntN(2) == 0 {
			back := uint64(r.IntN(int(want) + 1))
			one.Refund(&h1, back, now)
			batch.Refund(&h2, back, now)
		}
		if a, b := one.Left(&h1, now), batch.Left(&h2, now); a != b {
			t.Fatalf("seed %d step %d: %d and %d left", seed, i, a, b)
		}
	}
	if one.Refund(&Handle{1, 99}, 5, now); one.Left(&Handle{1, 99}, now) != 40 {
		t.Error("a refund to nobody left something")
	}
}

func TestNewcomerTakesTheFullestPlace(t *testing.T) {
	tb := New(8, Limit{Tokens: 10, Burst: 10}, 0) // one set
	h := make([]Handle, 9)
	for i := range h {
		h[i] = HandleOf(mix(uint64(i)))
		for range i + 1 {
			if i < 8 && !tb.Allow(&h[i], 1, t0) {
				t.Fatal("refused within the burst")
			}
		}
	}
	if tb.Evictions() != 0 {
		t.Fatal("evicted with room left")
	}
	if !tb.Allow(&h[8], 1, t0) { // over h[0], which had used 1
		t.Fatal("a newcomer is refused")
	}
	if tb.Evictions() != 1 || tb.Live(10, t0) != 8 {
		t.Errorf("%d evictions, %d live", tb.Evictions(), tb.Live(10, t0))
	}
	if tb.Left(&h[0], t0) != 10 || tb.Left(&h[1], t0) != 8 || tb.Left(&h[7], t0) != 2 {
		t.Error("not the fullest bucket went")
	}
	// A second later all but h[7]... have passed or less to forget: no live eviction.
	if now := t0 + mono.Time(2*time.Second); !tb.Allow(&h[0], 1, now) || tb.Evictions() != 1 {
		t.Error("a passed word counted as an eviction")
	}
}

// A word that nobody touches for a whole wrap must not come alive again: the sweep clears it.
func TestWrap(t *testing.T) {
	l := Limit{Tokens: 10 << 30, Burst: 1 << 30, Debt: 1 << 30, Grain: 1}
	for _, c := range []struct {
		name string
		step func(wrap int64) int64
	}{
		{"swept every few ms", func(int64) int64 { return int64(16 * time.Millisecond) }},
		{"swept seldom", func(wrap int64) int64 { return wrap/5 + 1 }},
		{"asleep for several wraps", func(wrap int64) int64 { return 3*wrap + 12345 }},
		{"asleep for a wrap exactly", func(wrap int64) int64 { return wrap }},
	} {
		tb := New(1<<12, l, 1)
		tb.Sweep(t0)
		var h []Handle
		for i := range 2000 {
			h = append(h, HandleOf(mix(uint64(i))))
			tb.Take(&h[i], 2<<30, t0) // all in debt
		}
		if tb.Live(1<<30, t0) < 1900 {
			t.Fatal("debts not kept")
		}
		now := t0
		for now < t0+mono.Time(2*tb.wrap) {
			now += mono.Time(c.step(tb.wrap))
			tb.Sweep(now)
			if now < t0+mono.Time(time.Second) {
				continue
			}
			if n := tb.Live(1<<30, now); n != 0 {
				t.Fatalf("%s: %d words alive %v later, wrap %v", c.name, n, now.Sub(t0), time.Duration(tb.wrap))
			}
		}
	}
}

// Pitfall 11: two loops may file one source twice; it never gets more than one burst more, and
// otherwise the limit holds to the token among goroutines.
func TestConcurrentLoopsShareOneLimit(t *testing.T) {
	const loops, sources, burst = 4, 64, 100
	tb := New(1<<10, Limit{Tokens: 1, Per: time.Hour, Burst: burst}, 0)
	var wg sync.WaitGroup
	got := make([][sources]int, loops)
	for l := range loops {
		wg.Go(func() {
			now := t0 + mono.Time(l)*mono.Time(5*time.Millisecond)
			for i := range sources * 400 {
				h := HandleOf(mix(uint64(i % sources)))
				if i%7 == 0 {
					if n := tb.AllowSome(&h, 3, now); n > 0 {
						got[l][i%sources] += int(n) - 1
						tb.Refund(&h, 1, now)
					}
				} else if tb.AllowOne(&h, now) {
					got[l][i%sources]++
				}
				tb.Sweep(now)
			}
		})
	}
	wg.Wait()
	for s := range sources {
		sum := 0
		for l := range loops {
			sum += got[l][s]
		}
		if sum < burst-2 || sum > 2*burst {
			t.Errorf("source %d got %d of %d", s, sum, burst)
		}
	}
}

func TestSharedCell(t *testing.T) {
	s := NewShared(Limit{Tokens: 1, Per: time.Hour, Burst: 1000})
	var wg sync.WaitGroup
	var got [4]int
	for l := range got {
		wg.Go(func() {
			for range 1000 {
				if s.Allow(1, t0-mono.Time(l)) {
					got[l]++
				}
			}
		})
	}
	wg.Wait()
	if n := got[0] + got[1] + got[2] + got[3]; n != 1000 {
		t.Errorf("%d of 1000", n)
	}
	s.Refund(1)
	if !s.Allow(1, t0) || s.Allow(1, t0) {
		t.Error("a refund is not one token")
	}
	none := NewShared(Limit{})
	if !none.Allow(1<<40, t0) {
		t.Error("no limit refuses")
	}
}

// Pitfall 9 and hash flooding: whatever addresses are chosen, sets fill evenly, and if a set is
// flooded only its own eight places suffer.
func TestSequentialKeysSpread(t *testing.T) {
	tb := New(1<<12, Limit{Tokens: 1, Burst: 5}, 0)
	for i := range 1 << 11 {
		h := HandleOf(mix(uint64(i) << 16))
		tb.Allow(&h, 1, t0)
	}
	if n := tb.Evictions(); n > 1<<11/20 {
		t.Errorf("%d live evictions at half load", n)
	}
}

// TestHundredMillionSources sends a flood of as good as distinct sources with offenders and honest
// sources in between through 1 MiB: memory stays flat, offenders get their limit, nobody honest is
// refused. The long form has a hundred million sources.
func TestHundredMillionSources(t *testing.T) {
	frames, spread := 3_000_000, uint64(100<<20)
	if raceEnabled || testing.Short() {
		frames = 300_000
	}
	if *long {
		frames = 100_000_000
	}
	// 20/s with a burst of 5, a million frames a second: R·T ≤ 50,000 of 131,072 places.
	l := Limit{Tokens: 20, Burst: 5}
	tb := New(1<<17, l, 0)
	const offenders, honest = 2000, 4000
	var offended [offenders]int
	refused, asked := 0, 0
	r := rand.New(rand.NewPCG(1, 2))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	now := t0
	for i := range frames {
		now += mono.Time(time.Microsecond)
		if i&16383 == 0 {
			tb.Sweep(now)
		}
		var h Handle
		switch k := r.IntN(1000); {
		case k < 300: // offenders: 150/s each
			o := r.IntN(offenders)
			h = HandleOf(mix(1<<40 | uint64(o)))
			if tb.Allow(&h, 1, now) {
				offended[o]++
			}
		case k < 310: // honest: in turn, so each exactly 2.5/s
			h = HandleOf(mix(1<<41 | uint64(asked%honest)))
			asked++
			if !tb.Allow(&h, 1, now) {
				refused++
			}
		default:
			h = HandleOf(mix(r.Uint64N(spread)))
			if *long {
				h = HandleOf(mix(uint64(i)))
			}
			tb.Allow(&h, 1, now)
		}
	}
	runtime.ReadMemStats(&after)
	if refused > 0 {
		t.Errorf("%d of %d honest frames refused", refused, asked)
	}
	limit := float64(l.Burst) + float64(l.Tokens)*now.Sub(t0).Seconds()
	worst, sum := 0, 0
	for _, n := range offended {
		worst, sum = max(worst, n), sum+n
	}
	if d := float64(sum) / offenders / limit; d > 1.05 {
		t.Errorf("offenders got %.3f of the limit", d)
	}
	if float64(worst) > 1.05*limit+1 {
		t.Errorf("one offender got %d, the limit is %.0f", worst, limit)
	}
	if grown := after.Mallocs - before.Mallocs; grown > 1000 {
		t.Errorf("%d allocations", grown)
	}
	t.Logf("%d frames: offenders %.3f of their limit, worst %.3f, honest refused %d of %d, live evictions %d, places in use %d of %d, heap %+d bytes",
		frames, float64(sum)/offenders/limit, float64(worst)/limit, refused, asked, tb.Evictions(),
		tb.Live(1<<30, now), tb.Places(), int64(after.HeapAlloc)-int64(before.HeapAlloc))
}

func TestNoAllocations(t *testing.T) {
	tb := New(1<<10, Limit{Tokens: 1000, Burst: 1000, Debt: 10}, 0)
	x := uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		x++
		h := HandleOf(mix(x))
		now := t0 + mono.Time(x*1000)
		tb.Allow(&h, 1, now)
		tb.Take(&h, 5000, now)
		tb.AllowSome(&h, 5, now)
		tb.Refund(&h, 1, now)
		tb.Sweep(now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	for _, f := range []func(){
		func() { New(7, Limit{Tokens: 1}, 0) },
		func() { New(24, Limit{Tokens: 1}, 0) },
		func() { New(1<<27, Limit{Tokens: 1}, 0) },
		func() { New(64, Limit{Tokens: 1 << 40}, 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
	if New(64, Limit{}, 0) != nil {
		t.Error("no rate, but a table")
	}
}

// FuzzTable runs operations from bytes against an exact bucket for each of 8 sources in a table
// large enough to forget nothing.
func FuzzTable(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 200, 100, 50, 25})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		l := Limit{Tokens: 16, Burst: 8}
		tb := New(1<<10, l, 0)
		var model [8]*exact
		var h [8]Handle
		for i := range model {
			model[i], h[i] = newExact(l), HandleOf(mix(uint64(i)))
		}
		now := t0
		for len(ops) >= 2 {
			s, n := ops[0]%8, uint64(ops[0]>>3%4)+1
			now += mono.Time(ops[1]) * mono.Time(ops[1]) * mono.Time(50*time.Microsecond)
			ops = ops[2:]
			tb.Sweep(now)
			e := model[s]
			e.refill(now)
			if e.near(int64(n), 0.04) {
				continue
			}
			if got, want := tb.Allow(&h[s], n, now), e.allow(int64(n), now); got != want {
				t.Fatalf("source %d, %d tokens: %v, want %v", s, n, got, want)
			}
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	for _, n := range []uint64{10_000, 1 << 20, 100 << 20} {
		b.Run(fmt.Sprintf("sources=%d", n), func(b *testing.B) {
			tb := New(1<<17, Limit{Tokens: 20, Burst: 5}, 0)
			x, now := uint64(88172645463325252), t0
			b.ReportAllocs()
			for b.Loop() {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				now += 1000
				h := HandleOf(mix((x >> 32) * n >> 32))
				tb.AllowOne(&h, now)
			}
		})
	}
}

func BenchmarkCell(b *testing.B) {
	m := NewMeter(Limit{Tokens: 2_000_000, Burst: 1000})
	c, now := Cell(0), t0
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		c, _ = m.Allow(c, 1, now)
	}
}
