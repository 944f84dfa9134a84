package proxyproto

import (
	"bytes"
	"fmt"
	"testing"

	"weir/codec"
)

// feed presents pieces as an engine would and writes down what came of it and, for a fault, after
// how many bytes. The bytes move to a new address before each call and the old ones are spoiled.
func feed(t testing.TB, limit int, pieces ...string) (what string, at int) {
	t.Helper()
	d := Decoder{Max: limit}
	var buf []byte
	due := 0 // Lacks of the call before: no answer may come earlier
	for _, piece := range pieces {
		next := append(bytes.Clone(buf), piece...)
		for i := range buf {
			buf[i] = 0xdb
		}
		buf = next
		u := d.Decode(buf)
		if u.Data != nil || u.N < 0 || u.N > len(buf) || d.Lacks() < 1 || (u.Kind == codec.Bad) != (u.Fault != codec.OK) {
			t.Fatalf("%q: %+v, lacks %d", buf, u, d.Lacks())
		}
		if u.Kind != codec.More && len(buf) < due {
			t.Fatalf("%q: %+v after %d bytes, lacked %d", buf, u, len(buf), due)
		}
		switch u.Kind {
		case codec.Frame:
			if u.N == 0 || d.Partial() {
				t.Fatalf("%q: %+v, partial %v", buf, u, d.Partial())
			}
			return fmt.Sprintf("%s to %d", describe(d.Header()), u.N), u.N
		case codec.Bad:
			if again := d.Decode(buf); u.N != 0 || d.Partial() || again.Kind != codec.Bad || again.Fault != u.Fault {
				t.Fatalf("%q: %+v, partial %v, again %+v", buf, u, d.Partial(), again)
			}
			return u.Fault.Label(), len(buf)
		case codec.More:
			if u.N != 0 || d.Partial() != (len(buf) > 0) {
				t.Fatalf("%q: %+v, partial %v", buf, u, d.Partial())
			}
			if again := d.Decode(buf); again.Kind != codec.More {
				t.Fatalf("%q: More was not final: %+v", buf, again)
			}
			due = len(buf) + d.Lacks()
		}
	}
	return "more", len(buf)
}

func describe(h Header) string {
	s := fmt.Sprintf("v%d %v", h.Version, h.Command)
	if h.Command == Proxy {
		s += fmt.Sprintf(" %v > %v", h.Source, h.Destination)
	}
	if h.Datagram {
		s += " udp"
	}
	if h.TLVs != nil {
		s += fmt.Sprintf(" tlvs %x", []byte(h.TLVs))
	}
	return s
}

func singles(in string) []string {
	s := make([]string, len(in))
	for i := range len(in) {
		s[i] = in[i : i+1]
	}
	return s
}

// sameHoweverSplit checks that in gives what in one piece, in any two and byte by byte, and that no
// fault comes from bytes which are the beginning of something good.
func sameHoweverSplit(t *testing.T, limit int, in, want, why string) {
	t.Helper()
	if got, _ := feed(t, limit, in); got != want {
		t.Errorf("%s: %q: %s, want %s", why, in, got, want)
		return
	}
	for i := range len(in) {
		if got, _ := feed(t, limit, in[:i], in[i:]); got != want {
			t.Errorf("%s: %q split at %d: %s, want %s", why, in, i, got, want)
			return
		}
	}
	if got, _ := feed(t, limit, singles(in)...); got != want {
		t.Errorf("%s: %q byte by byte: %s, want %s", why, in, got, want)
	}
}
