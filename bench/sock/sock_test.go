package sock

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"weir/bench/target"
)

func TestDialRefusesWhateverIsNotLoopback(t *testing.T) {
	for _, a := range []string{"192.0.2.1:80", "0.0.0.0:80", "[::]:80", "[::ffff:127.0.0.1]:80", "[2001:db8::1]:80"} {
		if fd, err := Dial(netip.MustParseAddrPort(a), netip.Addr{}); !errors.Is(err, target.ErrNotLoopback) {
			t.Errorf("%s: descriptor %d, %v", a, fd, err)
		}
	}
	if _, err := Dial(netip.AddrPort{}, netip.Addr{}); err == nil {
		t.Error("no address: passed")
	}
	if _, err := Dial(netip.MustParseAddrPort("127.0.0.1:80"), netip.IPv6Loopback()); err == nil {
		t.Error("families mixed: passed")
	}
}

func TestConnectionComesFromItsSourceAndTellsOfItsEnd(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fd, err := Dial(l.Addr().(*net.TCPAddr).AddrPort(), netip.MustParseAddr("127.9.8.7"))
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fd)
	const token = 0xdeadbeef_00000007
	if err := p.Add(fd, token); err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(peer.RemoteAddr().String()); host != "127.9.8.7" {
		t.Errorf("it came from %s", host)
	}
	await := func(what string, is func(Event) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			for _, ev := range p.Wait(100 * time.Millisecond) {
				if ev.Token != token {
					t.Fatalf("token %x", ev.Token)
				}
				if is(ev) {
					return
				}
			}
		}
		t.Fatalf("never told that it is %s", what)
	}
	await("writable", func(e Event) bool { return e.Writable && Problem(fd) == nil })
	if n, err := Write(fd, []byte("hi")); n != 2 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	peer.Close() // with bytes unread: a reset
	await("broken", func(e Event) bool { return e.Readable && e.Ending })
	if n, err := Read(fd, make([]byte, 10)); n != 0 || err == nil {
		t.Errorf("read after a reset: %d, %v", n, err)
	}
}

func TestRoomCountsOut(t *testing.T) {
	r := RoomFor(2)
	for i := range 3 {
		if granted := r.Take(); granted != (i < 2) {
			t.Errorf("room for two: take %d granted %v", i, granted)
		}
	}
	r.Return()
	if !r.Take() || r.Take() {
		t.Error("what was given back was not there")
	}
	if RoomFor(-5).Take() || NewRoom().Size() < 1 {
		t.Error("no room has room, or this process has none")
	}
}

func TestThreadCPUGrows(t *testing.T) {
	done := make(chan bool)
	go func() {
		OwnThread(1)
		a := ThreadCPU()
		for ThreadCPU() == a {
		}
		done <- ProcessCPU() >= ThreadCPU()
	}()
	if !<-done {
		t.Error("the thread used more than its process")
	}
}
