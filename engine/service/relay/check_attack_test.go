package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/engine/service"
	"weir/internal/lab"
)

// TestChecksThatSeeLessThanClients: a check is a connection, and a server that takes those may still not
// speak TLS. It must neither be put back by each check, nor be told of as down without end.
func TestChecksThatSeeLessThanClients(t *testing.T) {
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var told []Change
			cfg := Config{To: []string{"192.0.2.1:1"}, Tell: func(c Change) { told = append(told, c) }}
			want := "[{192.0.2.1:1 false clients cannot connect: refused} {192.0.2.1:1 true }]"
			if secure {
				cfg.TLS = &tls.Config{}
				want = "[{192.0.2.1:1 false clients cannot connect: refused}]"
			}
			p, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			s := (*p.servers.Load())[0]
			for range 3 {
				s.failed(p, service.EndRefused)
			}
			p.judge(s, 0, nil)
			if p.up(s) == secure || fmt.Sprint(told) != want {
				t.Errorf("TLS %v: up %v, told %v", secure, p.up(s), told)
			}
			p.judge(s, 2, errors.New("no"))
			p.judge(s, 1, nil)
			if p.up(s) != true {
				t.Error("checks do not bring it back")
			}
		})
	}
}

// TestASlowCheckDelaysNoOther has one server take no packets, so that each check of it lasts a second, and
// another one go away.
func TestASlowCheckDelaysNoOther(t *testing.T) {
	lost := takesNoMore(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	changes := make(chan Change, 64)
	p := open(t, Config{To: []string{lost, ln.Addr().String()}, Check: 20 * time.Millisecond, Fall: 10, Tell: func(c Change) { changes <- c }})
	time.Sleep(100 * time.Millisecond)
	gone := time.Now()
	ln.Close()
	for c := range changes {
		if c.Server != lost {
			break
		}
	}
	if took := time.Since(gone); took > 7*time.Second { // 10 checks of 20 ms, or of a second and more
		t.Errorf("it took %v to see that a server has gone", took)
	}
	if up := p.Status()[1].Up; up {
		t.Error("it is up")
	}
}

// takesNoMore is the address of a server whose queue is full: the kernel drops what else would connect.
func takesNoMore(t *testing.T) string {
	t.Helper()
	addr := bound(t, func(fd int) error { return syscall.Listen(fd, 0) })
	missed := 0 // in a row: one alone may be a busy machine
	for range 16 {
		c, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if err == nil {
			missed = 0
			t.Cleanup(func() { c.Close() })
		} else if missed++; missed == 2 {
			return addr
		}
	}
	t.Skip("this kernel takes more connections than were asked for")
	return ""
}

// bound is the address of a socket of which something is made once it has one.
func bound(t *testing.T, then func(fd int) error) string {
	t.Helper()
	fd, at := lab.Bound(t)
	if err := then(fd); err != nil {
		t.Fatal(err)
	}
	return at.String()
}
