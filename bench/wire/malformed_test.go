package wire

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"weir/bench/target"
)

// What net/http takes although RFC 9112 would have it refused. Some of it is permitted leniency; none is asked for.
var lenient = []string{"bare LF", "length and chunks", "chunks and length", "chunks on HTTP/1.0", "field X: a\r\n folded", "hidden coding X: y\n ", "field \r", "line GET /\x7f", "line GET * ", "line CONNECT", "host ",
	"hidden coding Transfer-Encoding : ", "chunk 1;\x00", "chunk 0\r\nContent Length", "field X : y", "field X y: z", "line GET / HTTP/3.0", "HTTP/2 preface"}

func TestMalformedHTTPIsWhatTheStandardLibraryRefuses(t *testing.T) {
	refused := 0
	for _, w := range Malformed(to(target.HTTP)) {
		in := bufio.NewReader(strings.NewReader(w.Bytes))
		r, err := http.ReadRequest(in)
		if err == nil {
			_, err = io.ReadAll(r.Body)
		}
		if err != nil {
			refused++
			continue
		}
		known := false
		for _, l := range lenient {
			known = known || strings.HasPrefix(w.Why, l)
		}
		if !known {
			t.Errorf("%q passes: %q", w.Why, w.Bytes)
		}
	}
	if all := len(Malformed(to(target.HTTP))); all < 100 || refused < all*3/4 {
		t.Errorf("%d of %d are refused", refused, all)
	}
}

func TestMalformedTLSIsWhatTheStandardLibraryRefuses(t *testing.T) {
	for _, w := range MalformedTLS() {
		c := tls.Server(&oneWay{in: strings.NewReader(w.Bytes)}, &tls.Config{})
		if err := c.Handshake(); err == nil {
			t.Errorf("%s passes", w.Why)
		}
	}
}

// oneWay is a connection on which that much comes, and what is sent is lost.
type oneWay struct {
	net.Conn
	in io.Reader
}

func (o *oneWay) Read(b []byte) (int, error)  { return o.in.Read(b) }
func (o *oneWay) Write(b []byte) (int, error) { return len(b), nil }
func (o *oneWay) Close() error                { return nil }

func TestEveryMalformedStringIsAnother(t *testing.T) {
	for _, all := range [][]Wrong{Malformed(to(target.HTTP)), Malformed(to(target.Frames)), Malformed(to(target.Line)), MalformedTLS()} {
		seen := map[string]bool{}
		for _, w := range all {
			if w.Bytes == "" || w.Why == "" || seen[w.Bytes] || seen[w.Why] {
				t.Errorf("%q: %q", w.Why, w.Bytes)
			}
			seen[w.Bytes], seen[w.Why] = true, true
			if got := w.Script().Append(nil, 0, 1<<20); string(got) != w.Bytes {
				t.Errorf("%s: as a script %q", w.Why, got)
			}
		}
	}
}

func TestOversizeNeverEnds(t *testing.T) {
	for _, s := range Oversize(to(target.HTTP)) {
		in := bufio.NewReader(bytes.NewReader(s.Append(nil, 0, 5<<20)))
		r, err := http.ReadRequest(in)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
		}
		if err == nil {
			t.Errorf("%q is whole", s.Append(nil, 0, 100))
		}
	}
	for _, s := range Oversize(to(target.Frames)) {
		if n := binary.BigEndian.Uint32(s.Append(nil, 0, 4)); n <= MaxSize {
			t.Errorf("a frame of %d", n)
		}
	}
	for _, s := range Oversize(to(target.Line)) {
		if bytes.IndexByte(s.Append(nil, 0, 1<<20), '\n') >= 0 {
			t.Error("an endless line ends")
		}
	}
}

func TestABodyIsWholeWithItsLastByte(t *testing.T) {
	for _, c := range []struct {
		scheme target.Scheme
		head   int
	}{{target.HTTP, 0}, {target.Frames, 4}, {target.Line, 1}} {
		s, head, err := NewBody(to(c.scheme), 1000)
		if err != nil {
			t.Fatal(err)
		}
		whole := s.Append(nil, 0, 1<<20)
		if !bytes.Equal(whole, request(t, c.scheme, 1000).Bytes) || c.head > 0 && head != c.head || c.head == 0 && !bytes.HasSuffix(whole[:head], []byte("1000\r\n\r\n")) {
			t.Errorf("%s: head %d, %q", c.scheme, head, whole[:100])
		}
		for _, size := range []int{0, MaxSize + 1} {
			if _, _, err := NewBody(to(c.scheme), size); err == nil {
				t.Errorf("%s: size %d passed", c.scheme, size)
			}
		}
	}
}
