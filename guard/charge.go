package guard

import (
	"time"

	"weir/guard/bucket"
)

// Warm fetches what Read and Frame will need of a connection. It changes nothing. Called for each
// ready connection of a wake before the first of them is served, it makes their cache misses run
// side by side instead of one after the other; without it each costs a trip to memory, which with
// 100,000 connections is more than all the rest of the guard. At most a few dozen at a time.
//
// It needs a caller who knows all ready connections beforehand; package engine, whose poller calls
// back one by one, does not.
//
// hot: 0 allocs, see BenchmarkGuardFrame.
func (l *Loop) Warm(id ID) {
	c := &l.conns[id]
	if t := l.policies[c.policy%maxPolicies].frames[c.flags>>kindShift]; t != nil {
		l.warmed += t.Touch(&c.handle)
	}
}

// Read charges n bytes that have been read. The bytes are here: they are always charged, and the
// Verdict's Wait, when above 0, is how long to leave the peer's further bytes to the kernel. The
// debt of a connection, and of a source, ends at one burst.
//
// hot: 0 allocs, no lock, no clock, see BenchmarkGuardFrame.
func (l *Loop) Read(id ID, n int) (v Verdict) {
	if n <= 0 {
		return Verdict{}
	}
	size := min(uint64(n), 1<<31)
	l.counts.BytesIn += size
	c := &l.conns[id]
	p := l.policies[c.policy%maxPolicies]
	c.sum = uint32(min(uint64(c.sum)+size, 1<<32-1))
	if c.in != 0 {
		l.push(c, p, int(size))
	}
	return l.spend(c, p, size)
}

// Surcharge charges n bytes that have not arrived as such, for work that small messages make: they
// count against the greatest rates as Read's do, and not towards the least. The Verdict holds for
// what has been read together with them.
func (l *Loop) Surcharge(id ID, n int) Verdict {
	if n <= 0 {
		return Verdict{}
	}
	c := &l.conns[id]
	return l.spend(c, l.policies[c.policy%maxPolicies], min(uint64(n), 1<<31))
}

// spend takes bytes from the budgets of a connection and its source.
func (l *Loop) spend(c *record, p *Policy, size uint64) (v Verdict) {
	if p.byteMeter.Limits() {
		cell, over := p.byteMeter.Take(c.bytes, size, l.now)
		c.bytes = cell
		if over {
			v = Verdict{SlowConnBytes, l.owes(c, p)}
		}
	}
	if t := p.bytes[c.flags>>kindShift]; t != nil {
		if size += uint64(c.pending); size < uint64(p.lot) {
			c.pending = uint32(size)
		} else {
			c.pending = 0
			if wait := t.Take(&c.handle, size, l.now); wait > v.Wait {
				v = Verdict{SlowSourceBytes, wait}
			}
		}
	}
	if v.Reason != OK {
		l.counts.Slowed[v.Reason]++
	}
	return v
}

// owes bounds a connection's debt and says how long it takes to pay.
//
//go:noinline
func (l *Loop) owes(c *record, p *Policy) (wait time.Duration) {
	c.bytes, wait = p.byteMeter.Owe(c.bytes, l.now)
	return wait
}

// push puts off the inbound minimum rate's deadline.
func (l *Loop) push(c *record, p *Policy, n int) {
	now := l.service.Now()
	if c.flags&paused != 0 {
		now = 0
	}
	c.in = p.pace.Push(c.in, n, now)
}

// Frame charges one frame: OK, ShedConnFrames or ShedSourceFrames. A frame that is refused is not
// charged.
//
// hot: 0 allocs, no lock, no clock; Read + Frame + Phase(Idle) about 45 ns with 10,000 connections
// and, after Warm, 100 to 170 ns with a million, see BenchmarkGuardFrame.
func (l *Loop) Frame(id ID) Reason {
	c := &l.conns[id]
	p := l.policies[c.policy%maxPolicies]
	cell := c.frames
	if p.frameMeter.Limits() {
		var ok bool
		if cell, ok = p.frameMeter.Allow(cell, 1, l.now); !ok {
			l.counts.Shed[ShedConnFrames]++
			return ShedConnFrames
		}
	}
	if t := p.frames[c.flags>>kindShift]; t != nil {
		paid := true
		if l.prepaid.id != id {
			if l.prepaid.left > 0 {
				l.settlePrepaid()
			}
			l.prepaid.id = id
			paid = t.AllowOne(&c.handle, l.now)
		} else if l.prepaid.left > 0 {
			l.prepaid.left--
		} else {
			paid = l.prepay(c, t)
		}
		if !paid {
			l.counts.Shed[ShedSourceFrames]++
			return ShedSourceFrames
		}
	}
	c.frames = cell
	l.counts.Frames++
	return OK
}

// prepaid are tokens of one source bucket that a loop has taken and not used yet. When a second
// frame of a connection comes in one turn more will follow, so a batch is taken with one
// compare-and-swap; what is left goes back when another connection's frame comes or the turn ends.
// Time stands still meanwhile, so the decisions are those of taking them one by one. Another loop
// may find up to a batch less in the bucket for that long, never more.
type prepaid struct {
	id   ID // whose frame was the last this turn; none at a turn's start
	left uint32
}

const prepaidBatch = 16

// prepay takes a batch of tokens, one of them for now.
func (l *Loop) prepay(c *record, t *bucket.Table) bool {
	got := uint32(t.AllowSome(&c.handle, prepaidBatch, l.now))
	l.prepaid.left = got - min(got, 1)
	return got > 0
}

// settlePrepaid gives back what is left. It must come before the loop's time moves on and before
// the connection is gone.
func (l *Loop) settlePrepaid() {
	if l.prepaid.left > 0 {
		c := &l.conns[l.prepaid.id]
		t := l.policies[c.policy].frames[c.flags>>kindShift]
		t.Refund(&c.handle, uint64(l.prepaid.left), l.now)
		l.prepaid.left = 0
	}
	l.prepaid.id = none
}
