package proxyproto

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// readText reads s as the field of a TCP4 or TCP6 line. at is the number of bytes taken.
func readText(s string, v6 bool) (addr netip.Addr, at int, ok bool) {
	var a addrText
	a.begin(v6)
	for i := range len(s) {
		if !a.take(s[i]) {
			return addr, i, false
		}
	}
	addr, ok = a.addr()
	return addr, len(s), ok
}

// checkText compares with netip.ParseAddr, zones and the other family excepted.
func checkText(t *testing.T, s string) (good bool) {
	t.Helper()
	want, err := netip.ParseAddr(s)
	for _, v6 := range []bool{false, true} {
		wantOK := err == nil && want.Zone() == "" && !strings.Contains(s, "%") && want.Is4() != v6
		got, _, ok := readText(s, v6)
		if ok != wantOK || ok && got != want.Unmap() {
			t.Errorf("%q, v6 %v: %v %v, netip: %v %v", s, v6, got, ok, want, err)
		}
		good = good || ok
	}
	return good
}

func TestTextAgreesWithNetip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	groups := []string{"0", "1", "12", "255", "256", "01", "00", "ffff", "FFFF", "10000", "a", "", "", "1.2.3.4", "0.0.0.0", "1.2.3", "1.2.3.4.5", "1.02.3.4", "300.1.1.1", "1..2.3", "1.2.3.", ".1.2.3"}
	good := 0
	for range 300_000 {
		var s strings.Builder
		for i := range r.IntN(9) + 1 {
			if i > 0 {
				s.WriteString([]string{":", ":", ":", ":", ":", "::", "."}[r.IntN(7)])
			}
			s.WriteString(groups[r.IntN(len(groups))])
		}
		if checkText(t, s.String()) {
			good++
		}
	}
	if good < 1000 {
		t.Errorf("only %d of the random texts were addresses", good)
	}
}

// Every address can be written in its ways, and each is read as that address.
func TestTextOfRandomAddresses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		var b [16]byte
		for i := 0; i < 16; i += 2 {
			if r.IntN(2) == 0 {
				b[i], b[i+1] = byte(r.Uint32()), byte(r.Uint32())
			}
		}
		addr := netip.AddrFrom16(b)
		for _, s := range []string{addr.String(), addr.StringExpanded(), strings.ToUpper(addr.String()), netip.AddrFrom4([4]byte(b[12:])).String()} {
			if !checkText(t, s) {
				t.Errorf("%q was refused", s)
			}
		}
	}
}

// The promise of addrText.take: what has been taken so far can be completed.
func TestTextIsRefusedAtTheFirstByte(t *testing.T) {
	endings := []string{"", "0", ":", "::", "0::", ":0", ".0", "0.0", ".0.0", ".0.0.0", "0.0.0", "0.0.0.0"}
	for i := 8; i > 0; i-- {
		endings = append(endings, strings.Repeat(":0", i), "0"+strings.Repeat(":0", i))
	}
	var walk func(s string, v6 bool, depth int)
	walk = func(s string, v6 bool, depth int) {
		completes := false
		for _, end := range endings {
			_, _, ok := readText(s+end, v6)
			completes = completes || ok
		}
		if !completes {
			t.Errorf("%q, v6 %v: taken, but nothing completes it", s, v6)
		}
		if depth == 0 {
			return
		}
		for _, c := range "01:.f" {
			next := s + string(c)
			if _, at, _ := readText(next, v6); at == len(next) {
				walk(next, v6, depth-1)
			}
		}
	}
	walk("", true, 6)
	walk("", false, 9)
	for _, s := range []string{"0:0:0:0:0:", "0:0:0:0:0:0:", "::0:0:0:0:", "::0:0:0:0:0:", "::0:0:0:0:0:0:", "0:0:0:0:0:0:0:", "0:0:0:0:0:0::", "::0:0:0:0:0:0:0", "::0:0:0:0:0:0"} {
		walk(s, true, 5)
	}
}
