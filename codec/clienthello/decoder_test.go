package clienthello

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"weir/codec"
)

var plain = message(sni("example.com"), alpn("h2", "http/1.1"), versions(0x0304, 0x0303))

const plainWants = `0304 example.com alpn "h2" alpn "http/1.1"`

func TestNewDecoder(t *testing.T) {
	var d Decoder
	if d.Lacks() != 1 || d.Partial() {
		t.Error(d.Lacks(), d.Partial())
	}
	if n := unsafe.Sizeof(d); n > 320 {
		t.Errorf("%d bytes a connection", n)
	}
}

func TestHelloInOneRecord(t *testing.T) {
	in := records(plain)
	sameHoweverSplit(t, 0, in, fmt.Sprintf("%s to %d", plainWants, len(in)), "alone")
	sameHoweverSplit(t, 0, in+"\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x09early data",
		fmt.Sprintf("%s to %d", plainWants, len(in)), "TLS 1.3 with early data behind it")
	for i := range len(in) {
		if got, _ := feed(t, 0, in[:i]); got != "more" {
			t.Errorf("cut at %d: %s", i, got)
		}
	}
}

// A hello may be cut into records anywhere (RFC 8446 5.1), inside its header too.
func TestHelloInSeveralRecords(t *testing.T) {
	for i := 1; i < len(plain); i++ {
		in := records(plain, i)
		want := fmt.Sprintf("%s to %d", plainWants, len(in))
		for _, pieces := range [][]string{{in}, singles(in), {in[:i], in[i:]}, {in[:5+i], in[5+i:]}, {in[:6+i], in[6+i:]}} {
			if got, _ := feed(t, 0, pieces...); got != want {
				t.Fatalf("cut at %d, %d pieces: %s, want %s", i, len(pieces), got, want)
			}
		}
	}
	for _, n := range []int{1, 2, 3, 4, 5, 7, 64} {
		in := every(n, plain)
		want := fmt.Sprintf("%s to %d", plainWants, len(in))
		sameHoweverSplit(t, 0, in, want, fmt.Sprintf("records of %d", n))
		for i := range len(in) {
			if got, _ := feed(t, 0, in[:i]); got != "more" {
				t.Errorf("records of %d cut at %d: %s", n, i, got)
			}
		}
	}
}

func TestBytesBehindTheHelloInItsRecord(t *testing.T) {
	for _, sizes := range [][]int{nil, {1}, {3, 50}, {len(plain) - 1}} {
		in := records(plain+"xyz", sizes...)
		sameHoweverSplit(t, 0, in, fmt.Sprintf("%s trailing 3 to %d", plainWants, len(in)), fmt.Sprint(sizes))
	}
	in := records(plain+"xyz", len(plain))
	sameHoweverSplit(t, 0, in, fmt.Sprintf("%s to %d", plainWants, len(plain)+5), "in the next record: not ours")
}

// TestRefusedFromTheHeaders gives bytes up to the one with which the fault comes.
func TestRefusedFromTheHeaders(t *testing.T) {
	for _, c := range []struct {
		in, want string
		max      int
		why      string
	}{
		{"G", notTLS, 0, "plain HTTP"},
		{"\x80", notTLS, 0, "an SSLv2 hello"},
		{"\x15", notTLS, 0, "an alert"},
		{"\x17", notTLS, 0, "application data"},
		{"\x00", notTLS, 0, "garbage"},
		{"\x16\x02\x00\x00\x05", notTLS, 0, "version 2"},
		{"\x16\x04\x00\x00\x05", notTLS, 0, "version 4"},
		{"\x16\xfe\xff\x00\x00", notTLS, 0, "DTLS"},
		{"\x16\x03\x01\x00\x00", bad, 0, "an empty record"},
		{"\x16\x03\x01\x40\x01", bad, 0, "a record of 16385"},
		{"\x16\x03\x01\xff\xff", bad, 0, "a record of 65535"},
		{"\x16\x03\x01\x20\x00\x02\x00\x10\x00", bad, 0, "a ServerHello"},
		{"\x16\x03\x01\x00\x04\x00\x00\x00\x00", bad, 0, "a HelloRequest"},
		{"\x16\x03\x01\x20\x00\x01\x00\x00\x00", bad, 0, "an empty hello"},
		{"\x16\x03\x01\x20\x00\x01\x00\x00\x25", bad, 0, "a hello too short to be one"},
		{"\x16\x03\x01\x20\x00\x01\x00\x3f\xfd", tooLarge, 0, "Max + 1 with its header"},
		{"\x16\x03\x01\x20\x00\x01\xff\xff\xff", tooLarge, 0, "16 MiB, from the header alone"},
		{"\x16\x03\x01\x20\x00\x01\x00\x1f\xfd", tooLarge, 8192, "Max + 1"},
		{"\x16\x03\x01\x20\x01", tooLarge, 8192, "a record larger than Max"},
		{records("\x01") + records("\x00") + "\x16\x03\x01\x20\x00\x40\x00", tooLarge, 0, "a header in three records"},
		{records("\x01\x00\x10\x00") + "\x15\x03\x01\x00\x02", bad, 0, "an alert inside the hello"},
		{records("\x01\x00\x10\x00") + "\x16\x02\x01\x00\x02", bad, 0, "another version inside the hello"},
		{records("\x01\x00\x10\x00") + "\x16\x03\x01\x00\x00", bad, 0, "an empty record inside the hello"},
		{records("\x01") + "\x14\x03\x01\x00\x01", bad, 0, "change_cipher_spec inside the message's header"},
		{records("\x01\x00\x10\x00"+strings.Repeat("x", 1020)) + "\x16\x03\x01\x3c\x01", tooLarge, 0, "the second record goes past Max"},
	} {
		sameHoweverSplit(t, c.max, c.in, c.want, c.why)
		sameHoweverSplit(t, c.max, c.in+strings.Repeat("x", 50), c.want, c.why)
		if _, at := feed(t, c.max, singles(c.in)...); at != len(c.in) {
			t.Errorf("%s: fault after %d bytes, want %d", c.why, at, len(c.in))
		}
	}
}

func TestLargestHello(t *testing.T) {
	pad := func(n int) string { // a message of n bytes
		return message(sni("a.example"), ext(21, strings.Repeat("\x00", n-len(message(sni("a.example"), ext(21, ""))))))
	}
	for _, c := range []struct {
		n, max int
		want   string
	}{
		{DefaultMax, 0, "0303 a.example"},
		{DefaultMax, -1, "0303 a.example"},
		{DefaultMax + 1, 0, tooLarge},
		{DefaultMax + 1, DefaultMax + 1, "0303 a.example"},
		{60_000, 1 << 30, "0303 a.example"},
		{500, 500, "0303 a.example"},
		{501, 500, tooLarge},
	} {
		m := pad(c.n)
		for _, n := range []int{100, 4096, maxRecord} {
			in := every(n, m)
			got, _ := feed(t, c.max, in)
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("%d bytes in records of %d, Max %d: %s, want %s", c.n, n, c.max, got, c.want)
			}
		}
	}
}

func TestNumberOfRecordsIsBounded(t *testing.T) {
	m := message(sni("a.example"), ext(21, strings.Repeat("\x00", MaxRecords-200)))
	m += strings.Repeat("x", MaxRecords-len(m)) // trailing, never presented
	if got, _ := feed(t, 0, every(1, m)); !strings.HasPrefix(got, "0303 a.example") {
		t.Errorf("%d records: %s", MaxRecords, got)
	}
	m = message(ext(21, strings.Repeat("\x00", MaxRecords)))
	in := every(1, m)
	if got, _ := feed(t, 0, in); got != tooLarge {
		t.Errorf("more records: %s", got)
	}
	if got, _ := feed(t, 0, in[:6*(MaxRecords-1)+4]); got != "more" {
		t.Errorf("%d records of more: %s", MaxRecords-1, got)
	}
	if got, _ := feed(t, 0, in[:6*(MaxRecords-1)+5]); got != tooLarge {
		t.Errorf("the header of the last that may be: %s", got)
	}
}

// Lacks tells exactly what decides next.
func TestLacks(t *testing.T) {
	for _, c := range []struct {
		in   string
		want int
		why  string
	}{
		{"", 1, "the first byte decides"},
		{"\x16", 4, "the rest of the record's header"},
		{"\x16\x03\x01\x00", 1, "the rest of the record's header"},
		{"\x16\x03\x01\x10\x00", 4, "the message's header"},
		{"\x16\x03\x01\x10\x00\x01\x00\x0f", 1, "the rest of the message's header"},
		{"\x16\x03\x01\x10\x00\x01\x00\x0f\xfc", 4092, "the rest of the record, in which the message ends"},
		{"\x16\x03\x01\x10\x00\x01\x00\x0f\xfcx", 4091, "the rest of the record, in which the message ends"},
		{"\x16\x03\x01\x10\x00\x01\x00\x0f\x00", 4092, "the rest of the record, though the message ends before"},
		{"\x16\x03\x01\x00\x10\x01\x00\x0f\xfc", 17, "the rest of the record and the next one's header"},
		{"\x16\x03\x01\x00\x03", 8, "a record shorter than the message's header, and the next one's header"},
		{"\x16\x03\x01\x00\x03\x01", 7, "a record shorter than the message's header, and the next one's header"},
		{"\x16\x03\x01\x00\x03\x01\x00\x0f", 5, "the next record's header"},
		{"\x16\x03\x01\x00\x03\x01\x00\x0f\x16", 4, "the rest of the next record's header"},
		{"\x16\x03\x01\x00\x03\x01\x00\x0f\x16\x03\x01\x00\x10", 1, "the last of the message's header"},
	} {
		var d Decoder
		if u := d.Decode([]byte(c.in)); u.Kind != codec.More || d.Lacks() != c.want {
			t.Errorf("%s: %x: %+v, lacks %d, want %d", c.why, c.in, u, d.Lacks(), c.want)
		}
	}
}

// A decoder that gave its Frame begins anew, with nothing left of the hello before.
func TestDecoderCanBeUsedAgain(t *testing.T) {
	var d Decoder
	for _, c := range []struct{ in, want string }{
		{records(message(sni("WWW.Example.ORG"), alpn("h3"), ext(extECH, ""))+"xx", 3, 60), `0303 www.example.org alpn "h3" ech trailing 2`},
		{records(message()), "0303"},
		{every(100, chrome("Other.example")), `0304 other.example alpn "h2" alpn "http/1.1" ech`},
		{every(7, message(sni("B"))), "0303 b"},
		{records(plain), plainWants},
	} {
		for _, n := range []int{3, 7, len(c.in) - 1} {
			if u := d.Decode([]byte(c.in[:n])); u.Kind != codec.More {
				t.Fatalf("%s: %d bytes: %+v", c.want, n, u)
			}
		}
		if u := d.Decode([]byte(c.in)); u.Kind != codec.Frame || u.N != len(c.in) || describe(t, d.Hello()) != c.want {
			t.Errorf("%s: %+v %s", c.want, u, describe(t, d.Hello()))
		}
	}
}

func TestOneRecordGivesViews(t *testing.T) {
	in := []byte(records(plain) + "behind")
	var d Decoder
	d.Decode(in)
	h := d.Hello()
	for i := range in {
		in[i] = 'x'
	}
	for _, view := range [][]byte{h.Message, h.ServerName, h.RawServerName, h.ALPN} {
		if strings.Trim(string(view), "x") != "" || len(view) == 0 || cap(view) != len(view) {
			t.Errorf("%q, cap %d", view, cap(view))
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	table := map[string]int{"example.com": 1}
	found := 0
	for _, m := range []string{plain, chrome("example.com"), message(), message(sni("127.0.0.1")), manyExtensions(3000)} {
		in := []byte(records(m))
		var d Decoder
		work := func() {
			d = Decoder{}
			d.Decode(in[:3])
			d.Decode(in[:20])
			d.Decode(in)
			h := d.Hello()
			found += table[string(h.ServerName)]
			if h.ALPN.Has("h2") {
				found++
			}
			for range h.ALPN.All() {
				found++
			}
		}
		if n := testing.AllocsPerRun(100, work); n != 0 {
			t.Errorf("%.40q: %v allocations", in, n)
		}
	}
	if found == 0 {
		t.Error("nothing found")
	}
}

func TestAllocationsOfTheOtherPaths(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		in    string
		want  float64
		again float64
		why   string
	}{
		{every(64, plain), 1, 0, "several records"},
		{records(message(sni("Example.com"))), 1, 0, "a name with capitals"},
		{every(64, message(sni("Example.com"))), 2, 0, "both"},
		{"GET / HTTP/1.1\r\n\r\n", 0, 0, "a refusal"},
	} {
		in := []byte(c.in)
		if n := testing.AllocsPerRun(100, func() { var d Decoder; d.Decode(in) }); n != c.want {
			t.Errorf("%s: %v allocations, want %v", c.why, n, c.want)
		}
		var d Decoder
		if n := testing.AllocsPerRun(100, func() { d.Decode(in) }); n != c.again {
			t.Errorf("%s, again: %v allocations, want %v", c.why, n, c.again)
		}
	}
}
