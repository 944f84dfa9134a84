// Package lab is for tests: it builds the real commands, runs them on free ports, and reads their
// metrics. Nothing but tests imports it.
package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Need returns the path of a tool that the test cannot do without. Where it is missing the test is
// skipped, or fails when CI=true.
func Need(t testing.TB, tool string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI must have it", tool)
	}
	t.Skipf("skipped: %s is not installed", tool)
	return ""
}

var (
	buildOnce sync.Once
	buildDir  string
	buildErr  error
)

// Command builds cmd/server and cmd/bench once per test process, without the race detector, and
// returns the path of the one asked for.
func Command(t testing.TB, name string) string {
	t.Helper()
	buildOnce.Do(func() {
		if buildDir, buildErr = os.MkdirTemp("", "weir-lab"); buildErr != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", buildDir+"/", "weir/cmd/server", "weir/cmd/bench").CombinedOutput()
		if err != nil {
			buildErr = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(buildDir, name)
}

// Clean removes what Command has built. For TestMain.
func Clean() { os.RemoveAll(buildDir) }

// Server is a running cmd/server.
type Server struct {
	HTTP, Frames, Line string // host:port
	Admin              string
	PID                int

	cmd  *exec.Cmd
	log  *Buffer
	done chan error
}

// Start runs the server on free ports of 127.0.0.1 with the flags given, behind the command line
// before (for example strace), if any. It is killed when the test ends.
func Start(t testing.TB, before []string, flags ...string) *Server {
	t.Helper()
	ports := FreePorts(t, 4)
	s := &Server{
		HTTP: ports[0], Frames: ports[1], Line: ports[2], Admin: ports[3],
		log: &Buffer{}, done: make(chan error, 1),
	}
	args := append(append([]string{}, before...), Command(t, "server"),
		"-listen", "http://"+s.HTTP, "-listen", "frames://"+s.Frames, "-listen", "line://"+s.Line, "-admin", s.Admin)
	args = append(args, flags...)
	s.cmd = exec.Command(args[0], args[1:]...)
	s.cmd.Stderr = s.log
	s.cmd.Stdout = s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a tracer's child goes with it
	s.cmd.WaitDelay = 2 * time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server said:\n%s", s.Log())
		}
		syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
		s.done <- nil
	})
	s.PID = s.cmd.Process.Pid
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := http.Get("http://" + s.Admin + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				break
			}
		}
		select {
		case err := <-s.done:
			s.done <- err
			t.Fatalf("the server ended at once: %v", err)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the server does not become ready")
		}
	}
	if before != nil { // a tracer has it as its child; a shell has become it
		s.PID = childOf(s.PID, s.PID)
	}
	return s
}

// childOf is the first child of a process, or none.
func childOf(pid, none int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return none
	}
	if f := strings.Fields(string(b)); len(f) > 0 {
		if n, err := strconv.Atoi(f[0]); err == nil {
			return n
		}
	}
	return none
}

// Log is what the server has written so far.
func (s *Server) Log() string { return s.log.String() }

// Signal sends the server a signal.
func (s *Server) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(s.PID, sig); err != nil {
		t.Fatal(err)
	}
}

// Wait returns how the server ended, or an error when it has not within the limit.
func (s *Server) Wait(limit time.Duration) error {
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(limit):
		return fmt.Errorf("still running after %s", limit)
	}
}

// Alive fails the test when the server has ended or does not answer.
func (s *Server) Alive(t testing.TB) {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		t.Fatalf("the server ended: %v", err)
	default:
	}
	resp, err := http.Get("http://" + s.Admin + "/healthz")
	if err != nil {
		t.Fatalf("healthz: %v", err)
	}
	resp.Body.Close()
}

// Metrics are the values of a scrape by series, labels included as they stand there.
type Metrics map[string]float64

var sample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*(?:\{.*\})?) (\S+)`)

// Scrape reads the server's metrics.
func (s *Server) Scrape(t testing.TB) Metrics {
	t.Helper()
	resp, err := http.Get("http://" + s.Admin + "/metrics")
	if err != nil {
		t.Fatalf("scrape: %v", err)
	}
	defer resp.Body.Close()
	m := Metrics{}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 8<<20))
	for lines.Scan() {
		if f := sample.FindStringSubmatch(lines.Text()); f != nil {
			if v, err := strconv.ParseFloat(f[2], 64); err == nil {
				m[f[1]] = v
			}
		}
	}
	return m
}

// Shed is the number of sheds for a reason.
func (m Metrics) Shed(reason string) float64 { return m[`weir_shed_total{reason="`+reason+`"}`] }

// RSS is the server's resident memory in bytes.
func (s *Server) RSS(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return n * os.Getpagesize()
}

// CPU is the time that the server has spent on processors.
func (s *Server) CPU(t testing.TB) time.Duration {
	t.Helper()
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.PID))
	var sum int64
	for _, f := range tasks {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has just ended
		}
		n, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		sum += n
	}
	return time.Duration(sum)
}

// Descriptors is the number of descriptors that the server has open.
func (s *Server) Descriptors(t testing.TB) int {
	t.Helper()
	e, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// Eventually fails the test unless ok becomes true within the limit.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// Buffer is a bytes.Buffer for a process that writes while a test reads. Any goroutine.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
