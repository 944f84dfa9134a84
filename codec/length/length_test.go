package length

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"weir/codec"
)

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		in         string
		max        int
		allowEmpty bool
		want       codec.Unit // Data is compared by content
		lacks      int
		partial    bool
		why        string
	}{
		{"", 0, false, codec.Unit{}, 4, false, "nothing"},
		{"\x00", 0, false, codec.Unit{}, 3, true, "a quarter of the header"},
		{"\xff\xff\xff", 0, false, codec.Unit{}, 1, true, "one byte short of a refusal"},
		{"\x00\x00\x00\x02", 0, false, codec.Unit{}, 2, true, "the header alone"},
		{"\x00\x00\x00\x02a", 0, false, codec.Unit{}, 1, true, "one byte short"},
		{"\x00\x00\x00\x02ab", 0, false, codec.Unit{Kind: codec.Frame, N: 6, Data: []byte("ab")}, 4, false, "whole"},
		{"\x00\x00\x00\x02abc", 0, false, codec.Unit{Kind: codec.Frame, N: 6, Data: []byte("ab")}, 4, false, "and more behind"},
		{"\x00\x00\x00\x00", 0, true, codec.Unit{Kind: codec.Frame, N: 4}, 4, false, "empty, allowed"},
		{"\x00\x00\x00\x00", 0, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameEmpty}, 4, false, "empty"},
		{"\x00\x00\x00\x03abc", 3, false, codec.Unit{Kind: codec.Frame, N: 7, Data: []byte("abc")}, 4, false, "exactly Max"},
		{"\x00\x00\x00\x04", 3, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "Max + 1, from the header alone"},
		{"\x00\x01\x00\x01", 0, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "DefaultMax + 1"},
		{"\x80\x00\x00\x00", 0, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "the sign bit"},
		{"\x80\x00\x00\x01", math.MaxInt32, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "the sign bit under the largest limit"},
		{"\xff\xff\xff\xff", math.MaxInt32, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "-1"},
		{"\xff\xff\xff\xff", math.MaxInt, true, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "-1 under more than the largest limit"},
		{"\xff\xff\xff\xfc", -1, true, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "length + header wraps to 0"},
		{"\x7f\xff\xff\xfc", math.MaxInt, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "MaxMax + 1: with its header past 2^31 - 1"},
		{"\x7f\xff\xff\xfb", math.MaxInt, false, codec.Unit{}, MaxMax, true, "MaxMax: announced, not allocated"},
		{"\x16\x03\x01\x02", 0, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "a TLS hello"},
		{"GET ", 0, false, codec.Unit{Kind: codec.Bad, Fault: codec.FrameTooLarge}, 4, false, "HTTP"},
	} {
		d := Decoder{Max: c.max, AllowEmpty: c.allowEmpty}
		u := d.Decode([]byte(c.in))
		if u.Kind != c.want.Kind || u.Fault != c.want.Fault || u.N != c.want.N || !bytes.Equal(u.Data, c.want.Data) {
			t.Errorf("%s: %q: %+v, want %+v", c.why, c.in, u, c.want)
		}
		if d.Lacks() != c.lacks || d.Partial() != c.partial {
			t.Errorf("%s: %q: lacks %d, partial %v, want %d, %v", c.why, c.in, d.Lacks(), d.Partial(), c.lacks, c.partial)
		}
	}
}

func TestNewDecoderLacksAHeader(t *testing.T) {
	if d := (Decoder{}); d.Lacks() != HeaderBytes || d.Partial() {
		t.Error(d.Lacks(), d.Partial())
	}
}

// drain decodes pieces as an engine would present them, and checks on the way that nothing comes
// early or late and that Lacks is exact.
func drain(t testing.TB, d *Decoder, pieces ...[]byte) (frames [][]byte, fault codec.Fault, left int) {
	var buf []byte
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			u := d.Decode(buf)
			due := frameDue(d, buf)
			if (u.Kind != codec.More) != (len(buf) >= due) {
				t.Fatalf("%d bytes, due with %d: %+v", len(buf), due, u)
			}
			if u.Kind == codec.Bad {
				return frames, u.Fault, len(buf)
			}
			if u.Kind == codec.More {
				if d.Partial() != (len(buf) > 0) || d.Lacks() != due-len(buf) {
					t.Fatalf("%d bytes, due with %d: partial %v, lacks %d", len(buf), due, d.Partial(), d.Lacks())
				}
				break
			}
			frames = append(frames, bytes.Clone(u.Data))
			buf = buf[u.N:]
		}
	}
	return frames, codec.OK, len(buf)
}

// frameDue says how long b must be before something is known that is not yet: a length, a frame.
func frameDue(d *Decoder, b []byte) int {
	if len(b) < HeaderBytes {
		return HeaderBytes
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > uint32(d.limit()) {
		return HeaderBytes
	}
	return HeaderBytes + int(n)
}

var streams = [][]byte{
	nil,
	Append(nil, []byte("a")),
	Append(Append(Append(nil, []byte("one")), bytes.Repeat([]byte("two"), 40)), []byte("three")),
	Append(Append(nil, []byte("fine")), nil),
	append(Append(nil, []byte("fine")), 0xff, 0xff, 0xff, 0xff, 'x'),
	append(Append(nil, []byte("half")), 0, 0, 0, 9, 'x', 'y'),
}

func TestFramesDoNotDependOnSplits(t *testing.T) {
	for _, in := range streams {
		want, wantFault, _ := drain(t, new(Decoder), in)
		check := func(pieces ...[]byte) {
			t.Helper()
			got, fault, _ := drain(t, new(Decoder), pieces...)
			if fault != wantFault || !bytes.Equal(bytes.Join(got, []byte{0}), bytes.Join(want, []byte{0})) || len(got) != len(want) {
				t.Errorf("%q: %q %v, want %q %v", in, got, fault, want, wantFault)
			}
		}
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
	in := streams[2]
	for i := range in {
		if _, fault, _ := drain(t, new(Decoder), in[:i]); fault != codec.OK {
			t.Errorf("cut at %d: %v", i, fault)
		}
	}
}

func TestDataIsAViewThatCannotGrow(t *testing.T) {
	in := Append(Append(nil, []byte("ab")), []byte("cd"))
	u := new(Decoder).Decode(in)
	if &u.Data[0] != &in[4] || cap(u.Data) != 2 {
		t.Errorf("cap %d", cap(u.Data))
	}
}

func TestAppendHeaderPanicsOutOfRange(t *testing.T) {
	for _, n := range []int{-1, MaxMax + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d: no panic", n)
				}
			}()
			AppendHeader(nil, n)
		}()
	}
	if got := AppendHeader(nil, MaxMax); !bytes.Equal(got, []byte{0x7f, 0xff, 0xff, 0xfb}) {
		t.Errorf("%x", got)
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	in := Append(nil, []byte("hello"))
	var d Decoder
	if n := testing.AllocsPerRun(100, func() { d.Decode(in[:3]); d.Decode(in[:6]); d.Decode(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	for _, in := range streams {
		f.Add(in, uint16(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, at uint16) {
		want, wantFault, left := drain(t, new(Decoder), in)
		i := int(at) % (len(in) + 1)
		got, fault, gotLeft := drain(t, new(Decoder), in[:i], in[i:])
		if fault != wantFault || len(got) != len(want) || fault == codec.OK && left != gotLeft {
			t.Fatalf("%q split at %d: %d frames %v, whole: %d frames %v", in, i, len(got), fault, len(want), wantFault)
		}
		var again []byte
		for i, frame := range want {
			if !bytes.Equal(got[i], frame) {
				t.Fatalf("frame %d: %q, whole: %q", i, got[i], frame)
			}
			again = Append(again, frame)
		}
		if !bytes.HasPrefix(in, again) {
			t.Fatalf("%q does not begin with what was decoded: %q", in, again)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	in := Append(nil, make([]byte, 64))
	var d Decoder
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if d.Decode(in).Kind != codec.Frame {
			b.Fatal("no frame")
		}
	}
}

// BenchmarkDrip presents a frame one byte more at a time. The cost per byte must not grow with the
// size of the frame.
func BenchmarkDrip(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			in := Append(nil, make([]byte, size))
			var d Decoder
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
