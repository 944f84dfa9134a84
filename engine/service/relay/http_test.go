package relay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/engine"
	"weir/guard"
)

func to(b *behind) Config { return Config{To: []string{b.ln.Addr().String()}} }

// ours is what is written behind the fields of a client at 127.0.0.1.
const ours = "X-Forwarded-For: 127.0.0.1|X-Real-IP: 127.0.0.1|X-Forwarded-Proto: http|X-Forwarded-Host: a|Forwarded: for=127.0.0.1;proto=http;host=\"a\"|Via: 1.1 weir|"

// TestRequestsAreRewritten compares what a server gets with what a client sent.
func TestRequestsAreRewritten(t *testing.T) {
	b := serveBehind(t, answering(okay))
	f := relayTo(t, HTTPConfig{MaxIdle: 1, Idle: time.Minute}, to(b), nil)
	for _, c := range []struct{ in, want, why string }{
		{"GET /a?b HTTP/1.1|Host: a|User-Agent: x|Accept:  */* ||", "GET /a?b HTTP/1.1|Host: a|User-Agent: x|Accept: */*|" + ours, "the usual"},
		{"GET http://A/p?q HTTP/1.1|Host: a||", "GET /p?q HTTP/1.1|Host: a|" + ours, "absolute form"},
		{"GET http://a?q HTTP/1.1|Host: a||", "GET /?q HTTP/1.1|Host: a|" + ours, "absolute form without a path"},
		{"OPTIONS http://a HTTP/1.1|Host: a||", "OPTIONS * HTTP/1.1|Host: a|" + ours, "of the server as a whole"},
		{"GET / HTTP/1.0|Host: a|Connection: keep-alive||", "GET / HTTP/1.1|Host: a|" + strings.Replace(ours, "Via: 1.1", "Via: 1.0", 1), "1.0 becomes 1.1"},
		{"GET / HTTP/1.1|Host: a|Connection: keep-alive, X-A|X-A: 1|Keep-Alive: 5|TE: trailers|Proxy-Connection: x|Proxy-Authorization: y|Trailer: z|Upgrade: h2c||", "GET / HTTP/1.1|Host: a|" + ours, "for one connection"},
		{"GET / HTTP/1.1|Host: a|Connection: Upgrade, HTTP2-Settings|Upgrade: h2c|HTTP2-Settings: x||", "GET / HTTP/1.1|Host: a|" + ours, "h2c would be read by the server, not by us"},
		{"GET / HTTP/1.1|Host: a|X-Forwarded-For: 1|x-forwarded-host: 2|X-FORWARDED-PROTO: 3|X-Forwarded-Port: 4|Forwarded: 5|X-Real-IP: 6|X-Client-IP: 7|True-Client-IP: 8|X-Cluster-Client-IP: 9|Proxy: 10||", "GET / HTTP/1.1|Host: a|" + ours, "what anybody can claim"},
		{"GET / HTTP/1.1|Host: a|X_Real_IP: 1|X.Y: 2|Content_Length: 3|Z!: 4|Ok-1: 5||", "GET / HTTP/1.1|Host: a|Ok-1: 5|" + ours, "names that CGI confuses"},
		{"GET / HTTP/1.1|Host: a|Via: 1.1 x|Cookie: c=1|Cookie: d=2|Max-Forwards: 3||", "GET / HTTP/1.1|Host: a|Via: 1.1 x|Cookie: c=1|Cookie: d=2|Max-Forwards: 3|" + ours, "in their order"},
		{"OPTIONS / HTTP/1.1|Host: a|Max-Forwards: 3||", "OPTIONS / HTTP/1.1|Host: a|Max-Forwards: 2|" + ours, "9110 7.6.2"},
		{"POST / HTTP/1.1|Host: a|Content-Length: 0003||abc", "POST / HTTP/1.1|Host: a|" + ours + "Content-Length: 3||abc", "the length is a number, not its letters"},
		{"POST / HTTP/1.1|Host: a|Content-Length: 0||", "POST / HTTP/1.1|Host: a|" + ours + "Content-Length: 0|", "an empty body is one"},
		{"POST / HTTP/1.1|Host: a|transfer-encoding: Chunked||3;x=y|abc|0|T: v||", "POST / HTTP/1.1|Host: a|" + ours + "Transfer-Encoding: chunked||3|abc|0||", "extensions and trailers end here"},
		{"POST / HTTP/1.1|Host: a|Connection: Content-Length, Host|Content-Length: 3||abc", "POST / HTTP/1.1|Host: a|" + ours + "Content-Length: 3||abc", "framing and Host are not the client's to drop"},
		{"POST / HTTP/1.1|Host: a|Expect: 100-continue|Content-Length: 3||abc", "POST / HTTP/1.1|Host: a|" + ours + "Content-Length: 3||abc", "met here"},
		{"GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: WebSocket|Sec-WebSocket-Key: k||", "GET / HTTP/1.1|Host: a|Sec-WebSocket-Key: k|" + ours + "Connection: Upgrade|Upgrade: websocket|", "WebSocket"},
		{"POST / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: websocket|Content-Length: 1||x", "POST / HTTP/1.1|Host: a|" + ours + "Content-Length: 1||x", "which begins with a GET"},
	} {
		had := strings.Join(b.recorded(), "")
		in := strings.ReplaceAll(c.in, "|", "\r\n")
		if !strings.Contains(c.want, "||") { // no body
			c.want += "|"
		}
		got := f.say(t, in)
		if !strings.Contains(got, " 200 OK\r\n") {
			t.Errorf("%s: %s: answered %q", c.why, c.in, got)
		}
		if reached := lines(strings.TrimPrefix(strings.Join(b.recorded(), ""), had)); reached != c.want {
			t.Errorf("%s: %s:\n got %s\nwant %s", c.why, c.in, reached, c.want)
		}
	}
}

func TestNotRelayed(t *testing.T) {
	b := serveBehind(t, answering(okay))
	f := relayTo(t, HTTPConfig{MaxBody: 10}, to(b), nil)
	for _, c := range []struct{ in, want, why string }{
		{"CONNECT a:443 HTTP/1.1|Host: a:443||", "501", "no tunnels"},
		{"TRACE / HTTP/1.1|Host: a||", "501", "would show what other fields we have added"},
		{"OPTIONS / HTTP/1.1|Host: a|Max-Forwards: 0||", "204", "we are who was meant"},
		{"OPTIONS / HTTP/1.1|Host: a|Max-Forwards: -1||", "400", "no number"},
		{"OPTIONS / HTTP/1.1|Host: a|Max-Forwards: 1|Max-Forwards: 0||", "400", "two of them, which would be passed on as -1"},
		{"GET / HTTP/1.1|Host: a|Via: 1.1 weir, 1.1 weir, 1.1 weir, 1.1 weir|Via: 1.1 weir, 1.1 weir, 1.1 weir, 1.1 weir||", "400", "a loop"},
		{"POST / HTTP/1.1|Host: a|Content-Length: 11||", "413", "too large"},
		{"GET / HTTP/1.1||", "400", "no Host"},
	} {
		if got := f.say(t, strings.ReplaceAll(c.in, "|", "\r\n")); !strings.HasPrefix(got, "HTTP/1.1 "+c.want+" ") {
			t.Errorf("%s: %s: %q", c.why, c.in, got)
		}
	}
	if got := b.recorded(); len(got) > 0 {
		t.Errorf("reached the server: %q", got)
	}
}

// TestSmuggling sends what has made proxies and servers disagree about where a request ends. Whatever
// reaches the server is whole requests as net/http reads them, none of which is the smuggled one.
func TestSmuggling(t *testing.T) {
	const evil = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
	post := "POST /x HTTP/1.1\r\nHost: a\r\n"
	for _, c := range []struct{ in, why string }{
		{post + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "CL.TE"},
		{post + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n1f\r\n" + evil + "\r\n0\r\n\r\n", "TE.CL"},
		{post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + evil, "TE.TE"},
		{post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + evil, "another coding"},
		{post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + evil, "a space in front of the colon"},
		{post + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + evil, "VT"},
		{post + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + evil, "obs-fold"},
		{post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "obs-fold"},
		{post + "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "bare CR"},
		{post + "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "bare LF"},
		{post + "X: y\x00Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "NUL"},
		{post + "Transfer-Encoding: identity\r\nContent-Length: 30\r\n\r\n" + evil, "identity"},
		{post + "Transfer_Encoding: chunked\r\nContent-Length: 30\r\n\r\n" + evil, "an underscore: the body is a body"},
		{post + "Content-Length: +30\r\n\r\n" + evil, "a plus"},
		{post + "Content-Length: 3 0\r\n\r\n" + evil, "a space"},
		{post + "Content-Length: 0x1e\r\n\r\n" + evil, "hexadecimal"},
		{post + "Content-Length: 0\r\nContent-Length: 30\r\n\r\n" + evil, "two lengths"},
		{post + "Content-Length: 30\r\nContent-Length: 30\r\n\r\n" + evil, "two equal lengths"},
		{post + "Content-Length: 0, 30\r\n\r\n" + evil, "a list"},
		{post + "Content-Length: 30\r\nConnection: Content-Length\r\n\r\n" + evil, "a length that is to be dropped"},
		{post + "Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding\r\n\r\n1e\r\n" + evil + "\r\n0\r\n\r\n", "a coding that is to be dropped"},
		{post + "Content-Length: 30\r\nExpect: 100-continue\r\n\r\n" + evil, "Expect: the body is a body"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n" + evil, "GET with a body"},
		{"HEAD /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n" + evil, "HEAD with a body"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 30\r\n\r\n" + evil, "h2c"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 30\r\n\r\n" + evil, "an upgrade with a body"},
		{post + "Transfer-Encoding: chunked\r\n\r\n1e;\n" + evil + "\r\n0\r\n\r\n", "bare LF in an extension"},
		{post + "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n1e\r\n0\r\n\r\n" + evil, "bare LF in an extension"},
		{post + "Transfer-Encoding: chunked\r\n\r\n1;a=\"\r\nx\r\n0\r\n\r\n" + evil[:5] + "\"", "quotes in an extension"},
		{post + "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n" + evil, "a space behind the size"},
		{post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n" + evil, "a prefix"},
		{post + "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\nx\r\n0\r\n\r\n" + evil, "a size that wraps"},
		{post + "Transfer-Encoding: chunked\r\n\r\n1\r\nxX0\r\n\r\n" + evil, "no CRLF behind the data"},
		{post + "Transfer-Encoding: chunked\r\n\r\n1\r\nx\n0\r\n\r\n" + evil, "bare LF behind the data"},
		{post + "Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 30\r\nHost: b\r\n\r\n", "a length in the trailers"},
		{post + "Transfer-Encoding: chunked\r\n\r\n0\n\r\n" + evil, "bare LF behind the last chunk"},
		{"POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil, "chunks in 1.0"},
		{"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", "absolute form against Host"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "two Hosts"},
		{"GET /x HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n", "a folded Host"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nX: \r\n\x0bHost: b\r\n\r\n", "VT in front of a name"},
		{"GET /x HTTP/1.1\r\nHost: a@b\r\n\r\n", "userinfo"},
		{"GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n", "a list of Hosts"},
		{"GET /x HTTP/1.1 \r\nHost: a\r\n\r\n", "a space behind the version"},
		{"GET /x HTTP/1.1\r\nX Y: z\r\nHost: a\r\n\r\n", "a space in a name"},
		{"GET /x\tHTTP/1.1\r\nHost: a\r\n\r\n", "a tab"},
		{"GET /x y HTTP/1.1\r\nHost: a\r\n\r\n", "a space in the target"},
		{"GET /x HTTP/1.1\nHost: a\n\n", "bare LFs"},
		{"GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\r\n\r\n", "CR CR LF"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/2"},
		{"GET /x#f HTTP/1.1\r\nHost: a\r\n\r\n", "a fragment"},
	} {
		b := serveBehind(t, answering(okay))
		got := relayTo(t, HTTPConfig{MaxIdle: 4}, to(b), nil).say(t, c.in)
		for _, reached := range b.recorded() {
			br := bufio.NewReader(strings.NewReader(reached))
			for {
				r, err := http.ReadRequest(br)
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Errorf("%s: %q reached the server: %v", c.why, reached, err)
					break
				}
				if r.URL.Path == "/evil" {
					t.Errorf("%s: %q reached the server as a request, client: %q", c.why, reached, got)
				}
				if _, err = io.ReadAll(r.Body); err != nil {
					break // cut short: nothing that the server takes for a request
				}
			}
		}
	}
}

// TestAnswers compares what a client gets with what the server said, said at once and in drips.
func TestAnswers(t *testing.T) {
	const head = "Date: d|Via: 1.1 weir|"
	get10, get := "GET / HTTP/1.0|Host: a||", "GET / HTTP/1.1|Host: a||"
	for _, c := range []struct{ ask, said, want, why string }{
		{get, "HTTP/1.1 200 OK|Date: d|Content-Length: 2||ok", "HTTP/1.1 200 OK|" + head + "Content-Length: 2||ok", "a length"},
		{get, "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||2;x|ok|0|T: v||", "HTTP/1.1 200 OK|" + head + "Transfer-Encoding: chunked||2|ok|0||", "chunks"},
		{get, "HTTP/1.0 200 Fine|Date: d||ok", "HTTP/1.1 200 Fine|" + head + "Transfer-Encoding: chunked||2|ok|0||", "until the end"},
		{get10, "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||2|ok|0||", "HTTP/1.1 200 OK|" + head + "Connection: close||ok", "chunks for 1.0"},
		{get10, "HTTP/1.1 200 OK|Date: d|Content-Length: 2||ok", "HTTP/1.1 200 OK|" + head + "Content-Length: 2|Connection: close||ok", "1.0"},
		{"GET / HTTP/1.0|Host: a|Connection: keep-alive||", "HTTP/1.1 200 OK|Date: d|Content-Length: 2||ok", "HTTP/1.1 200 OK|" + head + "Content-Length: 2|Connection: keep-alive||ok", "1.0 that stays"},
		{"HEAD / HTTP/1.1|Host: a||", "HTTP/1.1 200 OK|Date: d|Content-Length: 200||", "HTTP/1.1 200 OK|" + head + "Content-Length: 200||", "HEAD"},
		{"HEAD / HTTP/1.1|Host: a||", "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||", "HTTP/1.1 200 OK|" + head + "|", "HEAD"},
		{get, "HTTP/1.1 204 No Content|Date: d||", "HTTP/1.1 204 No Content|" + head + "|", "204"},
		{get, "HTTP/1.1 304 Not Modified|Date: d|Content-Length: 9||", "HTTP/1.1 304 Not Modified|" + head + "Content-Length: 9||", "304"},
		{get, "HTTP/1.1 200 OK|Date: d|Content-Length: 0||", "HTTP/1.1 200 OK|" + head + "Content-Length: 0||", "nothing"},
		{get, "HTTP/1.1 200 OK|Date: d|Connection: close, X|X: 1|Keep-Alive: 5|Upgrade: h2c|Trailer: T|Set-Cookie: a|Set-Cookie: b|Content-Length: 2||ok", "HTTP/1.1 200 OK|Date: d|Set-Cookie: a|Set-Cookie: b|Via: 1.1 weir|Content-Length: 2||ok", "for one connection"},
		{get, "HTTP/1.1 100 Continue||HTTP/1.1 102 x||HTTP/1.1 103 Early Hints|Link: l||HTTP/1.1 200 OK|Date: d|Content-Length: 2||ok", "HTTP/1.1 103 Early Hints|Link: l||HTTP/1.1 200 OK|" + head + "Content-Length: 2||ok", "interim ones"},
		{get10, "HTTP/1.1 103 Early Hints|Link: l||HTTP/1.1 200 OK|Date: d|Content-Length: 2||ok", "HTTP/1.1 200 OK|" + head + "Content-Length: 2|Connection: close||ok", "none for 1.0"},
		{get, "HTTP/1.1 413|Date: d|Content-Length: 0||", "HTTP/1.1 413 |" + head + "Content-Length: 0||", "no phrase"},
		{get, "HTTP/1.1 200 OK|Date: d|Content-Length: 2||okHTTP/1.1 200 OK|Evil: 1||", "HTTP/1.1 200 OK|" + head + "Content-Length: 2||ok", "more than was asked for"},

		{get, "", "502", "gone without a word"},
		{get, "HTTP/1.1 200 OK|Date: d", "502", "gone in its head"},
		{get, "HTTP/2.0 200 OK||", "502", "another version"},
		{get, "hello", "502", "another protocol"},
		{get, "HTTP/1.1 200 OK|Content-Length: 1|Content-Length: 2||", "502", "two lengths"},
		{get, "HTTP/1.1 200 OK|Content-Length: 1|Transfer-Encoding: chunked||", "502", "two framings"},
		{get, "HTTP/1.1 200 OK|X: y\n| z||", "502", "bare LF"},
		{get, "HTTP/1.1 200 OK|X: y| z||", "502", "obs-fold"},
		{get, "HTTP/1.1 101 x|Connection: Upgrade|Upgrade: websocket||", "502", "101 that nobody asked for"},
		{"GET / HTTP/1.1|Host: a|Connection: Upgrade|Upgrade: websocket||", "HTTP/1.1 101 x|Connection: Upgrade|Upgrade: tls||", "502", "another protocol than was asked for"},
		{get, "HTTP/1.1 200 OK|X: " + strings.Repeat("y", 9000) + "||", "502", "a head that is too large"},
		{get, strings.Repeat("HTTP/1.1 102 x||", 101) + "HTTP/1.1 200 OK||", "502", "too many interim ones"},

		{get, "HTTP/1.1 200 OK|Date: d|Content-Length: 3||ok", "cut", "gone in its body"},
		{get, "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||2|ok|", "cut", "gone between chunks"},
		{get, "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||2|ok|x|", "cut", "no chunk"},
		{get10, "HTTP/1.1 200 OK|Date: d|Transfer-Encoding: chunked||2|ok|", "cut", "and 1.0 cannot take it for the whole"},
	} {
		for _, drip := range []bool{false, true} {
			said := strings.ReplaceAll(c.said, "|", "\r\n")
			if drip && len(said) > 600 {
				continue
			}
			b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
				http.ReadRequest(br)
				if !drip {
					io.WriteString(conn, said)
					return
				}
				conn.(*net.TCPConn).SetNoDelay(true)
				for i := range len(said) {
					conn.Write([]byte{said[i]})
					time.Sleep(20 * time.Microsecond)
				}
			})
			f := relayTo(t, HTTPConfig{MaxAnswerHeader: 8 << 10, MaxIdle: 1}, to(b), nil)
			conn := f.dial(t)
			io.WriteString(conn, strings.ReplaceAll(c.ask, "|", "\r\n"))
			conn.(*net.TCPConn).CloseWrite()
			raw, err := io.ReadAll(conn)
			got := lines(string(raw))
			switch c.want {
			case "cut":
				if !errors.Is(err, syscall.ECONNRESET) || strings.HasSuffix(got, "0||") {
					t.Errorf("%s, drip %v: %s: %v", c.why, drip, got, err)
				}
			case "502":
				if !strings.HasPrefix(got, "HTTP/1.1 502 Bad Gateway|") || err != nil {
					t.Errorf("%s, drip %v: %s: %v", c.why, drip, got, err)
				}
			default:
				if drip {
					got = strings.ReplaceAll(got, "1|o|1|k|", "2|ok|")
				}
				if got != c.want || err != nil {
					t.Errorf("%s, drip %v:\n got %s %v\nwant %s", c.why, drip, got, err, c.want)
				}
			}
		}
	}
}

// TestConnectionsAreUsedAgain counts connections behind, for one client and for several.
func TestConnectionsAreUsedAgain(t *testing.T) {
	b := serveBehind(t, answering(func(r *http.Request, body []byte) string {
		text := r.URL.Path + " " + string(body)
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
	}))
	f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, to(b), nil)
	for range 3 {
		c := f.dial(t)
		br := bufio.NewReader(c)
		for i := range 5 {
			if _, body := ask(t, c, br, "GET", fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i)); body != fmt.Sprintf("/%d ", i) {
				t.Errorf("%q", body)
			}
			if _, body := ask(t, c, br, "POST", fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", i)); body != fmt.Sprintf("/%d hi", i) {
				t.Errorf("%q", body)
			}
		}
	}
	if n := len(b.recorded()); n != 1 {
		t.Errorf("%d connections for 30 requests, one at a time", n)
	}
	// Pipelined requests are answered in their order, one at a time.
	c := f.dial(t)
	br := bufio.NewReader(c)
	var all strings.Builder
	for i := range 100 {
		fmt.Fprintf(&all, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\nPOST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n", i)
	}
	io.WriteString(c, all.String())
	for i := range 100 {
		if _, body := answerTo(t, br, "GET"); body != fmt.Sprintf("/%d ", i) {
			t.Fatalf("answer %d: %q", i, body)
		}
		if _, body := answerTo(t, br, "POST"); body != "/p xy" {
			t.Fatalf("answer %d: %q", i, body)
		}
	}
	if n := len(b.recorded()); n != 1 {
		t.Errorf("%d connections for pipelined requests", n)
	}
	if n := f.h.Counts(); n.Answers[2] != 230 || n.Retried != 0 {
		t.Errorf("%+v", n)
	}
}

// TestIdleConnectionsAreBounded has more clients at once than may be kept.
func TestIdleConnectionsAreBounded(t *testing.T) {
	gate := make(chan bool)
	b := serveBehind(t, answering(func(*http.Request, []byte) string { <-gate; return ok200 }))
	f := relayTo(t, HTTPConfig{MaxIdle: 3, Idle: 200 * time.Millisecond}, to(b), nil)
	var clients []net.Conn
	for range 10 {
		c := f.dial(t)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		clients = append(clients, c)
	}
	eventually(t, "ten connections", func() bool { return len(b.recorded()) == 10 })
	close(gate)
	for _, c := range clients {
		if _, body := answerTo(t, bufio.NewReader(c), "GET"); body != "ok" {
			t.Errorf("%q", body)
		}
	}
	open := func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.open) }
	eventually(t, "three are kept", func() bool { return open() <= 3 })
	eventually(t, "and none for long", func() bool { return open() == 0 })
}

// TestRetries has a server end its connections when a second request comes over one.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		in, want string
		conns    int
		why      string
	}{
		{"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", "200", 2, "safe to send again"},
		{"DELETE /2 HTTP/1.1\r\nHost: a\r\n\r\n", "200", 2, "idempotent"},
		{"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "502", 1, "it may have been done"},
		{"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "502", 1, "the body is gone"},
	} {
		b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
			for n := 0; ; n++ {
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				io.ReadAll(r.Body)
				if n == 1 {
					return // without a word
				}
				io.WriteString(conn, ok200[:30]) // in two pieces: it is not over before it is complete
				time.Sleep(10 * time.Millisecond)
				io.WriteString(conn, ok200[30:])
			}
		})
		f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, to(b), nil)
		conn := f.dial(t)
		br := bufio.NewReader(conn)
		ask(t, conn, br, "GET", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, _ := ask(t, conn, br, strings.Fields(c.in)[0], c.in)
		if fmt.Sprint(resp.StatusCode) != c.want || len(b.recorded()) != c.conns {
			t.Errorf("%s: %s over %d connections", c.why, resp.Status, len(b.recorded()))
		}
		// The client's connection goes on.
		if resp, _ := ask(t, conn, br, "GET", "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 200 {
			t.Errorf("%s: afterwards %s", c.why, resp.Status)
		}
	}
}

// TestOnlyOneRetry has a server that never answers a request but the very first.
func TestOnlyOneRetry(t *testing.T) {
	var first = make(chan bool, 1)
	first <- true
	b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			select {
			case <-first:
				io.WriteString(conn, ok200)
			default:
				return
			}
		}
	})
	f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, to(b), nil)
	conn := f.dial(t)
	br := bufio.NewReader(conn)
	ask(t, conn, br, "GET", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, _ := ask(t, conn, br, "GET", "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	if all := strings.Join(b.recorded(), ""); strings.Count(all, "GET /2") != 2 {
		t.Errorf("sent %d times", strings.Count(all, "GET /2"))
	}
	if n := f.h.Counts(); n.Retried != 1 || n.Own[0] != 1 {
		t.Errorf("%+v", n)
	}
}

func TestSilentServers(t *testing.T) {
	b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if r.URL.Path == "/body" {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
		}
		io.Copy(io.Discard, conn)
	})
	f := relayTo(t, HTTPConfig{Silence: 100 * time.Millisecond}, to(b), nil)
	c := f.dial(t)
	br := bufio.NewReader(c)
	for range 2 {
		if resp, body := ask(t, c, br, "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 504 || resp.Close || !strings.Contains(body, "in time") {
			t.Error(resp.Status, body)
		}
	}
	late := uint64(0) // a server that has no time to say anything is a silent one
	for {
		io.WriteString(c, "GET /body HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(br, &http.Request{Method: "GET"})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode == 504 && late < 50 {
			late++
			continue
		}
		if !errors.Is(err, syscall.ECONNRESET) || string(body) != "ab" {
			t.Errorf("%s %q %v", resp.Status, body, err)
		}
		break
	}
	if n := f.h.Counts(); n.Own[2] != 2+late || n.Cut != 1 || f.snapshot(t).Shed[guard.ShedUpstreamSilent] != 3+late {
		t.Errorf("%+v, %d late", n, late)
	}
}

func TestNobodyIsThere(t *testing.T) {
	addr := vacant(t)
	f := relayTo(t, HTTPConfig{}, Config{To: []string{addr}, Fall: 2}, nil)
	c := f.dial(t)
	br := bufio.NewReader(c)
	for _, want := range []int{502, 502, 503} {
		resp, _ := ask(t, c, br, "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if resp.StatusCode != want || (want == 503) != (resp.Header.Get("Retry-After") != "") {
			t.Errorf("%s, want %d", resp.Status, want)
		}
	}
	if resp, body := ask(t, c, br, "HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 503 || body != "" {
		t.Error(resp.Status, body)
	}
	// With a body under way the connection ends: nobody reads it.
	if resp, _ := ask(t, c, br, "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx"); resp.StatusCode != 503 || !resp.Close {
		t.Error(resp.Status, resp.Close)
	}
	if s := f.snapshot(t); s.Shed[guard.ShedUpstreamConnect] != 2 || s.Shed[guard.ShedNoUpstream] != 3 {
		t.Errorf("counted as %d without a connection, %d without a server", s.Shed[guard.ShedUpstreamConnect], s.Shed[guard.ShedNoUpstream])
	}
	// One that is there takes over.
	b := serveBehind(t, answering(okay))
	f = relayTo(t, HTTPConfig{}, Config{To: []string{addr, b.ln.Addr().String()}}, nil)
	for range 4 {
		if got := f.say(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"); !strings.HasSuffix(got, "\r\n\r\nok") {
			t.Errorf("%q", got)
		}
	}
}

// TestAdoptedAfterARefusal: one server refuses to be connected to while a body waits, and a connection to
// another one is there already.
func TestAdoptedAfterARefusal(t *testing.T) {
	addr := vacant(t)
	b := serveBehind(t, answering(okay))
	f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, Config{To: []string{addr, b.ln.Addr().String()}, Fall: 1000}, nil)
	c := f.dial(t)
	br := bufio.NewReader(c)
	for range 6 {
		if resp, body := ask(t, c, br, "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"); resp.StatusCode != 200 || body != "ok" {
			t.Error(resp.Status, body)
		}
	}
	if n := len(b.recorded()); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestEarlyAnswers has a server answer, and end the connection, before it has read a body.
func TestEarlyAnswers(t *testing.T) {
	b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
		http.ReadRequest(br)
		io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
	})
	f := relayTo(t, HTTPConfig{}, to(b), nil)
	for i := range 20 {
		c := f.dial(t)
		go func() {
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 8<<20)
			c.Write(make([]byte, 8<<20))
		}()
		if resp, body := answerTo(t, bufio.NewReader(c), "POST"); resp.StatusCode != 413 || body != "big" || !resp.Close {
			t.Fatalf("%d: %s %q %v", i, resp.Status, body, resp.Close)
		}
		c.Close()
	}
}

func TestExpectContinue(t *testing.T) {
	b := serveBehind(t, answering(func(_ *http.Request, body []byte) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}))
	f := relayTo(t, HTTPConfig{MaxIdle: 1, Idle: time.Minute}, to(b), nil)
	c := f.dial(t)
	br := bufio.NewReader(c)
	for range 2 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
		line, _ := br.ReadString('\n')
		br.ReadString('\n')
		if line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q", line)
		}
		if _, body := ask(t, c, br, "POST", "hello"); body != "hello" {
			t.Errorf("%q", body)
		}
	}
}

// TestWebSocket goes through the handshake and then sends bytes both ways at once, of which some come
// with the handshakes.
func TestWebSocket(t *testing.T) {
	b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
		r, err := http.ReadRequest(br)
		if err != nil || r.Header.Get("Upgrade") != "websocket" {
			return
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
		io.Copy(conn, br)
		conn.(*net.TCPConn).CloseWrite()
	})
	f := relayTo(t, HTTPConfig{Silence: 50 * time.Millisecond, MaxIdle: 1}, to(b), nil)
	const shake = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n"
	var c net.Conn
	var br *bufio.Reader
	head := ""
	for try := 0; try == 0 || strings.HasPrefix(head, "HTTP/1.1 504 ") && try < 50; try++ { // it must shake hands in time
		c = f.dial(t)
		io.WriteString(c, shake+"second")
		br = bufio.NewReader(c)
		for head = ""; !strings.HasSuffix(head, "\r\n\r\n"); {
			b, err := br.ReadByte()
			if err != nil {
				t.Fatal(head, err)
			}
			head += string(b)
		}
	}
	if !strings.HasPrefix(head, "HTTP/1.1 101 Switching Protocols\r\n") || !strings.Contains(head, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n") || !strings.Contains(head, "Sec-WebSocket-Accept: x") {
		t.Errorf("%q", head)
	}
	time.Sleep(100 * time.Millisecond) // silence is nothing special now
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	go func() { c.Write(data); c.(*net.TCPConn).CloseWrite() }()
	got, err := io.ReadAll(br)
	if rest, ok := bytes.CutPrefix(got, []byte("firstsecond")); err != nil || !ok || !bytes.Equal(rest, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestSmallOutput has the least that may be held, large bodies both ways and readers that dawdle.
func TestSmallOutput(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for _, chunked := range []bool{false, true} {
		b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			h := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(data))
			if chunked {
				h = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			}
			io.WriteString(conn, h)
			buf := make([]byte, 30000)
			for {
				n, err := r.Body.Read(buf)
				if n > 0 && chunked {
					fmt.Fprintf(conn, "%x\r\n%s\r\n", n, buf[:n])
				} else {
					conn.Write(buf[:n])
				}
				if err != nil {
					break
				}
			}
			if chunked {
				io.WriteString(conn, "0\r\n\r\n")
			}
		})
		f := relayTo(t, HTTPConfig{MaxHeader: 1 << 10, MaxAnswerHeader: 1 << 10}, to(b), func(c *engine.Config) { c.Listeners[0].MaxOut = 4 << 10 })
		c := f.dial(t)
		go func() {
			if chunked {
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				for d := data; len(d) > 0; d = d[min(len(d), 7777):] {
					n := min(len(d), 7777)
					fmt.Fprintf(c, "%x\r\n%s\r\n", n, d[:n])
				}
				io.WriteString(c, "0\r\n\r\n")
				return
			}
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(data), data)
		}()
		time.Sleep(100 * time.Millisecond)
		if resp, body := answerTo(t, bufio.NewReader(c), "POST"); body != string(data) {
			t.Errorf("chunked %v: %s, %d bytes", chunked, resp.Status, len(body))
		}
	}
}

// TestTheLastPieceIsOffered: a read that fills all that may be queued leaves a few bytes over, the client's
// kernel takes the others at once, and nothing more comes from the server.
func TestTheLastPieceIsOffered(t *testing.T) {
	b := serveBehind(t, func(conn net.Conn, br *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n")
			time.Sleep(20 * time.Millisecond)
			conn.Write(bytes.Repeat([]byte("x"), 4096))
		}
	})
	f := relayTo(t, HTTPConfig{MaxHeader: 1 << 10, MaxAnswerHeader: 1 << 10, MaxIdle: 1, Idle: time.Minute}, to(b), func(c *engine.Config) { c.Listeners[0].MaxOut = 4 << 10 })
	c := f.dial(t)
	br := bufio.NewReader(c)
	for range 3 {
		if _, body := ask(t, c, br, "GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); len(body) != 4096 {
			t.Errorf("%d bytes", len(body))
		}
	}
}
