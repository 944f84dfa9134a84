package guard

import (
	"time"

	"weir/guard/budget"
	"weir/guard/mono"
	"weir/guard/wheel"
)

// Expire calls due for connections whose deadlines have passed, looking at no more than budget
// entries of the wheel, and reports whether it has finished; if not, call it again in the next
// turn. due may call anything but Expire and usually calls Gone; a connection that is not ended is
// asked about again a tick later. Each expiry is counted once, however often it is asked about.
func (l *Loop) Expire(budget int, due func(ID, Reason)) bool {
	if l.wheel == nil {
		return true
	}
	tick := wheel.TickOf(l.now)
	if l.wheel.Done(tick) { // most turns: nothing can be due before the next tick
		return true
	}
	l.due = due
	done := l.wheel.Advance(tick, budget, l.visit)
	l.due = nil
	return done
}

// Next is the earliest instant at which Expire may have work; 0 when nothing is filed. It may be
// in the past.
func (l *Loop) Next() mono.Time {
	if l.wheel == nil {
		return 0
	}
	tick, some := l.wheel.Next()
	if !some {
		return 0
	}
	now := int64(l.now >> wheel.TickShift)
	return max(1, mono.Time(now+int64(int32(tick-uint32(now))))<<wheel.TickShift)
}

// visitOne looks at one entry of the wheel.
func (l *Loop) visitOne(n uint32) {
	id := ID(n)
	c := &l.conns[id]
	if !l.wheel.Claim(n, &c.at) {
		l.counts.Stale++
		return
	}
	if c.flags&live == 0 {
		return
	}
	reason, next := l.judge(id, c)
	if reason != OK && reason != ShedLifetime && l.Probe != nil {
		l.Probe(id, reason)
		if c.flags&live == 0 {
			return
		}
		reason, next = l.judge(id, c)
	}
	if reason == OK {
		if next != never {
			l.counts.Refiled++
			l.arm(n, c, l.policies[c.policy], dueTick(next))
		}
		return
	}
	if c.flags&told == 0 {
		c.flags |= told
		l.counts.Shed[reason]++
	}
	l.due(id, reason)
	if c.flags&live != 0 {
		l.arm(n, c, l.policies[c.policy], wheel.TickOf(l.now)+1)
	}
}

const never = mono.Time(1<<63 - 1)

// pausedVisits is how often a paused connection is looked at, at most. Its deadlines do not come
// closer, but filing it where they would be if it were resumed now means that resuming need not
// file it again.
const pausedVisits = 8 * wheel.Tick

// judge returns the reason whose deadline has passed, or OK and the next instant at which to ask.
func (l *Loop) judge(id ID, c *record) (Reason, mono.Time) {
	p := l.policies[c.policy]
	next := never
	if c.flags&paused != 0 {
		next = min(next, l.pausedNext(id, c))
	} else {
		if c.read != 0 {
			if int32(c.read-fineNow(l.now)) <= 0 && !l.extend(c, p) {
				return readReason[c.phase], 0
			}
			next = min(next, mono.Time(l.fine(c.read)<<fineShift))
		}
		if left, some := l.left(c.in); some && left <= 0 {
			return ShedSlowSender, 0
		} else if some {
			next = min(next, l.now+mono.Time(left))
		}
	}
	if c.flags&owing != 0 {
		d := &l.cold[id]
		if d.write != 0 {
			if int32(d.write-fineNow(l.now)) <= 0 {
				return ShedWriteStall, 0
			}
			next = min(next, mono.Time(l.fine(d.write)<<fineShift))
		}
		if left, some := l.left(d.out); some && left <= 0 {
			return ShedSlowReader, 0
		} else if some {
			next = min(next, l.now+mono.Time(left))
		}
	}
	if p.life != 0 {
		end := l.cold[id].admitted + mono.Time(p.life)
		if end <= l.now {
			return ShedLifetime, 0
		}
		next = min(next, end)
	}
	return OK, next
}

// left is the time until d on the service clock, and whether d is asked for.
func (l *Loop) left(d budget.Due) (time.Duration, bool) {
	return time.Duration(int64(d) - int64(l.service.Now())), d != 0
}

// pausedNext is when the nearest of the stopped deadlines would come if reading began now.
func (l *Loop) pausedNext(id ID, c *record) mono.Time {
	next := never
	if c.read != 0 {
		next = l.now + mono.Time(l.fine(c.read)<<fineShift) - l.cold[id].pausedAt
	}
	if c.in != 0 {
		next = min(next, l.now+mono.Time(c.in))
	}
	if next == never {
		return never
	}
	return max(next, l.now+mono.Time(pausedVisits))
}

// readReason says what a phase's own deadline is called. Body and Busy have none.
var readReason = [...]Reason{
	First: ShedFirstFrame, Idle: ShedIdle, Head: ShedFrame, Frame: ShedFrame,
	Body: ShedFrame, Busy: ShedIdle, Closing: ShedLinger,
	Proxy: ShedProxyHeader, Handshake: ShedHandshake, HalfClosed: ShedHalfClosed, Auth: ShedAuthTimeout,
}

// extend puts off a passed deadline of a frame that has kept MinRate on average since it began, to
// the instant at which it no longer has if nothing more comes. A head is never put off, and
// without a MinRate nothing is: bytes that merely arrive are what slowloris sends.
func (l *Loop) extend(c *record, p *Policy) bool {
	if c.phase != Frame && (c.phase != First || c.flags&inFrame == 0) || !p.pace.Asks() {
		return false
	}
	now := int64(l.now >> fineShift)
	begun := l.fine(c.since)
	// Begin, time and pauses are each rounded down to a fine tick: never early.
	until := begun + int64(p.pace.Time(int64(c.sum))>>fineShift) + 3
	if until <= now {
		return false
	}
	c.read = fineWord(until)
	return true
}
