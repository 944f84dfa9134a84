package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/internal/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Clean()
	os.Exit(code)
}

// run runs a command and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(lab.Need(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestCurl(t *testing.T) {
	lab.Need(t, "curl")
	s := lab.Start(t, nil, "-max-body", "8MiB")
	file := filepath.Join(t.TempDir(), "body")
	body := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // 4 MiB
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://" + s.HTTP
	for _, tc := range []struct {
		why  string
		args []string
		want string // what must be in the output
	}{
		{"hello", []string{"-si", url + "/"}, "\r\n\r\nhello, world!"},
		{"it is text/plain", []string{"-si", url + "/"}, "Content-Type: text/plain"},
		{"HEAD has the same head and no body", []string{"-sI", url + "/"}, "Content-Length: 13"},
		{"HTTP/1.0 closes", []string{"-0si", url + "/"}, "Connection: close"},
		{"HTTP/1.0 with keep-alive", []string{"-0si", "-H", "Connection: keep-alive", url + "/"}, "Connection: keep-alive"},
		{"unknown paths", []string{"-si", url + "/nothing"}, "HTTP/1.1 404"},
		{"wrong methods", []string{"-si", "-X", "DELETE", url + "/"}, "HTTP/1.1 405"},
		{"and what would be right", []string{"-si", "-X", "DELETE", url + "/"}, "Allow: GET, HEAD"},
		{"who am I", []string{"-s", url + "/whoami"}, `"source": "127.0.0.1/32"`},
		{"two requests, one connection", []string{"-sv", url + "/", url + "/whoami"}, "Re-using existing"},
		{"a body that is too large", []string{"-si", "-H", "Content-Length: 99999999", "-X", "POST", "-d", "x", url + "/echo"}, "HTTP/1.1 413"},
	} {
		out, _ := exec.Command("curl", append([]string{"-m", "60"}, tc.args...)...).CombinedOutput()
		if !strings.Contains(strings.ToLower(string(out)), strings.ToLower(tc.want)) {
			t.Errorf("%s: no %q in\n%s", tc.why, tc.want, out)
		}
	}
	want := sha256.Sum256(body)
	for why, args := range map[string][]string{
		"a large body with Expect: 100-continue": {"-H", "Expect: 100-continue"},
		"a large body at once":                   {"-H", "Expect:"},
		"a chunked body":                         {"-H", "Transfer-Encoding: chunked"},
		"a PUT":                                  {"-X", "PUT"},
	} {
		out, err := exec.Command("curl", append(args, "-sS", "-m", "60", "--data-binary", "@"+file, url+"/echo")...).Output()
		if err != nil || sha256.Sum256(out) != want {
			t.Errorf("%s: %d bytes came back, %v", why, len(out), err)
		}
	}
}

// TestWrk drives the defaults, which limit it, and the bench profile, which does not.
func TestWrk(t *testing.T) {
	lab.Need(t, "wrk")
	s := lab.Start(t, nil)
	out := run(t, "wrk", "-t1", "-c16", "-d2s", "--timeout", "60s", "http://"+s.HTTP+"/")
	if !regexp.MustCompile(`Requests/sec: +[1-9]`).MatchString(out) {
		t.Errorf("nothing was served:\n%s", out)
	}
	if m := scrape(t, s); m.Shed("source-frames") == 0 {
		t.Error("the default limit on frames was not met")
	}
	s.Alive(t)

	s = lab.Start(t, nil, "-profile", "bench")
	out = run(t, "wrk", "-t1", "-c64", "-d2s", "--timeout", "60s", "http://"+s.HTTP+"/")
	if strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		t.Errorf("the bench profile limits:\n%s", out)
	}
}

func TestGoClientOverUnixAndIPv6(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.sock")
	s := lab.Start(t, nil, "-listen", "http://unix:"+path, "-listen", "http://[::1]:0?name=six")
	tr := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get("http://unix/whoami")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(b), `"peer": "unix"`) || !strings.Contains(string(b), `"exempt": true`) {
		t.Errorf("%s", b)
	}
	s.Alive(t)
}

// TestPython talks frames and lines as a client in another language would.
func TestPython(t *testing.T) {
	python := lab.Need(t, "python3")
	s := lab.Start(t, nil)
	script := fmt.Sprintf(`
import socket, struct
def addr(a): h, p = a.rsplit(":", 1); return h, int(p)
f = socket.create_connection(addr(%q)); f.settimeout(60)
def recv(n):
    b = b""
    while len(b) < n:
        d = f.recv(n - len(b))
        assert d, "closed after %%d of %%d" %% (len(b), n)
        b += d
    return b
for n in (1, 2, 100, 65536, 1048576):
    p = bytes(i %% 251 for i in range(n))
    f.sendall(struct.pack(">I", n) + p)
    assert recv(4 + n) == struct.pack(">I", n) + p, n
f.sendall(struct.pack(">I", 1048577))
assert f.recv(1) == b"" if True else None
`, s.Frames)
	script = strings.Replace(script, `assert f.recv(1) == b"" if True else None`, `
try: assert f.recv(1) == b""
except ConnectionResetError: pass
l = socket.create_connection(addr("`+s.Line+`")); l.settimeout(60)
l.sendall(b"one\r\ntwo\n")
g = l.makefile("rb")
assert g.readline() == b"one\r\n" and g.readline() == b"two\r\n"
print("ok")`, 1)
	out, err := exec.Command(python, "-c", script).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "ok" {
		t.Fatalf("%v\n%s", err, out)
	}
}
