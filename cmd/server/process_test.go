package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Clean()
	os.Exit(code)
}

// command is the server's command line, without the WEIR_ variables of whoever runs the tests.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(lab.Command(t, "server"), args...)
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "WEIR_") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	return cmd
}

// finish runs the server to its end, which must come by itself.
func finish(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	kill.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// server is one that runs.
type server struct {
	cmd         *exec.Cmd
	http, admin string // HOST:PORT
	lines       chan string
	mu          sync.Mutex
	log         strings.Builder
}

// start runs a server on free ports and waits until it has said where.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	s := launch(t, append([]string{"-listen", "http://127.0.0.1:0", "-admin", "127.0.0.1:0"}, args...))
	for s.admin == "" {
		fields := strings.Fields(s.wait(t, "http://"))
		if fields[1] == "hello," || fields[1] == "hello" {
			s.http = strings.TrimPrefix(fields[0], "http://")
		} else if fields[1] == "admin" {
			s.admin = strings.TrimPrefix(fields[0], "http://")
		}
	}
	return s
}

// launch runs a server and reads its log.
func launch(t *testing.T, args []string) *server {
	t.Helper()
	s := &server{lines: make(chan string, 10000)}
	s.cmd = command(t, args...)
	pipe, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	go func() {
		defer close(s.lines)
		for r := bufio.NewScanner(pipe); r.Scan(); {
			s.mu.Lock()
			s.log.WriteString(r.Text() + "\n")
			s.mu.Unlock()
			s.lines <- r.Text()
		}
	}()
	return s
}

// wait reads the log up to a line that contains text.
func (s *server) wait(t *testing.T, text string) string {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("ended before it said %q:\n%s", text, s.text())
			}
			if strings.Contains(line, text) {
				return line
			}
		case <-limit:
			t.Fatalf("did not say %q:\n%s", text, s.text())
		}
	}
}

func (s *server) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

func (s *server) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// end waits for the process and returns its exit code.
func (s *server) end(t *testing.T, within time.Duration) int {
	t.Helper()
	begin := time.Now()
	kill := time.AfterFunc(within+10*time.Second, func() { _ = s.cmd.Process.Kill() })
	defer kill.Stop()
	for range s.lines { // to its end, before Wait closes the pipe
	}
	_ = s.cmd.Wait()
	if took := time.Since(begin); took > within {
		t.Errorf("took %v to end, more than %v:\n%s", took, within, s.text())
	}
	return s.cmd.ProcessState.ExitCode()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestProcessThatDoesNotServe(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	used := busy.Addr().String()
	for _, c := range []struct {
		why            string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"a wrong value", []string{"-idle-timeout", "banana"}, 2, "", "weir: -idle-timeout banana: must be a duration such as 75s, 0 (no limit) to 24h\n"},
		{"an unknown flag", []string{"-bananas"}, 2, "", "weir: -bananas: no such flag; -help lists them\n"},
		{"a missing file", []string{"-config", "/nosuch"}, 1, "", "weir: -config /nosuch: there is no such file"},
		{"a port in use", []string{"-listen", "http://" + used, "-admin", "off"}, 1, "", used},
		{"the admin port in use", []string{"-listen", "http://127.0.0.1:0", "-admin", used}, 1, "", "weir: -admin " + used + ": another program listens there; stop it, or choose another address or off\n"},
		{"an address of another machine", []string{"-listen", "http://192.0.2.1:0", "-admin", "off"}, 1, "", "http://192.0.2.1:0"},
		{"a directory that is not there", []string{"-listen", "http://unix:/nosuch/x.sock", "-admin", "off"}, 1, "", "/nosuch/x.sock"},
		{"TLS without a certificate", []string{"-listen", "https://127.0.0.1:0"}, 2, "", "weir: -listen https://127.0.0.1:0: needs a certificate: give -cert and -key, -acme-domain or -tls-self-signed\n"},
		{"a certificate that is not there", []string{"-listen", "https://127.0.0.1:0", "-admin", "off", "-cert", "/nosuch.pem", "-key", "/nosuch.key"}, 1, "", "weir: -cert /nosuch.pem: there is no such file\n"},
		{"a check of a certificate that is not there", []string{"-check", "-listen", "https://127.0.0.1:0", "-cert", "/nosuch.pem", "-key", "/nosuch.key"}, 1, "", "weir: -cert /nosuch.pem: there is no such file\n"},
		{"a cache that cannot be", []string{"-listen", "https://127.0.0.1:0", "-admin", "off", "-acme-domain", "a.example", "-acme-cache", "/dev/null/acme"}, 1, "", "weir: -acme-cache /dev/null/acme: not a directory\n"},
		{"a check with TLS", []string{"-check", "-listen", "https://127.0.0.1:0", "-tls-self-signed", "-acme-domain", "a.example", "-acme-cache", "nosuch/acme"}, 0, "weir: the configuration is good: 1 listener, at most ", ""},
		{"a check of a cache that cannot be", []string{"-check", "-listen", "https://127.0.0.1:0", "-acme-domain", "a.example", "-acme-cache", "/dev/null/acme"}, 1, "", "weir: -acme-cache /dev/null/acme: not a directory\n"},
		{"a cache where no directory can be", []string{"-listen", "https://127.0.0.1:0", "-admin", "off", "-acme-domain", "a.example", "-acme-cache", "/proc/x"}, 1, "", "weir: -acme-cache /proc/x: cannot be made: its parent does not exist or takes no directory\n"},
		{"a check that warns", []string{"-check", "-listen", "http://127.0.0.1:0", "-proxy-from", "::/0"}, 0, "; warning: -proxy-from ::/0 at http://127.0.0.1:0: whoever connects may claim any address", ""},
		{"the help", []string{"-help"}, 0, "-idle-timeout duration", ""},
		{"the version", []string{"-version"}, 0, "weir ", ""},
		{"the configuration", []string{"-print-config", "-loops", "1"}, 0, "loops 1\n", ""},
		{"a check", []string{"-check"}, 0, "weir: the configuration is good: 2 listeners", ""},
		{"a check of accounts that are not there", []string{"-check", "-users", "/nosuch/users"}, 1, "", "weir: -users: accounts /nosuch/users: "},
		{"a check for people", []string{"-check"}, 0, "\nR17  ", ""},
		{"a check for programs", []string{"-check", "-check-format", "json"}, 0, `"fails": false`, ""},
		{"a check of what others reach", []string{"-check", "-listen", "http://:0"}, 1, "\nweak or off where others than this machine can reach it: R10, R12\n", ""},
		{"what is accepted", []string{"-check", "-listen", "http://:0", "-check-accept", "R10,R12"}, 0, "\nR10  off ", ""},
		{"a row that is none", []string{"-check-accept", "R18"}, 2, "", "weir: -check-accept R18: must be a row of -check, R1 to R17, or a row at a listener such as R10@web\n"},
		{"a check that fails", []string{"-check", "-fd-reserve", "1000000"}, 1, "", "raise it with ulimit -n"},
	} {
		t.Run(c.why, func(t *testing.T) {
			stdout, stderr, code := finish(t, command(t, c.args...))
			if code != c.code || !strings.Contains(stdout, c.stdout) || !strings.Contains(stderr, c.stderr) {
				t.Errorf("exit code %d, want %d\nstdout %q\nstderr %q", code, c.code, stdout, stderr)
			}
			if c.stderr == "" && stderr != "" || c.stderr != "" && (strings.Count(stderr, "\n") != 1 || stdout != "") {
				t.Errorf("not one plain line:\nstdout %q\nstderr %q", stdout, stderr)
			}
		})
	}
}

func TestProcessServesAndStops(t *testing.T) {
	t.Parallel()
	s := start(t, "-drain-timeout", "5m")
	if status, body := get(t, "http://"+s.http+"/"); status != 200 || body != "hello, world!" {
		t.Errorf("got %d %q", status, body)
	}
	for _, want := range []string{"weir_connections ", `weir_accepted_total{listener="http://127.0.0.1:0"} 1`,
		`weir_frames_total{listener="http://127.0.0.1:0"} 1`, `weir_shed_total{reason="idle"} 0`, "go_goroutines ", "process_open_fds "} {
		measured(t, s.admin, want)
	}
	if status, _ := get(t, "http://"+s.admin+"/readyz"); status != 200 {
		t.Errorf("readyz: %d", status)
	}
	s.signal(t, syscall.SIGHUP)
	s.wait(t, "SIGHUP: there is nothing that is read again")
	s.signal(t, syscall.SIGTERM)
	if code := s.end(t, 30*time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, s.text())
	}
	if !strings.Contains(s.text(), `"event": "stopped"`) {
		t.Errorf("the last line is missing:\n%s", s.text())
	}
}

// measured waits until the metrics have something: a loop that is late is left out of them.
func measured(t *testing.T, admin, want string) {
	t.Helper()
	lab.Eventually(t, 30*time.Second, "metrics have "+want, func() bool {
		_, m := get(t, "http://"+admin+"/metrics")
		return strings.Contains(m, want)
	})
}

// halfRequest opens a connection that keeps a drain waiting.
func halfRequest(t *testing.T, s *server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.http)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost:"); err != nil {
		t.Fatal(err)
	}
	measured(t, s.admin, "\nweir_connections 1\n")
	return c
}

func TestProcessFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t, "-drain-timeout", "5m", "-first-frame-timeout", "5m")
	c := halfRequest(t, s)
	s.signal(t, syscall.SIGINT)
	s.wait(t, "stopping")
	if status, body := get(t, "http://"+s.admin+"/readyz"); status != 503 || body != "draining\n" {
		t.Errorf("readyz while draining: %d %q", status, body)
	}
	if _, err := io.WriteString(c, " x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(c); !strings.Contains(string(answer), "hello, world!") {
		t.Errorf("the request in flight was answered %q", answer)
	}
	if code := s.end(t, 30*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, "-drain-timeout", "1h", "-first-frame-timeout", "1h")
	halfRequest(t, s)
	s.signal(t, syscall.SIGTERM)
	s.wait(t, "stopping")
	time.Sleep(sameSignal + 50*time.Millisecond) // an earlier one is taken for the same
	s.signal(t, syscall.SIGTERM)
	s.wait(t, "at once")
	if code := s.end(t, 30*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A log that nobody reads fills its pipe; the server serves, answers its admin and stops all the same.
func TestABlockedLogDoesNotStopTheServer(t *testing.T) {
	t.Parallel()
	nobody, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	if _, err := unix.FcntlInt(log.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Skip("the size of a pipe cannot be set: ", err)
	}
	ports := lab.FreePorts(t, 2)
	cmd := command(t, "-listen", "http://"+ports[0], "-admin", ports[1])
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	ready := func() bool {
		c, err := net.Dial("tcp", ports[0])
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}
	for begin := time.Now(); !ready(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatal("does not start")
		}
	}
	for range 60 { // the start block, 40 events and more: over 8 KiB
		c, err := net.Dial("tcp", ports[0])
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "BAD\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	}
	if status, _ := get(t, "http://"+ports[0]+"/"); status != 200 {
		t.Errorf("got %d", status)
	}
	measured(t, ports[1], `weir_shed_total{reason="malformed"} 60`)
	if n, err := unix.IoctlGetInt(int(nobody.Fd()), unix.TIOCINQ); err != nil || n < 3000 {
		t.Errorf("the log is not blocked: %d bytes, %v", n, err)
	}
	begin := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if took := time.Since(begin); took > 15*logPatience {
		t.Errorf("took %v to stop", took)
	}
}

func TestJSONLinesFromTheStart(t *testing.T) {
	t.Parallel()
	cmd := command(t, "-listen", "http://127.0.0.1:0", "-admin", "off", "-log-format", "json")
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	r := bufio.NewScanner(pipe)
	for r.Scan() {
		if !strings.HasPrefix(r.Text(), "{") || !strings.HasSuffix(r.Text(), "}") {
			t.Errorf("no JSON: %s", r.Text())
		}
		if strings.Contains(r.Text(), `"event":"memory"`) {
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}
