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
		p, err := Poisson(1000, seed)
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
