package http1

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"testing"
)

// slowText is skipText byte by byte.
func slowText(b []byte, i int) int {
	for i < len(b) && (b[i] >= ' ' && b[i] != 0x7f || b[i] == '\t') {
		i++
	}
	return i
}

func TestSkipTextMatchesSlow(t *testing.T) {
	// Each byte at each place of a word, alone and with each neighbour that could borrow.
	for c := range 256 {
		for at := range 17 {
			for _, fill := range []byte{' ', '!', '~', 0x7e, 0x80, 0x9f, 0xff, '\t'} {
				b := bytes.Repeat([]byte{fill}, 20)
				b[at] = byte(c)
				for from := range 3 {
					if got, want := skipText(b, from), slowText(b, from); got != want {
						t.Fatalf("%#x at %d among %#x from %d: %d, want %d", c, at, fill, from, got, want)
					}
				}
			}
		}
	}
	const seed = 1
	r := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			if b[i] = byte(r.Uint32()); r.IntN(3) > 0 {
				b[i] |= 0x40
			}
		}
		if got, want := skipText(b, 0), slowText(b, 0); got != want {
			t.Fatalf("%q: %d, want %d", b, got, want)
		}
	}
}

func TestValidIPv6MatchesNetip(t *testing.T) {
	check := func(s string) {
		a, err := netip.ParseAddr(s)
		want := err == nil && a.Is6() && a.Zone() == ""
		if got := validIPv6([]byte(s)); got != want {
			t.Errorf("%q: %v, netip: %v", s, got, want)
		}
	}
	for _, s := range []string{
		"::", "::1", "1::", "1::2", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7", "1::3::5", ":::", ":1", "1:", "12345::", "g::", "", ":", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4",
		"1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.256", "::01.2.3.4", "1.2.3.4", "::1.2.3.4:5", "::.1.2.3", "fe80::1%eth0",
		"1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:", "::1234.1.1.1", "::1.2.3.4.5",
	} {
		check(s)
	}
	const seed = 2
	r := rand.New(rand.NewPCG(seed, 0))
	for range 200000 {
		b := make([]byte, r.IntN(24))
		for i := range b {
			b[i] = "::::01fF9.2g"[r.IntN(12)]
		}
		check(string(b))
	}
}

func TestStatusTextIsTheRegistrys(t *testing.T) {
	renamed := map[int]bool{413: true, 414: true, 416: true, 422: true} // by RFC 9110, after net/http named them
	for code := 100; code < 600; code++ {
		if s := StatusText(code); s != "Unknown" && s != http.StatusText(code) && !renamed[code] {
			t.Errorf("%d: %q, net/http: %q", code, s, http.StatusText(code))
		}
	}
}
