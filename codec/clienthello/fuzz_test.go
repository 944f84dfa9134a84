package clienthello

import (
	"crypto/tls"
	"slices"
	"testing"

	"weir/codec"
)

// FuzzClientHello: nothing panics, the answer does not depend on how the input is split, and what
// crypto/tls accepts is accepted and understood in the same way.
func FuzzClientHello(f *testing.F) {
	for _, in := range seeds(f) {
		f.Add([]byte(in), uint16(9))
		f.Add([]byte(records(in[5:], 2, 100)), uint16(50))
	}
	f.Add([]byte(every(1, plain)), uint16(20))
	f.Add([]byte(every(30, plain+"xx")), uint16(20))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(1))
	f.Add([]byte("\x80\x2e\x01\x03\x01"), uint16(1))
	f.Add([]byte("\x16\x03\x01\x00\x02\x01\x00\x16\x03\x01\x00\x02\x00\x26"), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, at uint16) { compare(t, string(in), int(at)) })
}

// FuzzBody fuzzes the inside: the headers of the message and of the records are always right.
func FuzzBody(f *testing.F) {
	for _, in := range seeds(f) {
		f.Add([]byte(in[9:]), uint16(9), uint16(1000))
	}
	for _, m := range []string{plain, manyExtensions(20), message(sni("a.b."), ext(41, "x")),
		message(ext(0, vec(2, "\x01"+vec(2, "?")+"\x00"+vec(2, "a.b")))), message(versions(0x0a0a, 0x0303), ext(extECH, "\x01"))} {
		f.Add([]byte(m[4:]), uint16(9), uint16(30))
	}
	f.Add([]byte(fixed("\x03\x01", "")), uint16(5), uint16(500))
	f.Fuzz(func(t *testing.T, body []byte, at, size uint16) {
		if len(body) == 0 || len(body) > 1<<13 {
			return
		}
		compare(t, every(int(size)%2000+1, "\x01"+vec(3, string(body))), int(at))
	})
}

// seeds are hellos of real clients in one record. Those with post-quantum key shares are left to the
// other tests: whatever the fuzzer finds it makes smaller, byte by byte, which for one of 1.5 KiB
// takes it minutes.
func seeds(f *testing.F) (all []string) {
	for _, c := range clients(f) {
		c.config.CurvePreferences = []tls.CurveID{tls.X25519}
		all = append(all, helloOf(f, c.config))
	}
	for _, in := range captures(f) {
		all = append(all, in)
	}
	return slices.DeleteFunc(all, func(in string) bool { return len(in) > 350 })
}

// generous is above what crypto/tls takes, so that the limits do not come between.
const generous = 1 << 20

func compare(t *testing.T, in string, at int) {
	t.Helper()
	if len(in) > 1<<16 {
		return
	}
	want, _ := feed(t, generous, in)
	i := at % (len(in) + 1)
	if got, _ := feed(t, generous, in[:i], in[i:]); got != want {
		t.Fatalf("%x split at %d: %s, whole: %s", in, i, got, want)
	}
	if len(in) < 300 {
		if got, _ := feed(t, generous, singles(in)...); got != want {
			t.Fatalf("%x byte by byte: %s, whole: %s", in, got, want)
		}
	}
	if got, _ := feed(t, 100, in); got != want && got != tooLarge {
		t.Fatalf("%x: under a small limit %s, under a large one %s", in, got, want)
	}

	info := serverReads(in)
	if info == nil || strays(in) {
		return
	}
	d := Decoder{Max: generous}
	if u := d.Decode([]byte(in)); u.Kind != codec.Frame {
		t.Fatalf("%x: %s, but crypto/tls accepts it: %+v", in, want, info)
	}
	if err := agrees(d.Hello(), info); err != nil {
		t.Fatalf("%x: %v", in, err)
	}
}

// strays reports whether in has what crypto/tls lets pass and the package comment refuses: alerts
// and records of strange versions.
func strays(in string) bool {
	for n := 0; len(in) >= 5; n++ {
		if in[0] != 22 || in[1] != 3 || n == MaxRecords {
			return true
		}
		in = in[min(len(in), 5+(int(in[3])<<8|int(in[4]))):]
	}
	return false
}
