package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"weir/bench/target"
)

func to(s target.Scheme) target.Target {
	return target.Target{Scheme: s, Addr: netip.MustParseAddrPort("127.0.0.1:80"), Host: "127.0.0.1", Path: "/p?q"}
}

func request(t *testing.T, s target.Scheme, size int) *Request {
	t.Helper()
	q, err := NewRequest(to(s), size)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestRequestsAreWhatTheStandardLibraryReads(t *testing.T) {
	for _, size := range []int{0, 1, 5000} {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request(t, target.HTTP, size).Bytes)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) != size || r.Host != "127.0.0.1" || r.RequestURI != "/p?q" || (r.Method == "GET") != (size == 0) {
			t.Errorf("size %d: %+v, %d bytes, %v", size, r, len(body), err)
		}
	}
	b := request(t, target.Frames, 100).Bytes
	if len(b) != 104 || binary.BigEndian.Uint32(b) != 100 {
		t.Errorf("frame of 100: %x", b)
	}
	b = request(t, target.Line, 100).Bytes
	if len(b) != 101 || bytes.IndexByte(b, '\n') != 100 {
		t.Errorf("line of 100: %q", b)
	}
	for _, size := range []int{-1, MaxSize + 1} {
		if _, err := NewRequest(to(target.HTTP), size); err == nil {
			t.Errorf("size %d passed", size)
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

var replies = []struct {
	why  string
	in   string
	want Count
	bad  bool // the stream makes no sense
}{
	{"one", ok, Count{OK: 1}, false},
	{"three in a row", ok + ok + ok, Count{OK: 3}, false},
	{"no body", "HTTP/1.1 204 No Content\r\n\r\n" + ok, Count{OK: 2}, false},
	{"empty body", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n" + ok, Count{OK: 2}, false},
	{"not modified, with the length of what it did not send", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n" + ok, Count{OK: 2}, false},
	{"interim", "HTTP/1.1 100 Continue\r\n\r\n" + ok, Count{OK: 1}, false},
	{"chunked", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n" + ok, Count{OK: 2}, false},
	{"shed", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", Count{Bad: 1, Close: true}, false},
	{"good, then shed", ok + "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", Count{OK: 1, Bad: 1}, false},
	{"HTTP/1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Count{OK: 1, Close: true}, false},
	{"unless it says otherwise", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", Count{OK: 1}, false},
	{"until the end", "HTTP/1.1 200 OK\r\n\r\nwhatever comes", Count{OK: 1, Close: true}, false},
	{"cut short", ok[:len(ok)-1], Count{}, false},
	{"not HTTP", "hello, world! and more\r\n", Count{}, true},
	{"bad length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Count{}, true},
	{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Count{}, true},
	{"a field without a colon", "HTTP/1.1 200 OK\r\nwhat\r\n\r\n", Count{}, true},
	{"a line without end", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", maxHeadLine), Count{}, true},
	{"a head without end", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxReplyLines+1), Count{}, true},
}

// feed passes in to r in the given pieces and adds up what it says.
func feed(r *Replies, pieces ...string) (sum Count, err error) {
	for _, p := range pieces {
		var c Count
		c, err = r.Feed([]byte(p))
		sum.OK, sum.Bad, sum.Close = sum.OK+c.OK, sum.Bad+c.Bad, sum.Close || c.Close
	}
	if err == nil {
		c := r.End()
		sum.OK, sum.Bad, sum.Close = sum.OK+c.OK, sum.Bad+c.Bad, sum.Close || c.Close
	}
	return sum, err
}

func TestRepliesInWhateverPieces(t *testing.T) {
	q := request(t, target.HTTP, 0)
	for _, c := range replies {
		check := func(how string, pieces ...string) {
			var r Replies
			r.Reset(q)
			got, err := feed(&r, pieces...)
			if got != c.want || (err != nil) != c.bad {
				t.Errorf("%s, %s: got %+v, %v", c.why, how, got, err)
			}
		}
		check("whole", c.in)
		check("byte by byte", strings.Split(c.in, "")...)
		if len(c.in) < 1000 {
			for i := range c.in {
				check("in two", c.in[:i], c.in[i:])
			}
		}
	}
}

func TestEchoesInWhateverPieces(t *testing.T) {
	for _, s := range []target.Scheme{target.Frames, target.Line} {
		q := request(t, s, 20)
		two := string(q.Bytes) + string(q.Bytes)
		for i := range two {
			var r Replies
			r.Reset(q)
			if got, err := feed(&r, two[:i], two[i:]); got.OK != 2 || err != nil {
				t.Errorf("%s cut at %d: %+v, %v", s, i, got, err)
			}
			wrong := []byte(two)
			wrong[i] ^= 1
			r.Reset(q)
			if _, err := feed(&r, string(wrong)); err == nil {
				t.Errorf("%s with byte %d changed: passed", s, i)
			}
			if _, err := feed(&r, two); err == nil {
				t.Errorf("%s: passes after an error", s)
			}
		}
	}
}

func TestStreamsNeverEndARequestHead(t *testing.T) {
	s, err := NewStream(to(target.HTTP), 1)
	if err != nil {
		t.Fatal(err)
	}
	whole := s.Append(nil, 0, 5000)
	if bytes.Contains(whole, []byte("\r\n\r\n")) || !bytes.HasPrefix(whole, []byte("GET /p?q HTTP/1.1\r\nHost: ")) {
		t.Errorf("%q", whole[:100])
	}
	var drips []byte
	for len(drips) < len(whole) {
		drips = s.Append(drips, int64(len(drips)), 1)
	}
	if !bytes.Equal(drips, whole) {
		t.Error("dripped it is another stream")
	}
	s, _ = NewStream(to(target.Frames), 3)
	if got := s.Append(nil, 0, 15); string(got) != "\x00\x00\x00\x03abc\x00\x00\x00\x03abc\x00" {
		t.Errorf("%q", got)
	}
	s, _ = NewStream(to(target.Line), 1)
	if bytes.ContainsAny(s.Append(nil, 0, 100), "\r\n") {
		t.Error("the endless line ends")
	}
}
