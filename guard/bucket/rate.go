// Package bucket holds token buckets: Cell, one bucket in one word, and Table, very many buckets
// of one limit in a fixed amount of memory.
//
// Both are GCRA, "virtual scheduling" (ITU-T I.371): a bucket is only the instant at which it will
// be full again, its theoretical arrival time (TAT). A TAT in the past is a full bucket, so a
// fresh bucket is the zero word, nothing expires, and a clock that is a little behind can only be
// too strict: nothing here ever gives time back. Over any window of w seconds a bucket admits at
// most burst + rate·w.
//
// There is no clock, no lock, no allocation after New, and no goroutine in this package.
package bucket

import (
	"math"
	"math/bits"
	"time"

	"weir/guard/mono"
)

// Limit is a rate and a burst. It is comparable.
type Limit struct {
	Tokens int64         // that come back in every Per; 0 means no limit
	Per    time.Duration // usually a second; 0 means a second
	Burst  int64         // greatest number of tokens at once; 0 means one Per's worth
	Grain  int64         // 2^k: count in shares of a token this small; 0 means 64. Bytes take 1
	Debt   int64         // what Take may go below empty, in tokens; 0 for limits without Take
}

// The ranges of a Limit. The greatest rate of whole tokens is MaxRate; beyond it, up to
// MaxByteRate, tokens are counted in groups of up to 16 (see New).
const (
	MaxRate      = 1_000_000_000
	MaxBurst     = 1_000_000_000
	MaxByteRate  = 10 << 30
	MaxByteBurst = 10 << 30
)

// Slack is how far the clocks of two users of one Table may be apart. Up to it a bucket that the
// faster one filled is still a full debt to the slower one. Beyond it the slower one takes the
// word for an old one and gives its source a fresh bucket.
const Slack = time.Second

// scale is a Limit compiled: time as units, tokens as units.
//
// A unit is a token's time shared by 2^shift; its length in ns need not be whole. Units of an
// instant are the upper half of one multiplication, the same in every loop: no division, no table.
// Costs are a multiplication by a power of two, so they are exact as long as shift ≥ 0.
type scale struct {
	mul   uint64  // units per ns × 2^58, rounded to nearest: a rate of 1 an hour is exact to 10^-6
	unit  uint64  // 2^shift, units per token; 0 when shift is negative
	perNs float64 // units per ns, for the rare way back
	shift int8    // negative: 2^-shift tokens per unit
}

// newScale picks the finest grain (at most l.Grain) for which a second is at most 2^30 units, and
// room tokens and Slack together are less than limit units. With a limit of 0, as for words of 64
// bits, a token is at least a unit.
func newScale(l Limit, room int64, limit float64) scale {
	perNs := float64(l.Tokens) / float64(l.Per)
	shift := bits.Len64(uint64(l.Grain)) - 1
	for shift > -16 {
		u := math.Ldexp(perNs, shift)
		fits := math.Ldexp(float64(room), shift)+u*float64(Slack)+2 < limit
		if limit == 0 && (u*1e9 <= 1<<30 || shift == 0) || u*1e9 <= 1<<30 && fits {
			break
		}
		shift--
	}
	s := scale{shift: int8(shift), perNs: math.Ldexp(perNs, shift)}
	s.mul = uint64(math.Round(math.Ldexp(s.perNs, 58))) // perNs < 11: fits
	if shift >= 0 {
		s.unit = 1 << uint(shift)
	}
	return s
}

// at is the instant in units. Good for nine years of mono.Time.
func (s *scale) at(now mono.Time) uint64 {
	hi, _ := bits.Mul64(uint64(now)<<6, s.mul)
	return hi
}

// cost is n tokens in units, rounded to nearest and at least one; n is at least 1.
func (s *scale) cost(n uint64) uint64 {
	if c := n * s.unit; c != 0 {
		return c
	}
	return s.grouped(n)
}

func (s *scale) grouped(n uint64) uint64 {
	d := uint(-s.shift) & 63
	return max(1, (n+1<<(d-1))>>d)
}

// tokens is how many whole tokens u units are.
func (s *scale) tokens(u uint64) uint64 {
	if s.shift >= 0 {
		return u >> uint(s.shift&63)
	}
	return u << (uint(-s.shift) & 63)
}

// duration is u units of time, rounded up.
func (s *scale) duration(u uint64) time.Duration {
	return time.Duration(math.Ceil(float64(u) / s.perNs))
}

// normal fills in what zero means. The second result is false for no limit.
func (l Limit) normal() (Limit, bool) {
	if l.Tokens <= 0 {
		return l, false
	}
	if l.Per <= 0 {
		l.Per = time.Second
	}
	if l.Burst <= 0 {
		l.Burst = l.Tokens
	}
	if l.Grain <= 0 {
		l.Grain = 64
	}
	return l, true
}
