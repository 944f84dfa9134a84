package attack

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

func TestSlowBodyIsOverTheHeadAndNeverDone(t *testing.T) {
	var bodies, bytes atomic.Int64
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 5000 {
			bodies.Add(1)
		}
		n, _ := io.Copy(io.Discard, r.Body)
		bytes.Add(n)
	})
	for _, to := range []target.Target{victim.HTTP(t, h), victim.HTTPS(t, victim.Config(t), h)} {
		bodies.Store(0)
		bytes.Store(0)
		r := storm(t, "slow-body?conns=20&frame=5000&size=3&interval=20ms&duration=4s", to)
		waitFor(t, func() bool { return bytes.Load() > 0 && bodies.Load() == 20 })
		if r.Open != 20 || r.Ended() != 0 || bodies.Load() != 20 || r.Units < 20*4 || bytes.Load() > 3*r.Units {
			t.Errorf("%s: %d bodies begun, %d bytes of them: %+v", to, bodies.Load(), bytes.Load(), r)
		}
	}
	for _, s := range []target.Scheme{target.Frames, target.Line} {
		if r := often(t, "slow-body?conns=20&interval=20ms&duration=200ms", victim.Serve(t, s, mute), func(r Result) bool { return r.Open == 20 && r.Units >= 20*4 }); r.Open != 20 || r.Units < 20*4 {
			t.Errorf("%s: %+v", s, r)
		}
	}
}

func TestSlowBodyFindsTheDeadlineAndEndsWithTheBody(t *testing.T) {
	const deadline = 300 * time.Millisecond
	to := victim.Serve(t, target.Frames, func(c *net.TCPConn) {
		c.SetReadDeadline(time.Now().Add(deadline))
		io.Copy(io.Discard, c)
	})
	r := storm(t, "slow-body?conns=20&interval=50ms&duration=1m", to)
	if r.Ended() != 20 || r.Age.Min < deadline/2 || r.Age.Max > deadline+20*time.Second {
		t.Errorf("%+v", r)
	}
	r = often(t, "slow-body?conns=5&frame=10&size=4&interval=1ms&duration=300ms", victim.Frames(t), func(r Result) bool { return r.Units == 5*4 })
	if r.Bytes != 5*14 || r.Units != 5*4 || r.Open != 5 {
		t.Errorf("a body that ends: %+v", r)
	}
}
