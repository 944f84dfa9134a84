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

// Pacer is a schedule of arrivals. Not for concurrent use. The zero value is not a schedule: use [New] or [Constant].
type Pacer struct {
	at    func(i int64) float64 // when arrival i is due, in nanoseconds since the start; called with i growing by one
	next  time.Duration         // when the next arrival is due, since the start; never decreases
	index int64                 // of the next arrival in the whole schedule
	step  int64                 // from one of ours to the next
	taken int64                 // arrivals handed out
}

// New returns a schedule of the given shape: rate arrivals a second, 0 < rate ≤ [MaxRate], at the end of a ramp, which
// takes the given length, above 0, and on average for the others, which go on for ever. The same seed gives the same
// exponential gaps. Arrival i is computed from i and not from its predecessor, the exponential ones apart, so that
// nothing drifts.
func New(a Arrivals, rate float64, length time.Duration, seed uint64) (*Pacer, error) {
	if !(rate > 0 && rate <= MaxRate) {
		return nil, fmt.Errorf("rate %v: must be above 0 and at most 1e9 a second", rate)
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	p := &Pacer{step: 1}
	period := 1e9 / rate
	switch a.Shape {
	case Even:
		p.at = func(i int64) float64 { return float64(i) * period }
	case Random:
		random, sum := rand.New(rand.NewPCG(seed, 0x77656972)), 0.0
		p.at = func(int64) float64 {
			sum += random.ExpFloat64() * period
			return sum
		}
	case Ramp:
		if length <= 0 {
			return nil, fmt.Errorf("arrivals: a ramp over %v: must be above 0", length)
		}
		p.at = ramp(a.From, rate, length.Seconds())
	case Bursts:
		size := math.Round(rate * a.Every.Seconds())
		if size < 1 {
			return nil, fmt.Errorf("arrivals: a burst every %v at %v a second has nobody in it", a.Every, rate)
		}
		p.at = func(i int64) float64 { return math.Floor(float64(i)/size) * float64(a.Every) }
	}
	p.next = clamp(p.at(0))
	return p, nil
}

// Constant is [New] with constant gaps, the first arrival at once.
func Constant(rate float64) (*Pacer, error) { return New(Arrivals{}, rate, 0, 0) }

// ramp returns when the i'th arrival is due while the rate goes from one to another in so many seconds, and on as it went.
// Until t there are from·t + (to-from)·t²/2·seconds of them, solved here for t; the first is due when there is a whole
// one but for the ramp that begins with a rate, where it is due at once.
func ramp(from, to, seconds float64) func(int64) float64 {
	growth := (to - from) / seconds
	return func(i int64) float64 {
		k := float64(i)
		if from == 0 {
			k++ // nobody comes at a rate of 0
		}
		under := from*from + 2*growth*k
		if under < 0 {
			return math.Inf(1) // it fell to 0 before
		}
		if k == 0 {
			return 0
		}
		return 1e9 * 2 * k / (from + math.Sqrt(under)) // this form loses no digits when growth is small
	}
}

// Share leaves p with each n'th arrival of the schedule, from the i'th on, 0 ≤ i < n: n callers with a share each have
// all of it. Before the first Take only.
func (p *Pacer) Share(i, n int) {
	p.advance(int64(i))
	p.step = int64(n)
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
	p.advance(p.step)
	return due, true
}

// advance goes n arrivals on, one by one: random gaps add up.
func (p *Pacer) advance(n int64) {
	for range n {
		p.index++
		p.next = clamp(p.at(p.index))
	}
}

// clamp keeps a schedule with a tiny rate from wrapping around: it simply never comes.
func clamp(ns float64) time.Duration {
	if ns >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(ns)
}
