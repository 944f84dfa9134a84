package pacer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// MaxRate is the highest rate of arrivals, in arrivals a second: one each nanosecond is what the clock can tell
// apart.
const MaxRate = 1e9

// Pacer is a schedule of arrivals. Not for concurrent use. The zero value is not a schedule: use [Constant] or
// [Poisson].
type Pacer struct {
	next   time.Duration // when the next arrival is due, since the start; never decreases
	taken  int64         // arrivals handed out
	period float64       // mean nanoseconds between arrivals
	random *rand.Rand    // nil for a constant rate
	sum    float64       // Poisson only: nanoseconds up to next, unrounded
}

// Constant returns a schedule with arrival i due at i/rate seconds, rounded down to the nanosecond; the first is due
// at once. The i'th instant is computed from i, not from its predecessor, so nothing drifts. rate is in arrivals a
// second, 0 < rate ≤ [MaxRate].
func Constant(rate float64) (*Pacer, error) {
	if !(rate > 0 && rate <= MaxRate) {
		return nil, fmt.Errorf("rate %v: must be above 0 and at most 1e9 a second", rate)
	}
	return &Pacer{period: 1e9 / rate}, nil
}

// Poisson returns a schedule whose gaps are exponentially distributed with the mean 1/rate: independent clients,
// bursts included. The same seed gives the same schedule. rate as for [Constant].
func Poisson(rate float64, seed uint64) (*Pacer, error) {
	p, err := Constant(rate)
	if err != nil {
		return nil, err
	}
	p.random = rand.New(rand.NewPCG(seed, 0x77656972))
	p.step()
	return p, nil
}

// Next returns when the next arrival is due, since the start of the run.
func (p *Pacer) Next() time.Duration { return p.next }

// Taken returns how many arrivals were handed out.
func (p *Pacer) Taken() int64 { return p.taken }

// Take hands out the next arrival and when it was due, if that is not after now. A caller that wakes up late takes
// them all, one by one, each with its own instant.
func (p *Pacer) Take(now time.Duration) (due time.Duration, ok bool) {
	if p.next > now {
		return 0, false
	}
	due = p.next
	p.taken++
	if p.random != nil {
		p.step()
	} else {
		p.next = clamp(float64(p.taken) * p.period)
	}
	return due, true
}

func (p *Pacer) step() {
	p.sum += p.random.ExpFloat64() * p.period
	p.next = clamp(p.sum)
}

// clamp keeps a schedule with a tiny rate from wrapping around: it simply never comes.
func clamp(ns float64) time.Duration {
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
