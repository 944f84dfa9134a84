package target

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Documentation is the prefix of which IPv6 clients may come who are many: nobody routes it (RFC 3849). Its addresses
// are used only where they lead back to this machine, as they do in a network namespace after
//
//	ip link set lo up; ip -6 route add local 2001:db8::/64 dev lo
//
// and the target is ::1 as ever.
var Documentation = netip.MustParsePrefix("2001:db8::/32")

// rotate returns n addresses from first on, spread of them in each /64, all of them local.
func rotate(first netip.Addr, n, spread int) ([]netip.Addr, error) {
	if spread == 0 {
		spread = n
	}
	base := first.As16()
	net, host := binary.BigEndian.Uint64(base[:8]), binary.BigEndian.Uint64(base[8:])
	if last := host + uint64(spread-1); spread < 1 || last < host {
		return nil, fmt.Errorf("source %s: %d in one /64 do not fit", first, spread)
	}
	out := make([]netip.Addr, n)
	for i := range out {
		binary.BigEndian.PutUint64(base[:8], net+uint64(i/spread))
		binary.BigEndian.PutUint64(base[8:], host+uint64(i%spread))
		out[i] = netip.AddrFrom16(base)
	}
	if !Documentation.Contains(out[n-1]) {
		return nil, fmt.Errorf("sources %d: %s ends before", n, Documentation)
	}
	return out, checkLocal(out)
}

// checkLocal returns an error unless each of the IPv6 addresses leads to this machine: answers to one that does not
// would go out into the world.
func checkLocal(all []netip.Addr) error {
	b, err := os.ReadFile("/proc/net/ipv6_route")
	if err != nil {
		return fmt.Errorf("source %s: %w", all[0], err)
	}
	routes := localRoutes(string(b))
	var last netip.Prefix
	for _, a := range all {
		if last.IsValid() && last.Contains(a) {
			continue
		}
		i := slices.IndexFunc(routes, func(p netip.Prefix) bool { return p.Contains(a) })
		if i < 0 {
			return fmt.Errorf("source %s is no address of this machine: in a network namespace, ip -6 route add local %s dev lo",
				a, netip.PrefixFrom(a, 64).Masked())
		}
		last = routes[i]
	}
	return nil
}

// localRoutes reads the prefixes that are delivered on this machine out of the kernel's list, of which a line is
// destination, length, source, length, gateway, metric, references, use, flags, device, the numbers in hexadecimal.
func localRoutes(list string) (out []netip.Prefix) {
	const local = 1 << 31 // RTF_LOCAL, linux/ipv6_route.h
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) != 10 || f[9] != "lo" {
			continue
		}
		to, err := hex.DecodeString(f[0])
		bits, err2 := strconv.ParseUint(f[1], 16, 8)
		flags, err3 := strconv.ParseUint(f[8], 16, 32)
		if a, ok := netip.AddrFromSlice(to); ok && err == nil && err2 == nil && err3 == nil && flags&local != 0 {
			out = append(out, netip.PrefixFrom(a, int(bits)))
		}
	}
	return out
}
