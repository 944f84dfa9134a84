package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestAlerts floods a server that tells two receivers: one takes what it is told, the other never
// answers.
func TestAlerts(t *testing.T) {
	got := make(chan map[string]any, 100)
	good := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var a map[string]any
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		a["signed"] = strings.HasPrefix(r.Header.Get("Weir-Signature"), "sha256=")
		got <- a
	}))
	defer good.Close()
	var reached atomic.Bool
	end := make(chan bool)
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached.Store(true)
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}))
	defer dead.Close()
	defer close(end)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789-5ecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"-alert-url", "http://user:5ecret@" + strings.TrimPrefix(good.URL, "http://") + "/5ecret", "-alert-url", dead.URL + "/5ecret",
		"-alert-secret-file", secret, "-alert-rule", "sheds=shed:20/5s/1h"}
	s := lab.Start(t, nil, append(flags, "-source-conn-rate", "1", "-source-conn-burst", "5", "-log-format", "json")...)
	begun := time.Now()
	var a map[string]any
	for a == nil {
		if time.Since(begun) > patience {
			t.Fatal("nobody is told")
		}
		time.Sleep(1200 * time.Millisecond) // what is there at the first look, which may be later, is no rise
		for range 100 {
			if c, err := net.Dial("tcp", s.HTTP); err == nil {
				c.Close()
			}
		}
		select {
		case a = <-got:
		case <-time.After(3 * time.Second):
		}
	}
	if a["rule"] != "sheds" || a["key"] != "source-conn-rate" || a["value"].(float64) < 20 || a["threshold"] != 20. || a["signed"] != true || a["id"] == "" || a["host"] == "" {
		t.Errorf("told %v", a)
	}
	t.Logf("told %s after the start: %v", time.Since(begun), a["text"])
	lab.Eventually(t, 30*time.Second, "the other receiver is tried", reached.Load)
	// The receiver has it before we know that it has.
	lab.Eventually(t, 30*time.Second, "the delivery is counted", func() bool {
		return scrape(t, s)[`weir_alert_deliveries_total{outcome="ok",receiver="`+good.URL+`"}`] == 1
	})
	m := scrape(t, s)
	if m[`weir_alerts_fired_total{rule="sheds"}`] != 1 || m[`weir_alert_deliveries_total{outcome="ok",receiver="`+good.URL+`"}`] != 1 ||
		m[`weir_alert_deliveries_total{outcome="ok",receiver="`+dead.URL+`"}`] != 0 {
		t.Errorf("counted %v, %v", m[`weir_alerts_fired_total{rule="sheds"}`], m[`weir_alert_deliveries_total{outcome="ok",receiver="`+good.URL+`"}`])
	}
	begun = time.Now()
	s.Signal(t, syscall.SIGTERM)
	if err := s.Wait(patience); err != nil || time.Since(begun) > 5*time.Second {
		t.Errorf("it ends after %s: %v", time.Since(begun), err)
	}
	if log := s.Log(); strings.Contains(log, "5ecret") || !strings.Contains(log, `"event":"alert"`) || !strings.Contains(log, `"event":"alert_failed"`) {
		t.Error("the log has a secret, or has not what it should")
	}

	command := func(args ...string) (string, int) {
		cmd := exec.Command(lab.Command(t, "server"), args...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := command(append([]string{"alert", "test"}, flags[:2]...)...); code != 0 || !strings.HasPrefix(out, good.URL+": delivered in ") {
		t.Errorf("exit code %d: %s", code, out)
	}
	if a := <-got; a["rule"] != "test" {
		t.Errorf("told %v", a)
	}
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403); io.WriteString(w, "5ecret") }))
	defer gone.Close()
	if out, code := command(append([]string{"alert", "test", "-alert-url", gone.URL + "/5ecret"}, flags[:2]...)...); code != 1 || !strings.Contains(out, gone.URL+": not delivered: it answers 403 Forbidden\n") ||
		!strings.Contains(out, good.URL+": delivered in ") || strings.Contains(out, "5ecret") || strings.Count(out, "\n") != 2 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := command("alert", "test"); code != 2 || out != "weir: alert test: whom to tell? give -alert-url\n" {
		t.Errorf("exit code %d: %s", code, out)
	}
	if out, code := command(append([]string{"-print-config"}, flags[:4]...)...); code != 0 || strings.Contains(out, "5ecret") {
		t.Errorf("exit code %d: -print-config shows a secret", code)
	}
}

// TestAlertOfGuessing has somebody guess alice's password.
func TestAlertOfGuessing(t *testing.T) {
	got := make(chan map[string]any, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var a map[string]any
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
			t.Error(err)
		}
		got <- a
	}))
	defer receiver.Close()
	users := filepath.Join(t.TempDir(), "users")
	add := exec.Command(lab.Command(t, "server"), "user", "add", "-users", users, "alice")
	add.Stdin = strings.NewReader("correct horse battery\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr := lab.FreePorts(t, 1)[0]
	lab.Start(t, nil, "-listen", "http://"+addr+"?auth=required&auth-plain=1", "-users", users, "-alert-url", receiver.URL, "-alert-rule", "accounts=auth-failed:20/60s")
	for i := range 60 {
		req, _ := http.NewRequest("GET", "http://"+addr+"/", nil)
		req.SetBasicAuth("alice", fmt.Sprint("guess ", i))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Fatal("guessed")
		}
		wait := 100 * time.Millisecond
		if i == 59 {
			wait = patience
		}
		select {
		case a := <-got:
			if a["rule"] != "accounts" || a["key"] != "alice" || a["value"] != 20. {
				t.Errorf("told %v", a)
			}
			t.Logf("told at guess %d: %v", i+1, a["text"])
			return
		case <-time.After(wait):
		}
	}
	t.Error("nobody is told")
}
