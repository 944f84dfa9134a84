package admin

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func config(ready *atomic.Bool) Config {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "test_total", Help: "A test."})
	reg.MustRegister(c)
	return Config{
		Gatherer: reg, Version: "weir v1", ErrorLog: log.New(io.Discard, "", 0),
		Ready: func() (bool, string) { return ready.Load(), "draining" },
	}
}

func TestPages(t *testing.T) {
	var ready atomic.Bool
	srv := httptest.NewServer(Handler(config(&ready)))
	defer srv.Close()
	for _, c := range []struct {
		method, path string
		ready        bool
		status       int
		contains     string
		why          string
	}{
		{"GET", "/", true, 200, "/metrics", "an index for people"},
		{"GET", "/metrics", true, 200, "test_total 0", "the counters"},
		{"GET", "/healthz", false, 200, "ok", "the process lives while it drains"},
		{"GET", "/readyz", true, 200, "ready", "new clients may come"},
		{"HEAD", "/readyz", true, 200, "", "as balancers ask"},
		{"GET", "/readyz", false, 503, "draining", "no new clients while it drains"},
		{"GET", "/debug/pprof/", true, 200, "goroutine", "profiles"},
		{"GET", "/debug/pprof/goroutine?debug=1", true, 200, "goroutine profile", "a profile"},
		{"GET", "/debug/pprof/cmdline", true, 200, "admin", "the command line"},
		{"GET", "/nosuch", true, 404, "", "nothing else"},
		{"POST", "/metrics", true, 405, "", "nothing can be changed"},
		{"DELETE", "/healthz", true, 405, "", "nothing can be changed"},
	} {
		ready.Store(c.ready)
		req, _ := http.NewRequest(c.method, srv.URL+c.path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.contains) {
			t.Errorf("%s %s: got %d %q, want %d %q: %s", c.method, c.path, resp.StatusCode, body, c.status, c.contains, c.why)
		}
	}
}

func start(t *testing.T) *Server {
	t.Helper()
	ln, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var ready atomic.Bool
	s := Serve(ln, config(&ready))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestProfilesAreShort(t *testing.T) {
	for seconds, want := range map[string]int{"600": 400, "-1": 400, "NaN": 400, "x": 400, "60.5": 400} {
		w := httptest.NewRecorder()
		var ready atomic.Bool
		Handler(config(&ready)).ServeHTTP(w, httptest.NewRequest("GET", "/debug/pprof/goroutine?debug=1&seconds="+seconds, nil))
		if w.Code != want {
			t.Errorf("seconds=%s: got %d %s, want %d", seconds, w.Code, w.Body, want)
		}
	}
}

func TestLargeHeadsAreRefused(t *testing.T) {
	s := start(t)
	req, _ := http.NewRequest("GET", "http://"+s.Addr().String()+"/", nil)
	req.Header.Set("X", strings.Repeat("x", 3*maxHeader))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Skip("cut off before the answer could be read: ", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", resp.StatusCode)
	}
}

// Connections that do nothing take the places of a bounded number of others, for a bounded time, and
// no descriptor beyond.
func TestConnectionsAreBounded(t *testing.T) {
	s := start(t)
	var idle []net.Conn
	for range MaxConns {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	client := http.Client{Timeout: 200 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Get("http://" + s.Addr().String() + "/healthz"); err == nil {
		_ = resp.Body.Close()
		t.Fatal("one connection too many was served")
	}
	for _, c := range idle {
		_ = c.Close()
	}
	client.Timeout = time.Minute
	resp, err := client.Get("http://" + s.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal("places that became free are not used: ", err)
	}
	_ = resp.Body.Close()
}

func TestListenTellsOfAPortInUse(t *testing.T) {
	s := start(t)
	if ln, err := Listen(s.Addr().String()); err == nil {
		_ = ln.Close()
		t.Error("bound twice")
	}
}

func TestExposed(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:9090": false, "127.8.9.1:1": false, "[::1]:9090": false, "localhost:1": false, "[::ffff:127.0.0.1]:1": false,
		":9090": true, "0.0.0.0:9090": true, "[::]:1": true, "192.0.2.1:1": true, "off": false,
	} {
		if got := Exposed(address); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
}

func ExampleHandler() {
	cfg := Config{
		Gatherer: prometheus.NewRegistry(), Version: "weir v1",
		Ready: func() (bool, string) { return false, "draining" },
	}
	w := httptest.NewRecorder()
	Handler(cfg).ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 503 draining
}
