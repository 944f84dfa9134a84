package resp

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/codec"
)

// command writes one as clients do.
func command(args ...string) string {
	s := fmt.Sprintf("*%d\r\n", len(args))
	for _, a := range args {
		s += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
	}
	return s
}

// shown keeps the signs that a trace is made of out of names.
var shown = strings.NewReplacer("[", "_", "]", "_", "!", "_", ".", "_")

// trace decodes pieces as an engine would present them and returns what came: for each command its name and its bytes, and
// how it ended. It checks on the way that nothing is lost, kept too long or told twice.
func trace(t testing.TB, d *Decoder, pieces ...[]byte) string {
	t.Helper()
	var out strings.Builder
	var buf, wire []byte
	open := false
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			u := d.Decode(buf)
			if u.N != len(u.Data) || u.N > len(buf) || !bytes.Equal(u.Data, buf[:u.N]) {
				t.Fatalf("%+v of %q", u, buf)
			}
			wire = append(wire, u.Data...)
			buf = buf[u.N:]
			switch u.Kind {
			case codec.Bad:
				fmt.Fprintf(&out, "!%s", u.Fault.Label())
				return out.String()
			case codec.Frame:
				if open {
					t.Fatal("a command inside a command")
				}
				open = d.Partial()
				out.WriteString(shown.Replace(strings.ToUpper(string(d.Name()))))
				if !open {
					fmt.Fprintf(&out, "[%d] ", len(wire))
					wire = nil
				}
			case codec.End:
				if !open || d.Partial() || u.N != 0 {
					t.Fatalf("an end that is none: %+v", u)
				}
				open = false
				fmt.Fprintf(&out, "[%d] ", len(wire))
				wire = nil
			case codec.Part:
				if !open {
					t.Fatal("a part of nothing")
				}
			case codec.More:
				if u.N != 0 || len(buf) > MaxHead {
					t.Fatalf("%d bytes are kept", len(buf))
				}
			}
			if u.Kind == codec.More {
				break
			}
		}
	}
	if d.Partial() != (open || len(buf) > 0) {
		t.Fatalf("partial %v with %q left", d.Partial(), buf)
	}
	if d.Partial() {
		out.WriteString("...")
	}
	return out.String()
}

var big = strings.Repeat("x", 1000)

var cases = []struct {
	in, want, why string
	max           int
	noInline      bool
}{
	{in: "", want: "", why: "nothing"},
	{in: command("PING"), want: "PING[14] ", why: "a name alone"},
	{in: command("set", "k", "v") + command("GET", "k"), want: "SET[27] GET[20] ", why: "two, pipelined"},
	{in: command("SET", "k", ""), want: "SET[26] ", why: "an empty value"},
	{in: command("SET", "k", "*1\r\n$8\r\nFLUSHALL\r\n"), want: "SET[45] ", why: "a command inside a value"},
	{in: command("SET", "k", big), want: "SET[1029] ", why: "a longer one"},
	{in: "*0\r\n" + command("PING"), want: "[4] PING[14] ", why: "no arguments"},
	{in: "PING\r\n", want: "PING[6] ", why: "inline"},
	{in: "  get\tk\n\r\n", want: "GET[8] [2] ", why: "inline with blanks and LF, and an empty line"},
	{in: "SET k *1\r\n", want: "SET[10] ", why: "a star inside a line"},
	{in: `SET k "a b"` + "\r\n", want: "SET[13] ", why: "quotes behind the name"},
	{in: "*3\r\n$3\r\nSET\r\n", want: "SET...", why: "cut short behind the name"},
	{in: "*3\r\n$3\r\nSE", want: "...", why: "cut short in the name"},
	{in: "PIN", want: "...", why: "cut short inline"},

	{in: "*1\r\n$4\r\nPINGx\n", want: "!bad-resp", why: "no CR behind the name"},
	{in: "*1\r\n$4\r\nPING\rx", want: "!bad-resp", why: "no LF behind it"},
	{in: "*2\r\n$3\r\nGET\r\n$1\r\nkxx", want: "GET!bad-resp", why: "a value that is longer than it says"},
	{in: "*2\r\n$3\r\nGET\r\n:1\r\n", want: "GET!bad-resp", why: "an argument that is no string"},
	{in: "*-1\r\n", want: "!bad-resp", why: "a sign"},
	{in: "*+1\r\n", want: "!bad-resp", why: "the other sign"},
	{in: "*01\r\n", want: "!bad-resp", why: "a leading zero"},
	{in: "*\r\n", want: "!bad-resp", why: "no digits"},
	{in: "* 1\r\n", want: "!bad-resp", why: "a blank"},
	{in: "*1\n", want: "!bad-resp", why: "LF alone"},
	{in: "*1\r\r\n", want: "!bad-resp", why: "two CR"},
	{in: "*12345678901\r\n", want: "!bad-resp", why: "eleven digits"},
	{in: "*1048577\r\n", want: "!frame-too-large", why: "too many arguments"},
	{in: "*9999999999\r\n", want: "!frame-too-large", why: "far too many"},
	{in: "*1\r\n$0\r\n\r\n", want: "!bad-resp", why: "an empty name"},
	{in: "*1\r\n$-1\r\n", want: "!bad-resp", why: "a null name"},
	{in: "*1\r\n$65\r\n", want: "!bad-resp", why: "a name longer than any"},
	{in: "*2\r\n$3\r\nGET\r\n$9999999999\r\n", want: "GET!frame-too-large", why: "a value that is announced as endless"},
	{in: "*2\r\n$3\r\nGET\r\n$4294967296\r\n", want: "GET!frame-too-large", why: "2^32"},
	{in: command("SET", "k", big), max: 500, want: "SET!frame-too-large", why: "above the limit, at its announcement"},
	{in: command("SET", "k", big), max: 1029, want: "SET[1029] ", why: "exactly the limit"},
	{in: command("SET", "k", big), max: 1028, want: "SET!frame-too-large", why: "one more than it"},
	{in: command("PING"), max: 13, want: "!frame-too-large", why: "a limit below the name"},
	{in: "POST / HTTP/1.1\r\nHost: localhost:6379\r\n\r\n", want: "!bad-resp", why: "HTTP"},
	{in: "GET / HTTP/1.1\r\nHost: localhost:6379\r\n\r\n", want: "GET[16] !bad-resp", why: "HTTP with a name that is a command's, too: as Redis has it"},
	{in: `"FLUSH\x41LL"` + "\r\n", want: "!bad-resp", why: "a name in disguise"},
	{in: "'PING'\r\n", want: "!bad-resp", why: "a name in quotes"},
	{in: "PI\x00NG\r\n", want: "!line-bare", why: "a NUL"},
	{in: strings.Repeat("a", MaxInline), want: "!line-too-long", why: "a line without an end"},
	{in: "PING\r\n", noInline: true, want: "!bad-resp", why: "inline, and not allowed"},
	{in: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00", want: "!line-bare", why: "a TLS hello"},
}

func TestCommands(t *testing.T) {
	for _, c := range cases {
		check := func(pieces ...[]byte) {
			t.Helper()
			if got := trace(t, &Decoder{Max: c.max, NoInline: c.noInline}, pieces...); got != c.want {
				t.Errorf("%s: %.60q in %d pieces: %q, want %q", c.why, c.in, len(pieces), got, c.want)
			}
		}
		in := []byte(c.in)
		check(in)
		for i := range in {
			check(in[:i], in[i:])
		}
		var single [][]byte
		for i := range in {
			single = append(single, in[i:i+1])
		}
		check(single...)
	}
}

func TestCutShortNeverFaults(t *testing.T) {
	for _, c := range cases {
		if strings.Contains(c.want, "!") {
			continue
		}
		for i := range c.in {
			if got := trace(t, &Decoder{Max: c.max}, []byte(c.in[:i])); strings.Contains(got, "!") {
				t.Errorf("%s: cut at %d: %s", c.why, i, got)
			}
		}
	}
}

// model reads whole commands in the slow way: nil when s is not one after the other.
func model(s string, max int) (names []string, ok bool) {
	for s != "" {
		var n int
		head, rest, found := strings.Cut(s, "\r\n")
		if !found || len(head) < 2 || head[0] != '*' {
			return nil, false
		}
		if fmt.Sscanf(head, "*%d", &n); fmt.Sprintf("*%d", n) != head || n < 0 || n > MaxArgs {
			return nil, false
		}
		left, name := rest, ""
		for i := range n {
			var size int
			line, after, found := strings.Cut(left, "\r\n")
			if fmt.Sscanf(line, "$%d", &size); !found || fmt.Sprintf("$%d", size) != line || size < 0 || len(after) < size+2 || after[size:size+2] != "\r\n" {
				return nil, false
			}
			if i == 0 {
				name = after[:size]
				if size == 0 || size > MaxName {
					return nil, false
				}
			}
			left = after[size+2:]
		}
		if len(s)-len(left) > max {
			return nil, false
		}
		names, s = append(names, strings.ToUpper(name)), left
	}
	return names, true
}

func FuzzDecode(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.in), uint16(c.max), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, max uint16, seed uint64) {
		limit := int(max)
		want := trace(t, &Decoder{Max: limit, NoInline: true}, in)
		random := rand.New(rand.NewPCG(seed, 1))
		var pieces [][]byte
		for rest := in; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		if got := trace(t, &Decoder{Max: limit, NoInline: true}, pieces...); got != want {
			t.Errorf("%q in pieces: %q, want %q", in, got, want)
		}
		if limit == 0 {
			limit = DefaultMax
		}
		names, ok := model(string(in), limit)
		if fine := !strings.Contains(want, "!") && !strings.HasSuffix(want, "..."); ok != fine || ok && strings.Count(want, "[") != len(names) {
			t.Errorf("%q: %q, the model says %q, %v", in, want, names, ok)
		}
		trace(t, &Decoder{Max: int(max)}, in) // inline ones too
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	in := []byte(command("SET", "key", "value") + "PING\r\n")
	var d Decoder
	if n := testing.AllocsPerRun(100, func() {
		for b := in; len(b) > 0; {
			b = b[d.Decode(b).N:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ why, in string }{
		{"SET", command("SET", "key:000000000001", "xxx")}, {"GET", command("GET", "key:000000000001")}, {"inline", "PING\r\n"}, {"64KiB", command("SET", "k", strings.Repeat("x", 64<<10))},
	} {
		b.Run(c.why, func(b *testing.B) {
			in := []byte(c.in)
			var d Decoder
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				for rest := in; ; {
					u := d.Decode(rest)
					rest = rest[u.N:]
					if u.Kind == codec.End || u.Kind == codec.Frame && len(rest) == 0 {
						break
					}
				}
			}
		})
	}
}

// BenchmarkDrip: the cost of a byte does not grow with what came before it.
func BenchmarkDrip(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			in := []byte(command("SET", "k", strings.Repeat("x", size)))
			for b.Loop() {
				var d Decoder
				from := 0
				for to := 1; to <= len(in); to++ {
					from += d.Decode(in[from:to]).N
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(in)), "ns/byte")
		})
	}
}
