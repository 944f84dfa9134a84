package source

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
)

// Hash is SipHash-1-3 (Aumasson and Bernstein, 2012; one compression round, three at the end, as
// in Rust's and Python's tables) over one or two words under a 128-bit key. Whoever does not know
// the key cannot choose addresses that meet in one place of a table.
//
// Written out here because the libraries have SipHash-2-4 over byte slices, twice the cost for a
// strength that tables without chains do not need; hash/maphash was not taken because its portable
// form is likely floodable (golang/go#66841) and its key cannot be set in tests.
type Hash struct{ k0, k1 uint64 }

// NewHash draws a key from crypto/rand. It is drawn once, at start: another key would forget
// everything that tables know.
func NewHash() Hash {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return HashWithKey(binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:]))
}

// HashWithKey is for tests, which want the same places in each run.
func HashWithKey(k0, k1 uint64) Hash { return Hash{k0, k1} }

// Sum hashes one word, as SipHash-1-3 of its 8 bytes in little-endian order. About 8 ns.
func (h Hash) Sum(m uint64) uint64 {
	s := h.start()
	s.absorb(m)
	return s.finish(8)
}

// Sum2 hashes two words, as SipHash-1-3 of their 16 bytes.
func (h Hash) Sum2(m, n uint64) uint64 {
	s := h.start()
	s.absorb(m)
	s.absorb(n)
	return s.finish(16)
}

type sip struct{ v0, v1, v2, v3 uint64 }

func (h Hash) start() sip {
	return sip{h.k0 ^ 0x736f6d6570736575, h.k1 ^ 0x646f72616e646f6d,
		h.k0 ^ 0x6c7967656e657261, h.k1 ^ 0x7465646279746573}
}

func (s *sip) absorb(m uint64) {
	s.v3 ^= m
	s.round()
	s.v0 ^= m
}

func (s *sip) finish(length uint64) uint64 {
	s.absorb(length << 56)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}
