package http1

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"weir/codec"
)

var date = []byte("Sun, 06 Nov 1994 08:49:37 GMT")

func TestAppendHead(t *testing.T) {
	for _, c := range []struct {
		h    Head
		want string
		why  string
	}{
		{Head{Status: 200, Date: date, ContentType: "text/plain", Length: 5},
			"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n", "plain"},
		{Head{Status: 200, Length: Chunked}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked"},
		{Head{Status: 200, Length: NoLength, Close: true}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "up to the end"},
		{Head{Status: 200, Minor0: true}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", "1.0 is told that we stay"},
		{Head{Status: 200, Minor0: true, Close: true}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "or not"},
		{Head{Status: 204}, "HTTP/1.1 204 No Content\r\n\r\n", "9110 8.6: no length"},
		{Head{Status: 101, Length: Chunked}, "HTTP/1.1 101 Switching Protocols\r\n\r\n", "9112 6.1: no coding"},
		{Head{Status: 304, Length: 9}, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "what GET would get"},
		{Head{Status: 99}, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", "no status"},
		{Head{Status: 299}, "HTTP/1.1 299 Unknown\r\nContent-Length: 0\r\n\r\n", "an unknown status"},
		{Head{Status: 200, Date: []byte("today")}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "no date"},
		{Head{Status: 200, Date: []byte("Sun, 06 Nov 1994\r\nX: 49:37 GMT")[:29]}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "splitting by the date"},
		{Head{Status: 200, ContentType: "a\r\nX: b"}, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 0\r\n\r\n", "splitting by the type"},
	} {
		if got := string(AppendHead([]byte("-"), c.h)); got != "-"+c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

func TestAppendFieldRefusesSplitting(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
		why         string
	}{
		{"Location", "/a%0d%0ab", true, "escaped is harmless"},
		{"X", "", true, "an empty value"},
		{"X", "a\tb \xff", true, "HTAB and obs-text"},
		{"Location", "/a\r\nSet-Cookie: x=y", false, "CRLF"},
		{"Location", "/a\nb", false, "LF"},
		{"Location", "/a\rb", false, "CR"},
		{"Location", "/a\x00b", false, "NUL"},
		{"", "a", false, "no name"},
		{"A B", "a", false, "no token"},
		{"A:", "a", false, "no token"},
		{"A\r\nB", "a", false, "no token"},
	} {
		got, ok := AppendField([]byte("-"), c.name, c.value)
		want := "-"
		if c.want {
			want = "-" + c.name + ": " + c.value + "\r\n"
		}
		if ok != c.want || string(got) != want {
			t.Errorf("%s: %q %v", c.why, got, ok)
		}
	}
}

// net/http's client is the judge of what we send.
func readResponse(t *testing.T, raw []byte, method string) (*http.Response, string) {
	t.Helper()
	br := bufio.NewReader(bytes.NewReader(raw))
	res, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || br.Buffered() != 0 {
		t.Fatalf("%q: %v, %d bytes behind", raw, err, br.Buffered())
	}
	return res, string(body)
}

func TestErrorsAreWholeResponses(t *testing.T) {
	for f := codec.Fault(1); int(f) < codec.Faults; f++ {
		raw := AppendError(nil, ErrorReply{Status: Status(f), Date: date, Detail: f.Error(), RetryAfter: 3})
		res, body := readResponse(t, raw, "GET")
		if res.StatusCode != Status(f) || !res.Close || res.Header.Get("Retry-After") != "3" || !strings.Contains(body, f.Error()) {
			t.Errorf("%q", raw)
		}
	}
	raw := AppendError(nil, ErrorReply{Status: 408, Head: true})
	if res, body := readResponse(t, raw, "HEAD"); body != "" || res.ContentLength != int64(len("408 Request Timeout\n")) {
		t.Errorf("HEAD: %q", raw)
	}
	raw = AppendError(nil, ErrorReply{Status: 200})
	if res, _ := readResponse(t, raw, "GET"); res.StatusCode != 500 {
		t.Errorf("not an error: %q", raw)
	}
}

func TestErrorDetailIsEscapedAndCut(t *testing.T) {
	raw := AppendError(nil, ErrorReply{Status: 431, Date: date, Detail: "\x1b[2J\r\n\xff<" + strings.Repeat("x", 1000), RetryAfter: math.MaxInt})
	if _, body := readResponse(t, raw, "GET"); !strings.HasPrefix(body, "431 Request Header Fields Too Large\n?[2J???<xxx") || len(body) != 36+200+1 {
		t.Errorf("%d bytes: %q", len(body), body)
	}
	if len(raw) > 450 {
		t.Errorf("%d bytes", len(raw))
	}
}

func TestChunksRoundTrip(t *testing.T) {
	raw := AppendHead(nil, Head{Status: 200, Length: Chunked})
	for _, p := range []string{"a", "", strings.Repeat("b", 300), "0\r\n\r\n"} {
		raw = AppendChunk(raw, []byte(p))
	}
	raw = append(raw, LastChunk...)
	if _, body := readResponse(t, raw, "GET"); body != "a"+strings.Repeat("b", 300)+"0\r\n\r\n" {
		t.Errorf("%q", body)
	}
	if n := len(AppendChunkHeader(nil, int(^uint(0)>>1))) + len("\r\n"); n > ChunkOverhead {
		t.Errorf("overhead %d", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("a chunk of 0 bytes was written: it would end the body")
		}
	}()
	AppendChunkHeader(nil, 0)
}

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 1024)
	var ok bool
	if n := testing.AllocsPerRun(100, func() {
		dst = AppendStart(dst[:0], Head{Status: 200, Date: date, ContentType: "text/plain", Length: 5})
		dst, ok = AppendField(dst, "X", "y")
		dst = AppendChunk(dst, date)
		dst = AppendError(dst, ErrorReply{Status: 429, Date: date, Detail: "slow down", RetryAfter: 1})
	}); n != 0 || !ok {
		t.Errorf("%v allocations", n)
	}
}
