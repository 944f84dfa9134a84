package line

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"weir/codec"
)

// feed presents pieces as an engine would and writes down what came of it. The bytes move to a new
// address before each call and the old ones are overwritten.
func feed(t testing.TB, limit int, pieces ...string) string {
	t.Helper()
	d := Decoder{Max: limit}
	var out strings.Builder
	var buf []byte
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			u := d.Decode(buf)
			if u.Kind == codec.Bad {
				fmt.Fprintf(&out, "bad %s", u.Fault.Label())
				return out.String()
			}
			if u.Kind == codec.More {
				if u.N != 0 || d.Partial() != (len(buf) > 0) || d.Lacks() != 1 {
					t.Fatalf("%q: %+v, partial %v, lacks %d", buf, u, d.Partial(), d.Lacks())
				}
				break
			}
			if u.Kind != codec.Frame || d.Partial() || cap(u.Data) != len(u.Data) {
				t.Fatalf("%q: %+v, partial %v", buf, u, d.Partial())
			}
			fmt.Fprintf(&out, "%q ", u.Data)
			next := bytes.Clone(buf[u.N:])
			for i := range buf {
				buf[i] = 0xdb
			}
			buf = next
		}
	}
	fmt.Fprintf(&out, "left %d", len(buf))
	return out.String()
}

var lines = []struct{ in, want, why string }{
	{"", "left 0", "nothing"},
	{"a\n", `"a" left 0`, "LF"},
	{"a\r\n", `"a" left 0`, "CRLF"},
	{"\n", `"" left 0`, "empty"},
	{"\r\n", `"" left 0`, "empty"},
	{"\n\r\n\n", `"" "" "" left 0`, "several empty ones"},
	{"a\nbc\r\nd", `"a" "bc" left 1`, "several, the last not complete"},
	{"a\r", `left 2`, "the LF may still come"},
	{"12345678\n", `"12345678" left 0`, "exactly Max"},
	{"12345678\r\n", `"12345678" left 0`, "exactly Max, the end not counted"},
	{"12345678", `left 8`, "exactly Max, the end may still come"},
	{"12345678\r", `left 9`, "exactly Max, the end has begun"},
	{"\xff\xfe\xc0\xaf\n", `"\xff\xfe\xc0\xaf" left 0`, "invalid and overlong UTF-8 pass"},
	{"\x1b[2J\t\x7f\n", `"\x1b[2J\t\x7f" left 0`, "other control bytes pass"},

	{"123456789", "bad line-too-long", "Max + 1: no need to see the end"},
	{"123456789\n", "bad line-too-long", "Max + 1"},
	{"ok\n123456789\n", `"ok" bad line-too-long`, "the line before is served"},
	{strings.Repeat("x", 1<<16), "bad line-too-long", "a line without end"},
	{"123456789\x00", "bad line-too-long", "the limit comes first"},
	{"1234567\x00", "bad line-bare", "NUL within the limit comes first"},
	{"12345678\x00", "bad line-too-long", "NUL behind the limit"},
	{"a\x00b\n", "bad line-bare", "NUL"},
	{"\x00", "bad line-bare", "NUL, refused without the rest of the line"},
	{"a\rb\n", "bad line-bare", "bare CR"},
	{"a\rb", "bad line-bare", "bare CR, refused without the rest of the line"},
	{"a\r\r\n", "bad line-bare", "CR CR LF"},
	{"\r\r\n", "bad line-bare", "CR CR LF"},
	{"12345678\r\r\n", "bad line-bare", "CR CR LF at the limit"},
	{"12345678\rx", "bad line-bare", "bare CR at the limit"},
	{"1234567\rx\n", "bad line-bare", "bare CR before the limit"},
}

func TestLines(t *testing.T) {
	for _, c := range lines {
		if got := feed(t, 8, c.in); got != c.want {
			t.Errorf("%s: %.40q: %s, want %s", c.why, c.in, got, c.want)
		}
	}
}

func TestLinesDoNotDependOnSplits(t *testing.T) {
	for _, c := range lines {
		in := c.in[:min(len(c.in), 100)]
		single := make([]string, len(in))
		for i := range in {
			single[i] = in[i : i+1]
			if got := feed(t, 8, in[:i], in[i:]); got != c.want {
				t.Errorf("%s: %q split at %d: %s, want %s", c.why, in, i, got, c.want)
			}
		}
		if got := feed(t, 8, single...); got != c.want {
			t.Errorf("%s: %q byte by byte: %s, want %s", c.why, in, got, c.want)
		}
	}
}

func TestCutShortNeverFaults(t *testing.T) {
	for _, c := range lines {
		for i := range min(len(c.in), 100) {
			if got := feed(t, 8, c.in[:i]); !strings.Contains(c.want, "bad") && strings.Contains(got, "bad") {
				t.Errorf("%q cut at %d: %s", c.in, i, got)
			}
		}
	}
}

func TestDefaultAndLargestLimit(t *testing.T) {
	long := strings.Repeat("x", DefaultMax)
	if got := feed(t, 0, long+"\r\n"); !strings.HasSuffix(got, "left 0") {
		t.Error("DefaultMax refused")
	}
	if got := feed(t, -1, long+"x"); got != "bad line-too-long" {
		t.Error("DefaultMax + 1 accepted")
	}
	if got := feed(t, int(^uint(0)>>1), long+long+"\n"); !strings.HasSuffix(got, "left 0") {
		t.Error("refused under the largest limit")
	}
}

func TestAppendMakesOneLine(t *testing.T) {
	for _, text := range []string{"", "a", "a b\t\xff"} {
		got, ok := Append([]byte("x"), []byte(text))
		if !ok || feed(t, 0, string(got[1:])) != fmt.Sprintf("%q left 0", text) {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
	for _, text := range []string{"\n", "a\r", "a\r\nb", "\x00"} {
		if got, ok := Append([]byte("x"), []byte(text)); ok || string(got) != "x" {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	in := []byte("GET key\r\n")
	var d Decoder
	if n := testing.AllocsPerRun(100, func() { d.Decode(in[:3]); d.Decode(in[:8]); d.Decode(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// slow is the rule of the package comment, read byte by byte.
func slow(in string, limit int) string {
	var out strings.Builder
	content, cr := 0, false
	for i := 0; i < len(in); i++ {
		switch c := in[i]; {
		case c == '\n':
			fmt.Fprintf(&out, "%q ", in[i-content-map[bool]int{true: 1}[cr]:][:content])
			content, cr = 0, false
		case cr:
			return out.String() + "bad line-bare"
		case c == '\r':
			cr = true
		case content == limit:
			return out.String() + "bad line-too-long"
		case c == 0:
			return out.String() + "bad line-bare"
		default:
			content++
		}
	}
	if cr {
		content++
	}
	return fmt.Sprintf("%sleft %d", out.String(), content)
}

// FuzzDecode compares with slow, whole and in pieces.
func FuzzDecode(f *testing.F) {
	for _, c := range lines {
		f.Add(c.in, uint8(8), uint16(len(c.in)/2))
	}
	f.Fuzz(func(t *testing.T, in string, limit uint8, at uint16) {
		l := int(limit) + 1
		want := slow(in, l)
		i := int(at) % (len(in) + 1)
		if got := feed(t, l, in); got != want {
			t.Fatalf("%q, limit %d: %s, want %s", in, l, got, want)
		}
		if got := feed(t, l, in[:i], in[i:]); got != want {
			t.Fatalf("%q, limit %d, split at %d: %s, want %s", in, l, i, got, want)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{16, 256, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := append(bytes.Repeat([]byte{'x'}, n), "\r\n"...)
			var d Decoder
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				if d.Decode(in).Kind != codec.Frame {
					b.Fatal("no frame")
				}
			}
		})
	}
}

// BenchmarkDrip presents a line one byte more at a time. The cost per byte must not grow with the
// size of the line.
func BenchmarkDrip(b *testing.B) {
	for _, size := range []int{1 << 10, 4 << 10, 16 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			in := append(bytes.Repeat([]byte{'x'}, size), "\r\n"...)
			d := Decoder{Max: size}
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				for n := 1; n < len(in); n++ {
					if d.Decode(in[:n]).Kind != codec.More {
						b.Fatal("not more")
					}
				}
				if d.Decode(in).Kind != codec.Frame {
					b.Fatal("no frame")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/byte")
		})
	}
}
