package bucket

import (
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"weir/guard/mono"
)

// Ways is the number of places in a set, one cache line of them.
const Ways = 8

// set is one cache line. A word is tag<<32 | TAT, the TAT in units modulo 2^32. 0 is empty, and so
// is any word whose TAT has passed.
type set [Ways]atomic.Uint64

// Table is a bucket for each of very many sources under one Limit, in 8 bytes a place, fixed at New.
//
// A source has a set of 8 places and a 32-bit tag from its hash; two live sources share a bucket
// with probability 8 in 2^32. All changes are one compare-and-swap of one word, so loops share a
// Table without locks. A newcomer to a full set takes the place whose bucket is nearest to full,
// because that is the least to forget: the evicted source gets back at most what it had not yet
// earned, and a source over its limit is never the one that goes. Evictions of buckets that were
// not full are counted.
//
// Every admitted token keeps a place busy for one token's time, however many addresses an attacker
// has: live places ≤ admitted rate × (1/limit). With 2.5 times as many places practically nothing
// is evicted.
//
// Words are compared modulo 2^32 units. A word at most debt + burst + Slack ahead of now is live,
// any other is in the past. Sweep clears what has passed before it can look live again.
//
// Two loops that meet the same new source at once may each file it: the first found counts, the
// other expires, and the source may once get its burst twice. A source whose loops' clocks are
// further apart than Slack likewise.
//
// Except for New, every method: any goroutine, no allocation, one cache line. The Handle is the
// caller's own.
type Table struct {
	scale
	mask           uint32
	hint           uint8  // where the lane's hint is in Handle.set
	tau, cap, live uint32 // units; 0 < tau ≤ cap < live < 2^31
	one            uint32 // units of one token
	burst          uint64 // tokens
	sets           []set

	wrap  int64 // ns of 2^32 units
	_     [64]byte
	swept atomic.Int64  // the instant up to which Sweep has done its share
	hand  atomic.Uint32 // the next set to sweep
	_     [64]byte
	evict atomic.Uint64
}

// Handle is a source's place in all Tables that are addressed by the same hash. It is kept with
// the connection, so that a source is hashed once and its place in the set is known beforehand:
// which one it is cannot be predicted, and a search cost a third of a decision. A copy of a Handle
// is as good as the original.
type Handle struct {
	set uint32 // setBits of the set's number, above them a hint of 3 bits for each lane
	tag uint32 // not 0
}

// A Lane says which of a Handle's hints a Table keeps up to date; Tables that share Handles and
// hold mostly the same sources take different ones.
type Lane uint8

// Lanes is the number of lanes.
const Lanes = 3

const (
	setBits  = 23
	setMask  = 1<<setBits - 1
	hintBits = 3
)

// HandleOf makes a Handle from a keyed 64-bit hash of the source.
func HandleOf(hash uint64) Handle {
	return Handle{uint32(hash) & setMask, max(1, uint32(hash>>32))}
}

// MinPlaces and MaxPlaces bound the size of a Table.
const (
	MinPlaces = Ways
	MaxPlaces = Ways << setBits // 2^26
)

// New allocates a Table of the given number of places, a power of two between MinPlaces and
// MaxPlaces. A Limit without a rate gives nil: callers skip what is not limited.
//
// Limits up to MaxRate and MaxBurst are counted in whole tokens or finer. Limits above, up to
// MaxByteRate, MaxByteBurst and as much debt, are counted in groups of up to 16 tokens.
func New(places int, l Limit, lane Lane) *Table {
	l, some := l.normal()
	if !some {
		return nil
	}
	if places < MinPlaces || places > MaxPlaces || places&(places-1) != 0 {
		panic(fmt.Sprintf("bucket: %d places", places))
	}
	if l.Tokens > MaxByteRate || l.Burst > MaxByteBurst || l.Debt > MaxByteBurst {
		panic(fmt.Sprintf("bucket: limit out of range: %+v", l))
	}
	t := &Table{
		scale: newScale(l, l.Burst+max(0, l.Debt), 1<<31), burst: uint64(l.Burst),
		sets: make([]set, places/Ways), mask: uint32(places/Ways - 1),
		hint: setBits + hintBits*uint8(lane%Lanes),
	}
	t.tau = uint32(t.cost(t.burst))
	t.one = uint32(t.cost(1))
	t.cap = t.tau
	if l.Debt > 0 {
		t.cap += uint32(t.cost(uint64(l.Debt)))
	}
	t.live = t.cap + uint32(t.perNs*float64(Slack)) + 1
	t.wrap = int64(min(float64(1<<32)/t.perNs, 1<<62))
	return t
}

// residual is how far word w is from full, in units: 0 when it is full, has passed or is empty.
func (t *Table) residual(w uint64, now uint32) uint32 {
	r := uint32(w) - now
	if r > t.live || w == 0 {
		r = 0
	}
	return r
}

// find returns h's place in its set s and the word there, or Ways and the place that a newcomer
// takes.
func (t *Table) find(s *set, h *Handle, now uint32) (place uint8, w uint64, victim uint8) {
	i := uint8(h.set>>(t.hint&31)) % Ways
	if w := s[i].Load(); uint32(w>>32) == h.tag {
		return i, w, 0
	}
	return t.search(s, h, now)
}

// search looks at all places and keeps the one it finds as a hint. On the way it picks the place
// that a newcomer takes: an empty one, else the one that has been full for longest, else the least
// residual. Taking just any full one costs nobody a token, but sources that come back would find
// each other's word every time: with 10,000 of them in 16,384 sets half did.
//
// The early exit is deliberate: comparing all 8 before looking at the result took twice as long (25
// against 13 ns with 10,000 sources). The minimum on the other hand has no branch: which place is
// least cannot be predicted.
func (t *Table) search(s *set, h *Handle, now uint32) (place uint8, w uint64, victim uint8) {
	least := int64(math.MaxInt64)
	for i := range uint8(Ways) {
		w := s[i].Load()
		if uint32(w>>32) == h.tag {
			t.remember(h, i)
			return i, w, 0
		}
		d := uint32(w) - now
		age := int64(d)
		if d > t.live {
			age -= 1 << 32 // in the past
		}
		if w == 0 {
			age = -1 << 33
		}
		least = min(least, age<<3|int64(i))
	}
	return Ways, 0, uint8(least & (Ways - 1))
}

func (t *Table) remember(h *Handle, place uint8) {
	h.set = h.set&^((Ways-1)<<(t.hint&31)) | uint32(place)<<(t.hint&31)
}

// Allow takes n tokens of h's bucket if all are there, and reports whether they were. Nothing is
// charged otherwise. More than the burst is never there.
func (t *Table) Allow(h *Handle, n uint64, now mono.Time) bool {
	if n > t.burst {
		return false
	}
	return n == 0 || t.allow(&t.sets[h.set&t.mask], h, uint32(t.cost(n)), uint32(t.at(now)))
}

// AllowOne is Allow for one token.
//
// hot: 0 allocs, about 40 ns in a table of 1 MiB with any number of sources, see BenchmarkAllow.
func (t *Table) AllowOne(h *Handle, now mono.Time) bool {
	at := uint32(t.at(now))
	s := &t.sets[h.set&t.mask]
	word := &s[h.set>>(t.hint&31)%Ways]
	w := word.Load()
	if uint32(w>>32) != h.tag {
		return t.allow(s, h, t.one, at)
	}
	r := t.residual(w, at) + t.one
	if r > t.tau {
		return false
	}
	return word.CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+r)) || t.allow(s, h, t.one, at)
}

// allow takes cost ≤ tau units.
func (t *Table) allow(s *set, h *Handle, cost, at uint32) bool {
	for {
		i, w, v := t.find(s, h, at)
		if i == Ways {
			if t.replace(s, h, v, at, cost) {
				return true
			}
			continue
		}
		r := t.residual(w, at) + cost // < 2^32: both are below 2^31
		if r > t.tau {
			return false
		}
		if s[i].CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+r)) {
			return true
		}
	}
}

// replace puts a newcomer with the given residual into place v of s. False means that somebody else
// was faster.
func (t *Table) replace(s *set, h *Handle, v uint8, at, residual uint32) bool {
	w := s[v%Ways].Load()
	old := t.residual(w, at)
	if !s[v%Ways].CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+residual)) {
		return false
	}
	t.remember(h, v)
	if old != 0 {
		t.evict.Add(1)
	}
	return true
}

// AllowSome takes as many of n tokens as are there and returns how many those were.
func (t *Table) AllowSome(h *Handle, n uint64, now mono.Time) uint64 {
	at := uint32(t.at(now))
	s := &t.sets[h.set&t.mask]
	for {
		i, w, v := t.find(s, h, at)
		r := uint32(0)
		if i < Ways {
			r = t.residual(w, at)
		}
		if r >= t.tau {
			return 0
		}
		got := min(n, t.tokens(uint64(t.tau-r)))
		if got == 0 {
			return 0
		}
		r = min(r+uint32(t.cost(got)), t.tau)
		if i == Ways {
			if t.replace(s, h, v, at, r) {
				return got
			}
		} else if s[i%Ways].CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+r)) {
			return got
		}
	}
}

// Take takes n tokens whether they are there or not, and returns how long it will be until the
// debt is paid; 0 when there is none. It is for what has already arrived. Debt ends at Limit.Debt:
// what is taken beyond is forgiven.
//
// hot: 0 allocs, as Allow.
func (t *Table) Take(h *Handle, n uint64, now mono.Time) time.Duration {
	if n == 0 {
		return 0
	}
	at := uint32(t.at(now))
	cost := uint32(min(t.cost(min(n, 1<<40)), uint64(t.cap)))
	s := &t.sets[h.set&t.mask]
	for {
		i, w, v := t.find(s, h, at)
		if i == Ways {
			if t.replace(s, h, v, at, cost) {
				return t.debt(cost)
			}
			continue
		}
		r := t.residual(w, at) + cost
		// A faster clock may have left more than cap; taking never gives that back.
		if r > t.cap {
			r = max(t.cap, r-cost)
		}
		if s[i%Ways].CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+r)) {
			return t.debt(r)
		}
	}
}

func (t *Table) debt(residual uint32) time.Duration {
	if residual <= t.tau {
		return 0
	}
	return t.duration(uint64(residual - t.tau))
}

// Refund gives back n tokens that Allow or AllowSome took at the same instant. When the bucket has
// been evicted since, there is nothing to give back to.
func (t *Table) Refund(h *Handle, n uint64, now mono.Time) {
	if n == 0 {
		return
	}
	at := uint32(t.at(now))
	cost := uint32(t.cost(min(n, t.burst)))
	s := &t.sets[h.set&t.mask]
	for {
		i, w, _ := t.find(s, h, at)
		if i == Ways {
			return
		}
		r := t.residual(w, at)
		r -= min(r, cost)
		if s[i%Ways].CompareAndSwap(w, uint64(h.tag)<<32|uint64(at+r)) {
			return
		}
	}
}

// Left is the number of tokens in h's bucket.
func (t *Table) Left(h *Handle, now mono.Time) int {
	r := uint32(0)
	at := uint32(t.at(now))
	if i, w, _ := t.find(&t.sets[h.set&t.mask], h, at); i < Ways {
		r = t.residual(w, at)
	}
	if r >= t.tau {
		return 0
	}
	return int(t.tokens(uint64(t.tau - r)))
}

// Touch reads h's word, for what that does to the caches. The result means nothing.
func (t *Table) Touch(h *Handle) uint64 {
	return t.sets[h.set&t.mask][h.set>>(t.hint&31)%Ways].Load()
}

// Burst is the number of tokens in a full bucket.
func (t *Table) Burst() int { return int(t.burst) }

// Evictions is how many buckets that were not full have been forgotten to make room. When it
// rises, the Table is too small for what is admitted.
func (t *Table) Evictions() uint64 { return t.evict.Load() }

// Bytes is the memory that the Table occupies.
func (t *Table) Bytes() int64 { return int64(len(t.sets)) * 8 * Ways }

// Places is the size of the Table.
func (t *Table) Places() int { return len(t.sets) * Ways }

// Live estimates how many places hold a bucket that is not full, from at most sample sets spread
// over the Table.
func (t *Table) Live(sample int, now mono.Time) int {
	at := uint32(t.at(now))
	sample = max(1, min(sample, len(t.sets)))
	step := len(t.sets) / sample
	live, seen := 0, 0
	for i := 0; i < len(t.sets); i += step {
		for j := range t.sets[i] {
			if t.residual(t.sets[i][j].Load(), at) != 0 {
				live++
			}
		}
		seen++
	}
	return int(int64(live) * int64(len(t.sets)) / int64(seen))
}
