package attack

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"weir/bench/target"
	"weir/bench/victim"
)

func TestSilentSaysNothing(t *testing.T) {
	var bytes atomic.Int64
	to := victim.Serve(t, target.Line, func(c *net.TCPConn) { n, _ := io.Copy(io.Discard, c); bytes.Add(n) })
	r := often(t, "silent?conns=30&rate=0&duration=200ms", to, func(r Result) bool { return r.Open == 30 })
	if r.Open != 30 || r.Units != 30 || r.Bytes+bytes.Load() != 0 || r.Ended() != 0 {
		t.Errorf("%+v", r)
	}
	if r = often(t, "silent?conns=500&rate=200&duration=500ms", to, func(r Result) bool { return r.Attempts >= 80 && r.Attempts <= 101 }); r.Attempts < 80 || r.Attempts > 101 {
		t.Errorf("%d connections in half a second at 200 a second", r.Attempts)
	}
	hello := victim.HTTPS(t, victim.Config(t), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	for _, to := range []target.Target{victim.Frames(t), victim.Lines(t), hello} {
		if r = often(t, "silent?conns=10&rate=0&pipeline=3&duration=1500ms", to, func(r Result) bool { return r.Replies == 30 }); r.Open != 10 || r.Units != 30 || r.Replies != 30 || to.TLS && r.Handshakes != 10 {
			t.Errorf("%s: %+v", to, r)
		}
	}
}
