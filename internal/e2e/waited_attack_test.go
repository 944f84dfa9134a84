package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestWhatWaitedForItsPasswordIsAnsweredAsItself: while the password of one request is hashed, somebody
// without any sends heads of another kind on the same loop. A reader's request must not become an upload
// by that, nor a writer's be refused, or stored where it was not sent to.
func TestWhatWaitedForItsPasswordIsAnsweredAsItself(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("what is served"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDoors(t, []string{"http?files=" + root + "&uploads=" + root + "&auth-plain=1&scope=GET:/=read&scope=PUT:/=write"},
		append([]string{"-loops", "1", "-source-conns", "0", "-source-unproven", "0"}, patientPlain...)...)
	d.weir(t, "user add -scopes read,write carol")
	d.Signal(t, syscall.SIGHUP)
	lab.Eventually(t, patience, "carol is known", func() bool { return strings.Contains(d.Log(), "accounts were reloaded") })

	for _, c := range []struct{ why, who, request, meanwhile, want, then string }{
		{"a reader, and an upload that is refused", "bob", "GET /f", "PUT /made", "200", ""},
		{"a writer, and requests to read", "alice", "PUT /hers", "GET /f", "201", "hers"},
		{"a writer, and uploads to elsewhere", "carol", "PUT /own", "PUT /made", "201", "own"},
	} {
		t.Run(c.why, func(t *testing.T) {
			stop := make(chan bool)
			var asked atomic.Int64
			var all sync.WaitGroup
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
					}
					o, err := net.Dial("tcp", d.at["http"])
					if err != nil {
						continue
					}
					o.SetDeadline(time.Now().Add(patience))
					fmt.Fprintf(o, "%s HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n", c.meanwhile)
					io.Copy(io.Discard, o)
					o.Close()
					asked.Add(1)
				}
			})
			lab.Eventually(t, patience, "others ask meanwhile", func() bool { return asked.Load() >= 10 })
			body := "by " + fmt.Sprintf("%-11s", c.who)
			credentials := base64.StdEncoding.EncodeToString([]byte(c.who + ":" + password))
			answer := "HTTP/1.1 503"
			for end := time.Now().Add(patience); time.Now().Before(end) && strings.HasPrefix(answer, "HTTP/1.1 503"); { // passwords are hashed with pauses
				answer = exchangeOnce(t, d.at["http"], c.request+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Basic "+credentials+"\r\nContent-Length: 14\r\n\r\n"+body)
			}
			close(stop)
			all.Wait()
			if !strings.HasPrefix(answer, "HTTP/1.1 "+c.want) || c.who == "bob" && !strings.HasSuffix(answer, "what is served") {
				t.Errorf("answered %q", answer)
			}
			if c.then != "" {
				if b, err := os.ReadFile(filepath.Join(root, c.then)); err != nil || string(b) != body {
					t.Errorf("%s holds %q, %v", c.then, b, err)
				}
			}
			if b, err := os.ReadFile(filepath.Join(root, "made")); err == nil {
				t.Errorf("somebody without a right to it has stored %q", b)
				os.Remove(filepath.Join(root, "made"))
			}
		})
	}
}

// exchangeOnce sends text over a connection of its own and returns all that comes back.
func exchangeOnce(t *testing.T, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, text)
	b, _ := io.ReadAll(c)
	return string(b)
}
