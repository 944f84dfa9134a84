package source

import (
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestOneHostIsOneSource(t *testing.T) {
	v4 := Key{0xc0000201 << 32, V4}
	cases := []struct {
		addr string
		want Key
		why  string
	}{
		{"192.0.2.1", v4, "plain"},
		{"::ffff:192.0.2.1", v4, "IPv4-mapped: a dual-stack listener reports it so"},
		{"::ffff:192.0.2.1%eth0", v4, "mapped with a zone"},
		{"64:ff9b::192.0.2.1", v4, "behind a translator: all of IPv4 would be one /64"},
		{"64:ff9b::192.0.2.1%1", v4, "the same with a zone"},
		{"64:ff9b:0:0:1::1", Key{nat64, V6}, "next to the translators' /96, not in it"},
		{"64:ff9b:1::192.0.2.1", Key{0x0064ff9b_00010000, V6}, "the local-use translator prefix is not global IPv4"},
		{"2001:db8:1:2:3:4:5:6", Key{0x20010db8_00010002, V6}, "lower half dropped"},
		{"2001:db8:1:2:ffff::", Key{0x20010db8_00010002, V6}, "same /64"},
		{"fe80::1%eth0", Key{0xfe80 << 48, V6}, "zone dropped"},
		{"fe80::1%eth1", Key{0xfe80 << 48, V6}, "zone dropped"},
		{"::192.0.2.1", Key{0, V6}, "IPv4-compatible is long dead and not IPv4"},
	}
	for _, c := range cases {
		if got, ok := Of(netip.MustParseAddr(c.addr)); got != c.want || !ok {
			t.Errorf("%s: %x, want %x: %s", c.addr, got, c.want, c.why)
		}
	}
	if _, ok := Of(netip.Addr{}); ok {
		t.Error("the address of a Unix socket is a source")
	}
}

func TestWideAndPrefix(t *testing.T) {
	for _, c := range []struct {
		addr string
		bits int
		want string
	}{
		{"192.0.2.77", 32, "192.0.2.77/32"}, {"192.0.2.77", 24, "192.0.2.0/24"}, {"192.0.2.77", 0, "0.0.0.0/0"},
		{"2001:db8:1:2ff::1", 64, "2001:db8:1:2ff::/64"}, {"2001:db8:1:2ff::1", 56, "2001:db8:1:200::/56"},
		{"2001:db8:1:2ff::1", 48, "2001:db8:1::/48"},
	} {
		k, _ := Of(netip.MustParseAddr(c.addr))
		if got := k.Prefix(c.bits).String(); got != c.want {
			t.Errorf("%s/%d: %s, want %s", c.addr, c.bits, got, c.want)
		}
	}
}

// slowSip is SipHash-c-d written from the paper, byte by byte.
func slowSip(c, d int, k0, k1 uint64, data []byte) uint64 {
	v := [4]uint64{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[1] = bits.RotateLeft64(v[1], 13)
			v[1] ^= v[0]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[3]
			v[3] = bits.RotateLeft64(v[3], 16)
			v[3] ^= v[2]
			v[0] += v[3]
			v[3] = bits.RotateLeft64(v[3], 21)
			v[3] ^= v[0]
			v[2] += v[1]
			v[1] = bits.RotateLeft64(v[1], 17)
			v[1] ^= v[2]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	word := func(m uint64) { v[3] ^= m; rounds(c); v[0] ^= m }
	padded := append([]byte{}, data...)
	for len(padded)%8 != 7 {
		padded = append(padded, 0)
	}
	padded = append(padded, byte(len(data)))
	for i := 0; i < len(padded); i += 8 {
		m := uint64(0)
		for j := range 8 {
			m |= uint64(padded[i+j]) << (8 * j)
		}
		word(m)
	}
	v[2] ^= 0xff
	rounds(d)
	return v[0] ^ v[1] ^ v[2] ^ v[3]
}

func le(words ...uint64) (b []byte) {
	for _, w := range words {
		for range 8 {
			b = append(b, byte(w))
			w >>= 8
		}
	}
	return b
}

func TestHashIsSipHash13(t *testing.T) {
	// The paper's own example, for the model: SipHash-2-4, key 00..0f, data 00..0e.
	k0, k1 := uint64(0x0706050403020100), uint64(0x0f0e0d0c0b0a0908)
	data := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}
	if got := slowSip(2, 4, k0, k1, data); got != 0xa129ca6149be45e5 {
		t.Fatalf("the model is wrong: %x", got)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 1000 {
		k0, k1, a, b := r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64()
		h := HashWithKey(k0, k1)
		if got, want := h.Sum(a), slowSip(1, 3, k0, k1, le(a)); got != want {
			t.Fatalf("seed %d: Sum %x, want %x", seed, got, want)
		}
		if got, want := h.Sum2(a, b), slowSip(1, 3, k0, k1, le(a, b)); got != want {
			t.Fatalf("seed %d: Sum2 %x, want %x", seed, got, want)
		}
	}
	if a, b := NewHash(), NewHash(); a == b {
		t.Error("two processes would have the same key")
	}
}

func FuzzOf(f *testing.F) {
	f.Add([]byte{192, 0, 2, 1})
	f.Add([]byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		k, some := Of(a)
		if ok != some {
			t.Fatalf("%v: %v, %v", a, ok, some)
		}
		if !ok {
			return
		}
		if z, _ := Of(a.WithZone("x")); z != k {
			t.Fatalf("%v: a zone makes another source", a)
		}
		if a.Is4() {
			if m, _ := Of(netip.AddrFrom16(a.As16())); m != k {
				t.Fatalf("%v: the mapped form is another source", a)
			}
		}
		full := 64
		if k.Family == V4 {
			full = 32
			if uint32(k.Bits) != 0 {
				t.Fatalf("%v: low bits %x", a, k)
			}
		}
		for n := range full + 1 {
			w := k.Wide(n)
			back, _ := Of(k.Prefix(n).Addr())
			if back != w && back.Family == w.Family {
				t.Fatalf("%v/%d: %x, %x", a, n, back, w)
			}
		}
	})
}

func BenchmarkOf(b *testing.B) {
	a := netip.MustParseAddr("2001:db8::1")
	h := NewHash()
	b.ReportAllocs()
	for b.Loop() {
		k, _ := Of(a)
		sink = h.Sum(k.Bits)
	}
}

var sink uint64
