package pacer

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// The clock is moved by hand, in steps of any length: late wake-ups must not lose, double or shift an arrival.
func TestConstantScheduleIsExactHoweverLateTheClock(t *testing.T) {
	for _, rate := range []float64{0.5, 1, 3, 999, 1000, 123456.789, 1e6} {
		p, err := Constant(rate)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		period := 1e9 / rate
		var now time.Duration
		var i int64
		for i < 50_000 {
			now += time.Duration(random.ExpFloat64() * 3 * period)
			for {
				due, ok := p.Take(now)
				if !ok {
					break
				}
				if want := time.Duration(float64(i) * period); due != want {
					t.Fatalf("rate %v: arrival %d due at %v, want %v", rate, i, due, want)
				}
				if due > now {
					t.Fatalf("rate %v: arrival %d handed out at %v, before %v", rate, i, now, due)
				}
				i++
			}
			if p.Next() <= now {
				t.Fatalf("rate %v: the next arrival %v is due, and was not handed out at %v", rate, p.Next(), now)
			}
		}
		if p.Taken() != i {
			t.Errorf("rate %v: counted %d of %d", rate, p.Taken(), i)
		}
	}
}

func TestConstantScheduleDoesNotDrift(t *testing.T) {
	p, _ := Constant(3)
	var last time.Duration
	for range 3*3600 + 1 {
		last, _ = p.Take(math.MaxInt64 - 1)
	}
	if last != time.Hour {
		t.Errorf("after 10800 thirds of a second: %v", last)
	}
}

func TestPoissonIsRepeatableAndHasItsMean(t *testing.T) {
	const n = 100_000
	run := func(seed uint64) (out []time.Duration) {
		p, err := New(Arrivals{Shape: Random}, 1000, 0, seed)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			due, ok := p.Take(math.MaxInt64 - 1)
			if !ok || len(out) > 0 && due < out[len(out)-1] {
				t.Fatalf("arrival %d: %v, %v", len(out), due, ok)
			}
			out = append(out, due)
		}
		return out
	}
	a, b, c := run(7), run(7), run(8)
	same := 0
	var squares float64
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("arrival %d differs under one seed", i)
		}
		if a[i] == c[i] {
			same++
		}
		if i > 0 {
			gap := (a[i]-a[i-1]).Seconds()*1000 - 1
			squares += gap * gap
		}
	}
	if same > n/100 {
		t.Errorf("%d arrivals are the same under two seeds", same)
	}
	// 100,000 gaps: the standard error of the mean is 0.3 %, that of the variance 0.9 %.
	if mean := a[n-1].Seconds() / n * 1000; math.Abs(mean-1) > 0.015 {
		t.Errorf("mean gap %.4f ms, want 1", mean)
	}
	if v := squares / n; math.Abs(v-1) > 0.05 {
		t.Errorf("variance %.3f, want 1: the gaps are not exponential", v)
	}
}

func TestRatesOutOfRangeAreRefused(t *testing.T) {
	for _, r := range []float64{0, -1, math.NaN(), math.Inf(1), 1e9 + 1} {
		if _, err := Constant(r); err == nil {
			t.Errorf("rate %v passed", r)
		}
	}
	p, err := Constant(1e-300)
	if err != nil {
		t.Fatal(err)
	}
	p.Take(0)
	if p.Next() != math.MaxInt64 {
		t.Errorf("a rate of almost nothing comes at %v", p.Next())
	}
}

// The count of a ramp up to any instant is the area under its rate.
func TestRampHasTheAreaUnderItsRate(t *testing.T) {
	for _, c := range []struct{ from, to float64 }{{0, 1000}, {100, 1000}, {1000, 100}, {1000, 0.001}, {500, 500}, {500, 500.000001}} {
		p, err := New(Arrivals{Shape: Ramp, From: c.from}, c.to, 10*time.Second, 0)
		if err != nil {
			t.Fatal(err)
		}
		for at := time.Duration(0); at <= 10*time.Second; at += 250 * time.Millisecond {
			for {
				if _, ok := p.Take(at); !ok {
					break
				}
			}
			s := at.Seconds()
			want := c.from*s + (c.to-c.from)*s*s/20
			if got := float64(p.Taken()); got < want-1.01 || got > want+1.01 {
				t.Errorf("from %v to %v: %v arrivals after %v, want %.1f", c.from, c.to, got, at, want)
			}
		}
	}
}

func TestBurstsComeAtOnce(t *testing.T) {
	p, err := New(Arrivals{Shape: Bursts, Every: 500 * time.Millisecond}, 1000, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		due, ok := p.Take(10 * time.Second)
		if want := time.Duration(i/500) * 500 * time.Millisecond; !ok || due != want {
			t.Fatalf("arrival %d at %v, want %v", i, due, want)
		}
	}
}

func TestSharesAreTheWholeSchedule(t *testing.T) {
	for _, a := range []Arrivals{{}, {Shape: Random}, {Shape: Ramp, From: 10}, {Shape: Bursts, Every: time.Second}} {
		whole, err := New(a, 777, 4*time.Second, 3)
		if err != nil {
			t.Fatal(err)
		}
		var parts [3]*Pacer
		for i := range parts {
			parts[i], _ = New(a, 777, 4*time.Second, 3)
			parts[i].Share(i, len(parts))
		}
		for i := range 3000 {
			want, _ := whole.Take(math.MaxInt64 - 1)
			if got, ok := parts[i%3].Take(math.MaxInt64 - 1); !ok || got != want {
				t.Fatalf("%v: arrival %d at %v, want %v", a, i, got, want)
			}
		}
	}
}

func TestArrivalsReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]Arrivals{
		"constant": {}, "poisson": {Shape: Random}, "ramp?from=100": {Shape: Ramp, From: 100},
		"ramp?from=0": {Shape: Ramp}, "burst?every=500ms": {Shape: Bursts, Every: 500 * time.Millisecond},
	} {
		got, err := ParseArrivals(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v, %v, written %s", text, got, err, got)
		}
	}
	if a, err := ParseArrivals("burst"); err != nil || a.Every != time.Second {
		t.Errorf("burst: %+v, %v", a, err)
	}
	for _, text := range []string{"", "even", "ramp?from=x", "ramp?from=-1", "ramp?from=NaN", "ramp?every=1s", "burst?every=0s", "burst?every=1", "constant?rate=1", "http://poisson", "ramp?from=%"} {
		if a, err := ParseArrivals(text); err == nil {
			t.Errorf("%q passed as %v", text, a)
		}
	}
	if _, err := New(Arrivals{Shape: Bursts, Every: time.Millisecond}, 100, 0, 0); err == nil {
		t.Error("a burst of nobody passed")
	}
}

func BenchmarkTake(b *testing.B) {
	for _, a := range []Arrivals{{}, {Shape: Random}, {Shape: Ramp}} {
		b.Run(a.Shape.String(), func(b *testing.B) {
			p, err := New(a, 1e6, time.Second, 0)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				p.Take(math.MaxInt64 - 1)
			}
		})
	}
}
