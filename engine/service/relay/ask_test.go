package relay

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// checked is one check of a server that is connected to as cfg says.
func checked(t *testing.T, cfg Config, to string) error {
	t.Helper()
	every := cmp.Or(cfg.Check, 5*time.Second)
	cfg.To, cfg.Check = []string{to}, 0
	p := open(t, cfg) // it checks nothing by itself
	p.cfg.Check = every
	return p.check(t.Context(), (*p.servers.Load())[0])
}

// reads reads a request's head, says text and waits for the end.
func reads(text string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, text)
			io.Copy(io.Discard, r)
		}
	}
}

func TestChecksJudgeAnswers(t *testing.T) {
	for _, c := range []struct{ answer, want, why string }{
		{ok200, "", "well"},
		{"HTTP/1.1 204 No Content\r\n\r\n", "", "well without a body"},
		{"HTTP/1.0 200 OK\r\n\r\n", "", "an old server"},
		{"HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", "", "a redirect, which is not followed"},
		{"HTTP/1.1 399 x\r\nContent-Length: 0\r\n\r\n", "", "the last that is well"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", "", "a body that never comes is not waited for"},
		{"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "an interim answer first"},
		{"HTTP/1.1 404 Not \x1b[31mFound\r\nContent-Length: 0\r\n\r\n", "checks are not answered in HTTP: bad-status", "an escape in its words"},
		{"HTTP/1.1 404 weir is down\r\nContent-Length: 0\r\n\r\n", "checks are answered 404", "nothing there; its words are not told"},
		{"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", "checks are answered 500", "it says so"},
		{"HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n", "checks are answered 503", "likewise"},
		{"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", "checks are answered 400", "the first that is not well"},
		{"220 mail.example ESMTP\r\n", "checks are not answered in HTTP: bad-status", "another protocol"},
		{"\x00\xff\x1b]0;x\x07", "checks are not answered in HTTP: bad-status", "garbage"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "checks are not answered in HTTP: bad-length", "what the relay would not pass on"},
		{"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 17<<10) + "\r\n\r\n", "checks are not answered in HTTP: head-too-large", "a large head"},
		{strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), "checks are not answered in HTTP: head-too-large", "interim answers without end"},
	} {
		err := checked(t, Config{CheckPath: "/"}, serveBehind(t, reads(c.answer)).ln.Addr().String())
		if got := errText(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.why, got, c.want)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestChecksAreBounded(t *testing.T) {
	drips := func(text string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			for io.WriteString(c, "HTTP/1.1 200 OK\r\n"); ; time.Sleep(20 * time.Millisecond) {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
			}
		}
	}
	flood := func(c net.Conn, r *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, "X-Header: "+strings.Repeat("x", 4000)+"\r\n"); err != nil {
				return
			}
		}
	}
	for _, c := range []struct {
		script func(net.Conn, *bufio.Reader)
		want   string
		quick  bool // long before the deadline
		why    string
	}{
		{func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }, "checks are not answered in time", false, "silence"},
		{func(c net.Conn, r *bufio.Reader) { time.Sleep(4 * time.Second); io.WriteString(c, ok200) }, "checks are not answered in time", false, "an answer after the deadline"},
		{drips("X: y\r\n"), "checks are not answered in time", false, "a head without end, slowly"},
		{flood, "checks are not answered in HTTP: head-too-large", true, "a head without end, fast"},
		{reads("HTTP/1.1 2"), "checks are not answered in time", false, "half a line"},
		{func(c net.Conn, r *bufio.Reader) {}, "checks are not answered: the connection ends", true, "the end"},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			every := 100 * time.Millisecond // which gives a check a second
			if c.quick {
				every = time.Minute
			}
			begun := time.Now()
			err := checked(t, Config{CheckPath: "/", Check: every}, serveBehind(t, c.script).ln.Addr().String())
			took := time.Since(begun)
			if got := errText(err); got != c.want || took > 15*time.Second {
				t.Errorf("got %q after %v, want %q", got, took, c.want)
			}
		})
	}
}

// TestChecksSayWhatTheyAre has a server record what checks send.
func TestChecksSayWhatTheyAre(t *testing.T) {
	say := func(prefix string) func(net.Conn, *bufio.Reader) {
		return func(c net.Conn, r *bufio.Reader) {
			if _, err := r.Discard(len(prefix)); err == nil {
				reads(ok200)(c, r)
			}
		}
	}
	const v2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	for _, c := range []struct {
		version int
		first   string
	}{{0, ""}, {1, "PROXY UNKNOWN\r\n"}, {2, v2}} {
		b := serveBehind(t, say(c.first))
		to := b.ln.Addr().String()
		if err := checked(t, Config{CheckPath: "/healthz?full", ProxyTo: c.version}, to); err != nil {
			t.Errorf("version %d: %v", c.version, err)
		}
		want := c.first + "GET /healthz?full HTTP/1.1\r\nHost: " + to + "\r\nUser-Agent: weir-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
		if got := b.recorded(); len(got) != 1 || got[0] != want {
			t.Errorf("version %d: got %q, want %q", c.version, got, want)
		}
	}

	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	b := serveOn(t, ln, reads(ok200))
	if err := checked(t, Config{CheckPath: "/"}, "unix:"+path); err != nil || !strings.Contains(b.recorded()[0], "\r\nHost: localhost\r\n") {
		t.Errorf("a unix socket: %v, %q", err, b.recorded())
	}
	for _, c := range []struct {
		pl   place
		want string
	}{
		{place{text: "a.example:80", name: "b.example"}, "b.example"}, {place{text: "a:1", name: "::1"}, "[::1]"}, {place{text: "[::1]:80"}, "[::1]:80"},
	} {
		if got := c.pl.called(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// TestChecksTrustWhomClientsTrust has checks meet good, wrong and no certificates.
func TestChecksTrustWhomClientsTrust(t *testing.T) {
	good, roots := certificate("s.example")
	wrong, wrongRoots := certificate("other.example\x1b[31m")
	overTLS := func(cert tls.Certificate) string {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
		if err != nil {
			t.Fatal(err)
		}
		return serveOn(t, ln, reads(ok200)).ln.Addr().String()
	}
	plain := serveBehind(t, func(c net.Conn, r *bufio.Reader) { io.WriteString(c, ok200) }).ln.Addr().String()
	silent := serveBehind(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }).ln.Addr().String()
	for _, c := range []struct {
		to   string
		cfg  *tls.Config
		want string
		why  string
	}{
		{overTLS(good), &tls.Config{RootCAs: roots, ServerName: "s.example"}, "", "as it should be"},
		{overTLS(good), &tls.Config{InsecureSkipVerify: true}, "", "to-insecure"},
		{overTLS(good), &tls.Config{RootCAs: roots, ServerName: "t.example"}, "checks fail in the TLS handshake: ", "another name"},
		{overTLS(good), &tls.Config{RootCAs: wrongRoots, ServerName: "s.example"}, "checks fail in the TLS handshake: ", "another CA"},
		{overTLS(wrong), &tls.Config{RootCAs: wrongRoots, ServerName: "s.example"}, "checks fail in the TLS handshake: ", "a name to deceive a terminal"},
		{plain, &tls.Config{RootCAs: roots, ServerName: "s.example"}, "checks fail in the TLS handshake: ", "no TLS"},
		{silent, &tls.Config{RootCAs: roots, ServerName: "s.example"}, "checks fail in the TLS handshake: ", "silence"},
	} {
		every := time.Minute
		if c.to == silent {
			every = time.Second
		}
		begun := time.Now()
		err := checked(t, Config{CheckPath: "/", TLS: c.cfg, Check: every}, c.to)
		if got := errText(err); !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") || time.Since(begun) > 15*time.Second {
			t.Errorf("%s: got %q after %v, want %q", c.why, got, time.Since(begun), c.want)
		}
	}
}

// certificate makes one by an authority of its own, and trusts that.
func certificate(name string) (tls.Certificate, *x509.CertPool) {
	ca := lab.NewAuthority()
	return ca.Issue(name), ca.Pool
}

// TestAServerThatDoesNotServeIsLeftOut: it takes connections all the time.
func TestAServerThatDoesNotServeIsLeftOut(t *testing.T) {
	sick := make(chan bool, 1)
	sick <- false
	b := serveBehind(t, answering(func(*http.Request, []byte) string {
		is := <-sick
		sick <- is
		if is {
			return "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
		}
		return ok200
	}))
	be := func(is bool) { <-sick; sick <- is }
	changes := make(chan Change, 64)
	p := open(t, Config{To: []string{b.ln.Addr().String()}, Check: 20 * time.Millisecond, CheckPath: "/", Rise: 3, Fall: 2, Tell: func(c Change) { changes <- c }})
	for range 2 {
		be(true)
		if c := <-changes; c.Up || c.Why != "checks are answered 500" || p.Status()[0].Up {
			t.Errorf("told %+v, %+v", c, p.Status())
		}
		be(false)
		if c := <-changes; !c.Up || c.Why != "" || !p.Status()[0].Up {
			t.Errorf("told %+v, %+v", c, p.Status())
		}
	}
}

func TestCheckPaths(t *testing.T) {
	for _, c := range []struct {
		path string
		good bool
	}{
		{"/", true}, {"/healthz?a=b&c=%20", true}, {"/" + strings.Repeat("x", 1023), true}, {"/" + strings.Repeat("x", 1024), false}, {"", false},
		{"healthz", false}, {"*", false}, {"http://a/", false}, {"/a b", false}, {"/a\r\nHost: b", false}, {"/a\x00", false}, {"/\xc3\xa4", false}, {"/a#b", false},
	} {
		if err := CheckPath(c.path); (err == nil) != c.good {
			t.Errorf("%q: %v", c.path, err)
		}
		p, err := Open(Config{To: []string{"unix:/x"}, CheckPath: c.path})
		if err == nil {
			p.Close()
		}
		if c.path != "" && (err == nil) != c.good {
			t.Errorf("%q: Open says %v", c.path, err)
		}
	}
}
