// Package budget holds a peer to a minimum rate with one word a direction: a deadline that bytes
// push forward. Pushing is a multiplication and a minimum; only a timer wheel ever compares it
// with the time. The other half of a connection's budget, the greatest rate, is a bucket.Cell.
//
// An average since the start, as Kestrel and others take it, lets a fast start buy a stall of
// hours. Here speed buys no more than the grace: 50 MB at once and then silence is over after it.
//
// Nothing here reads a clock, allocates or locks. Not for concurrent use.
package budget

import (
	"time"

	"weir/guard/mono"
)

// MaxRate is the greatest minimum rate in bytes per second; up to it a byte's time in whole
// nanoseconds is exact to 1 %.
const MaxRate = 10_000_000

// Pace is a minimum rate compiled. The zero Pace asks for nothing. It never changes. Any goroutine.
type Pace struct {
	cost  int64 // ns that a byte buys
	grace int64 // ns before the rate is first asked for, and the most that bytes can buy
}

// NewPace compiles a rate in bytes per second, 0 (nothing is asked for) to MaxRate, and a grace
// above 0.
func NewPace(bytesPerSecond int, grace time.Duration) Pace {
	if bytesPerSecond <= 0 {
		return Pace{}
	}
	return Pace{int64(time.Second) / int64(bytesPerSecond), int64(grace)}
}

// Asks reports whether there is a minimum rate.
func (p *Pace) Asks() bool { return p.cost != 0 }

// Time is how long n bytes take at exactly the minimum rate; 0 without a rate. n ≤ 2^32.
func (p *Pace) Time(n int64) time.Duration { return time.Duration(n * p.cost) }

// Service is an instant on a loop's service clock, which stands still while the loop does not
// serve. Always above 0.
type Service int64

// Due is the instant on the service clock at which the peer has been too slow. 0: not asked for.
// While we do not read it holds the time left instead.
type Due int64

// Start is a Due with the grace ahead of it; 0 when p asks for nothing.
func (p *Pace) Start(now Service) Due {
	if p.cost == 0 {
		return 0
	}
	return Due(int64(now) + p.grace)
}

// Push is d after n bytes. now is 0 while d is paused. A d that is not asked for stays so.
//
// hot: 0 allocs, ≤ 2 ns, see BenchmarkPush.
func (p *Pace) Push(d Due, n int, now Service) Due {
	if d == 0 {
		return 0
	}
	return min(d+Due(int64(min(n, 1<<30))*p.cost), Due(int64(now)+p.grace))
}

// Pause turns d into the time left, at least 1 ns. Resume turns it back.
func (d Due) Pause(now Service) Due {
	if d == 0 {
		return 0
	}
	return max(1, d-Due(now))
}

// Resume undoes Pause at a later instant: the time between did not count.
func (d Due) Resume(now Service) Due {
	if d == 0 {
		return 0
	}
	return d + Due(now)
}

// MaxStall is the most that one turn of a loop counts against its peers.
const MaxStall = time.Second

// Clock is a loop's service clock. It follows the loop's turns, but a turn that comes late does
// not count for more than MaxStall: a process that was stopped, or waited for a disk, must not
// take its peers for slow (Kestrel counts a late heartbeat as one interval). The zero Clock is
// ready.
type Clock struct {
	last mono.Time
	now  Service
}

// Turn follows the loop to now. next is the instant at which the loop would have woken by itself,
// 0 when it would not have: sleeping until then is no stall.
func (c *Clock) Turn(now, next mono.Time) {
	if c.last == 0 {
		c.last, c.now = now, 1
		return
	}
	d := now.Sub(c.last)
	if d <= 0 {
		return
	}
	if d > MaxStall {
		slept := time.Duration(0)
		if next > c.last {
			slept = next.Sub(c.last)
		}
		d = min(d, slept+MaxStall)
	}
	c.now += Service(d)
	c.last = now
}

// Now is the service clock's time.
func (c *Clock) Now() Service { return c.now }
