package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a peer that runs. Not for concurrent use.
type server struct {
	peer    peer
	order   order
	command []string
	cmd     *exec.Cmd
	exited  chan struct{}
	log     string // a file with what it printed
}

// start starts a peer and waits until it can be reached. The caller stops it. The thread that calls it has to outlive
// the server, see main: the kernel ends the server with it, so that not even a kill leaves one behind.
func start(ctx context.Context, p peer, path string, o order) (*server, error) {
	if err := writeLarge(o.Dir); err != nil {
		return nil, err
	}
	o = o.limits()
	config, err := p.configure(o)
	if err != nil {
		return nil, err
	}
	s := &server{peer: p, order: o, exited: make(chan struct{}), log: filepath.Join(o.Dir, "log")}
	s.command = append([]string{filepath.Base(path)}, p.command(o, config)...)
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	// Go gives a child the limit that it had itself before it raised it, so a shell sets the one that is wanted.
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, o.Files), path}, s.command[1:]...)...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.Dir = o.Dir
	s.cmd.Env = append(os.Environ(), "HOME="+o.Dir, "XDG_DATA_HOME="+o.Dir, "XDG_CONFIG_HOME="+o.Dir)
	// A group of its own: its workers end with it, and what is typed at this terminal goes to this process alone.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	if err := s.reached(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("start %s: %w", p.name, err)
	}
	return s, nil
}

func (s *server) reached(ctx context.Context) error {
	for range 200 {
		c, err := net.Dial("tcp", at(s.order))
		if err == nil {
			c.Close()
			return nil
		}
		select {
		case <-s.exited:
			b, _ := os.ReadFile(s.log)
			return fmt.Errorf("it ended: %s", lastLines(string(b), 3))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.New("it did not listen within 10 s")
}

// stop ends the server and all its processes, the hard way if it takes more than two seconds.
func (s *server) stop() {
	group := -s.cmd.Process.Pid
	unix.Kill(group, unix.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(2 * time.Second):
	}
	unix.Kill(group, unix.SIGKILL)
	<-s.exited
}

// url is where the server serves path.
func (s *server) url(path string) string {
	u := s.order.Scheme + "://" + at(s.order)
	if strings.HasPrefix(s.order.Scheme, "http") {
		u += path
	}
	return u
}

// pids are the server's processes.
func (s *server) pids() []int { return descendants(s.cmd.Process.Pid) }

// freePort returns a port that nobody listens on just now.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// writeLarge writes what servers of files answer under /large, the smaller one for haproxy, and what weir does then
// under /.
func writeLarge(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("hello, world!"), 0o644); err != nil {
		return err
	}
	for name, n := range map[string]int{"large": 100_000, "large-15k": 15_000} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat("0123456789", n/10)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}

// joined writes process ids as bench takes them.
func joined(pids []int) string {
	words := make([]string, len(pids))
	for i, pid := range pids {
		words[i] = strconv.Itoa(pid)
	}
	return strings.Join(words, ",")
}
