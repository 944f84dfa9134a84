// Package census counts how many connections each source has open, exactly, at several lengths of
// prefix at once. Unlike a bucket, a count must not be forgotten while it is above zero, so this
// is an exact table: it has room for every connection there can be and never evicts.
//
// One short lock guards it. It is taken when a connection comes and when it goes, never per frame.
package census

import (
	"math/bits"
	"sync"

	"weir/guard/source"
)

// Levels is the greatest number of prefix lengths counted for one source.
const Levels = 3

// Place is one prefix of a source and what it may have.
type Place struct {
	Bits  uint64 // the prefix, left aligned
	Level uint8  // which length of prefix of which family: equal Bits of another Level are another count
	Limit int    // greatest count; below 1 means none
	// Unproven is the greatest number among them that have not proved anything; below 1 means none.
	Unproven int
}

// Full says which limit of which place refused a connection.
type Full struct {
	Place    int  // its index
	Unproven bool // by Place.Unproven; else by Place.Limit, or because the table has no room
}

// Census is a hash table with open addressing, linear probing and backward-shift deletion (Knuth,
// TAOCP 6.4 algorithm R): no tombstones, so its speed does not depend on its past. Any goroutine.
type Census struct {
	hash source.Hash
	mu   sync.Mutex
	mask uint32
	used int // slots with n > 0; used ≤ 7/8 of len(slot)
	slot []slot
}

type slot struct {
	bits uint64
	meta uint32 // domain<<8 | level
	n    uint32 // 0 = empty
	raw  uint32 // how many of them are unproven; raw ≤ n
	_    uint32
}

const slotBytes = 24

// slots is the size for the given number of connections: at most three quarters full.
func slots(conns int) int {
	return 1 << bits.Len(uint(max(16, conns*Levels*4/3)-1))
}

// Bytes is the memory of a Census for the given number of connections.
func Bytes(conns int) int64 { return int64(slots(conns)) * slotBytes }

// New makes a Census for up to conns connections, each counted at up to Levels places.
func New(conns int, hash source.Hash) *Census {
	n := slots(conns)
	return &Census{hash: hash, mask: uint32(n - 1), slot: make([]slot, n)}
}

// find returns the slot of (bits, meta): its own, or the empty one where it would go.
func (c *Census) find(bits uint64, meta uint32) uint32 {
	i := uint32(c.hash.Sum2(bits, uint64(meta))) & c.mask
	for {
		s := &c.slot[i]
		if s.n == 0 || s.bits == bits && s.meta == meta {
			return i
		}
		i = (i + 1) & c.mask
	}
}

// Add counts one connection, an unproven one, at all places. ok is false when one of them is at a
// limit: then nothing is counted and full says which was the first. alone reports that the first
// place had no other unproven connection. Counts of different domains have nothing to do with each
// other. When the table is out of room, which takes more connections than it was made for, the last
// place is full. O(1). Any goroutine.
func (c *Census) Add(domain uint16, places []Place) (full Full, alone, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used+len(places) > len(c.slot)/8*7 { // loops may be a few connections past the sum they share
		return Full{Place: len(places) - 1}, false, false
	}
	for i, p := range places {
		s := &c.slot[c.find(p.Bits, meta(domain, p))]
		switch {
		case p.Limit > 0 && int(s.n) >= p.Limit:
			return Full{Place: i}, false, false
		case p.Unproven > 0 && s.n > 0 && int(s.raw) >= p.Unproven:
			return Full{Place: i, Unproven: true}, false, false
		}
	}
	for i, p := range places {
		m := meta(domain, p)
		s := &c.slot[c.find(p.Bits, m)]
		if s.n == 0 {
			s.bits, s.meta = p.Bits, m
			c.used++
		}
		if i == 0 {
			alone = s.raw == 0
		}
		s.n++
		s.raw++
	}
	return Full{}, alone, true
}

// Prove says that a connection counted by an Add of the same domain and places is not unproven any
// more. Any goroutine.
func (c *Census) Prove(domain uint16, places []Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range places {
		s := &c.slot[c.find(p.Bits, meta(domain, p))]
		if s.raw == 0 {
			panic("census: Prove without Add")
		}
		s.raw--
	}
}

// Remove takes back what an Add of the same domain and places counted; unproven reports that no
// Prove came in between. Any goroutine.
func (c *Census) Remove(domain uint16, places []Place, unproven bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range places {
		i := c.find(p.Bits, meta(domain, p))
		s := &c.slot[i]
		if s.n == 0 || unproven && s.raw == 0 {
			panic("census: Remove without Add")
		}
		if unproven {
			s.raw--
		}
		if s.n--; s.n == 0 {
			c.used--
			c.close(i)
		}
	}
}

// close moves later members of the run over the hole at i, as far as each may go.
func (c *Census) close(i uint32) {
	for j := (i + 1) & c.mask; c.slot[j].n != 0; j = (j + 1) & c.mask {
		home := uint32(c.hash.Sum2(c.slot[j].bits, uint64(c.slot[j].meta))) & c.mask
		if (j-home)&c.mask >= (j-i)&c.mask { // home is not between i and j
			c.slot[i], c.slot[j] = c.slot[j], slot{}
			i = j
		}
	}
	c.slot[i] = slot{}
}

// Count is the number of connections counted at a place, and of the unproven ones among them. Any
// goroutine.
func (c *Census) Count(domain uint16, p Place) (open, unproven int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &c.slot[c.find(p.Bits, meta(domain, p))]
	return int(s.n), int(s.raw)
}

// Used is the number of places with a count above zero. Any goroutine.
func (c *Census) Used() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

func meta(domain uint16, p Place) uint32 { return uint32(domain)<<8 | uint32(p.Level) }
