package alerts

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/engine"
	"weir/guard"
	"weir/internal/lab"
)

// trip is an http.RoundTripper for bubbles, where there is no network.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(code int) (*http.Response, error) {
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}}, nil
}

// begin is Open with a transport of the test's.
func begin(t *testing.T, cfg Config, f trip) *Alerts {
	t.Helper()
	a, err := prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.sender.client.Transport = f
	for _, r := range a.receivers {
		a.sending.Go(func() { r.run(a.sender) })
	}
	return a
}

func delivered(a *Alerts) string {
	_, all := a.Stats()
	return fmt.Sprint(all)
}

// TestWatch has the whole of it, but for the network: counters that rise, and events about accounts.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var in Reading
		var got []string
		a := begin(t, Config{URLs: []string{"slack+https://a.example/x"}, Host: "edge-1"}, func(r *http.Request) (*http.Response, error) {
			b, _ := io.ReadAll(r.Body)
			mu.Lock()
			got = append(got, string(b))
			mu.Unlock()
			return answer(200)
		})
		a.Watch(func() Reading { mu.Lock(); defer mu.Unlock(); return in })
		time.Sleep(1500 * time.Millisecond)
		mu.Lock()
		in.Shed[guard.ShedSourceConns] = 5000
		mu.Unlock()
		time.Sleep(time.Second)
		for range 25 {
			a.Tell(engine.Event{Reason: guard.ShedAuthFailed, Account: "<!channel>\n\x1b[2J&"})
			a.Tell(engine.Event{Reason: guard.ShedIdle, Account: "bob"})
			a.Tell(engine.Event{Reason: guard.OK, Account: "bob"})
			a.Tell(engine.Event{Reason: guard.ShedAuthFailed})
		}
		time.Sleep(time.Second)
		a.Close(time.Second)
		want := []string{
			`{"text":"edge-1: 5000 connections were refused or ended for source-conns within 10s (rule sheds: 1000)"}`,
			`{"text":"edge-1: 20 attempts to authenticate failed at the account \u0026lt;!channel\u0026gt;\\n\\x1b[2J\u0026amp; within 60s (rule accounts: 20)"}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		rules, _ := a.Stats()
		if fmt.Sprint(rules) != "[{sheds 1} {accounts 1} {descriptors 0} {panics 0} {servers 0}]" {
			t.Error(rules)
		}
	})
}

// TestSignatureByThePage has the few lines of docs/operations.md verify what a receiver got.
func TestSignatureByThePage(t *testing.T) {
	python := lab.Need(t, "python3")
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(page), "```python\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("the page has no Python")
	}
	type taken struct {
		head http.Header
		body []byte
	}
	got := make(chan taken, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- taken{r.Header, b}
	}))
	defer s.Close()
	const secret = "0123456789abcdef"
	all, err := Test(Config{URLs: []string{s.URL + "/hook"}, Secret: []byte(secret), Host: "edge-1", Agent: "weir/v1"})
	if err != nil || len(all) != 1 || all[0].Err != nil {
		t.Fatal(all, err)
	}
	in := <-got
	if in.head.Get("User-Agent") != "weir/v1" || in.head.Get("Content-Type") != "application/json" {
		t.Error(in.head)
	}
	verify := func(body, at, signature string) string {
		cmd := exec.Command(python, "-c", code+"\nimport sys\nprint(verify(sys.argv[1].encode(), sys.stdin.buffer.read(), sys.argv[2], sys.argv[3]))", secret, at, signature)
		cmd.Stdin = strings.NewReader(body)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	at, signature := in.head.Get(headerTime), in.head.Get(headerSignature)
	for _, c := range []struct{ body, at, signature, want string }{
		{string(in.body), at, signature, "True"},
		{string(in.body) + " ", at, signature, "False"},
		{string(in.body), at[:len(at)-1], signature, "False"},
		{string(in.body), at, signature[:len(signature)-1], "False"},
		{string(in.body), "1000", "sha256=" + sign([]byte(secret), "1000", in.body), "False"}, // too old
	} {
		if got := verify(c.body, c.at, c.signature); got != c.want {
			t.Errorf("%q %s %s: %s, want %s", c.body, c.at, c.signature, got, c.want)
		}
	}
	if _, err := prepare(Config{URLs: []string{s.URL}, Secret: []byte("short")}); err == nil {
		t.Error("a short secret is taken")
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(path, []byte("0123456789abcdef\r\n\n"), 0o600)
	if b, err := ReadSecret(path); string(b) != "0123456789abcdef" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	os.WriteFile(path, []byte("0123456789abcde\n"), 0o600)
	if _, err := ReadSecret(path); err == nil || strings.Contains(err.Error(), "0123") {
		t.Error(err)
	}
	os.WriteFile(path, []byte("0123456789abcdef\n"), 0o600)
	for _, mode := range []os.FileMode{0o644, 0o660, 0o602} {
		os.Chmod(path, mode)
		if _, err := ReadSecret(path); err == nil || !strings.HasPrefix(err.Error(), "others may read or write it (mode 06") {
			t.Errorf("%v: %v", mode, err)
		}
	}
	os.Chmod(path, 0o440) // as LoadCredential= of systemd makes it
	if _, err := ReadSecret(path); err != nil {
		t.Error(err)
	}
	if _, err := ReadSecret(filepath.Dir(path)); err == nil || err.Error() != "is no regular file" {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ReadSecret(path + "x"); err == nil {
		t.Error("no file")
	}
}
