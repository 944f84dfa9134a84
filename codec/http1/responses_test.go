package http1

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"weir/codec"
)

var tightResponse = Limits{MaxHead: 160, MaxFields: 4, MaxBody: 20, MaxExtensions: 12, MaxTrailers: 24}

// askedOf reads what was asked from a letter: h HEAD, c CONNECT, u an upgrade.
func askedOf(s string) Asked {
	return Asked{Head: strings.Contains(s, "h"), Connect: strings.Contains(s, "c"), Upgrade: strings.Contains(s, "u")}
}

const ok = "HTTP/1.1 200 OK\r\n"

// goodResponses are whole answers to one request each; the connection ends behind them.
var goodResponses = []struct{ asked, in, want, why string }{
	{"", ok + "Content-Length: 0\r\n\r\n", "1.1 200 \"OK\" length 0 chunked false body false close false keep true", "the smallest answer that another may follow"},
	{"", ok + "\r\nabc", "body true close true keep false", "no length: the end of the connection ends it"},
	{"", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", "keep false", "1.0 closes"},
	{"", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", "keep true", "1.0 may stay"},
	{"", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc", "close true keep false", "but not without a length"},
	{"", ok + "Connection: close\r\nContent-Length: 3\r\n\r\nabc", "keep false", "close"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "chunked true body true", "chunks"},
	{"", ok + "Transfer-Encoding: CHUNKED\r\n\r\n14;x=\"y\"\r\n01234567890123456789\r\n0\r\nExpires: 12345678901\r\n\r\n", "chunked true", "exactly MaxBody and MaxTrailers"},
	{"", "HTTP/1.1 204 No Content\r\n\r\n", "204 \"No Content\" length -1 chunked false body false", "204 has no body"},
	{"", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "body false", "9110 8.6 forbids it, servers send it, nothing can go wrong"},
	{"", "HTTP/1.1 304 Not Modified\r\nContent-Length: 300\r\n\r\n", "304 \"Not Modified\" length 300 chunked false body false", "what GET would have had, and no limit on that"},
	{"", "HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked true body false", "9112 6.1 allows it"},
	{"h", ok + "Content-Length: 300\r\n\r\n", "length 300 chunked false body false close false keep true", "HEAD"},
	{"h", ok + "Transfer-Encoding: chunked\r\n\r\n", "chunked true body false", "HEAD"},
	{"h", ok + "\r\n", "body false close false keep true", "HEAD without a length does not end the connection"},
	{"c", ok + "Content-Length: 3\r\n\r\n", "switched", "a tunnel"},
	{"c", "HTTP/1.1 404 x\r\nContent-Length: 3\r\n\r\nabc", "404 \"x\" length 3", "no tunnel"},
	{"u", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "switched", "another protocol"},
	{"u", ok + "Content-Length: 3\r\n\r\nabc", "200 \"OK\" length 3", "or not"},
	{"", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx", "103 \"Early Hints\"", "interim answers, then the answer"},
	{"", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 \"\"", "no phrase and no space: Tomcat and others"},
	{"", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 \"\"", "no phrase"},
	{"", "HTTP/1.1 599 \tn\xc3\xa9 \r\nContent-Length: 0\r\n\r\n", "599", "any text"},
	{"", ok + "host: a b\r\nExpect: x\r\nContent-Length: 0\r\n\r\n", "host = \"a b\"", "fields of requests mean nothing here"},
	{"", ok + "x: " + strings.Repeat("v", 160-17-3-2-21-2+2) + "\r\nContent-Length: 0\r\n\r\n", "vvv", "near MaxHead"},
}

// wrongResponses end in a fault under tight limits.
var wrongResponses = []struct {
	asked, in string
	fault     codec.Fault
	why       string
}{
	{"", "\x16\x03\x01", codec.BadStatus, "TLS on a plain port"},
	{"", "SSH-2.0-x\r\n", codec.BadStatus, "another protocol"},
	{"", "-ERR unknown command\r\n", codec.BadStatus, "another protocol"},
	{"", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", codec.BadStatus, "HTTP/2 settings"},
	{"", "<html>", codec.BadStatus, "HTTP/0.9"},
	{"", "\r\n" + ok, codec.BadStatus, "an empty line in front"},
	{"", "http/1.1 200 OK\r\n", codec.BadStatus, "the version is case-sensitive"},
	{"", "HTTP/2 200\r\n", codec.BadVersion, "a version we do not speak"},
	{"", "HTTP/2.0 200 OK\r\n", codec.BadVersion, "a version we do not speak"},
	{"", "HTTP/1.2 200 OK\r\n", codec.BadVersion, "a version we do not speak"},
	{"", "HTTP/1.x 200 OK\r\n", codec.BadStatus, "no digit"},
	{"", "HTTP/1.10 200 OK\r\n", codec.BadStatus, "one digit"},
	{"", "HTTP/1.1  200 OK\r\n", codec.BadStatus, "two spaces"},
	{"", "HTTP/1.1\t200 OK\r\n", codec.BadStatus, "a tab"},
	{"", "HTTP/1.1 20 OK\r\n", codec.BadStatus, "two digits"},
	{"", "HTTP/1.1 2000 OK\r\n", codec.BadStatus, "four digits"},
	{"", "HTTP/1.1 099 x\r\n", codec.BadStatus, "below the classes"},
	{"", "HTTP/1.1 600 x\r\n", codec.BadStatus, "above the classes"},
	{"", "HTTP/1.1 +20 x\r\n", codec.BadStatus, "a sign"},
	{"", "HTTP/1.1 200\n", codec.BadLineEnd, "bare LF"},
	{"", "HTTP/1.1 200 OK\n", codec.BadLineEnd, "bare LF"},
	{"", "HTTP/1.1 200 OK\rx", codec.BadLineEnd, "bare CR"},
	{"", "HTTP/1.1 200 O\x00K\r\n", codec.BadStatus, "NUL in the phrase"},
	{"", "HTTP/1.1 200 O\x1bK\r\n", codec.BadStatus, "ESC in the phrase"},
	{"", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", codec.BadStatus, "101 that nobody asked for"},
	{"u", "HTTP/1.1 101 x\r\n\r\n", codec.BadStatus, "101 without Connection: upgrade"},
	{"u", "HTTP/1.0 101 x\r\nConnection: Upgrade\r\n\r\n", codec.BadStatus, "101 in 1.0"},
	{"", ok + "a: b\n", codec.BadLineEnd, "bare LF"},
	{"", ok + "a: b\rc\r\n", codec.BadLineEnd, "bare CR"},
	{"", ok + "a: b\x00\r\n", codec.BadField, "NUL"},
	{"", ok + "a: b\x07\r\n", codec.BadField, "a control byte"},
	{"", ok + "a : b\r\n", codec.BadField, "a space before the colon"},
	{"", ok + ": b\r\n", codec.BadField, "no name"},
	{"", ok + "ab\r\n", codec.BadField, "no colon"},
	{"", ok + "a: b\r\n c\r\n", codec.BadField, "obs-fold"},
	{"", ok + "\n", codec.BadLineEnd, "bare LF at the end"},
	{"", ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", codec.BadLength, "two lengths"},
	{"", ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", codec.BadLength, "two lengths, even if equal"},
	{"", ok + "Content-Length: 1, 1\r\n\r\n", codec.BadLength, "a list"},
	{"", ok + "Content-Length: -1\r\n\r\n", codec.BadLength, "a sign"},
	{"", ok + "Content-Length: 1 \x0b\r\n\r\n", codec.BadField, "VT"},
	{"", ok + "Content-Length: 9223372036854775808\r\n\r\n", codec.BadLength, "2^63"},
	{"", ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", codec.LengthConflict, "both"},
	{"", ok + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", codec.LengthConflict, "both"},
	{"", ok + "Transfer-Encoding: gzip\r\n\r\n", codec.BadCoding, "another coding"},
	{"", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", codec.BadCoding, "two codings"},
	{"", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", codec.BadCoding, "twice"},
	{"", ok + "Transfer-Encoding: chunked, identity\r\n\r\n", codec.BadCoding, "not last"},
	{"", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", codec.BadCoding, "chunks in 1.0"},
	{"", "HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", codec.BadCoding, "chunks in 204"},
	{"", "HTTP/1.1 204 x\r\nContent-Length: 1\r\n\r\n", codec.BadLength, "a length in 204"},
	{"", "HTTP/1.1 103 x\r\nContent-Length: 1\r\n\r\n", codec.BadLength, "a length in 103"},
	{"", ok + "Content-Length: 21\r\n\r\n", codec.BodyTooLarge, "MaxBody + 1"},
	{"", ok + "\r\n012345678901234567890", codec.BodyTooLarge, "MaxBody + 1 until the end"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n15\r\n", codec.BodyTooLarge, "MaxBody + 1 in a chunk"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\nx\r\n", codec.BadChunk, "no digit"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n1\n", codec.BadChunk, "bare LF"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", codec.BadChunk, "data too long"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n00000000000000001\r\n", codec.BadChunk, "17 digits"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 100), codec.BadChunk, "an endless extension"},
	{"", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\na: " + strings.Repeat("b", 100), codec.BadTrailer, "an endless trailer"},
	{"", ok + "Trailer: Content-Length\r\n\r\n", codec.BadField, "9110 6.5.1"},
	{"", ok + "Connection: " + strings.Repeat("a,", 20) + "\r\n\r\n", codec.BadField, "too many options"},
	{"", ok + strings.Repeat("a: b\r\n", 5), codec.TooManyFields, "MaxFields + 1"},
	{"", ok + "a: " + strings.Repeat("b", 200), codec.HeadTooLarge, "an endless field"},
	{"", "HTTP/1.1 200 " + strings.Repeat("b", 200), codec.HeadTooLarge, "an endless phrase"},
	{"", ok + "Content-Length: 1\r\n\r\nxy", codec.BadStatus, "a byte that nobody asked for"},
	{"h", ok + "Content-Length: 1\r\n\r\nx", codec.BadStatus, "a body where there is none"},
	{"", "HTTP/1.1 304 x\r\n\r\nx", codec.BadStatus, "a body where there is none"},
	{"", ok + "Content-Length: 0\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", codec.BadStatus, "an answer that nobody asked for"},
}

// feedResponse is feed for responses; at the end of the pieces the connection ends when eof is set.
func feedResponse(t testing.TB, l Limits, asked string, eof bool, pieces ...string) string {
	t.Helper()
	r := NewResponse(l)
	d := NewResponseDecoder(r)
	d.Ask(askedOf(asked))
	var out strings.Builder
	var buf, body []byte
	total := 0
	bad := func(f codec.Fault) string {
		fmt.Fprintf(&out, "body %q bad %s\n", body, f.Label())
		if again := d.Decode(buf); again.Kind != codec.Bad || again.Fault != f || d.Complete() {
			t.Fatalf("after a fault: %+v", again)
		}
		return out.String()
	}
	for _, piece := range pieces {
		buf = append(buf, piece...)
		for {
			other := NewResponseDecoder(r)
			other.Ask(Asked{})
			other.Decode([]byte("HTTP/1.0 500 other\r\nContent-Length: 5\r\nx: y\r\nz: z\r\n\r\n"))
			u := d.Decode(buf)
			if u.N < 0 || u.N > len(buf) {
				t.Fatalf("N = %d of %d bytes", u.N, len(buf))
			}
			if u.Kind == codec.Bad {
				return bad(u.Fault)
			}
			total += u.N
			if u.Kind == codec.More {
				buf = move(buf, u.N)
				if again := d.Decode(buf); again.Kind != codec.More || again.N != 0 {
					t.Fatalf("More was not final: %+v", again)
				}
				break
			}
			switch u.Kind {
			case codec.Frame:
				fmt.Fprintf(&out, "1.%d %d %q length %d chunked %v body %v close %v keep %v upgrade %v to %d\n",
					r.Minor, r.Status, r.Reason(), r.ContentLength, r.Chunked, r.Body, r.UntilClose, r.KeepAlive, r.Upgrade, total)
				for i := range r.NumFields() {
					name, value := r.Field(i)
					fmt.Fprintf(&out, "  %s = %q\n", name, value)
				}
			case codec.Part:
				if len(u.Data) == 0 {
					t.Fatal("an empty Part")
				}
				body = append(body, u.Data...)
			case codec.End:
				fmt.Fprintf(&out, "body %q end %d\n", body, total)
				body = nil
			}
			buf = move(buf, u.N)
		}
	}
	if eof && !d.Switched() {
		switch u := d.EOF(); u.Kind {
		case codec.End:
			fmt.Fprintf(&out, "body %q end %d\n", body, total)
			body = nil
		case codec.Bad:
			return bad(u.Fault)
		}
	}
	fmt.Fprintf(&out, "body %q complete %v", body, d.Complete())
	if d.Switched() {
		out.WriteString(" switched")
	}
	return out.String()
}

func eachResponse(f func(asked, in string)) {
	for _, c := range goodResponses {
		f(c.asked, c.in)
	}
	for _, c := range wrongResponses {
		f(c.asked, c.in)
	}
}

func TestGoodResponses(t *testing.T) {
	for _, c := range goodResponses {
		for name, l := range map[string]Limits{"default": {}, "tight": tightResponse} {
			got := feedResponse(t, l, c.asked, true, c.in)
			if !strings.Contains(got, c.want) || strings.Contains(got, "bad ") || !strings.HasSuffix(got, "complete true") && !strings.HasSuffix(got, "switched") {
				t.Errorf("%s: %q, %s limits:\n%s\nlacks %s", c.why, c.in, name, got, c.want)
			}
		}
	}
}

func TestWrongResponses(t *testing.T) {
	for _, c := range wrongResponses {
		if got := feedResponse(t, tightResponse, c.asked, false, c.in); !strings.HasSuffix(got, "bad "+c.fault.Label()+"\n") {
			t.Errorf("%s: %.80q: %.200s, want %s", c.why, c.in, got, c.fault.Label())
		}
	}
}

func TestResponsesDoNotDependOnSplits(t *testing.T) {
	eachResponse(func(asked, in string) {
		want := feedResponse(t, tightResponse, asked, true, in)
		if got := feedResponse(t, tightResponse, asked, true, bytewise(in)...); got != want {
			t.Errorf("%.80q byte by byte:\n%s\nwhole:\n%s", in, got, want)
		}
		for i := 1; i < len(in); i++ {
			if got := feedResponse(t, tightResponse, asked, true, in[:i], in[i:]); got != want {
				t.Errorf("%.80q split at %d:\n%s\nwhole:\n%s", in, i, got, want)
			}
		}
	})
}

// A response that is cut short is no fault until the connection ends, and then always one, but where
// its end is what ends it.
func TestResponsesCutShort(t *testing.T) {
	for _, c := range goodResponses {
		for i := range c.in {
			if got := feedResponse(t, tightResponse, c.asked, false, c.in[:i]); strings.Contains(got, "bad ") {
				t.Errorf("%q cut at %d: %s", c.in, i, got)
			}
			got := feedResponse(t, tightResponse, c.asked, true, c.in[:i])
			if !strings.HasSuffix(got, "bad truncated\n") && !strings.Contains(got, "close true") {
				t.Errorf("%q ended at %d: %s", c.in, i, got)
			}
		}
	}
}

func TestBytesBeforeARequest(t *testing.T) {
	d := NewResponseDecoder(NewResponse(Limits{}))
	if u := d.Decode(nil); u.Kind != codec.More || !d.Complete() || d.Partial() {
		t.Errorf("nothing: %+v", u)
	}
	if u := d.EOF(); u.Kind != codec.More {
		t.Errorf("the end of an idle connection: %+v", u)
	}
	if u := d.Decode([]byte("H")); u.Kind != codec.Bad || u.Fault != codec.BadStatus || d.Complete() {
		t.Errorf("a byte: %+v", u)
	}
}

func TestOneConnectionManyResponses(t *testing.T) {
	r := NewResponse(Limits{})
	d := NewResponseDecoder(r)
	for i, c := range []struct{ asked, in string }{
		{"", ok + "Content-Length: 1\r\n\r\nx"}, {"h", ok + "Content-Length: 1\r\n\r\n"}, {"", "HTTP/1.1 304 x\r\n\r\n"},
		{"", ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"}, {"", "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 204 x\r\n\r\n"},
	} {
		d.Ask(askedOf(c.asked))
		for b := []byte(c.in); len(b) > 0; {
			u := d.Decode(b)
			if u.Kind == codec.Bad || u.Kind == codec.More && u.N == 0 || d.Complete() && u.N < len(b) && u.Kind != codec.Part {
				t.Fatalf("%d: %q: %+v", i, b, u)
			}
			b = b[u.N:]
		}
		if u := d.Decode(nil); u.Kind != codec.End && u.Kind != codec.More || !d.Complete() {
			t.Fatalf("%d: %+v, complete %v", i, u, d.Complete())
		}
	}
}

func TestResponseDecoderIsSmallAndAllocatesNothing(t *testing.T) {
	if n := unsafe.Sizeof(ResponseDecoder{}); n > 64 {
		t.Errorf("%d bytes, want at most 64", n)
	}
	r := NewResponse(Limits{})
	d := NewResponseDecoder(r)
	in := []byte(ok + "Connection: keep-alive, x\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\na: b\r\n\r\n")
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		d.Ask(Asked{})
		for b := in; len(b) > 0; {
			u := d.Decode(b)
			if u.Kind == codec.Bad || u.Kind == codec.More {
				t.Fatal(u)
			}
			if u.Kind == codec.Frame {
				dst = r.AppendLine(dst[:0])
				for i := range r.NumFields() {
					if !r.Hop(i) {
						dst = r.AppendField(dst, i)
					}
				}
				if string(dst) != "HTTP/1.1 200 OK\r\n" {
					t.Fatalf("%q", dst)
				}
			}
			b = b[u.N:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestHops has every field that is for one connection, and what a relay writes of the rest.
func TestHops(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"GET http://a:1?q HTTP/1.1\r\nHost: a:1\r\n\r\n", "GET /?q HTTP/1.1|Host: a:1", "origin form"},
		{"GET HTTP://a:1/p/%41 HTTP/1.0\r\n\r\n", "GET /p/%41 HTTP/1.1", "origin form, 1.1"},
		{"OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1|Host: a", "9112 3.2.4"},
		{"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1|Host: a", "asterisk form"},
		{"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1|Host: a", "no path"},
		{get + "Connection: close\r\nConnection: X-a,keep-alive ,\tx-B\r\nX-A: 1\r\nx-b: 2\r\nx-ab: 3\r\n\r\n", "GET / HTTP/1.1|Host: a|x-ab: 3", "listed ones"},
		{post + "connection: Content-Length\r\nContent-Length: 0\r\nTE: trailers\r\nTrailer: x\r\nKeep-Alive: 5\r\nUpgrade: y\r\nProxy-Connection: x\r\nProxy-Authorization: z\r\nProxy-Authenticate: z\r\nTransfer-Encodings: t\r\n\r\n",
			"POST / HTTP/1.1|Host: a|Transfer-Encodings: t", "those that are always for one connection"},
	} {
		r := NewRequest(Limits{})
		if u := NewDecoder(r).Decode([]byte(c.in)); u.Kind != codec.Frame {
			t.Errorf("%s: %+v", c.why, u)
			continue
		}
		b := r.AppendLine(nil)
		for i := range r.NumFields() {
			if !r.Hop(i) {
				b = r.AppendField(b, i)
			}
		}
		if got := strings.TrimSuffix(strings.ReplaceAll(string(b), "\r\n", "|"), "|"); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}
