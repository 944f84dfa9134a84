package files

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/engine"
	"weir/guard"
	"weir/internal/lab"
)

// TestMain fails when a test leaves descriptors or goroutines behind.
func TestMain(m *testing.M) {
	fds, routines := openFDs(), runtime.NumGoroutine()
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != "" // which leaves things of its own
	for end := time.Now().Add(20 * time.Second); code == 0 && !fuzzing; time.Sleep(20 * time.Millisecond) {
		// Go's own poller opens an epoll descriptor and an eventfd with the first socket.
		if openFDs() <= fds+2 && runtime.NumGoroutine() <= routines {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("left behind: descriptors %d -> %d, goroutines %d -> %d\n", fds, openFDs(), routines, runtime.NumGoroutine())
			code = 1
		}
	}
	os.Exit(code)
}

func openFDs() int {
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(e)
}

var (
	testCA   = sync.OnceValue(lab.NewAuthority)
	testCert = sync.OnceValue(func() tls.Certificate { return testCA().Issue("weir.test") })
)

// rig is an engine that serves a directory.
type rig struct {
	t    testing.TB
	dir  string
	site *Site
	e    *engine.Engine
	addr string
	tls  bool
}

// old is when the rig's files were last written to: long ago, so that their tags are strong.
var old = time.Now().Add(-time.Hour).Truncate(time.Second)

// start serves a new directory with files, by path; a path that ends in a slash is a directory.
func start(t testing.TB, cfg Config, tree map[string]string, change func(*engine.Config), hooks ...func(*Site)) *rig {
	t.Helper()
	r := &rig{t: t, dir: cfg.Dir}
	if r.dir == "" {
		r.dir = t.TempDir()
	}
	for path, content := range tree {
		r.write(path, content)
	}
	cfg.Dir = r.dir
	var err error
	if r.site, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	for _, hook := range hooks {
		hook(r.site)
	}
	ec := engine.Config{
		Loops: 1, DrainTimeout: time.Second, Guard: guard.DefaultConfig(),
		Listeners: []engine.Listener{{
			Name: "test", Network: "tcp", Address: "127.0.0.1:0", Service: r.site, MaxIn: 16 << 10, Limits: engine.DefaultLimits(),
		}},
	}
	ec.Guard.MaxConns = 1000
	l := &ec.Listeners[0]
	l.SourceFrameRate, l.SourceFrameBurst, l.SourceConnRate, l.SourceConns, l.SourceUnproven = 0, 0, 0, 0, 0
	l.SourceHandshakeRate = 0
	// A busy machine is no slow client.
	l.HandshakeTimeout, l.FirstFrameTimeout, l.FrameTimeout, l.MinRateGrace = time.Minute, time.Minute, time.Minute, time.Minute
	if change != nil {
		change(&ec)
	}
	r.tls = l.TLS != nil
	if r.e, err = engine.New(ec); err != nil {
		t.Fatal(err)
	}
	if err := r.e.Start(); err != nil {
		t.Fatal(err)
	}
	r.addr = r.e.Addrs()[0].String()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.e.Stop(ctx)
		r.site.Close()
	})
	return r
}

func overTLS(c *engine.Config) {
	cfg := &tls.Config{Certificates: []tls.Certificate{testCert()}}
	c.Listeners[0].TLS = func() *tls.Config { return cfg }
}

// snapshot is one to which all loops have answered, however busy the machine is.
func (r *rig) snapshot() (s engine.Snapshot) {
	r.t.Helper()
	eventually(r.t, "every loop tells its counts", func() bool {
		s = r.e.Snapshot()
		return !slices.ContainsFunc(s.Loops, func(l engine.LoopSnapshot) bool { return l.Stale })
	})
	return s
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

func (r *rig) write(path, content string) {
	r.t.Helper()
	p := r.path(path)
	if strings.HasSuffix(path, "/") {
		if err := os.MkdirAll(p, 0o755); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chtimes(p, old, old); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	if r.tls {
		return tls.Client(c, &tls.Config{RootCAs: testCA().Pool, ServerName: "weir.test"})
	}
	return c
}

// answer is a response that was read whole.
type answer struct {
	*http.Response
	body string
}

// ask sends one request with fields on a connection of its own, and reads the answer.
func (r *rig) ask(method, target string, fields ...string) answer {
	r.t.Helper()
	c := r.dial()
	defer c.Close()
	a, err := exchange(c, bufio.NewReader(c), method, target, fields...)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

func exchange(c io.Writer, br *bufio.Reader, method, target string, fields ...string) (answer, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: weir.test\r\n", method, target)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		return answer{}, err
	}
	return readAnswer(br, method)
}

func readAnswer(br *bufio.Reader, method string) (answer, error) {
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return answer{resp, string(body)}, err
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, what, ok)
}
