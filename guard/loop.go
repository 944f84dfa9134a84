package guard

import (
	"math/rand/v2"
	"time"
	"unsafe"

	"weir/guard/bucket"
	"weir/guard/budget"
	"weir/guard/mono"
	"weir/guard/wheel"
)

// ID names one admitted connection within its Loop. IDs are dense from 0 and reused, the last one
// freed first.
type ID uint32

// none is no ID: a Loop has room for fewer.
const none = ^ID(0)

// Phase is what a connection is doing, as far as deadlines are concerned.
type Phase uint8

const (
	// First: accepted, no complete frame yet. FirstFrameTimeout runs from Admit, or from when the
	// phase is set again.
	First Phase = iota
	// Idle: between two frames. IdleTimeout runs.
	Idle
	// Head: a head has begun. FrameTimeout runs and nothing extends it; MinRate is asked for.
	Head
	// Frame: a frame has begun. FrameTimeout runs, extended while the average since the phase
	// began is at least MinRate; MinRate is asked for.
	Frame
	// Body: a body is streaming in. MinRate is asked for.
	Body
	// Busy: the server is at work; nothing is asked of the peer but Lifetime.
	Busy
	// Closing: our side is finished; WriteTimeout, and 5 s at most, bounds how long the peer may
	// take (ShedLinger).
	Closing
	// Proxy: the PROXY header is awaited. ProxyTimeout runs, and nothing extends it.
	Proxy
	// Handshake: the TLS handshake is awaited or under way. HandshakeTimeout runs, and nothing
	// extends it.
	Handshake
	// HalfClosed: one side of a relayed connection has finished sending. HalfCloseTimeout runs.
	HalfClosed
	// Auth: a frame was complete, and the peer has to authenticate before others are served. AuthTimeout
	// runs, from Admit, and nothing extends it, nor does setting the phase again.
	Auth
)

// Verdict is the answer to bytes or frames.
type Verdict struct {
	Reason Reason        // OK, or why not
	Wait   time.Duration // with a Reason that Slows: do not read for this long
}

// record is all that a frame needs to know of its connection: one cache line.
type record struct {
	bytes, frames bucket.Cell
	in            budget.Due    // inbound minimum rate; time left while paused
	handle        bucket.Handle // of the source
	read          uint32        // the phase's deadline in fine ticks, 0 = none
	at            uint32        // the wheel's word
	since         uint32        // fine tick in which the phase began
	sum           uint32        // bytes read since then, at most 2^32-1
	pending       uint32        // bytes read and not yet charged to the source, less than a lot
	policy        uint16
	phase         Phase
	flags         uint8
	unproven      bool // no frame was complete yet
	_             [7]byte
}

// The flags of a record. The two highest bits are its kind: source.V4, source.V6 or exempt.
const (
	live      = 1 << iota // admitted and not gone
	paused                // between Pause and Resume
	owing                 // between Owe and Settled
	told                  // this phase's expiry has been counted
	inHead                // in First: a head has begun
	inFrame               // in First: a frame has begun
	kindShift = iota
	exempt    = 2
)

// cold is what is needed at accept and at the end, around a pause, and while owing.
type cold struct {
	bits     uint64 // source.Key's
	admitted mono.Time
	pausedAt mono.Time  // up to here pauses have been added to the deadlines
	out      budget.Due // outbound minimum rate; good only while owing
	write    uint32     // WriteTimeout's deadline in fine ticks, 0 = none; good only while owing
	carry    uint32     // ns of pauses not yet added, less than a fine tick
	// In the list of free IDs, where only next is used, or of unproven connections.
	prev, next ID
}

const (
	recordBytes = int64(unsafe.Sizeof(record{}))
	coldBytes   = int64(unsafe.Sizeof(cold{}))
)

// A fine tick, 1.05 ms, is the resolution of deadlines in a record; sixteen are one tick of the
// wheel. They are compared by the sign of their difference, so they reach 26 days ahead.
const (
	fineShift  = 20
	fineOfTick = wheel.TickShift - fineShift
)

// Loop is one event loop's half of a Guard. On the loop's goroutine only.
type Loop struct {
	// Probe, when set, is called before a connection is judged for a deadline on its bytes, to
	// let the engine report what has arrived or drained meanwhile (by Read, Phase, Drained ...).
	// It may call Gone, but not Admit.
	Probe func(ID, Reason)
	// Evict, when set, is told by Admit to end an unproven connection, with ShedUnproven, whose
	// place a newcomer needs. It must call Gone for it, and neither Admit nor Expire. Without it
	// the newcomer is refused.
	Evict func(ID)

	guard    *Guard
	policies *[maxPolicies]*Policy
	conns    []record
	now      mono.Time
	service  budget.Clock
	prepaid  prepaid
	counts   Counts
	warmed   uint64 // keeps Warm's loads from being left out

	wheel *wheel.Wheel
	cold  []cold
	free  ID // the last ID freed, none when there is none
	fresh ID // IDs from here on have never been used
	// Unproven connections in the order of their admission; none when there are none.
	oldest, newest ID
	dice           uint64 // of chance; not 0
	visit          func(uint32)
	due            func(ID, Reason)
}

// Loop makes one loop's half, with room for n connections: 64 + 48 bytes each, touched when first
// used, and what its wheel takes. Any goroutine, but not on a loop: it allocates.
func (g *Guard) Loop(n int) *Loop {
	if n < 0 || n > maxConns {
		panic("guard: Loop: number of connections out of range")
	}
	l := &Loop{
		guard: g, policies: g.policies,
		conns: make([]record, n), cold: make([]cold, n),
		free: none, oldest: none, newest: none, prepaid: prepaid{id: none}, dice: rand.Uint64() | 1,
	}
	l.visit = l.visitOne
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loops = append(g.loops, l)
	return l
}

// Turn sets the loop's time; everything below uses it. Time never goes back: an earlier now is
// ignored. Call once per wake, before anything else.
func (l *Loop) Turn(now mono.Time) {
	if now <= l.now {
		return
	}
	l.settlePrepaid()
	next := mono.Time(0)
	if now.Sub(l.now) > budget.MaxStall {
		next = l.Next()
	}
	l.service.Turn(now, next)
	tick := wheel.TickOf(now)
	if l.wheel == nil {
		l.wheel = wheel.New(tick)
	}
	if tick != wheel.TickOf(l.now) || l.now == 0 {
		l.guard.sweep(now)
	}
	l.now = now
}

// Now is the time given to the last Turn.
func (l *Loop) Now() mono.Time { return l.now }
