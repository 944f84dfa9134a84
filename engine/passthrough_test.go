package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine/service/relay"
	"weir/guard"
)

// helloFor is what a Go client sends first when it is after name, in records of n bytes; 0 is one.
func helloFor(t testing.TB, name string, n int) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	b := make([]byte, 8<<10)
	k, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	b = b[:k]
	if n == 0 {
		return b
	}
	var cut []byte
	for m := b[5:]; len(m) > 0; m = m[min(n, len(m)):] {
		cut = append(append(cut, 22, 3, 1, 0, byte(min(n, len(m)))), m[:min(n, len(m))]...)
	}
	return cut
}

// copies is echoes without the pipes that io.Copy keeps for later.
func copies(c *net.TCPConn) {
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
	c.CloseWrite()
}

func servePassthrough(t testing.TB, cfg relay.RouteConfig) (*Engine, string) {
	t.Helper()
	r, err := relay.OpenRoutes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return serve(t, relay.Passthrough(r), 64<<10, unlimited)
}

// TestPassthroughPassesAllOnAsItCame sends hellos in one record and in many, cut anywhere, with bytes
// and an end behind them, to a pool whose first server is down: the second has the hello in whole.
func TestPassthroughPassesAllOnAsItCame(t *testing.T) {
	e, addr := servePassthrough(t, relay.RouteConfig{Routes: []relay.Route{{Name: "a.example", To: []string{nobody(t), behind(t, copies)}}}})
	for i := range 30 {
		sent := append(helloFor(t, "a.example", []int{0, 1, 7, 200}[i%4]), make([]byte, rand.IntN(100_000))...)
		c := dial(t, addr)
		c.SetNoDelay(true)
		go func() {
			rest := sent
			for range rand.IntN(6) {
				n := rand.IntN(min(len(rest), 2000))
				c.Write(rest[:n])
				rest = rest[n:]
				time.Sleep(time.Millisecond)
			}
			c.Write(rest)
			c.CloseWrite()
		}()
		if got, err := io.ReadAll(c); !bytes.Equal(got, sent) || err != nil {
			t.Fatalf("round %d: %d bytes of %d come back, %v", i, len(got), len(sent), err)
		}
		c.Close()
	}
	noUpstreams(t, e)
	if s := snap(e); s.Unproven != 0 || s.Shed[guard.ShedUpstreamConnect] != 0 {
		t.Errorf("%+v", s.Shed)
	}
}

// TestPassthroughLooksNamesUpOffTheLoop has look-ups that take their time: the loop serves others, no
// more than a few are under way, and who goes meanwhile leaves nothing behind.
func TestPassthroughLooksNamesUpOffTheLoop(t *testing.T) {
	to := netip.MustParseAddrPort(behind(t, copies))
	gate := make(chan bool)
	var asked, most atomic.Int32
	e, addr := servePassthrough(t, relay.RouteConfig{
		Config: relay.Config{Lookup: func(_ context.Context, name string) ([]netip.Addr, error) {
			n := asked.Add(1)
			defer asked.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if strings.HasPrefix(name, "slow") {
				<-gate
			}
			return []netip.Addr{to.Addr()}, nil
		}},
		SNI: relay.SNI{Names: []string{"*.example"}, Port: int(to.Port()), Private: true},
	})
	ask := func(name string) *net.TCPConn {
		c := dial(t, addr)
		c.Write(helloFor(t, name, 0))
		return c
	}
	first := func(c *net.TCPConn) byte {
		b := make([]byte, 7)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		if b[0] == 21 {
			return b[6]
		}
		return b[0]
	}
	if got := first(ask("quick.example")); got != 22 {
		t.Fatalf("answered %d", got)
	}
	slow := []*net.TCPConn{ask("slow1.example"), ask("slow2.example")}
	eventually(t, "both are looked up", func() bool { return asked.Load() == 2 })
	if got := first(ask("slow3.example")); got != 80 {
		t.Errorf("a third look-up: %d", got)
	}
	if got := first(ask("quick.example")); got != 22 {
		t.Errorf("a name that is known: %d", got)
	}
	if got := first(ask("a.invalid")); got != 112 {
		t.Errorf("a name that is not listed: %d", got)
	}
	slow[1].SetLinger(0)
	slow[1].Close()
	close(gate)
	if got := first(slow[0]); got != 22 {
		t.Errorf("found in the end: %d", got)
	}
	if got := first(ask("slow2.example")); got != 22 {
		t.Errorf("the name of who has gone: %d", got)
	}
	if n := most.Load(); n != 2 {
		t.Errorf("%d look-ups at once", n)
	}
	slow[0].Close()
	if s := snap(e); s.Shed[guard.ShedNoRoute] != 1 || s.Shed[guard.ShedNoUpstream] != 1 {
		t.Errorf("shed %d, %d", s.Shed[guard.ShedNoRoute], s.Shed[guard.ShedNoUpstream])
	}
}
