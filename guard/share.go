package guard

import (
	"weir/guard/bucket"
	"weir/guard/source"
)

// A level is one length of prefix at which connections are counted, with what it may have.
type level struct {
	bits       int
	conns      int           // greatest number of open connections, 0 = none
	unproven   int           // of unproven ones, 0 = none
	rate       *bucket.Table // new connections, nil = no limit
	handshakes *bucket.Table // nil = no limit
}

// wide are the prefix lengths beyond the finest, and what they may have as a multiple of the
// source's limit. An IPv6 host has a /64, a household mostly a /56 and a small site a /48, all of
// them for nothing: 256 and 65,536 /64s must not be that many sources. 8 and 32 times leaves room
// for neighbours who share one. An IPv4 /24 is 256 addresses that cost money, often a carrier's
// translator with many users behind each: 16 times, twice as generous a step as IPv6's first.
var wide = [source.Families][]struct{ bits, times int }{
	source.V4: {{24, 16}},
	source.V6: {{56, 8}, {48, 32}},
}

// WiderShare is how many times the per-source connection limits a wider prefix may have: 16 for an
// IPv4 /24, 8 for an IPv6 /56 and 32 for a /48, 1 for any other length. Lengths that are not
// shorter than Config.V4Prefix or Config.V6Prefix are not counted apart from the source itself.
func WiderShare(v6 bool, bits int) int {
	f := source.V4
	if v6 {
		f = source.V6
	}
	for _, w := range wide[f] {
		if w.bits == bits {
			return w.times
		}
	}
	return 1
}

// prefixes lists the lengths counted for a family, finest first, with their multiples.
func prefixes(f source.Family, finest int) (bits, times []int) {
	bits, times = []int{finest}, []int{1}
	for _, w := range wide[f] {
		if w.bits < finest {
			bits, times = append(bits, w.bits), append(times, w.times)
		}
	}
	return bits, times
}
