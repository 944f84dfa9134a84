package mqtt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"weir/codec"
)

// packet writes one with its remaining length in the shortest form.
func packet(first byte, body string) string {
	n := len(body)
	head := []byte{first}
	for {
		c := byte(n & 127)
		if n >>= 7; n > 0 {
			c |= 128
		}
		head = append(head, c)
		if n == 0 {
			return string(head) + body
		}
	}
}

func text(s string) string { return string([]byte{byte(len(s) >> 8), byte(len(s))}) + s }

func connect(level, flags byte, rest string) string {
	name := "MQTT"
	if level == V31 {
		name = "MQIsdp"
	}
	return packet(0x10, text(name)+string([]byte{level, flags, 0, 60})+rest)
}

var (
	c31  = connect(V31, 2, text("me"))
	c311 = connect(V311, 2, text("me"))
	c5   = connect(V5, 2, "\x00"+text("me"))
	ping = packet(0xc0, "")
)

var names = map[Type]string{Connect: "connect", Publish: "publish", Puback: "puback", Pubrel: "pubrel", Subscribe: "subscribe",
	Unsubscribe: "unsubscribe", Pingreq: "ping", Disconnect: "disconnect", Auth: "auth"}

// trace decodes pieces as an engine would present them and returns what came: for each packet its type, topic and length,
// and how it ended. It checks on the way that nothing is lost, kept too long or told twice.
func trace(t testing.TB, d *Decoder, pieces ...[]byte) string {
	t.Helper()
	var out strings.Builder
	var buf []byte
	length, open := 0, false
	for _, piece := range pieces {
		buf = append(buf, piece...)
	again:
		u := d.Decode(buf)
		if u.N != len(u.Data) || u.N > len(buf) || !bytes.Equal(u.Data, buf[:u.N]) {
			t.Fatalf("%+v of %q", u, buf)
		}
		length += u.N
		buf = buf[u.N:]
		switch u.Kind {
		case codec.Bad:
			fmt.Fprintf(&out, "!%s", u.Fault.Label())
			return out.String()
		case codec.Frame:
			if open {
				t.Fatal("a packet inside a packet")
			}
			open = d.Partial()
			out.WriteString(names[d.Type()])
			if topic := d.Topic(u.Data); len(topic) > 0 {
				fmt.Fprintf(&out, " %s", topic)
			}
		case codec.Part:
			if !open {
				t.Fatal("a part of nothing")
			}
		case codec.End:
			if !open || d.Partial() || u.N != 0 {
				t.Fatalf("an end that is none: %+v", u)
			}
			open = false
		case codec.More:
			if len(buf) >= 5+2+d.topicLimit() || d.Lacks() < 1 {
				t.Fatalf("%d bytes are kept, lacks %d", len(buf), d.Lacks())
			}
			continue
		}
		if u.Kind != codec.Part && !open {
			fmt.Fprintf(&out, "[%d] ", length)
			length = 0
		}
		goto again
	}
	if d.Partial() != (open || len(buf) > 0) {
		t.Fatalf("partial %v with %q left", d.Partial(), buf)
	}
	if d.Partial() {
		out.WriteString("...")
	}
	return out.String()
}

const bad = "!bad-mqtt"

var cases = []struct {
	in, want, why string
	max           int
}{
	{in: "", want: "", why: "nothing"},
	{in: c31 + ping, want: "connect[18] ping[2] ", why: "3.1"},
	{in: c311 + packet(0x30, text("a/b")+"hello") + packet(0xe0, ""), want: "connect[16] publish a/b[12] disconnect[2] ", why: "3.1.1"},
	{in: c5 + packet(0x30, text("")+"\x03\x23\x00\x01x") + packet(0xf0, ""), want: "connect[17] publish[9] auth[2] ", why: "5, with a number for a topic"},
	{in: c311 + packet(0x32, text("t")+"\x00\x01"), want: "connect[16] publish t[7] ", why: "QoS 1 without a payload"},
	{in: c311 + packet(0x82, "\x00\x01"+text("#")+"\x00") + packet(0xa2, "\x00\x02"+text("#")), want: "connect[16] subscribe[8] unsubscribe[7] ", why: "subscriptions"},
	{in: c311 + packet(0x40, "\x00\x01") + packet(0x62, "\x00\x01"), want: "connect[16] puback[4] pubrel[4] ", why: "acknowledgements"},
	{in: c311 + packet(0x30, text("t")+big), want: "connect[16] publish t[5006] ", why: "a longer one"},
	{in: c311 + packet(0x30, text("t")+big), max: 5006, want: "connect[16] publish t[5006] ", why: "exactly the limit"},
	{in: c31 + packet(0x8a, "\x00\x01"+text("a")+"\x00") + packet(0x6a, "\x00\x02"), want: "connect[18] subscribe[8] pubrel[4] ", why: "again, in 3.1"},
	{in: c311 + packet(0x8a, "\x00\x01"+text("a")+"\x00"), want: "connect[16] " + bad, why: "again, in 3.1.1"},
	{in: connect(0x84, 2, text("me")) + ping, want: "connect[16] ping[2] ", why: "a bridge"},
	{in: connect(0x85, 2, text("me")), want: bad, why: "a bridge of version 5, which has none"},
	{in: c311 + "\x30", want: "connect[16] ...", why: "cut short"},
	{in: c311 + packet(0x30, text("topic")+"x")[:6], want: "connect[16] ...", why: "cut short in the topic"},
	{in: c311 + packet(0x30, text("topic")+"xyz")[:10], want: "connect[16] publish topic...", why: "cut short in the payload"},

	{in: ping, want: bad, why: "something before CONNECT"},
	{in: c311 + c311, want: "connect[16] " + bad, why: "CONNECT twice"},
	{in: c311 + packet(0xe0, "") + ping, want: "connect[16] disconnect[2] " + bad, why: "something after DISCONNECT"},
	{in: packet(0x11, c311[2:]), want: bad, why: "a reserved flag of CONNECT"},
	{in: connect(6, 2, text("me")), want: bad, why: "an unknown version"},
	{in: packet(0x10, text("HTTP")+"\x04\x02\x00\x3c"+text("me")), want: bad, why: "another protocol"},
	{in: packet(0x10, text("MQTTX")+"\x04\x02\x00\x3c"+text("me")), want: bad, why: "a longer name"},
	{in: connect(V311, 3, text("me")), want: bad, why: "the reserved flag in CONNECT"},
	{in: connect(V311, 0x08, text("me")), want: bad, why: "QoS of a will that is none"},
	{in: connect(V311, 0x1c, text("me")), want: bad, why: "a will with QoS 3"},
	{in: connect(V311, 0x40, text("me")), want: bad, why: "a password and no user, 3.1.1"},
	{in: connect(V5, 0x40, "\x00"+text("me")), want: "connect[17] ", why: "a password and no user, 5"},
	{in: "\x10\x0a" + text("MQTT") + "\x04\x02\x00\x3c", want: bad, why: "CONNECT without a client name"},
	{in: "\x10\x0c" + text("MQIsdp") + "\x03\x02\x00\x3c", want: bad, why: "the same, 3.1"},
	{in: packet(0x10, text("MQTT")+"\x04\x02\x00\x3c"+text(strings.Repeat("x", MaxConnect))), want: "!frame-too-large", why: "a CONNECT that fills memory"},
	{in: c311 + packet(0x20, "\x00\x00"), want: "connect[16] " + bad, why: "what a broker sends"},
	{in: c311 + packet(0xd0, ""), want: "connect[16] " + bad, why: "likewise"},
	{in: c311 + "\x00\x00", want: "connect[16] " + bad, why: "type 0"},
	{in: c311 + packet(0xf0, ""), want: "connect[16] " + bad, why: "AUTH in 3.1.1"},
	{in: c311 + packet(0x36, text("t")+"\x00\x01"), want: "connect[16] " + bad, why: "QoS 3"},
	{in: c311 + packet(0x38, text("t")), want: "connect[16] " + bad, why: "a duplicate of QoS 0"},
	{in: c311 + packet(0x80, "\x00\x01"+text("#")+"\x00"), want: "connect[16] " + bad, why: "SUBSCRIBE without its flag"},
	{in: c311 + packet(0x60, "\x00\x01"), want: "connect[16] " + bad, why: "PUBREL without its flag"},
	{in: c311 + packet(0x40, "\x00\x01\x00"), want: "connect[16] " + bad, why: "a longer PUBACK in 3.1.1"},
	{in: c311 + packet(0xc0, "x"), want: "connect[16] " + bad, why: "a PINGREQ with something in it"},
	{in: c311 + "\xc0\x80\x00", want: "connect[16] " + bad, why: "a length that is longer than it has to be"},
	{in: c311 + "\x30\xff\xff\xff\xff\x01", want: "connect[16] " + bad, why: "a length of five bytes"},
	{in: c311 + "\x30\xff\xff\xff\x7f", want: "connect[16] !frame-too-large", why: "the largest there can be"},
	{in: c311 + packet(0x30, text("t")+big), max: 5005, want: "connect[16] !frame-too-large", why: "one more than the limit"},
	{in: c311 + packet(0x30, text(strings.Repeat("t", 1025))), want: "connect[16] !frame-too-large", why: "a topic above the limit"},
	{in: c311 + packet(0x30, text("")+"x"), want: "connect[16] " + bad, why: "no topic, 3.1.1"},
	{in: c311 + packet(0x30, "\x00\x09t"), want: "connect[16] " + bad, why: "a topic that is longer than its packet"},
	{in: c311 + packet(0x32, "\x00\x02t\x00\x01"), want: "connect[16] " + bad, why: "a topic that reaches into the identifier"},
	{in: c311 + packet(0x30, text("a/+")), want: "connect[16] " + bad, why: "a wildcard"},
	{in: c311 + packet(0x30, text("#")), want: "connect[16] " + bad, why: "the other"},
	{in: c311 + packet(0x30, text("a\x00")), want: "connect[16] " + bad, why: "a NUL"},
	{in: c311 + packet(0x30, text("a\xc0\xaf")), want: "connect[16] " + bad, why: "no UTF-8"},
	{in: "GET / HTTP/1.1\r\n", want: bad, why: "HTTP"},
	{in: "\x16\x03\x01\x02\x00", want: bad, why: "a TLS hello"},
}

var big = strings.Repeat("x", 5000)

func pieces(in []byte, cut func(rest int) int) (out [][]byte) {
	for len(in) > 0 {
		n := cut(len(in))
		out = append(out, in[:n])
		in = in[n:]
	}
	return out
}

func TestPackets(t *testing.T) {
	for _, c := range cases {
		check := func(pieces ...[]byte) {
			t.Helper()
			if got := trace(t, &Decoder{Max: c.max}, pieces...); got != c.want {
				t.Errorf("%s: %.60q in %d pieces: %q, want %q", c.why, c.in, len(pieces), got, c.want)
			}
		}
		in := []byte(c.in)
		check(in)
		for i := 0; i < len(in) && i < 200; i++ {
			check(in[:i], in[i:])
		}
		check(pieces(in, func(int) int { return 1 })...)
	}
}

func TestCutShortNeverFaults(t *testing.T) {
	for _, c := range cases {
		if strings.Contains(c.want, "!") {
			continue
		}
		for i := range c.in {
			if got := trace(t, new(Decoder), []byte(c.in[:i])); strings.Contains(got, "!") {
				t.Errorf("%s: cut at %d: %s", c.why, i, got)
			}
		}
	}
}

func TestConnectIsRemembered(t *testing.T) {
	for in, want := range map[string]int{c31: V31, c311: V311, c5: V5} {
		var d Decoder
		if d.Version() != 0 || d.KeepAlive() != 0 {
			t.Error("a new decoder knows something")
		}
		if d.Decode([]byte(in)); d.Version() != want || d.KeepAlive() != 60 || d.Type() != Connect {
			t.Errorf("%d: %d, %d s", want, d.Version(), d.KeepAlive())
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range cases {
		f.Add([]byte(c.in), uint16(c.max), uint64(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, max uint16, seed uint64) {
		want := trace(t, &Decoder{Max: int(max)}, in)
		random := rand.New(rand.NewPCG(seed, 1))
		if got := trace(t, &Decoder{Max: int(max)}, pieces(in, func(rest int) int { return 1 + random.IntN(rest) })...); got != want {
			t.Errorf("%q in pieces: %q, want %q", in, got, want)
		}
	})
}

func TestDecodeAllocatesNothing(t *testing.T) {
	first := []byte(c311)
	in := []byte(packet(0x30, text("a/b")+"hello") + ping)
	var d Decoder
	for len(first) > 0 {
		first = first[d.Decode(first).N:]
	}
	d.Decode(nil)
	if n := testing.AllocsPerRun(100, func() {
		for b := in; len(b) > 0; {
			b = b[d.Decode(b).N:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range []struct{ why, in string }{{"publish", packet(0x30, text("sensors/17/temperature")+"21.5")}, {"ping", ping}} {
		b.Run(c.why, func(b *testing.B) {
			var d Decoder
			for first := []byte(c5); len(first) > 0; {
				first = first[d.Decode(first).N:]
			}
			d.Decode(nil)
			in := []byte(c.in)
			b.ReportAllocs()
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				for rest := in; len(rest) > 0 || d.Partial(); {
					rest = rest[d.Decode(rest).N:]
				}
			}
		})
	}
}
