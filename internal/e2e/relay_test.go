package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// redis is a redis-server on an address of its own.
type redis struct {
	addr string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T, addr string) *redis {
	t.Helper()
	_, port, _ := net.SplitHostPort(addr)
	r := &redis{addr: addr, cmd: exec.Command(lab.Need(t, "redis-server"), "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")}
	r.cmd.Dir = t.TempDir()
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.kill)
	lab.Eventually(t, patience, "redis listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return r
}

func (r *redis) kill() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

// ping asks a redis over a connection of its own.
func ping(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "PING\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "+PONG\r\n" {
		err = fmt.Errorf("it says %q", line)
	}
	return err
}

// TestRedisBehind has redis's own clients talk to it through the relay, and kills it under load.
func TestRedisBehind(t *testing.T) {
	lab.Need(t, "redis-cli")
	lab.Need(t, "redis-benchmark")
	ports := lab.FreePorts(t, 3)
	front, back := ports[0], ports[1]
	r := startRedis(t, back)
	s := lab.Start(t, nil, "-listen", "tcp://"+front+"?to="+back, "-profile", "bench")
	_, port, _ := net.SplitHostPort(front)
	value := strings.Repeat("v", 1<<20)
	for _, c := range []struct{ args, stdin, want string }{
		{"set key hello", "", "OK"}, {"get key", "", "hello"}, {"-x set large", value, "OK"}, {"strlen large", "", fmt.Sprint(len(value))},
		{"get large", "", value},
	} {
		cmd := exec.Command("redis-cli", append([]string{"-p", port}, strings.Fields(c.args)...)...)
		cmd.Stdin = strings.NewReader(c.stdin)
		if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != c.want {
			t.Fatalf("redis-cli %s: %v, %.100s", c.args, err, out)
		}
	}
	if out := run(t, "redis-benchmark", "-p", port, "-n", "5000", "-c", "50", "-P", "4", "-t", "set,get,lrange_100", "-q"); strings.Contains(strings.ToLower(out), "error") {
		t.Fatalf("redis-benchmark: %s", out)
	}

	var answered, failed, wrong atomic.Int64
	stop := make(chan bool)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch err := ping(front); {
				case err == nil:
					answered.Add(1)
				case strings.HasPrefix(err.Error(), "it says"):
					wrong.Add(1)
				default:
					failed.Add(1)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	lab.Eventually(t, patience, "answers", func() bool { return answered.Load() > 100 })
	r.kill()
	lab.Eventually(t, patience, "it is missed", func() bool { return failed.Load() > 20 })
	var took time.Duration
	for range tries {
		begun := time.Now()
		ping(front)
		if took = time.Since(begun); took < 3*time.Second {
			break
		}
	}
	if took > 3*time.Second {
		t.Errorf("with nobody behind a client waits %s", took)
	}
	if _, err := net.Dial("tcp", s.Frames); err != nil {
		t.Errorf("another listener: %v", err)
	}
	startRedis(t, back)
	before := answered.Load()
	lab.Eventually(t, patience, "answers again", func() bool { return answered.Load() > before+100 })
	close(stop)
	all.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d wrong answers", wrong.Load())
	}
	s.Alive(t)
	lab.Eventually(t, patience, "no upstream is left", func() bool { return scrape(t, s)["weir_upstream_connections"] == 0 })
	m := scrape(t, s)
	if m.Shed("upstream-connect")+m.Shed("no-upstream")+m.Shed("upstream-reset") == 0 {
		t.Error("nothing was counted")
	}
	lab.Eventually(t, patience, "the log says that it went and came back", func() bool {
		return strings.Contains(s.Log(), `"upstream_down"`) && strings.Contains(s.Log(), `"upstream_up"`)
	})
}

// pour is n bytes of a seed, and their hash.
func pour(w io.Writer, n int) []byte {
	h := sha256.New()
	r := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, 256<<10)
	for n > 0 {
		b := buf[:min(n, len(buf))]
		r.Read(b)
		h.Write(b)
		if _, err := w.Write(b); err != nil {
			return nil
		}
		n -= len(b)
	}
	return h.Sum(nil)
}

// TestStalledReadersBehindARelay has 4 clients stall in the middle of 100 MB each, over plain TCP and
// over TLS, with the server's memory measured.
func TestStalledReadersBehindARelay(t *testing.T) {
	const size, readers = 100 << 20, 4
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				pour(c, size)
				c.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	want := pour(io.Discard, size)
	ports := lab.FreePorts(t, 2)
	s := lab.Start(t, nil, "-listen", "tcp://"+ports[0]+"?to="+ln.Addr().String(), "-listen", "tcp+tls://"+ports[1]+"?to="+ln.Addr().String(), "-tls-self-signed", freeHandshakes)
	for i, name := range []string{"plain", "tls"} {
		t.Run(name, func(t *testing.T) {
			own := func() int { return anonymous(t, s.PID) }
			before, most := own(), 0
			var all sync.WaitGroup
			for range readers {
				all.Go(func() {
					var c net.Conn
					c, err := net.Dial("tcp", ports[i])
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if name == "tls" {
						c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
					}
					io.WriteString(c, "x")
					h := sha256.New()
					io.CopyN(h, c, size/4)
					time.Sleep(2 * time.Second)
					if n, err := io.Copy(h, c); n != size-size/4 || err != nil || !bytes.Equal(h.Sum(nil), want) {
						t.Errorf("%d bytes after the pause, %v", n, err)
					}
				})
			}
			done := make(chan bool)
			go func() { all.Wait(); close(done) }()
			for open := true; open; {
				select {
				case <-done:
					open = false
				case <-time.After(50 * time.Millisecond):
					most = max(most, own())
				}
			}
			t.Logf("%d KiB before, %d KiB at most", before>>10, most>>10)
			if most-before > 15<<20 {
				t.Errorf("%d KiB more for %d readers", (most-before)>>10, readers)
			}
		})
	}
}

// anonymous is the memory that is a process's own, in bytes.
func anonymous(t *testing.T, pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "RssAnon:")
	n := 0
	fmt.Sscanf(rest, "%d", &n)
	return n << 10
}

// TestRelayOutOfDescriptors lets clients take all descriptors, two each.
func TestRelayOutOfDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	front := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, []string{"bash", "-c", `ulimit -n 256; exec "$@"`, "bash"}, "-listen", "tcp://"+front+"?to="+ln.Addr().String()+"&max-conns=10000",
		"-source-conn-rate", "0", "-source-conns", "0", "-source-unproven", "0", "-max-unproven", "100000")
	echo := func(c net.Conn) error {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		c.Write([]byte("x"))
		_, err := io.ReadFull(c, make([]byte, 1))
		return err
	}
	var good, refused int
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 300 {
		c, err := net.Dial("tcp", front)
		if err != nil {
			refused++
			continue
		}
		open = append(open, c)
		if echo(c) != nil {
			refused++
		} else {
			good++
		}
	}
	if good < 40 || refused < 100 {
		t.Errorf("%d were served, %d refused", good, refused)
	}
	s.Alive(t)
	if err := echo(open[0]); err != nil {
		t.Errorf("who was there first: %v", err)
	}
	if scrape(t, s).Shed("descriptors") == 0 {
		t.Error("not counted")
	}
	for _, c := range open {
		c.Close()
	}
	open = nil
	lab.Eventually(t, patience, "served again", func() bool {
		c, err := net.Dial("tcp", front)
		if err != nil {
			return false
		}
		defer c.Close()
		return echo(c) == nil
	})
	s.Signal(t, syscall.SIGTERM)
	if err := s.Wait(patience); err != nil {
		t.Errorf("the server does not stop in order: %v", err)
	}
}
