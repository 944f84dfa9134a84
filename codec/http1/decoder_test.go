package http1

import (
	"math"
	"strings"
	"testing"
	"unsafe"

	"weir/codec"
)

func TestGoodRequests(t *testing.T) {
	for _, c := range good {
		for name, l := range map[string]Limits{"default": {}, "tight": tight} {
			got := feed(t, l, c.in)
			if !strings.Contains(got, c.want) || strings.Contains(got, "bad ") || !strings.HasSuffix(got, "partial false") {
				t.Errorf("%s: %q, %s limits:\n%s\nlacks %s", c.why, c.in, name, got, c.want)
			}
		}
	}
}

func TestWrongRequests(t *testing.T) {
	for _, c := range wrong {
		if got := feed(t, tight, c.in); !strings.HasSuffix(got, "bad "+c.fault.Label()+"\n") {
			t.Errorf("%s: %.80q: %.200s, want %s", c.why, c.in, got, c.fault.Label())
		}
	}
}

// eachInput runs f with every input of the tables, long repetitions cut to where they still count.
func eachInput(f func(in string)) {
	for _, c := range good {
		f(c.in)
	}
	for _, c := range wrong {
		f(c.in[:min(len(c.in), 600)])
	}
}

func TestUnitsDoNotDependOnSplits(t *testing.T) {
	eachInput(func(in string) {
		want := feed(t, tight, in)
		if got := feed(t, tight, bytewise(in)...); got != want {
			t.Errorf("%.80q byte by byte:\n%s\nwhole:\n%s", in, got, want)
		}
		for i := 1; i < len(in); i++ {
			if got := feed(t, tight, in[:i], in[i:]); got != want {
				t.Errorf("%.80q split at %d:\n%s\nwhole:\n%s", in, i, got, want)
			}
		}
	})
}

func TestGoodRequestCutShortNeverFaults(t *testing.T) {
	for _, c := range good {
		for i := range c.in {
			if got := feed(t, tight, c.in[:i]); strings.Contains(got, "bad ") {
				t.Errorf("%q cut at %d: %s", c.in, i, got)
			}
		}
	}
}

func TestPartialWithinRequestsOnly(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
		why  string
	}{
		{"", false, "nothing yet"},
		{"\r", true, "the first byte of something"},
		{"\r\n", false, "the empty line begins no request"},
		{"G", true, "in a head"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r", true, "one byte short of a head"},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, "complete"},
		{post + "Content-Length: 2\r\n\r\n", true, "no byte of the body"},
		{post + "Content-Length: 2\r\n\r\na", true, "in the body"},
		{post + "Content-Length: 2\r\n\r\nab", false, "complete"},
		{chunked, true, "no chunk yet"},
		{chunked + "1\r\nx\r\n0\r\n", true, "the empty line is missing"},
		{chunked + "1\r\nx\r\n0\r\n\r\n", false, "complete"},
	} {
		want := map[bool]string{true: "partial true", false: "partial false"}[c.want]
		if got := feed(t, Limits{}, c.in); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q: %s", c.why, c.in, got)
		}
	}
}

// A peer that talks another protocol, or floods one element, is refused after so many bytes even if
// it sends them one at a time.
func TestRefusedWithinBytes(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		why  string
	}{
		{"\x16\x03\x01\x02\x00\x01", 1, "TLS hello"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 6, "HTTP/2 preface"},
		{"GET /\r\n", 6, "HTTP/0.9"},
		{"GET / http/1.1\r\n", 7, "lower case"},
		{"GET / HTTP/2.0\r\n", 12, "another version"},
		{strings.Repeat("A", 100), 33, "an endless method"},
		{"GET /" + strings.Repeat("A", 20000), 4 + 8<<10 + 1, "an endless target"},
		{get + "a b: c\r\n", len(get) + 2, "a bad name"},
		{get + "a: b\x00", len(get) + 5, "a bad value"},
		{get + "Content-Length: 1\r\nContent-Length: 1\r\n", len(get) + 38, "a second length"},
		{get + "a: " + strings.Repeat("b", 20000), 16 << 10, "an endless value"},
	} {
		d := NewDecoder(NewRequest(Limits{}))
		n := 1
		for ; n <= len(c.in); n++ {
			if d.Decode([]byte(c.in[:n])).Kind == codec.Bad {
				break
			}
		}
		if n > c.most {
			t.Errorf("%s: refused after %d bytes, want at most %d", c.why, n, c.most)
		}
	}
}

func TestPartsAreViewsOfWhatIsThere(t *testing.T) {
	d := NewDecoder(NewRequest(Limits{}))
	in := []byte(post + "Content-Length: 100\r\n\r\nabc")
	u := d.Decode(in)
	if u.Kind != codec.Frame || u.N != len(in)-3 || &u.Data[0] != &in[0] || len(u.Data) != u.N {
		t.Fatalf("head: %+v", u)
	}
	body := in[u.N:]
	if u = d.Decode(body); u.Kind != codec.Part || u.N != 3 || &u.Data[0] != &body[0] {
		t.Fatalf("part: %+v", u)
	}
	if u = d.Decode(nil); u.Kind != codec.More || u.N != 0 {
		t.Fatalf("nothing there: %+v", u)
	}
}

func TestLastByteLeadsToEnd(t *testing.T) {
	d := NewDecoder(NewRequest(Limits{}))
	in := []byte(post + "Content-Length: 1\r\n\r\nx")
	u := d.Decode(in)
	d.Decode(in[u.N:])
	if u = d.Decode(nil); u.Kind != codec.End || u.N != 0 {
		t.Fatalf("%+v", u)
	}
}

func TestNoLimitOnBodies(t *testing.T) {
	in := post + "Content-Length: 9223372036854775807\r\n\r\nabc"
	if got := feed(t, Limits{}, in); !strings.HasSuffix(got, "partial true") {
		t.Errorf("Content-Length 2^63-1: %s", got)
	}
	in = chunked + "1\r\nx\r\n7fffffffffffffff\r\n"
	if got := feed(t, Limits{}, in); !strings.HasSuffix(got, "bad body-too-large\n") {
		t.Errorf("a total of 2^63: %s", got)
	}
}

func TestDecoderStaysSmall(t *testing.T) {
	if n := unsafe.Sizeof(Decoder{}); n > 48 {
		t.Errorf("every connection pays %d bytes for its Decoder, want at most 48", n)
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	d := NewDecoder(NewRequest(Limits{}))
	in := []byte(chunked + "3;x\r\nabc\r\n0\r\na: b\r\n\r\n" + "GET http://a/p?q HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		for b := in; len(b) > 0; {
			u := d.Decode(b)
			if u.Kind == codec.Bad || u.Kind == codec.More {
				t.Fatal(u)
			}
			d.req.Get("connection")
			d.req.Path()
			b = b[u.N:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	wrong := []byte("GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() {
		d.Reset(d.req)
		if d.Decode(wrong).Fault != codec.BadHost {
			t.Fatal("accepted")
		}
	}); n != 0 {
		t.Errorf("%v allocations for a refusal", n)
	}
}

func TestEveryFaultHasAStatus(t *testing.T) {
	for f := codec.Fault(1); int(f) < codec.Faults; f++ {
		if s := Status(f); s < 400 || s > 599 || StatusText(s) == "Unknown" {
			t.Errorf("%s: status %d %s", f.Label(), s, StatusText(s))
		}
	}
	if Status(codec.OK) != 200 || Status(200) != 400 {
		t.Error("OK or an unknown fault")
	}
}

func TestLimitsSettle(t *testing.T) {
	if (Limits{}).settled() != Default() {
		t.Error("the zero value is not Default")
	}
	l := Limits{MaxHead: math.MaxInt, MaxFields: 1 << 20, MaxTarget: math.MaxInt, MaxBody: -1, MaxExtensions: math.MaxInt, MaxTrailers: 1}.settled()
	if l != (Limits{MaxHead: topHead, MaxFields: topFields, MaxTarget: topHead, MaxExtensions: topExtra, MaxTrailers: 2}) {
		t.Errorf("%+v", l)
	}
}
