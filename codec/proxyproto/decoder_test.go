package proxyproto

import (
	"strings"
	"testing"
	"unsafe"

	"weir/codec"
)

func TestNewDecoder(t *testing.T) {
	var d Decoder
	if d.Lacks() != 1 || d.Partial() {
		t.Error(d.Lacks(), d.Partial())
	}
	if n := unsafe.Sizeof(d); n > 320 {
		t.Errorf("%d bytes a connection", n)
	}
}

// Lacks is exact where the header tells: the rest of the fixed part, then the rest of the whole.
func TestLacks(t *testing.T) {
	in := []byte(v2("21 11 0014" + inet + "0100026832 040000"))
	var d Decoder
	for n := range len(in) {
		want := 1
		switch {
		case n >= 16:
			want = len(in) - n
		case n >= 14:
			want = 16 - n
		}
		if u := d.Decode(in[:n]); u.Kind != codec.More || d.Lacks() != want {
			t.Errorf("%d bytes: %+v, lacks %d, want %d", n, u, d.Lacks(), want)
		}
	}
}

// A decoder that gave its Frame begins anew, with nothing left of the header before.
func TestDecoderCanBeUsedAgain(t *testing.T) {
	var d Decoder
	for _, c := range []struct{ in, want string }{
		{v2(aws), "v2 proxy 172.31.7.113:51442 > 172.31.10.31:80 tlvs"},
		{"PROXY UNKNOWN\r\n", "v1 local"},
		{"PROXY TCP6 1::2 ::1 3 4\r\n", "v1 proxy [1::2]:3 > [::1]:4"},
		{v2("20 00 0000"), "v2 local"},
		{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "v1 proxy 1.2.3.4:1 > 5.6.7.8:2"},
	} {
		for n := range len(c.in) {
			if u := d.Decode([]byte(c.in[:n])); u.Kind != codec.More {
				t.Fatalf("%q: %+v", c.in[:n], u)
			}
		}
		if u := d.Decode([]byte(c.in)); u.Kind != codec.Frame || u.N != len(c.in) || !strings.HasPrefix(describe(d.Header()), c.want) {
			t.Errorf("%q: %+v %s", c.in, u, describe(d.Header()))
		}
	}
}

func TestTLVsAreAViewThatCannotGrow(t *testing.T) {
	in := []byte(v2("21 11 000f"+inet+"040000") + "behind")
	var d Decoder
	d.Decode(in)
	if h := d.Header(); &h.TLVs[0] != &in[28] || cap(h.TLVs) != 3 {
		t.Errorf("cap %d", cap(h.TLVs))
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, in := range []string{linesV1[0].in, linesV1[2].in, linesV1[4].in, v2("21 21 0024" + inet6), v2(aws), "GET / HTTP/1.1\r\n"} {
		b := []byte(in)
		var d Decoder
		work := func() {
			d = Decoder{}
			d.Decode(b[:3])
			d.Decode(b[:14])
			d.Decode(b)
			for typ, value := range d.Header().TLVs.All() {
				if typ == TypeAuthority && len(value) > 1<<10 {
					t.Error("cannot be")
				}
			}
			Sniff(b)
		}
		if n := testing.AllocsPerRun(100, work); n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	h := Header{Command: Proxy, Source: ap("[2001:db8::1]:5"), Destination: ap("1.2.3.4:6"), TLVs: AppendChecksum(nil)}
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { AppendV1(dst, h); AppendV2(dst, h); AppendChecksum(dst) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
