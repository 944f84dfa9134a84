package attack

import (
	"time"

	"weir/bench/pacer"
	"weir/bench/ring"
)

// connectionFlood opens connections as fast as it can and says nothing on them.
//
//	attacker                 server
//	   | SYN ------------------> |  accepts, and has to decide without having read a byte
//	   | <-------------- SYN/ACK |
//	   |                         |  shed: RST or FIN, and the next connection takes its place
//	   |                         |  not shed: held until -hold is over, or the attack
//
// Aimed at: the accept queue, descriptors, memory for a connection, the cost of accepting one.
// What ought to stop it: limits on connections and new connections a second, for each source and in all; a
// deadline for the first byte.
var connectionFlood = Kind{
	Name:  "connection-flood",
	Help:  "connects as fast as possible from many sources and says nothing: aims at descriptors and the accept queue",
	Units: "connections",
	defaults: Options{
		Conns: 10_000, Total: 100_000, Count: 1, Size: 0, Frame: 1, Interval: time.Second,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	loop: func(r *run) error { return (&connFlood{run: r}).flood() },
}

type connFlood struct {
	*run
	held ring.Queue[handle] // with a hold time: which connection ends next
}

// dialsPerTurn is how many connects are begun before events are looked at: few enough that those shed at once
// free their slots and ports soon, enough to spread the cost of a wait.
const dialsPerTurn = 64

func (f *connFlood) flood() error {
	pace, err := newPace(f.opts.Rate)
	if err != nil {
		return err
	}
	for !f.over() {
		now := f.now()
		f.letGo(now)
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
		f.turn(wait, f)
	}
	return nil
}

func (f *connFlood) stood(i int32) {
	f.counts.units.Add(1)
	if f.opts.Churn {
		f.end(i, byUs)
		return
	}
	if f.opts.Hold > 0 {
		c := &f.conns[i]
		f.held.Push(handle{i, c.generation, c.since + f.opts.Hold})
	}
}

func (f *connFlood) readable(i int32) { f.read(i, func([]byte) bool { return true }) }
func (f *connFlood) writable(int32)   {}

// letGo closes what was held long enough.
func (f *connFlood) letGo(now time.Duration) {
	for f.held.Len() > 0 && f.held.First().at <= now {
		h := f.held.Pop()
		if c := &f.conns[h.slot]; c.fd >= 0 && c.generation == h.generation {
			f.end(h.slot, byUs)
		}
	}
}

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
