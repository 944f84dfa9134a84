package guard

import (
	"time"

	"weir/guard/budget"
	"weir/guard/mono"
	"weir/guard/wheel"
)

// Phase says what the connection does now and arms that phase's deadline from now on, also when
// the phase is the same as before (a new frame has begun). First is kept until Idle, Busy, Body or
// Closing: Head and Frame while in First only start MinRate, once. The deadline of First is put
// off like FrameTimeout when what has begun is a Frame, and never when it is a Head. With a
// FirstFrameTimeout of 0 there is nothing to keep, and Head and Frame in First are as elsewhere.
//
// hot: 0 allocs; Phase(Idle) after a frame is one store into the record.
func (l *Loop) Phase(id ID, ph Phase) {
	c := &l.conns[id]
	p := l.policies[c.policy%maxPolicies]
	if c.flags&paused != 0 {
		l.addPause(id, c)
	}
	if c.unproven && (ph == Idle || ph == Body || ph == Busy) {
		l.prove(id, c)
	}
	if ph == Idle { // after each frame: first, and on its own
		c.phase, c.in = Idle, 0
		c.flags &^= told | inHead | inFrame
		l.idle(uint32(id), c, p)
		return
	}
	if c.phase == First && (ph == Head || ph == Frame) && p.first != 0 {
		l.beginInFirst(id, c, p, ph)
		return
	}
	c.phase = ph
	c.flags &^= told | inHead | inFrame
	switch ph {
	case First:
		c.in = 0
		l.begin(id, c, p.first)
	case Proxy:
		c.in = 0
		l.begin(id, c, p.proxy)
	case Handshake:
		c.in = 0
		l.begin(id, c, p.handshake)
	case Head, Frame:
		l.begin(id, c, p.frame)
		l.ask(id, c, p)
	case Body:
		c.read = 0
		l.ask(id, c, p)
	case Busy:
		c.read, c.in = 0, 0
	case HalfClosed:
		c.in = 0
		l.begin(id, c, p.half)
	case Auth:
		c.in = 0
		left := mono.Time(p.auth) - (l.now - l.cold[id].admitted)
		if p.auth != 0 {
			left = max(left, 1)
		} else {
			left = 0
		}
		l.begin(id, c, time.Duration(left))
	case Closing:
		c.in = 0
		l.begin(id, c, p.linger)
	}
}

// Declined says that the frame under way was refused, and that the connection goes on: what runs for
// the frame ends, as by Phase(Idle). An unproven connection stays so, and keeps the deadline of First:
// one that has nothing admitted until then ends.
//
// hot: 0 allocs, no lock, no clock.
func (l *Loop) Declined(id ID) {
	c := &l.conns[id]
	if !c.unproven {
		l.Phase(id, Idle)
		return
	}
	if c.phase != First {
		l.Phase(id, First)
	}
	c.flags &^= inHead | inFrame
	c.in = 0
}

// idle starts the idle timeout, spread a little so that connections made together do not end
// together.
func (l *Loop) idle(id uint32, c *record, p *Policy) {
	if p.idle == 0 {
		c.read = 0
		return
	}
	spread := uint64(id*0x9e3779b1) * p.jitter >> 32
	fine := fineUp(l.now+mono.Time(p.idle)) + int64(spread)
	c.read = fineWord(fine)
	l.arm(id, c, p, fineTick(fine))
}

// begin starts the phase's own deadline; a d of 0 is none.
func (l *Loop) begin(id ID, c *record, d time.Duration) {
	if d == 0 {
		c.read = 0
		return
	}
	var tick uint32
	c.read, tick = l.after(d)
	l.arm(uint32(id), c, l.policies[c.policy], tick)
}

// ask starts the minimum rate and the average.
func (l *Loop) ask(id ID, c *record, p *Policy) {
	c.since, c.sum = fineNow(l.now), 0
	if c.flags&paused != 0 {
		c.in = p.pace.Start(0)
		return
	}
	c.in = p.pace.Start(l.service.Now())
	if c.in != 0 {
		l.armService(uint32(id), c, p, c.in)
	}
}

// beginInFirst is Head or Frame before the first frame is complete. A second one does not begin
// anew: nothing has been completed.
func (l *Loop) beginInFirst(id ID, c *record, p *Policy, ph Phase) {
	begun := c.flags&(inHead|inFrame) != 0
	c.flags &^= inHead | inFrame
	if ph == Head {
		c.flags |= inHead
	} else {
		c.flags |= inFrame
	}
	if !begun {
		l.ask(id, c, p)
	}
}

// Pause says that we do not read from now on (backpressure, a Verdict's Wait): the peer is charged
// no time on its bytes until Resume. What it is owed, and Lifetime, go on. Both are idempotent.
func (l *Loop) Pause(id ID) {
	c := &l.conns[id]
	if c.flags&paused != 0 {
		return
	}
	c.flags |= paused
	c.in = c.in.Pause(l.service.Now())
	l.cold[id].pausedAt = l.now
}

// Resume says that we read again. The deadlines on the peer's bytes have as much time left as they
// had at Pause.
func (l *Loop) Resume(id ID) {
	c := &l.conns[id]
	if c.flags&paused == 0 {
		return
	}
	l.addPause(id, c)
	c.flags &^= paused
	p := l.policies[c.policy]
	if c.in = c.in.Resume(l.service.Now()); c.in != 0 {
		l.armService(uint32(id), c, p, c.in)
	}
	if c.read != 0 {
		l.arm(uint32(id), c, p, fineTick(l.fine(c.read)))
	}
}

// addPause moves the deadline by the pause so far. The part of a fine tick that is left over is
// kept for the next pause, so that many short ones add up to what they were, neither free time for
// somebody who provokes them nor time lost.
func (l *Loop) addPause(id ID, c *record) {
	d := &l.cold[id]
	sum := int64(d.carry) + int64(l.now-d.pausedAt)
	d.pausedAt = l.now
	d.carry = uint32(sum & (1<<fineShift - 1))
	shift := uint32(sum >> fineShift)
	c.since += shift
	if c.read != 0 {
		c.read = fineWord(l.fine(c.read) + int64(shift))
	}
}

// fineUp is the first fine tick that is wholly after t: a pause may take up to one away again.
func fineUp(t mono.Time) int64 { return int64(t+1<<fineShift-1)>>fineShift + 1 }

func fineNow(t mono.Time) uint32 { return uint32(t >> fineShift) }

// fineWord is a fine tick as it is kept: 0 means none.
func fineWord(f int64) uint32 {
	if uint32(f) == 0 {
		f++
	}
	return uint32(f)
}

// fine is the fine tick that a record's word stands for, the one nearest to now.
func (l *Loop) fine(word uint32) int64 {
	now := int64(l.now >> fineShift)
	return now + int64(int32(word-uint32(now)))
}

// fineTick is the wheel's first tick at or after the fine tick f.
func fineTick(f int64) uint32 { return uint32((f + 1<<fineOfTick - 1) >> fineOfTick) }

// dueTick is the wheel's first tick at or after t.
func dueTick(t mono.Time) uint32 { return wheel.Due(t) }

// after is the instant d from now, as a record's word and as the wheel's tick.
func (l *Loop) after(d time.Duration) (word, tick uint32) {
	f := fineUp(l.now + mono.Time(d))
	return fineWord(f), fineTick(f)
}

// arm makes sure that the connection is visited at tick or before.
func (l *Loop) arm(id uint32, c *record, p *Policy, tick uint32) {
	if a := c.at; a == 0 || int32(tick-a) < 0 { // seldom: the rest is not inlined
		l.file(id, c, p, tick)
	}
}

func (l *Loop) file(id uint32, c *record, p *Policy, tick uint32) {
	a := c.at
	if now := wheel.TickOf(l.now); int32(tick-now) > int32(p.hop) {
		tick = now + p.hop
		if a != 0 && int32(tick-a) >= 0 {
			return
		}
	}
	l.wheel.Arm(id, &c.at, tick)
}

// armService is arm for a deadline on the service clock, which may fall behind but not run ahead.
func (l *Loop) armService(id uint32, c *record, p *Policy, d budget.Due) {
	l.arm(id, c, p, dueTick(l.now+mono.Time(d)-mono.Time(l.service.Now())))
}
