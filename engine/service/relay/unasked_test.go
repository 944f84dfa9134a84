package relay

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onSocket does something with a connection's descriptor.
func onSocket(t testing.TB, c net.Conn, do func(fd int) error) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	if cerr := raw.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil || err != nil {
		t.Error(cerr, err)
	}
}

// deaf has the kernel drop what comes for a connection, as if it were still on its way; hearing ends that.
func deaf(t testing.TB, c net.Conn) {
	t.Helper()
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	onSocket(t, c, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
}

func hearing(t testing.TB, c net.Conn) {
	t.Helper()
	onSocket(t, c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
}

// twice is a server that answers each request for /first twice: again does it. It ends a connection after any
// other, since nobody knows then whose the next answer would be.
func twice(t testing.TB, once string, again func(c net.Conn)) *behind {
	return serveBehind(t, func(c net.Conn, br *bufio.Reader) {
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if !strings.HasPrefix(r.URL.Path, "/first") {
				writeAnswer(c, r.URL.Path)
				return
			}
			io.WriteString(c, answerOf(r.URL.Path)+once) // in one segment
			again(c)
		}
	})
}

func writeAnswer(c net.Conn, text string) { io.WriteString(c, answerOf(text)) }

func answerOf(text string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// TestSecondAnswers: a server answers twice, and the second answer comes while the next request is on its
// way. Nobody is given it where that can be known; what is safe to be sent again is.
func TestSecondAnswers(t *testing.T) {
	const tries = 300
	methods := []string{"GET", "POST"}
	// judge asks twice over one connection of a client, and says what has become of the second.
	judge := func(t *testing.T, f *front, i int, before func()) (own, refused, wrong int) {
		c := f.dial(t)
		defer c.Close()
		br := bufio.NewReader(c)
		method := methods[i%2]
		ask(t, c, br, "GET", fmt.Sprintf("GET /first-%d HTTP/1.1\r\nHost: a\r\n\r\n", i))
		before()
		defer eventually(t, "nothing is left for the next try", func() bool { return f.snapshot(t).Upstreams == 0 })
		resp, body := ask(t, c, br, method, fmt.Sprintf("%s /second-%d HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method, i))
		switch {
		case resp.StatusCode == 502 && method == "POST":
			return 0, 1, 0
		case resp.StatusCode == 200 && body == fmt.Sprintf("/second-%d", i):
			return 1, 0, 0
		case body == "stale":
			return 0, 0, 1
		}
		t.Errorf("%s: %s %q", method, resp.Status, body)
		return 0, 0, 0
	}
	cfg := HTTPConfig{MaxIdle: 4, Idle: time.Minute}

	t.Run("at once", func(t *testing.T) {
		b := twice(t, answerOf("stale"), func(net.Conn) {})
		f := relayTo(t, cfg, to(b), nil)
		for i := range tries {
			if _, _, wrong := judge(t, f, i, func() {}); wrong > 0 {
				t.Errorf("try %d: another's answer", i)
			}
		}
		t.Logf("%+v", f.h.Counts())
	})
	t.Run("before the request is there", func(t *testing.T) {
		ready, sent := make(chan bool), make(chan bool, 1)
		var f *front
		b := twice(t, "", func(c net.Conn) {
			deaf(t, c)
			was := f.snapshot(t).UpstreamsReused
			ready <- true
			for f.snapshot(t).UpstreamsReused == was { // the request is written in the same wake
				time.Sleep(100 * time.Microsecond)
			}
			writeAnswer(c, "stale")
			select {
			case <-sent:
			case <-time.After(5 * time.Second): // the test has failed
			}
			hearing(t, c)
		})
		f = relayTo(t, cfg, to(b), nil)
		var own, refused int
		for i := range 100 {
			o, r, wrong := judge(t, f, i, func() { <-ready })
			sent <- true
			own, refused = own+o, refused+r
			if wrong > 0 {
				t.Fatalf("try %d: another's answer", i)
			}
		}
		if n := f.h.Counts(); own != 50 || refused != 50 || n.Retried != 50 {
			t.Errorf("%d had their own answer, %d none, %+v", own, refused, n)
		}
	})
	t.Run("at any moment", func(t *testing.T) {
		turn, there := make(chan time.Duration, 1), make(chan bool, 1)
		b := twice(t, "", func(c net.Conn) {
			time.Sleep(<-turn)
			writeAnswer(c, "stale")
			onSocket(t, c, func(fd int) error {
				n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
				there <- n > 0
				return err
			})
		})
		f := relayTo(t, cfg, to(b), nil)
		// Sent between the look at the kept connection and the write, a microsecond later, and acknowledged before
		// it is read: with a server on this machine it cannot be ruled out. It is rare, and on a busy machine one
		// in a few hundred, so that once in a hundred rounds there are too many; not in round after round.
		early := 0
		for range 5 {
			var own, refused, late int
			early = 0
			for i := range tries {
				turn <- time.Microsecond << rand.IntN(13)
				o, r, wrong := judge(t, f, i, func() {})
				own, refused = own+o, refused+r
				switch was := <-there; {
				case wrong == 0:
				case was:
					late++
				default:
					early++
				}
			}
			t.Logf("own %d, refused %d, another's %d where it can be known, %d where not; %+v", own, refused, early, late, f.h.Counts())
			if early <= tries/100 {
				return
			}
		}
		t.Errorf("%d were given another's answer", early)
	})
}

// TestEarlyAnswersOnKeptConnections: an answer that comes before the server has the whole request, or has read
// it, is an answer.
func TestEarlyAnswersOnKeptConnections(t *testing.T) {
	early := func(c net.Conn, br *bufio.Reader) {
		for n := 0; ; n++ {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if n == 0 {
				writeAnswer(c, r.URL.Path)
				continue
			}
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
			io.ReadAll(br)
			return
		}
	}
	for _, c := range []struct {
		why    string
		behind func() (*behind, Config)
	}{
		{"tcp", func() (*behind, Config) { b := serveBehind(t, early); return b, to(b) }},
		{"unix", func() (*behind, Config) {
			path := filepath.Join(t.TempDir(), "s")
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			return serveOn(t, ln, early), Config{To: []string{"unix:" + path}}
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			b, pool := c.behind()
			f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, pool, nil)
			conn := f.dial(t)
			br := bufio.NewReader(conn)
			ask(t, conn, br, "GET", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n")
			const size = 64 << 20 // more than both kernels hold
			io.WriteString(conn, fmt.Sprintf("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
			go conn.Write(make([]byte, size))
			if resp, _ := answerTo(t, br, "POST"); resp.StatusCode != 413 {
				t.Error(resp.Status)
			}
			if n := len(b.recorded()); n != 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}
