package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"weir/internal/lab"
)

// evil is text that would forge a line, steer a terminal, or hide.
var evil = []struct{ why, text string }{
	{"a second line", "x\r\n{\"level\":\"info\",\"event\":\"auth_success\",\"account\":\"root\"}\r\n"},
	{"LF alone", "x\n2026-01-01T00:00:00Z info forged"},
	{"CR alone", "forged\rx"},
	{"the end of a string", `x","event":"forged","y":"`},
	{"ANSI", "\x1b[2J\x1b[31mx\x1b]0;title\a"},
	{"ANSI in one byte, as a character and as a byte", "\u009b31mx\x9b31m"},
	{"bidi", "user\u202egnp.exe\u2066\u2069\u200f"},
	{"NUL and other controls", "a\x00b\x01\x08\x7f"},
	{"not UTF-8", "\xff\xfe\xc0\xaf\xed\xa0\x80"},
	{"line ends of Unicode", "a\u2028b\u2029c\u0085d"},
	{"nothing to see", "a\u200bb\ufeffc\u00adx"},
	{"placeholders", "%s%n%d ${jndi:ldap://x} {{7*7}} \\n\\x1b"},
	{"a mebibyte", strings.Repeat("A\n", 1<<19)},
}

// checkLog fails the test unless each line is one JSON object without anything that a terminal or a reader of lines
// would not show as it is, and returns the objects.
func checkLog(t *testing.T, log string) (out []map[string]any) {
	t.Helper()
	if !strings.HasSuffix(log, "\n") {
		t.Error("the last line has no end")
	}
	for line := range strings.Lines(log) {
		var m map[string]any
		dec := json.NewDecoder(strings.NewReader(line))
		if err := dec.Decode(&m); err != nil || m["level"] == nil || m["event"] == nil {
			t.Errorf("%v: %.300q", err, line)
			continue
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Errorf("more than one object: %.300q", line)
		}
		if len(line) > 16<<10 {
			t.Errorf("%d bytes: %.300q", len(line), line)
		}
		checkText(t, strings.TrimSuffix(line, "\n"))
		for k, v := range m {
			if s, ok := v.(string); ok && k != "stack" {
				checkText(t, s) // what \u in JSON stands for counts too
			}
		}
		out = append(out, m)
	}
	return out
}

func checkText(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %.300q", s)
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff || r == 0xfffd {
			t.Errorf("%U in %.300q", r, s)
			return
		}
	}
}

// TestNobodyForgesTheLog says evil things wherever the log repeats what peers say: account names, passwords, tokens,
// paths, methods, fields, server names, lines, frames.
func TestNobodyForgesTheLog(t *testing.T) {
	ports := lab.FreePorts(t, 2)
	d := startDoors(t, []string{"frames", "line", "http", "https", "line+tls"}, append([]string{"-sni-strict", "-log-level", "debug",
		"-listen", "http://" + ports[0] + "?files=" + t.TempDir(), "-listen", "line://" + ports[1]}, patient...)...)
	b64 := base64.StdEncoding.EncodeToString
	send := func(addr, text string) {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, text) // a mebibyte may be cut
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c)
	}
	for _, e := range evil {
		short := e.text[:min(len(e.text), 900)]
		for _, text := range []string{e.text, short} {
			for _, say := range []string{
				"AUTH SCRAM-SHA-256 " + b64([]byte("n,,n="+text+",r=abcdefgh")), "AUTH SCRAM-SHA-256 " + b64([]byte("n,a="+text+",n=alice,r="+text)),
				"AUTH TOKEN " + b64([]byte(text)), "AUTH " + text, text,
			} {
				send(d.at["line"], say+"\n")
				head := []byte{byte(len(say) >> 24), byte(len(say) >> 16), byte(len(say) >> 8), byte(len(say))}
				send(d.at["frames"], string(head)+say)
			}
			send(ports[1], text)
			for _, head := range []string{
				"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic " + b64([]byte(text+":"+text)) + "\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + text + "\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: " + text + "\r\n\r\n",
				"GET /" + text + " HTTP/1.1\r\nHost: x\r\n\r\n",
				"GET /../" + text + " HTTP/1.1\r\nHost: x\r\n\r\n",
				"GET /..%2f" + escapeAll(text) + " HTTP/1.1\r\nHost: x\r\n\r\n",
				text + " / HTTP/1.1\r\nHost: x\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: " + text + "\r\n\r\n",
				"GET / HTTP/1.1\r\nHost: x\r\n" + text + ": " + text + "\r\n\r\n",
			} {
				send(d.at["http"], head)
				send(ports[0], head)
			}
			send(d.at["https"], text)
			if c, err := net.Dial("tcp", d.at["https"]); err == nil {
				c.SetDeadline(time.Now().Add(20 * time.Second))
				tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: text[:min(len(text), 60_000)]}).Handshake()
				c.Close()
			}
		}
		c := d.dial(t, "line+tls", "")
		c.token(short)
		c.Close()
		time.Sleep(300 * time.Millisecond) // so that the log is told of some of each, not only of the first
	}
	d.Alive(t)
	d.Signal(t, syscall.SIGTERM)
	if err := d.Wait(patience); err != nil {
		t.Fatal(err)
	}
	seen, escaped := map[string]int{}, 0
	for _, m := range checkLog(t, d.Log()) {
		if m["level"] == "info" && m["event"] == "auth_success" || m["event"] == "forged" {
			t.Errorf("forged: %v", m)
		}
		seen[fmt.Sprint(m["event"], " ", m["reason"])]++
		for _, v := range m {
			if text, _ := v.(string); strings.Contains(text, `\x`) || strings.Contains(text, `\u`) || strings.Contains(text, `\n`) {
				escaped++
			}
		}
	}
	// Few: names that no account can have are not even repeated.
	t.Logf("%v; %d texts escaped", seen, escaped)
	if seen["auth_failure auth-failed"] < 30 || seen["shed malformed"] < 20 || seen["path_traversal traversal"] < 5 || seen["shed tls"] < 5 || seen["stopped <nil>"] != 1 {
		t.Error("the log has not even seen all of it")
	}
}

// escapeAll writes each byte as HTTP escapes it.
func escapeAll(s string) string {
	var b bytes.Buffer
	for i := range min(len(s), 1000) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

// TestTheLogOfAFloodAddsUp refuses several hundred thousand connections, frames and logins. The log stays short, and its
// numbers are those of the metrics.
func TestTheLogOfAFloodAddsUp(t *testing.T) {
	length, least := "10s", 50_000.
	if testing.Short() {
		length, least = "2s", 20_000.
	}
	d := startDoors(t, []string{"http"})
	var all sync.WaitGroup
	for _, args := range [][]string{
		{"connection-flood", "-target", "http://" + d.Server.HTTP + "/", "-sources", "100", "-total", "10000000"},
		{"frame-flood", "-target", "frames://" + d.Server.Frames, "-sources", "4"},
		{"auth-flood", "-target", "http://" + d.at["http"] + "/", "-user", "alice"},
	} {
		all.Go(func() {
			if out, err := exec.Command(lab.Command(t, "bench"), append(append([]string{"attack"}, args...), "-duration", length)...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v: %s", args, err, out)
			}
		})
	}
	all.Wait()
	// What was counted a moment ago is the end of it when nobody is there any more.
	sheds := func() (lab.Metrics, float64) {
		m, sum := scrape(t, d.Server), 0.
		for series, v := range m {
			if strings.HasPrefix(series, "weir_shed_total{") {
				sum += v
			}
		}
		return m, sum
	}
	var m lab.Metrics
	last := -1.
	lab.Eventually(t, patience, "nothing more is shed", func() bool {
		time.Sleep(300 * time.Millisecond)
		var sum float64
		m, sum = sheds()
		same := sum == last && m["weir_connections"] == 0
		last = sum
		return same
	})
	d.Signal(t, syscall.SIGTERM)
	if err := d.Wait(patience); err != nil {
		t.Fatal(err)
	}
	told, lines := map[string]float64{}, 0
	for _, e := range checkLog(t, d.Log()) {
		lines++
		reason, _ := e["reason"].(string)
		if e["summary"] != true {
			told[reason]++
		}
		if n, ok := e["dropped"].(float64); ok && reason != "" {
			told[reason] += n
		}
	}
	for series, v := range m {
		if reason, ok := strings.CutPrefix(series, `weir_shed_total{reason="`); ok {
			if reason = strings.TrimSuffix(reason, `"}`); told[reason] != v {
				t.Errorf("%s: the log adds up to %v, the metrics have %v", reason, told[reason], v)
			} else if v > 0 {
				t.Logf("%s: %v", reason, v)
			}
		}
	}
	t.Logf("%v refusals in %d lines", last, lines)
	if last < least || lines > 3000 {
		t.Errorf("%v refusals in %d lines", last, lines)
	}
	if m["weir_events_dropped_total"]+m["weir_log_lines_dropped_total"] > 0 {
		t.Logf("%v events and %v lines found their queues full", m["weir_events_dropped_total"], m["weir_log_lines_dropped_total"])
	}
}
