package http1

import (
	"fmt"
	"strings"
	"testing"

	"weir/codec"
)

// feed presents pieces to a decoder the way an engine does and writes down what came of it. Parts
// are joined, because where a body is cut is the only thing that may depend on the pieces. Before
// each call the bytes move to a new address and the old ones are overwritten, and another decoder
// uses the shared Request: whatever is kept too long shows.
func feed(t testing.TB, l Limits, pieces ...string) string {
	t.Helper()
	r := NewRequest(l)
	d := NewDecoder(r)
	var out strings.Builder
	var buf, body []byte
	total, inBody := 0, false
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			disturb(r)
			u := d.Decode(buf)
			if u.N < 0 || u.N > len(buf) {
				t.Fatalf("N = %d of %d bytes", u.N, len(buf))
			}
			if u.Kind == codec.More || u.Kind == codec.Bad {
				if u.Kind == codec.Bad {
					fmt.Fprintf(&out, "body %q bad %s\n", body, u.Fault.Label())
					if again := d.Decode(buf); again.Kind != codec.Bad || again.Fault != u.Fault || d.Partial() {
						t.Fatalf("after a fault: %+v, partial %v", again, d.Partial())
					}
					return out.String()
				}
				buf = move(buf, u.N)
				total += u.N
				if again := d.Decode(buf); again.Kind != codec.More || again.N != 0 {
					t.Fatalf("More was not final: %+v", again)
				}
				break
			}
			total += u.N
			switch u.Kind {
			case codec.Frame:
				fmt.Fprintf(&out, "%s", describe(r))
				inBody = r.Chunked || r.ContentLength > 0
				if d.Partial() != inBody {
					t.Fatalf("partial %v after a head, body %v", d.Partial(), inBody)
				}
				fmt.Fprintf(&out, "to %d\n", total)
			case codec.Part:
				if !inBody || len(u.Data) == 0 {
					t.Fatalf("Part with body %v, %d bytes", inBody, len(u.Data))
				}
				body = append(body, u.Data...)
			case codec.End:
				if !inBody || d.Partial() {
					t.Fatalf("End with body %v, partial %v", inBody, d.Partial())
				}
				fmt.Fprintf(&out, "body %q end %d\n", body, total)
				inBody, body = false, nil
			}
			buf = move(buf, u.N)
		}
		if d.Lacks() < 1 {
			t.Fatal("Lacks < 1")
		}
	}
	fmt.Fprintf(&out, "body %q partial %v", body, d.Partial())
	return out.String()
}

func disturb(r *Request) {
	NewDecoder(r).Decode([]byte("PUT /other?x HTTP/1.0\r\nHost: other:1\r\na: b\r\nc: d\r\n\r\n"))
}

// move drops n bytes and returns the rest elsewhere, spoiling what was there.
func move(b []byte, n int) []byte {
	next := append(make([]byte, 0, len(b)-n+64), b[n:]...)
	for i := range b {
		b[i] = 0xdb
	}
	return next
}

func describe(r *Request) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s path %s query %q host %q 1.%d length %d chunked %v keep %v expect %v upgrade %v head %v\n",
		r.Method(), r.Target(), r.Path(), r.Query(), r.Host(), r.Minor, r.ContentLength, r.Chunked,
		r.KeepAlive, r.ExpectContinue, r.Upgrade, r.Head)
	for i := range r.NumFields() {
		name, value := r.Field(i)
		fmt.Fprintf(&s, "  %s = %q\n", name, value)
	}
	return s.String()
}

// bytewise cuts s into single bytes.
func bytewise(s string) []string {
	pieces := make([]string, len(s))
	for i := range len(s) {
		pieces[i] = s[i : i+1]
	}
	return pieces
}
