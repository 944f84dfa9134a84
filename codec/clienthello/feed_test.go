package clienthello

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"weir/codec"
)

const (
	notTLS   = "not-tls"
	bad      = "bad-client-hello"
	tooLarge = "client-hello-too-large"
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
		if u.N < 0 || u.N > len(buf) || d.Lacks() < 1 || (u.Kind == codec.Bad) != (u.Fault != codec.OK) {
			t.Fatalf("%x: %+v, lacks %d", buf, u, d.Lacks())
		}
		if u.Kind != codec.More && len(buf) < due {
			t.Fatalf("%x: %v %v after %d bytes, lacked %d", buf, u.Kind, u.Fault, len(buf), due)
		}
		switch u.Kind {
		case codec.Frame:
			if u.N == 0 || u.N > d.MaxBytes() || d.Partial() || !bytes.Equal(u.Data, buf[:u.N]) || cap(u.Data) != u.N {
				t.Fatalf("%x: %+v, partial %v", buf, u, d.Partial())
			}
			return fmt.Sprintf("%s to %d", describe(t, d.Hello()), u.N), u.N
		case codec.Bad:
			if again := d.Decode(buf); u.N != 0 || d.Partial() || again.Kind != codec.Bad || again.Fault != u.Fault {
				t.Fatalf("%x: %+v, partial %v, again %+v", buf, u, d.Partial(), again)
			}
			return u.Fault.Label(), len(buf)
		case codec.More:
			if u.N != 0 || d.Partial() != (len(buf) > 0) || len(buf) >= d.MaxBytes() {
				t.Fatalf("%x: %+v, partial %v", buf, u, d.Partial())
			}
			lacks := d.Lacks()
			if again := d.Decode(buf); again.Kind != codec.More || d.Lacks() != lacks {
				t.Fatalf("%x: More was not final: %+v, lacks %d, %d", buf, again, lacks, d.Lacks())
			}
			due = len(buf) + lacks
		}
	}
	return "more", len(buf)
}

func describe(t testing.TB, h Hello) string {
	s := fmt.Sprintf("%04x", h.Version)
	if len(h.ServerName) > 0 {
		s += fmt.Sprintf(" %s", h.ServerName)
	}
	if strings.ToLower(string(h.RawServerName)) != string(h.ServerName) {
		s += fmt.Sprintf(" raw %q", h.RawServerName)
	}
	for name := range h.ALPN.All() {
		s += fmt.Sprintf(" alpn %q", name)
		if !h.ALPN.Has(string(name)) {
			t.Errorf("%q is not among %q", name, h.ALPN)
		}
	}
	if h.ECH {
		s += " ech"
	}
	if h.Trailing > 0 {
		s += fmt.Sprintf(" trailing %d", h.Trailing)
	}
	if n := 4 + (int(h.Message[1])<<16 | int(h.Message[2])<<8 | int(h.Message[3])); len(h.Message) != n || cap(h.Message) != n {
		t.Errorf("message of %d, cap %d, want %d", len(h.Message), cap(h.Message), n)
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

// sameHoweverSplit checks that in gives what in one piece, in any two and byte by byte.
func sameHoweverSplit(t *testing.T, limit int, in, want, why string) {
	t.Helper()
	if got, _ := feed(t, limit, in); got != want {
		t.Errorf("%s: %s, want %s", why, got, want)
		return
	}
	for i := 0; i < len(in); i += 1 + len(in)/2000 {
		if got, _ := feed(t, limit, in[:i], in[i:]); got != want {
			t.Errorf("%s: split at %d: %s, want %s", why, i, got, want)
			return
		}
	}
	if len(in) > 1<<11 {
		return // feed copies: it would be quadratic
	}
	if got, _ := feed(t, limit, singles(in)...); got != want {
		t.Errorf("%s: byte by byte: %s, want %s", why, got, want)
	}
}
