package e2e

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"weir/internal/lab"
)

// keepAlive is a connection that was open before the trouble began.
type keepAlive struct {
	c net.Conn
	r *bufio.Reader
}

func open(t *testing.T, addr string) *keepAlive {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &keepAlive{c, bufio.NewReader(c)}
}

// ask sends a request and returns how long the answer took.
func (k *keepAlive) ask(t *testing.T) time.Duration {
	t.Helper()
	t0 := time.Now()
	k.c.SetDeadline(t0.Add(patience))
	if _, err := io.WriteString(k.c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(k.r, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); string(b) != "hello, world!" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	return time.Since(t0)
}

// TestDescriptorExhaustion throws 2,000 connections at a server that may open 256 descriptors.
func TestDescriptorExhaustion(t *testing.T) {
	s := lab.Start(t, []string{"bash", "-c", `ulimit -n 256; exec "$@"`, "bash"},
		"-source-conn-rate", "0", "-source-conns", "0", "-source-unproven", "0", "-max-unproven", "100000") // which would keep silent ones away
	var before []*keepAlive
	for range 20 {
		k := open(t, s.HTTP)
		k.ask(t)
		before = append(before, k)
	}
	var flood []net.Conn
	for range 2000 {
		if c, err := net.DialTimeout("tcp", s.HTTP, 5*time.Second); err == nil {
			flood = append(flood, c)
		}
	}
	for _, k := range before {
		k.ask(t)
	}
	s.Alive(t)
	// A connection stands before the server takes it.
	lab.Eventually(t, patience, "1,000 are refused", func() bool {
		m := scrape(t, s)
		return m.Shed("descriptors")+m.Shed("max-conns") >= 1000
	})
	if n := s.Descriptors(t); n >= 256 {
		t.Errorf("%d descriptors are open: nothing is in reserve", n)
	}
	for _, c := range flood {
		c.Close()
	}
	lab.Eventually(t, patience, "serves again when the flood has ended", func() bool {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.HTTP + "/")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	for _, k := range before {
		k.ask(t)
	}
}

// TestAcceptErrors injects each errno into accept4 for a while. Open connections notice nothing and
// new ones are served when it is over.
func TestAcceptErrors(t *testing.T) {
	strace := lab.Need(t, "strace")
	if os.Getenv("CI") != "true" { // some sandboxes do not allow tracing
		if !canTrace(strace) {
			t.Skip("skipped: this process may not trace others")
		}
	}
	for _, errno := range []string{"EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPROTO", "EPERM", "ENETDOWN", "ECONNABORTED", "EINVAL"} {
		t.Run(errno, func(t *testing.T) {
			t.Parallel()
			// Accepts 3 to 12 of each thread fail; the first ones set the stage. The back-off has
			// reached its second by then.
			s := lab.Start(t, []string{strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=accept4",
				"-e", "inject=accept4:error=" + errno + ":when=3..12", "--"}, "-source-conn-rate", "0", "-loops", "1")
			var before []*keepAlive
			k := open(t, s.HTTP)
			k.ask(t)
			before = append(before, k)
			served := 0
			for end := time.Now().Add(3 * patience); served < 5; {
				c, err := net.DialTimeout("tcp", s.HTTP, patience)
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(3 * time.Second))
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				if b, err := io.ReadAll(c); err == nil && len(b) > 0 {
					served++
				}
				c.Close()
				for _, k := range before {
					k.ask(t)
				}
				if time.Now().After(end) {
					t.Fatal("not served again")
				}
			}
			s.Alive(t)
			var failed float64
			for k, v := range scrape(t, s) {
				if len(k) > 25 && k[:25] == "weir_accept_errors_total{" {
					failed += v
				}
			}
			if failed == 0 {
				t.Error("no failed accept was counted: was anything injected?")
			}
		})
	}
}

func canTrace(strace string) bool {
	return exec.Command(strace, "-o", "/dev/null", "true").Run() == nil
}
