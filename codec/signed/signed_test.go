package signed

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"weir/codec"
)

func pair(k Key) (*Sealer, *Opener) { return NewSealer(k), NewOpener(k) }

// vectors are the lines "name = hex" of a part of docs/protocols-auth.md.
func vectors(t *testing.T) map[string][]byte {
	t.Helper()
	page, err := os.ReadFile("../../docs/protocols-auth.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "<!-- signed frames: vectors -->")
	part, _, ok2 := strings.Cut(rest, "<!-- end -->")
	if !ok || !ok2 {
		t.Fatal("the page has no vectors")
	}
	v := map[string][]byte{}
	for line := range strings.Lines(part) {
		if name, digits, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
			b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			v[name] = b
		}
	}
	return v
}

func TestTheDocumentsVectors(t *testing.T) {
	v := vectors(t)
	up, down := Keys([SecretBytes]byte(v["secret"]))
	s := NewSealer(up)
	got := map[string][]byte{
		"client to server key": up[:], "server to client key": down[:],
		"client's frame 0": s.Append(nil, v["client's payload 0"]),
		"client's frame 1": s.Append(nil, v["client's payload 1"]),
		"server's frame 0": NewSealer(down).Append(nil, v["server's payload 0"]),
	}
	for name, b := range got {
		if len(v[name]) == 0 || !bytes.Equal(b, v[name]) {
			t.Errorf("%s = %x, the page says %x", name, b, v[name])
		}
	}
}

func TestOnlyTheNextFrameOpens(t *testing.T) {
	k, other := Keys([SecretBytes]byte{1})
	fresh, _ := Keys([SecretBytes]byte{2})
	frames := func(k Key) (list [][]byte) {
		s := NewSealer(k)
		for _, p := range []string{"zero", "one", "two"} {
			list = append(list, s.Append(nil, []byte(p)))
		}
		return list
	}
	own := frames(k)
	for _, c := range []struct {
		why  string
		seen int // frames opened before
		next []byte
	}{
		{"repeated", 1, own[0]},
		{"repeated after another", 2, own[0]},
		{"left out", 0, own[1]},
		{"swapped", 1, own[2]},
		{"the other direction's", 0, frames(other)[0]},
		{"another connection's", 0, frames(fresh)[0]},
		{"nothing", 0, nil},
		{"a tag alone, too short", 0, own[0][:TagBytes-1]},
		{"only the tag", 0, own[0][4:]},
		{"cut at the end", 0, own[0][:len(own[0])-1]},
		{"cut at the front", 0, own[0][1:]},
		{"longer", 0, append(bytes.Clone(own[0]), 0)},
	} {
		o := NewOpener(k)
		for i := range c.seen {
			if p, f := o.Open(own[i]); f != codec.OK || len(p) == 0 {
				t.Fatalf("frame %d: %v", i, f)
			}
		}
		if p, f := o.Open(c.next); f != codec.BadSignature || p != nil {
			t.Errorf("%s: %q, %v", c.why, p, f)
		}
		if _, f := o.Open(own[min(c.seen, 2)]); f != codec.BadSignature {
			t.Errorf("%s: opens again after a fault", c.why)
		}
	}
}

func TestEveryAlteredBitIsSeen(t *testing.T) {
	k, _ := Keys([SecretBytes]byte{3})
	frame := NewSealer(k).Append(nil, []byte("pay 10 to bob"))
	for i := range len(frame) * 8 {
		altered := bytes.Clone(frame)
		altered[i/8] ^= 1 << (i % 8)
		if _, f := NewOpener(k).Open(altered); f != codec.BadSignature {
			t.Errorf("bit %d: %v", i, f)
		}
	}
}

func TestTheSequenceEnds(t *testing.T) {
	k, _ := Keys([SecretBytes]byte{4})
	s, o := pair(k)
	s.d.seq, o.d.seq = 1<<64-2, 1<<64-2
	if _, f := o.Open(s.Append(nil, nil)); f != codec.OK {
		t.Error(f)
	}
	if _, f := o.Open(make([]byte, TagBytes)); f != codec.BadSignature {
		t.Error(f)
	}
	defer func() {
		if recover() == nil {
			t.Error("numbers are used again")
		}
	}()
	s.Append(nil, nil)
}

func TestNoAllocation(t *testing.T) {
	k, _ := Keys([SecretBytes]byte{5})
	s, o := pair(k)
	payload, frame := make([]byte, 1024), make([]byte, 0, 2048)
	if n := testing.AllocsPerRun(1000, func() {
		frame = s.Append(frame[:0], payload)
		if _, f := o.Open(frame); f != codec.OK {
			t.Fatal(f)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// FuzzOpen gives an Opener anything after good frames: nothing opens but the next one.
func FuzzOpen(f *testing.F) {
	k, _ := Keys([SecretBytes]byte{6})
	s := NewSealer(k)
	f.Add(uint8(0), s.Append(nil, []byte("a")))
	f.Add(uint8(1), s.Append(nil, []byte("b")))
	f.Add(uint8(2), []byte("short"))
	f.Fuzz(func(t *testing.T, before uint8, frame []byte) {
		s, o := pair(k)
		for range before % 4 {
			if _, f := o.Open(s.Append(nil, []byte("x"))); f != codec.OK {
				t.Fatal(f)
			}
		}
		p, fault := o.Open(frame)
		if fault == codec.OK && !bytes.Equal(s.Append(nil, p), frame) {
			t.Errorf("%x opens", frame)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	for _, n := range []int{64, 1024, 16384} {
		b.Run(size(n), func(b *testing.B) {
			k, _ := Keys([SecretBytes]byte{7})
			s, payload, frame := NewSealer(k), make([]byte, n), make([]byte, 0, n+TagBytes)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				frame = s.Append(frame[:0], payload)
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{64, 1024, 16384} {
		b.Run(size(n), func(b *testing.B) {
			k, _ := Keys([SecretBytes]byte{7})
			frame, o := NewSealer(k).Append(nil, make([]byte, n)), NewOpener(k)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				if o.d.seq = 0; o.bad {
					b.Fatal("bad")
				}
				o.Open(frame)
			}
		})
	}
}

func size(n int) string {
	return map[int]string{64: "64B", 1024: "1KiB", 16384: "16KiB"}[n]
}
