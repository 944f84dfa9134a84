package attack

import (
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

// Both attacks on readers' patience find the deadline of a server that has one.
func TestAttacksThatDoNotReadFindTheWriteDeadline(t *testing.T) {
	const deadline = 300 * time.Millisecond
	patient := func(c net.Conn, raw *net.TCPConn) {
		c.SetDeadline(time.Now().Add(deadline + 5*time.Second))
		c.Read(make([]byte, 1000))
		raw.SetDeadline(time.Now().Add(deadline))
		io.CopyN(c, zeros{}, 50<<20)
		raw.SetLinger(0)
		raw.Close()
	}
	plain := victim.Serve(t, target.HTTP, func(c *net.TCPConn) { patient(c, c) })
	secret := victim.ServeTLS(t, target.HTTP, victim.Config(t), func(c *tls.Conn) { patient(c, c.NetConn().(*net.TCPConn)) })
	for _, to := range []target.Target{plain, secret} {
		for _, spec := range []string{"zero-window?", "slow-read?interval=10ms&"} {
			spec += "conns=20&total=20&size=0&duration=1m&sources=5&loops=2"
			r := storm(t, spec, to)
			if r.Attempts != 20 || r.Ended() != 20 || r.Answered != 20 && !to.TLS || r.Replies != 0 || r.Units == 0 {
				t.Errorf("%s on %s: %+v", spec, to, r)
			}
			if r.Age.Min < deadline/2 || r.Age.Max > deadline+20*time.Second {
				t.Errorf("%s on %s: ages %+v, the deadline is %v", spec, to, r.Age, deadline)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// What the server gets rid of is what its kernel takes, however much was asked for.
func TestAttacksThatDoNotReadTakeLittle(t *testing.T) {
	var went atomic.Int64
	to := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		c.SetWriteBuffer(16 << 10)
		c.Read(make([]byte, 1000))
		n, _ := io.CopyN(c, zeros{}, 50<<20)
		went.Add(n)
	})
	for _, spec := range []string{"zero-window?", "slow-read?interval=20ms&"} {
		went.Store(0)
		r := storm(t, spec+"conns=10&size=0&duration=1500ms", to)
		waitFor(t, func() bool { return went.Load() > 0 })
		if r.Open != 10 || r.Ended() != 0 || r.Replies != 0 || went.Load() > 10<<20 {
			t.Errorf("%s: %d bytes went, %+v", spec, went.Load(), r)
		}
	}
}

func TestSlowReadReadsAndZeroWindowAsks(t *testing.T) {
	var went atomic.Int64
	to := victim.Serve(t, target.HTTP, func(c *net.TCPConn) {
		c.Read(make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		went.Add(1)
	})
	// An orderly end is noticed although its bytes were never read.
	for _, spec := range []string{"zero-window?", "slow-read?interval=10m&"} {
		if r := storm(t, spec+"conns=10&total=30&size=0&duration=1m", to); r.Closes+r.Resets != 30 || r.Answered != 30 {
			t.Errorf("%s: %+v", spec, r)
		}
	}
	r := often(t, "zero-window?conns=10&total=10&size=10&pipeline=7&duration=200ms", victim.Frames(t), func(r Result) bool { return r.Units == 70 })
	if r.Units != 70 || r.Bytes != 70*14 || r.Open != 10 {
		t.Errorf("%+v", r)
	}
	if r = often(t, "zero-window?conns=10&size=10&pipeline=7&count=33&duration=200ms", victim.Frames(t), func(r Result) bool { return r.Units == 33 }); r.Units != 33 {
		t.Errorf("count: %+v", r)
	}
}
