package victim

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/target"
)

// Serve calls handle for each connection on a goroutine of its own and closes it afterwards, until the test
// ends. The returned target has the scheme given.
func Serve(t testing.TB, scheme target.Scheme, handle func(*net.TCPConn)) target.Target {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			done.Go(func() {
				handle(c.(*net.TCPConn))
				c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		done.Wait()
	})
	return at(scheme, l.Addr().String())
}

func at(scheme target.Scheme, addr string) target.Target {
	t := target.Target{Scheme: scheme, Addr: netip.MustParseAddrPort(addr), Host: addr}
	if scheme == target.HTTP {
		t.Path = "/"
	}
	return t
}

// HTTP serves h until the test ends.
func HTTP(t testing.TB, h http.Handler) target.Target {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return at(target.HTTP, strings.TrimPrefix(s.URL, "http://"))
}

// Frames sends each frame back.
func Frames(t testing.TB) target.Target {
	return Serve(t, target.Frames, func(c *net.TCPConn) { EchoFrames(c) })
}

// EchoFrames sends each frame of c back until there is none.
func EchoFrames(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(in, head); err != nil {
			return
		}
		frame := append(head, make([]byte, binary.BigEndian.Uint32(head))...)
		if _, err := io.ReadFull(in, frame[4:]); err != nil {
			return
		}
		if _, err := c.Write(frame); err != nil {
			return
		}
	}
}

// Lines sends each line back.
func Lines(t testing.TB) target.Target {
	return Serve(t, target.Line, func(c *net.TCPConn) { EchoLines(c) })
}

// EchoLines sends each line of c back until there is none.
func EchoLines(c net.Conn) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		if _, err := c.Write(line); err != nil {
			return
		}
	}
}

// Descriptors returns a check for the end of a test: that the process has no more descriptors open than now. The
// other ends of connections may still be closing, so it waits a little.
func Descriptors(t testing.TB) (check func()) {
	t.Helper()
	before := open(t)
	return func() {
		t.Helper()
		var now int
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
			if now = open(t); now <= before {
				return
			}
		}
		t.Errorf("%d descriptors open, %d before", now, before)
	}
}

func open(t testing.TB) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count descriptors in")
	}
	return len(list)
}

// Nobody returns an address at which nobody listens, and nobody will before the test ends: who connects is refused.
func Nobody(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(at.(*unix.SockaddrInet4).Port))
}
