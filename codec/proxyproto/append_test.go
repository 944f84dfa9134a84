package proxyproto

import (
	"net/netip"
	"strings"
	"testing"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestRoundTrip(t *testing.T) {
	unmapped := Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0")}
	for _, c := range []struct {
		h, v1, v2 Header
		why       string
	}{
		{Header{}, Header{}, Header{}, "the zero Header"},
		{unmapped, unmapped, unmapped, "IPv4"},
		{Header{Command: Proxy, Source: ap("[::ffff:1.2.3.4]:5"), Destination: ap("[::ffff:6.7.8.9]:0")}, unmapped, unmapped, "both mapped"},
		{Header{Command: Proxy, Source: ap("[fe80::1%eth0]:1"), Destination: ap("[::]:65535")},
			Header{Command: Proxy, Source: ap("[fe80::1]:1"), Destination: ap("[::]:65535")},
			Header{Command: Proxy, Source: ap("[fe80::1]:1"), Destination: ap("[::]:65535")}, "a zone is left out"},
		{Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("[2001:db8::1]:6")},
			Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("[2001:db8::1]:6")},
			Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("[2001:db8::1]:6")}, "two families"},
		{Header{Command: Proxy, Datagram: true, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0")},
			Header{},
			Header{Command: Proxy, Datagram: true, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0")}, "UDP"},
		{Header{Command: Proxy, Source: ap("1.2.3.4:5")}, Header{}, Header{}, "an address is missing"},
		{Header{Command: Local, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0"), TLVs: AppendTLV(nil, TypeNoOp, nil)}, Header{}, Header{}, "Local with addresses and TLVs"},
		{Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0"), TLVs: AppendTLV(nil, TypeALPN, []byte("h2"))},
			unmapped,
			Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0"), TLVs: AppendTLV(nil, TypeALPN, []byte("h2"))}, "TLVs"},
	} {
		c.v1.Version, c.v2.Version = 1, 2
		for _, v := range []struct {
			out  []byte
			want Header
		}{{AppendV1([]byte("x"), c.h), c.v1}, {AppendV2([]byte("x"), c.h), c.v2}} {
			out, want := string(v.out[1:]), describe(v.want)
			got, at := feed(t, 0, out)
			if v.out[0] != 'x' || !strings.HasPrefix(got, want+" to ") || at != len(out) {
				t.Errorf("%s: %q: %s to %d, want %s", c.why, out, got, at, want)
			}
			if v.want.Version == 1 && len(out) > MaxV1 {
				t.Errorf("%s: %d bytes", c.why, len(out))
			}
		}
	}
}

func TestAppendFillsInTheChecksum(t *testing.T) {
	tlvs := AppendTLV(AppendChecksum(AppendTLV(nil, TypeUniqueID, []byte("id"))), TypeAuthority, []byte("example.com"))
	h := Header{Command: Proxy, Source: ap("[2001:db8::1]:5"), Destination: ap("[2001:db8::2]:6"), TLVs: tlvs}
	out := AppendV2([]byte("in front"), h)[len("in front"):]
	if sum, ok := TLVs(tlvs).Find(TypeCRC32C); !ok || string(sum) != "\x00\x00\x00\x00" {
		t.Errorf("the argument was changed: %x", sum)
	}
	if !modelChecksum(out, 16+36) {
		t.Errorf("%x: wrong checksum", out)
	}
	for i := range out { // one bit anywhere shows
		if i == 16+36+3+2 {
			continue // the type itself: it is another TLV then, and there is no checksum
		}
		out[i] ^= 1
		if got, _ := feed(t, 0, string(out)); strings.HasPrefix(got, "v2 proxy") {
			t.Errorf("byte %d turned: %s", i, got)
		}
		out[i] ^= 1
	}

	// What was read can be written again with other addresses.
	var d Decoder
	d.Decode(out)
	h = d.Header()
	h.Source = ap("192.0.2.1:1")
	if again := AppendV2(nil, h); !modelChecksum(again, 16+36) {
		t.Errorf("%x: wrong checksum", again)
	}
}

func TestAppendPanics(t *testing.T) {
	good := Header{Command: Proxy, Source: ap("1.2.3.4:5"), Destination: ap("6.7.8.9:0")}
	for why, f := range map[string]func(){
		"a TLV of 64 KiB":        func() { AppendTLV(nil, TypeNoOp, make([]byte, 1<<16)) },
		"TLVs above the length":  func() { h := good; h.TLVs = AppendTLV(nil, TypeNoOp, make([]byte, 65535-12-2)); AppendV2(nil, h) },
		"a TLV length that lies": func() { h := good; h.TLVs = TLVs("\x04\x00\x01"); AppendV2(nil, h) },
		"two checksums":          func() { h := good; h.TLVs = AppendChecksum(AppendChecksum(nil)); AppendV2(nil, h) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", why)
				}
			}()
			f()
		}()
	}
}
