package proxyproto

import (
	"strings"
	"testing"
)

// FuzzV1 compares with the model, whole and in pieces. The input is what follows "PROXY ".
func FuzzV1(f *testing.F) {
	for _, c := range linesV1 {
		f.Add(strings.TrimPrefix(c.in, signatureV1), uint16(20))
	}
	for _, in := range []string{"TCP4 01.2.3.4 5.6.7.8 1 2\r\n", "TCP6 ::ffff:1.2.3.4 1::%a 1 65536\r\n", "UNKNOWN " + strings.Repeat("x", 93)} {
		f.Add(in, uint16(12))
	}
	f.Fuzz(func(t *testing.T, in string, at uint16) {
		in = signatureV1 + in
		got, n := feed(t, 0, in)
		want := modelV1(in)
		switch got {
		case "more":
			// Nothing is wrong yet, so it must be short, and not be a line that has ended.
			if want != "" || len(in) >= MaxV1 || strings.Contains(in, "\n") {
				t.Fatalf("%q: more, want %s", in, want)
			}
		case bad, tooLarge:
			if want != "" {
				t.Fatalf("%q: %s, want %s", in, got, want)
			}
		default:
			if got != want || n > MaxV1 {
				t.Fatalf("%q: %s, want %s", in, got, want)
			}
		}
		inPieces(t, MaxMax, in, got, int(at))
	})
}

// FuzzV2 compares with the model, whole and in pieces. The input is what follows the signature.
func FuzzV2(f *testing.F) {
	for _, c := range headersV2 {
		f.Add(strings.TrimPrefix(c.in, signatureV2), uint16(4096), uint16(20))
	}
	for _, in := range []string{
		v2("21 11 000f" + inet + "040001"), v2("21 11 0013" + inet + "03000400000000"), v2("21 11 ffff"),
		string(AppendV2(nil, Header{Command: Proxy, Source: ap("[2001:db8::1]:5"), Destination: ap("1.2.3.4:6"), TLVs: AppendChecksum(nil)})),
	} {
		f.Add(strings.TrimPrefix(in, signatureV2), uint16(4096), uint16(14))
	}
	f.Fuzz(func(t *testing.T, in string, limit, at uint16) {
		in = signatureV2 + in
		l := int(limit) + 1
		want := modelV2(in, l)
		got, _ := feed(t, l, in)
		if got != want {
			t.Fatalf("%q, limit %d: %s, want %s", in, l, got, want)
		}
		inPieces(t, l, in, want, int(at))
	})
}

// FuzzAnything begins with any bytes at all.
func FuzzAnything(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\n\r\n", uint16(1))
	f.Add("\x16\x03\x01\x02\x00", uint16(2))
	f.Add("\r\n\r\n\x00\r\nQUIT\n", uint16(5))
	f.Add("PROXY ", uint16(3))
	f.Fuzz(func(t *testing.T, in string, at uint16) {
		got, _ := feed(t, 0, in)
		if (Sniff([]byte(in)) == No) && got != bad {
			t.Fatalf("%q: sniffed nothing, decoded %s", in, got)
		}
		inPieces(t, 0, in, got, int(at))
	})
}

func inPieces(t *testing.T, limit int, in, want string, at int) {
	t.Helper()
	i := at % (len(in) + 1)
	if got, _ := feed(t, limit, in[:i], in[i:]); got != want {
		t.Fatalf("%q split at %d: %s, whole: %s", in, i, got, want)
	}
	if len(in) <= 300 {
		if got, _ := feed(t, limit, singles(in)...); got != want {
			t.Fatalf("%q byte by byte: %s, whole: %s", in, got, want)
		}
	}
}
