package http1

import (
	"testing"
)

// FuzzDecode: nothing panics, and the units do not depend on how the input is split.
func FuzzDecode(f *testing.F) {
	eachInput(func(in string) { f.Add(in, uint16(len(in)/2), uint16(7)) })
	f.Fuzz(func(t *testing.T, in string, at, every uint16) {
		if len(in) > 2048 {
			return
		}
		for _, l := range []Limits{tight, {}} {
			want := feed(t, l, in)
			i := int(at) % (len(in) + 1)
			if got := feed(t, l, in[:i], in[i:]); got != want {
				t.Fatalf("%q split at %d:\n%s\nwhole:\n%s", in, i, got, want)
			}
			var pieces []string
			step := int(every)%16 + 1
			for rest := in; len(rest) > 0; {
				n := min(step, len(rest))
				pieces = append(pieces, rest[:n])
				rest = rest[n:]
			}
			if got := feed(t, l, pieces...); got != want {
				t.Fatalf("%q in pieces of %d:\n%s\nwhole:\n%s", in, step, got, want)
			}
		}
	})
}
