package bucket

import (
	"sync/atomic"
	"time"

	"weir/guard/mono"
)

// Cell is one bucket: its TAT in the units of its Meter. The zero Cell is full. A Cell belongs to
// one Meter for life and is not for concurrent use.
type Cell uint64

// Meter is a Limit compiled for Cells; it is shared by all of them and never changes. The zero
// Meter, and the Meter of a Limit without a rate, limits nothing. Any goroutine.
type Meter struct {
	scale
	tau, cap uint64
	burst    uint64
}

// NewMeter compiles l. The rate must not exceed MaxByteRate.
func NewMeter(l Limit) Meter {
	l, some := l.normal()
	if !some {
		return Meter{}
	}
	m := Meter{scale: newScale(l, 0, 0), burst: uint64(l.Burst)}
	m.tau = m.cost(m.burst)
	m.cap = m.tau
	if l.Debt > 0 {
		m.cap += m.cost(uint64(l.Debt))
	}
	return m
}

// Limits reports whether the Meter limits anything.
func (m *Meter) Limits() bool { return m.burst != 0 }

// Allow returns c with n tokens taken, and true; or c as it was and false when they are not all
// there. Only the caller's storing of the result charges anything. Any goroutine.
func (m *Meter) Allow(c Cell, n uint64, now mono.Time) (Cell, bool) {
	if n > m.burst {
		return c, false
	}
	u := m.at(now)
	tat := max(uint64(c), u) + n*m.unit
	if tat-u > m.tau {
		return c, false
	}
	return Cell(tat), true
}

// Take returns c with n tokens taken whether they were there or not, n ≤ 2^40, and whether c is in
// debt now. If so, Owe must follow. Any goroutine.
func (m *Meter) Take(c Cell, n uint64, now mono.Time) (Cell, bool) {
	u := m.at(now)
	c = Cell(max(uint64(c), u) + n*m.unit)
	return c, uint64(c)-u > m.tau
}

// Owe returns c with its debt brought down to Limit.Debt, what is beyond being forgiven, and how
// long it takes until the debt is paid. Any goroutine.
func (m *Meter) Owe(c Cell, now mono.Time) (Cell, time.Duration) {
	u := m.at(now)
	tat := min(uint64(c), u+m.cap)
	if tat-u <= m.tau { // no debt allowed, or none there
		return Cell(tat), 0
	}
	return Cell(tat), m.duration(tat - u - m.tau)
}

// Left is the number of tokens in c. Any goroutine.
func (m *Meter) Left(c Cell, now mono.Time) int {
	u := m.at(now)
	r := max(uint64(c), u) - u
	if r >= m.tau {
		return 0
	}
	return int(m.tokens(m.tau - r))
}

// Shared is a Cell with its Meter for several loops. The zero Shared limits nothing. Any goroutine.
type Shared struct {
	m   Meter
	tat atomic.Uint64
}

// NewShared compiles l.
func NewShared(l Limit) *Shared { return &Shared{m: NewMeter(l)} }

// Allow takes n tokens if all are there. Any goroutine.
func (s *Shared) Allow(n uint64, now mono.Time) bool {
	if !s.m.Limits() {
		return true
	}
	for {
		old := s.tat.Load()
		c, ok := s.m.Allow(Cell(old), n, now)
		if !ok {
			return false
		}
		if s.tat.CompareAndSwap(old, uint64(c)) {
			return true
		}
	}
}

// Refund gives back n tokens that Allow has just taken. Any goroutine.
func (s *Shared) Refund(n uint64) {
	if s.m.Limits() {
		s.tat.Add(-s.m.cost(n))
	}
}
