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
}

const slotBytes = 16

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

// Add counts one connection at all places and returns -1; or, when one of them is at its limit,
// counts nothing and returns the index of the first that is. Counts of different domains have
// nothing to do with each other. When the table is out of room, which takes more connections than
// it was made for, the last index is returned. O(1). Any goroutine.
func (c *Census) Add(domain uint16, places []Place) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used+len(places) > len(c.slot)/8*7 { // loops may be a few connections past the sum they share
		return len(places) - 1
	}
	for i, p := range places {
		if p.Limit > 0 && int(c.slot[c.find(p.Bits, meta(domain, p))].n) >= p.Limit {
			return i
		}
	}
	for _, p := range places {
		m := meta(domain, p)
		s := &c.slot[c.find(p.Bits, m)]
		if s.n == 0 {
			s.bits, s.meta = p.Bits, m
			c.used++
		}
		s.n++
	}
	return -1
}

// Remove takes back what an Add of the same domain and places counted. Any goroutine.
func (c *Census) Remove(domain uint16, places []Place) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range places {
		i := c.find(p.Bits, meta(domain, p))
		if c.slot[i].n == 0 {
			panic("census: Remove without Add")
		}
		if c.slot[i].n--; c.slot[i].n == 0 {
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
			c.slot[i], c.slot[j].n = c.slot[j], 0
			i = j
		}
	}
	c.slot[i] = slot{}
}

// Count is the number of connections counted at a place. Any goroutine.
func (c *Census) Count(domain uint16, p Place) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.slot[c.find(p.Bits, meta(domain, p))].n)
}

// Used is the number of places with a count above zero. Any goroutine.
func (c *Census) Used() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

func meta(domain uint16, p Place) uint32 { return uint32(domain)<<8 | uint32(p.Level) }
