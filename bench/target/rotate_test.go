package target

import (
	"net/netip"
	"slices"
	"testing"
)

func TestLocalRoutesAreThoseOfTheKernel(t *testing.T) {
	const list = `00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
20010db8000600000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00000001     eth0
00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001       lo
20010db8000700000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 80000001       lo
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
nonsense
`
	want := []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("2001:db8:7::/64")}
	if got := localRoutes(list); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestRotationStaysInsideItsPrefixes(t *testing.T) {
	for _, c := range []struct {
		first     string
		n, spread int
		last      string
	}{
		{"2001:db8:7::1", 1000, 0, "2001:db8:7::3e8"},
		{"2001:db8:7::ffff", 6, 2, "2001:db8:7:2::1:0"},
		{"2001:db8:7::1", 300, 1, "2001:db8:7:12b::1"},
	} {
		// It is the last check that fails, on a machine without such a route.
		all, _ := rotate(netip.MustParseAddr(c.first), c.n, c.spread)
		if len(all) != c.n || all[c.n-1] != netip.MustParseAddr(c.last) {
			t.Errorf("%s, %d by %d: %d to %v", c.first, c.n, c.spread, len(all), all[max(0, len(all)-1)])
		}
	}
	for _, first := range []string{"2001:db8:ffff:ffff::1", "2001:db8::ffff:ffff:ffff:ffff"} {
		if all, err := rotate(netip.MustParseAddr(first), 10, 5); err == nil || all != nil {
			t.Errorf("%s passed", first)
		}
	}
	if _, err := rotate(netip.MustParseAddr("2001:db8::1"), 10, -1); err == nil {
		t.Error("a negative spread passed")
	}
}
