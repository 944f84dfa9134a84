package attack

import (
	"time"

	"weir/bench/pacer"
	"weir/bench/ring"
)

// dialsPerTurn is how many connects are begun before events are looked at: few enough that those shed at once
// free their slots and ports soon, enough to spread the cost of a wait.
const dialsPerTurn = 64

// flood opens connections at the rate, so many at once and so many in all, and lets go of those that were held long
// enough. What is said on them is up to whoever embeds it.
type flood struct {
	*run
	held ring.Queue[handle] // with a hold time: which connection ends next
	// tick does what is due now and returns for how long nothing more is; nil: nothing ever is.
	tick func(now time.Duration) time.Duration
}

// pour runs until the attack's end, or until all connections were begun and have ended.
func (f *flood) pour(w wants) error {
	pace, err := newPace(f.opts.Rate)
	if err != nil {
		return err
	}
	for !f.over() {
		now := f.now()
		f.letGo(now)
		rest := maxWait
		if f.tick != nil {
			rest = f.tick(now)
		}
		began := 0
		for began < dialsPerTurn && !f.spent() && len(f.free) > 0 && pace.take(now) {
			if !f.dial() {
				break
			}
			began++
		}
		if f.spent() && f.used() == 0 {
			return nil
		}
		wait := maxWait
		if !f.spent() && len(f.free) > 0 {
			wait = pace.wait(now)
			if began == 0 && wait == 0 {
				wait = time.Millisecond // out of descriptors: until one comes free
			}
		}
		if f.held.Len() > 0 {
			wait = min(wait, max(0, f.held.First().at-now))
		}
		f.turn(min(wait, rest), w)
	}
	return nil
}

// hold has the connection end when the hold time, if there is one, has passed since the given instant.
func (f *flood) hold(i int32, since time.Duration) {
	if f.opts.Hold > 0 {
		f.held.Push(handle{i, f.conns[i].generation, since + f.opts.Hold})
	}
}

// letGo closes what was held long enough.
func (f *flood) letGo(now time.Duration) {
	for f.held.Len() > 0 && f.held.First().at <= now {
		h := f.held.Pop()
		if c := &f.conns[h.slot]; c.fd >= 0 && c.generation == h.generation {
			f.end(h.slot, byUs)
		}
	}
}

// ignore reads an answer for its end only.
func ignore([]byte) bool { return true }

// pace is a pacer for attacks: without a rate everything is due at once.
type pace struct{ p *pacer.Pacer }

func newPace(rate float64) (pace, error) {
	if rate == 0 {
		return pace{}, nil
	}
	p, err := pacer.Constant(rate)
	return pace{p}, err
}

// take reports whether one more unit is due now, and counts it as taken.
func (p pace) take(now time.Duration) bool {
	if p.p == nil {
		return true
	}
	_, ok := p.p.Take(now)
	return ok
}

// wait returns how long no further unit is due.
func (p pace) wait(now time.Duration) time.Duration {
	if p.p == nil {
		return 0
	}
	return max(0, p.p.Next()-now)
}
