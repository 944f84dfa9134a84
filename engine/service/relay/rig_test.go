package relay

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/engine"
	"weir/guard"
)

// behind is a server that records what each connection brings and answers as a script says.
type behind struct {
	ln net.Listener

	mu    sync.Mutex
	conns []*bytes.Buffer
	open  map[net.Conn]bool
	all   sync.WaitGroup
}

// serveBehind answers each connection by script, which reads through r.
func serveBehind(t testing.TB, script func(c net.Conn, r *bufio.Reader)) *behind {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, script)
}

func serveOn(t testing.TB, ln net.Listener, script func(c net.Conn, r *bufio.Reader)) *behind {
	t.Helper()
	b := &behind{ln: ln, open: map[net.Conn]bool{}}
	b.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			rec := &bytes.Buffer{}
			b.mu.Lock()
			b.conns = append(b.conns, rec)
			b.open[c] = true
			b.mu.Unlock()
			b.all.Go(func() {
				script(c, bufio.NewReader(io.TeeReader(c, &lockedWriter{&b.mu, rec})))
				c.Close()
				b.mu.Lock()
				delete(b.open, c)
				b.mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		b.mu.Lock()
		for c := range b.open {
			c.Close()
		}
		b.mu.Unlock()
		b.all.Wait()
	})
	return b
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}

// recorded is what each connection has brought so far.
func (b *behind) recorded() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns {
		list = append(list, c.String())
	}
	return list
}

// answering reads requests as net/http does and answers each with what answer returns; "" ends the
// connection.
func answering(answer func(r *http.Request, body []byte) string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			a := answer(r, body)
			if a == "" {
				return
			}
			if _, err := io.WriteString(c, a); err != nil {
				return
			}
		}
	}
}

const ok200 = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nok"

func okay(*http.Request, []byte) string { return ok200 }

// front is an engine that relays to servers.
type front struct {
	addr string
	h    *HTTPRelay
	e    *engine.Engine
}

func relayTo(t testing.TB, cfg HTTPConfig, pool Config, change func(*engine.Config)) *front {
	t.Helper()
	pool.ConnectTimeout = cmp.Or(pool.ConnectTimeout, 20*time.Second)
	p, err := Open(pool)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{h: HTTP(p, cfg)}
	ec := engine.Config{
		Loops: 1, DrainTimeout: time.Second, Guard: guard.DefaultConfig(),
		Listeners: []engine.Listener{{
			Name: "test", Network: "tcp", Address: "127.0.0.1:0", Service: f.h, MaxIn: 32 << 10, Limits: engine.DefaultLimits(),
		}},
	}
	ec.Guard.MaxConns = 1000
	l := &ec.Listeners[0]
	l.SourceFrameRate, l.SourceFrameBurst, l.SourceConnRate, l.SourceConns, l.SourceUnproven = 0, 0, 0, 0, 0
	l.SourceByteRate, l.ConnByteRate = 0, 0
	// A busy machine is no slow client.
	l.HandshakeTimeout, l.FirstFrameTimeout, l.FrameTimeout, l.MinRateGrace = time.Minute, time.Minute, time.Minute, time.Minute
	if change != nil {
		change(&ec)
	}
	if f.e, err = engine.New(ec); err != nil {
		t.Fatal(err)
	}
	if err := f.e.Start(); err != nil {
		t.Fatal(err)
	}
	f.addr = f.e.Addrs()[0].String()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		f.e.Stop(ctx)
		p.Close()
	})
	return f
}

// snapshot is one to which the loop has answered, however busy the machine is.
func (f *front) snapshot(t testing.TB) engine.Snapshot {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		s := f.e.Snapshot()
		if !slices.ContainsFunc(s.Loops, func(l engine.LoopSnapshot) bool { return l.Stale }) {
			return s
		}
		if time.Now().After(end) {
			t.Error("a loop does not tell its counts")
			return s
		}
	}
}

func (f *front) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// say sends text over a connection of its own, which then ends, and returns all that comes back.
func (f *front) say(t testing.TB, text string) string {
	t.Helper()
	c := f.dial(t)
	defer c.Close()
	io.WriteString(c, text)
	c.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(c)
	return string(b)
}

// ask sends one request over a connection and reads the answer to it.
func ask(t testing.TB, c net.Conn, br *bufio.Reader, method, text string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return answerTo(t, br, method)
}

func answerTo(t testing.TB, br *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// lines shows CRLFs as | in one line.
func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "|") }
