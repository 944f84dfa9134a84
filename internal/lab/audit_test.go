package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAudit runs what make audit runs, without the network: an audit that could not be made says so in a line and fails, one
// with a copy of the vulnerability database is made.
func TestAudit(t *testing.T) {
	if testing.Short() {
		t.Skip("it analyses the whole module twice")
	}
	// The audit itself is made without the network below; it needs the modules of the tools.
	for _, args := range [][]string{{"mod", "download"}, {"list", "-m", "all"}, {"tool", "-n", "govulncheck"}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	db := filepath.Join(t.TempDir(), "index")
	if err := os.Mkdir(db, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"db.json": `{"modified":"2026-01-01T00:00:00Z"}`, "modules.json": "[]", "vulns.json": "[]"} {
		if err := os.WriteFile(filepath.Join(db, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		why, db string
		want    []string
	}{
		{"a database that is not reached", "http://127.0.0.1:1", []string{"\naudit: the vulnerability database http://127.0.0.1:1 cannot be reached"}},
		{"a copy", "file://" + filepath.Dir(db), []string{"\nNo vulnerabilities found."}},
	} {
		cmd := exec.Command("../../.ci/audit.sh")
		cmd.Env = append(os.Environ(), "GOPROXY=off", "VULNDB="+c.db)
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s: passed, with a proxy that is off", c.why)
		}
		for _, want := range append(c.want, "all modules verified\n", "go.uber.org/zap  ", " MIT  ", "\naudit: GOPROXY is off, so nothing is known of newer versions\n") {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: no %q in\n%s", c.why, want, out)
			}
		}
		if strings.Contains(string(out), " unknown  ") {
			t.Errorf("%s: a dependency without a licence:\n%s", c.why, out)
		}
	}
}
