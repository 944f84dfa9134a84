package target

import (
	"fmt"
	"net/netip"
)

// MaxSources is the largest number of source addresses a run may come from: what fits between 127.0.1.1 and the
// end of 127.0.0.0/8 at one address a /24 is a little less, and [Sources] says so.
const MaxSources = 1 << 20

// perNet is how many hosts of one /24 are used at most: .0 and .255 are left alone.
const perNet = 254

// CheckSources returns an error unless connections may come from all of these addresses: those that [Sources] returns.
func CheckSources(all []netip.Addr) error {
	var many []netip.Addr
	for _, a := range all {
		if Documentation.Contains(a) && a.Zone() == "" {
			many = append(many, a)
		} else if CheckLoopback(a) != nil {
			return fmt.Errorf("source %s: loopback addresses only", a)
		}
	}
	if len(many) == 0 {
		return nil
	}
	return checkLocal(many)
}

// Sources returns n loopback addresses from which connections can be made, starting at first, each bound to by a
// client that wants to be told apart. spread, 1 to 254, is how many of them share a /24 before the next /24 begins; 0
// means 254. First must be in 127.0.0.0/8 with a last byte of 1 or more, and leaving room for spread. IPv6 has one
// loopback address only: there n must be 1 and first ::1, or first is in [Documentation], see there; spread is then for a
// /64, and 0 means all.
func Sources(first netip.Addr, n, spread int) ([]netip.Addr, error) {
	if Documentation.Contains(first) && n >= 1 && n <= MaxSources {
		return rotate(first, n, spread)
	}
	if err := CheckLoopback(first); err != nil {
		return nil, fmt.Errorf("source %s: loopback addresses only", first)
	}
	if n < 1 || n > MaxSources {
		return nil, fmt.Errorf("sources %d: must be from 1 to %d", n, MaxSources)
	}
	if first.Is6() {
		if n > 1 {
			return nil, fmt.Errorf("sources %d: IPv6 has one loopback address, use a target in 127.0.0.0/8", n)
		}
		return []netip.Addr{first}, nil
	}
	base := first.As4()
	room := perNet + 1 - int(base[3])
	if spread == 0 {
		spread = room
	}
	if base[3] == 0 || spread < 1 || spread > room {
		return nil, fmt.Errorf("source %s: %d in one /24 do not fit between .1 and .254", first, spread)
	}
	out := make([]netip.Addr, 0, n)
	net := int(base[1])<<8 | int(base[2])
	for i := range n {
		at := net + i/spread
		if at > 0xffff {
			return nil, fmt.Errorf("sources %d: 127.0.0.0/8 ends after %d of them", n, i)
		}
		out = append(out, netip.AddrFrom4([4]byte{127, byte(at >> 8), byte(at), base[3] + byte(i%spread)}))
	}
	return out, nil
}
