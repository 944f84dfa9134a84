package e2e

import (
	"io"
	"net"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestIdleConnectionsAreSmall holds 15,000 keep-alive connections that have had an answer, and
// weighs the server. 750 B is what each may cost, of which the engine's own struct is 256; a goroutine alone would
// cost 2 KiB.
func TestIdleConnectionsAreSmall(t *testing.T) {
	n := 15_000
	if testing.Short() {
		n = 3_000
	}
	for try := 1; ; try++ {
		each := weighIdle(t, n)
		if each <= 750 || testing.Short() {
			return
		}
		if try == tries { // what the collector has not come to yet is weighed too
			t.Fatalf("%.0f B each", each)
		}
	}
}

// weighIdle returns how much more memory a new server has with n connections than before, by connection.
func weighIdle(t *testing.T, n int) float64 {
	t.Helper()
	s := lab.Start(t, nil, "-profile", "bench", "-first-frame-timeout", "0", "-idle-timeout", "10m")
	warm := scrape(t, s)
	before := s.RSS(t)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	buf := make([]byte, 4096)
	for range n {
		c, err := net.Dial("tcp", s.HTTP)
		if err != nil {
			t.Fatalf("after %d connections: %v", len(conns), err)
		}
		conns = append(conns, c)
		c.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			t.Fatalf("connection %d: %v", len(conns), err)
		}
	}
	lab.Eventually(t, patience, "all are open", func() bool { return scrape(t, s)["weir_connections"] == float64(n) })
	m := scrape(t, s)
	each := float64(s.RSS(t)-before) / float64(n)
	heap := (m["go_memstats_heap_inuse_bytes"] - warm["go_memstats_heap_inuse_bytes"]) / float64(n)
	t.Logf("%d idle connections: %.0f B of resident memory each, %.0f B of it heap; %v goroutines", n, each, heap, m["go_goroutines"])
	if m["go_goroutines"] > warm["go_goroutines"]+10 {
		t.Errorf("%v goroutines, %v before", m["go_goroutines"], warm["go_goroutines"])
	}
	return each
}
