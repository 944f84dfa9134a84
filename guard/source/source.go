// Package source says who a peer is, as far as limits are concerned: a family and the leading
// bits of its address. It folds together the forms in which one host may appear, and hashes the
// result with a key nobody outside knows.
//
// It keeps no state, does no I/O and knows no limits. Everything here may be called from any
// goroutine.
package source

import (
	"encoding/binary"
	"net/netip"
)

// Family tells IPv4 from IPv6. The two never share a table, so that a flood from one cannot push
// out the other (OpenSSH keeps them apart for the same reason).
type Family uint8

// The families.
const (
	V4 Family = iota
	V6
)

// Families is the number of families.
const Families = 2

// Key is an address as it is counted: its family and its leading 64 bits, left aligned. An IPv4
// address fills the upper 32 bits. The lower half of an IPv6 address is the host's own choice and
// says nothing. The zero Key is 0.0.0.0.
type Key struct {
	Bits   uint64
	Family Family
}

// nat64 is the well-known prefix 64:ff9b::/96 (RFC 6052): behind it lies all of IPv4.
const nat64 = 0x0064ff9b_00000000

// Of returns the Key of a and whether a is an address at all; the address of a Unix socket is not.
//
// An IPv4-mapped address (::ffff:192.0.2.1) is IPv4, a zone is dropped, and an address inside
// 64:ff9b::/96 is the IPv4 address in its low 32 bits: a translator (SIIT, NAT64) puts the whole
// IPv4 Internet into that one /64, which would else be one source.
func Of(a netip.Addr) (Key, bool) {
	switch {
	case a.Is4(), a.Is4In6():
		b := a.As4()
		return Key{uint64(binary.BigEndian.Uint32(b[:])) << 32, V4}, true
	case a.Is6():
		b := a.As16()
		hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
		if hi == nat64 && lo>>32 == 0 {
			return Key{lo << 32, V4}, true
		}
		return Key{hi, V6}, true
	}
	return Key{}, false
}

// Wide returns k with only its first bits kept: all members of a prefix give the same Key. bits is
// 0 to 32 for IPv4 and 0 to 64 for IPv6; more keeps everything.
func (k Key) Wide(bits int) Key {
	k.Bits &^= ^uint64(0) >> uint(bits)
	return k
}

// Prefix is k as a prefix of the given length, for people to read: 0 to 32 for IPv4, 0 to 64 for
// IPv6.
func (k Key) Prefix(bits int) netip.Prefix {
	k = k.Wide(bits)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], k.Bits)
	if k.Family == V4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte(b[:4])), bits)
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), bits)
}

// Plain returns a without zone and, when it is IPv4-mapped, as IPv4: the form in which it is
// compared with prefixes written by an operator. Unlike Of it leaves 64:ff9b::/96 alone, so that
// nobody behind a translator matches an exemption meant for the IPv4 network beside us.
func Plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
