package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/codec/http1"
	"weir/engine"
	"weir/internal/lab"
)

// TestRandomTraffic has clients ask, over plain TCP and over TLS, for bodies of all sizes and framings
// while servers end connections at random. Nobody ever gets an answer that is not its own, or a part of
// one that looks whole.
func TestRandomTraffic(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if q.Get("die") == "1" {
			panic(http.ErrAbortHandler)
		}
		n := 0
		fmt.Sscan(q.Get("n"), &n)
		w.Header().Set("X-Id", q.Get("id"))
		w.Header().Set("X-Body", fmt.Sprint(len(body), sum(body)))
		if q.Get("cl") == "1" {
			w.Header().Set("Content-Length", fmt.Sprint(n))
		}
		data := pattern(q.Get("id"), n)
		if q.Get("die") == "2" && n > 10 && r.Method != "HEAD" { // whose answer would be complete
			w.Write(data[:n/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		for len(data) > 0 {
			k := min(len(data), 1+rand.IntN(40000))
			w.Write(data[:k])
			data = data[k:]
		}
	})
	ca := lab.NewAuthority()
	behindTLS := &tls.Config{Certificates: []tls.Certificate{ca.Issue("localhost")}}
	for _, overTLS := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", overTLS), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			srv := &http.Server{Handler: handler, ErrorLog: nil, TLSConfig: behindTLS.Clone()}
			pool := Config{To: []string{ln.Addr().String()}, Fall: 1000}
			var served sync.WaitGroup
			if overTLS {
				pool.TLS = &tls.Config{InsecureSkipVerify: true}
				served.Go(func() { srv.ServeTLS(ln, "", "") })
			} else {
				served.Go(func() { srv.Serve(ln) })
			}
			defer served.Wait()
			defer srv.Close()
			f := relayTo(t, HTTPConfig{MaxIdle: 8, Idle: time.Minute, Secure: overTLS}, pool, func(c *engine.Config) {
				c.Loops, c.Workers = 2, 32
				l := &c.Listeners[0]
				l.MaxOut = 32 << 10
				l.SourceHandshakeRate = 0
				if overTLS {
					l.TLS = func() *tls.Config { return behindTLS }
				}
			})
			tr := &http.Transport{MaxIdleConnsPerHost: 32, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr, Timeout: 20 * time.Second}
			scheme := map[bool]string{false: "http", true: "https"}[overTLS]
			var all sync.WaitGroup
			var mu sync.Mutex
			good, bad := 0, 0
			for w := range 16 {
				all.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(seed), uint64(w)))
					for i := range 60 {
						id := fmt.Sprintf("%d-%d", w, i)
						n := rnd.IntN(1 << rnd.IntN(20))
						die := 0
						if rnd.IntN(12) == 0 {
							die = 1 + rnd.IntN(2)
						}
						url := fmt.Sprintf("%s://%s/?id=%s&n=%d&cl=%d&die=%d", scheme, f.addr, id, n, rnd.IntN(2), die)
						var body []byte
						method := []string{"GET", "HEAD", "DELETE"}[rnd.IntN(3)]
						if rnd.IntN(2) == 0 {
							method = []string{"POST", "PUT"}[rnd.IntN(2)]
							body = pattern("b"+id, rnd.IntN(1<<rnd.IntN(18)))
						}
						var src io.Reader = bytes.NewReader(body)
						if rnd.IntN(2) == 0 {
							src = io.MultiReader(src) // chunked
						}
						req, _ := http.NewRequestWithContext(context.Background(), method, url, src)
						if rnd.IntN(4) == 0 {
							req.Header.Set("Expect", "100-continue")
						}
						resp, err := client.Do(req)
						if err != nil {
							if die == 0 {
								t.Errorf("%s %s: %v", method, url, err)
							}
							mu.Lock()
							bad++
							mu.Unlock()
							continue
						}
						if rnd.IntN(15) == 0 { // and some go away in the middle
							io.CopyN(io.Discard, resp.Body, int64(rnd.IntN(n+1)))
							resp.Body.Close()
							continue
						}
						got, err := io.ReadAll(resp.Body)
						resp.Body.Close()
						switch {
						case resp.StatusCode == 502 && die != 0, err != nil && die != 0:
							mu.Lock()
							bad++
							mu.Unlock()
							continue
						case resp.StatusCode != 200 || err != nil || resp.Header.Get("X-Id") != id || resp.Header.Get("X-Body") != fmt.Sprint(len(body), sum(body)):
							t.Errorf("%s %s: %s %v %v", method, url, resp.Status, resp.Header, err)
						case method != "HEAD" && !bytes.Equal(got, pattern(id, n)):
							t.Errorf("%s %s: %d bytes of %d, or not its own", method, url, len(got), n)
						case die != 0 && method != "HEAD" && n > 10:
							t.Errorf("%s %s: complete", method, url)
						}
						mu.Lock()
						good++
						mu.Unlock()
					}
				})
			}
			all.Wait()
			eventually(t, "no connection counts as in use", func() bool { return f.h.pool.Status()[0].Open == 0 })
			t.Logf("%d good, %d ended by their server; %+v, shed %v", good, bad, f.h.Counts(), f.snapshot(t).Shed)
			if good < 500 {
				t.Errorf("only %d", good)
			}
		})
	}
}

func pattern(id string, n int) []byte {
	return bytes.Repeat([]byte(id+"."), n/(len(id)+1)+1)[:n]
}

func sum(b []byte) (s uint32) {
	for _, c := range b {
		s = s*31 + uint32(c)
	}
	return s
}

// TestOrigins has peers of all kinds.
func TestOrigins(t *testing.T) {
	for _, c := range []struct {
		peer   string
		secure bool
		want   string
	}{
		{"192.0.2.1", false, `X-Forwarded-For: 192.0.2.1|X-Real-IP: 192.0.2.1|X-Forwarded-Proto: http|X-Forwarded-Host: a:1|Forwarded: for=192.0.2.1;proto=http;host="a:1"|`},
		{"2001:db8::1", true, `X-Forwarded-For: 2001:db8::1|X-Real-IP: 2001:db8::1|X-Forwarded-Proto: https|X-Forwarded-Host: a:1|Forwarded: for="[2001:db8::1]";proto=https;host="a:1"|`},
		{"fe80::1%eth0", true, `X-Forwarded-For: fe80::1|X-Real-IP: fe80::1|X-Forwarded-Proto: https|X-Forwarded-Host: a:1|Forwarded: for="[fe80::1]";proto=https;host="a:1"|`},
		{"", false, `X-Forwarded-Proto: http|X-Forwarded-Host: a:1|Forwarded: for=unknown;proto=http;host="a:1"|`},
	} {
		o := &httpOpener{HTTPRelay: &HTTPRelay{cfg: HTTPConfig{Secure: c.secure}}}
		var peer netip.Addr
		if c.peer != "" {
			peer = netip.MustParseAddr(c.peer)
		}
		if got := lines(string(o.appendOrigin(nil, peer, []byte("a:1")))); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.peer, got, c.want)
		}
	}
}

// TestProxyHeaderKeepsNothing: a connection that tells of one client is not used for another.
func TestProxyHeaderKeepsNothing(t *testing.T) {
	b := serveBehind(t, func(c net.Conn, br *bufio.Reader) {
		if line, _ := br.ReadString('\n'); strings.HasPrefix(line, "PROXY TCP4 127.0.0.1 ") {
			answering(okay)(c, br)
		}
	})
	pool := to(b)
	pool.ProxyTo = 1
	f := relayTo(t, HTTPConfig{MaxIdle: 8}, pool, nil)
	for range 3 {
		if got := f.say(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasSuffix(got, "ok") {
			t.Errorf("%q", got)
		}
	}
	for _, got := range b.recorded() {
		if strings.Count(got, "GET / ") != 1 || !strings.Contains(got, "\r\nConnection: close\r\n") {
			t.Errorf("%q", got)
		}
	}
	if n := len(b.recorded()); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// TestCredentialsForWeirStayHere has Authorization passed on, or not where weir asks for it.
func TestCredentialsForWeirStayHere(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		b := serveBehind(t, answering(okay))
		f := relayTo(t, HTTPConfig{Guarded: guarded}, to(b), nil)
		f.say(t, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x\r\n\r\n")
		if got := strings.Join(b.recorded(), ""); strings.Contains(got, "Bearer x") == guarded {
			t.Errorf("guarded %v: %q", guarded, got)
		}
	}
}

// BenchmarkHTTPRelay is one request and its answer over one connection on each side; client and server
// are in it.
func BenchmarkHTTPRelay(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	var served sync.WaitGroup
	defer served.Wait()
	defer ln.Close()
	served.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 4096)
		for answer := []byte(ok200); ; {
			if _, err := c.Read(buf); err != nil {
				return
			}
			c.Write(answer)
		}
	})
	f := relayTo(b, HTTPConfig{MaxIdle: 1, Idle: time.Minute, Silence: time.Minute}, Config{To: []string{ln.Addr().String()}}, nil)
	c := f.dial(b)
	ask, buf := []byte("GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n"), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c.Write(ask)
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRewriteRequest is what writing a head anew costs.
func BenchmarkRewriteRequest(b *testing.B) {
	o := &httpOpener{HTTPRelay: &HTTPRelay{cfg: HTTPConfig{MaxIdle: 1}}, req: http1.NewRequest(http1.Limits{})}
	in := []byte("GET /assets/app.js?v=20240131 HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0.0.0\r\nAccept: */*\r\nReferer: https://www.example.com/\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=0123456789abcdef\r\n\r\n")
	http1.NewDecoder(o.req).Decode(in)
	r, peer := o.req, netip.MustParseAddr("192.0.2.1")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendLine(dst[:0])
		for i := range r.NumFields() {
			if name, _ := r.Field(i); !r.Hop(i) && passed(name) {
				dst = r.AppendField(dst, i)
			}
		}
		dst = o.appendOrigin(dst, peer, r.Host())
	}
}
