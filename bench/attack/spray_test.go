package attack

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

func TestSprayComesFromEverySource(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	to := victim.Serve(t, target.Frames, func(c *net.TCPConn) {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		mu.Lock()
		from[host]++
		mu.Unlock()
		victim.EchoFrames(c)
	})
	r := storm(t, "spray?conns=20&total=300&sources=300&duration=1m&loops=2", to)
	mu.Lock()
	sources := len(from)
	mu.Unlock()
	if r.Units != 300 || r.Replies != 300 || r.Open != 0 || r.Took > 50*time.Second || sources != 300 {
		t.Errorf("%d sources: %+v", sources, r)
	}
	if r = storm(t, "spray?conns=20&total=100&sources=50&per-net=0&pipeline=3&duration=1m", to); r.Units != 300 || r.Replies != 300 {
		t.Errorf("three requests each: %+v", r)
	}
	refuse := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, c)
	})
	if r = storm(t, "spray?conns=20&total=100&duration=1m", refuse); r.Bad != 100 || r.Open != 0 {
		t.Errorf("refused: %+v", r)
	}
}
