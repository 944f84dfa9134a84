package lab

import (
	"os/exec"
	"strings"
	"testing"
)

// arrows says what each folder may import of weir's own; a trailing slash means the folder and all
// below it. docs/architecture.md draws the same.
var arrows = map[string][]string{
	"codec":                {},
	"codec/":               {"codec"},
	"guard":                {"guard/mono", "guard/source", "guard/bucket", "guard/budget", "guard/wheel", "guard/census"},
	"guard/mono":           {},
	"guard/source":         {},
	"guard/bucket":         {"guard/mono", "guard/source"},
	"guard/budget":         {"guard/mono"},
	"guard/wheel":          {"guard/mono"},
	"guard/census":         {"guard/source"},
	"engine":               {"guard", "guard/mono", "codec", "codec/clienthello", "codec/proxyproto", "engine/epoll", "engine/service", "engine/tlsio"},
	"engine/epoll":         {},
	"engine/tlsio":         {},
	"engine/certs":         {},
	"engine/auth/accounts": {},
	"engine/auth/sasl":     {"engine/auth/accounts"},
	"engine/auth/attempts": {"guard/mono", "guard/source", "guard/bucket"},
	"engine/auth/gate":     {"engine/service", "engine/auth/accounts", "engine/auth/sasl", "engine/auth/attempts", "codec", "codec/", "guard/mono", "guard/source"},
	"engine/auth/client":   {"codec", "codec/length", "codec/signed", "engine/auth/sasl"},
	"engine/service":       {"codec"},
	"engine/service/echo":  {"engine/service", "codec", "codec/"},
	"engine/service/web":   {"engine/service", "codec", "codec/http1"},
	"engine/service/hello": {"engine/service", "engine/service/web", "codec", "codec/"},
	"engine/service/files": {"engine/service", "engine/service/web", "codec", "codec/"},
	"engine/service/relay": {"engine/service", "engine/service/web", "codec", "codec/"},
	"internal/acme":        {},
	"internal/acme/pebble": {"internal/lab"},
	"internal/admin":       {},
	"internal/alerts":      {"engine", "guard", "internal/events"},
	"internal/events":      {"engine", "guard"},
	"internal/metrics":     {"engine", "engine/service", "guard", "codec"},
	"internal/posture":     {"engine", "engine/auth/accounts", "internal/say", "internal/scheme"},
	"internal/say":         {"internal/events"},
	"internal/scheme":      {},
	"internal/usercmd":     {"engine/auth/accounts", "internal/say"},
	"internal/lab":         {},
	"internal/e2e":         {},
	"cmd/server":           {"engine", "engine/", "guard", "guard/", "codec/", "internal/acme", "internal/admin", "internal/alerts", "internal/events", "internal/metrics", "internal/posture", "internal/say", "internal/scheme", "internal/usercmd"},
	"bench":                {"bench/"},
	"bench/":               {"bench", "bench/"},
	"cmd/bench":            {"bench", "bench/"},
}

// TestArrows compares the drawing with what the code imports, tests left out.
func TestArrows(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "weir/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		pkg := strings.TrimPrefix(f[0], "weir/")
		allowed, known := arrows[pkg]
		if !known {
			dir, _, _ := strings.Cut(pkg, "/")
			if allowed, known = arrows[dir+"/"]; !known {
				t.Errorf("%s is not in the drawing", pkg)
				continue
			}
		}
		seen++
		for _, imp := range f[1:] {
			if imp, ours := strings.CutPrefix(imp, "weir/"); ours && !permits(allowed, imp) {
				t.Errorf("%s imports %s, which the drawing does not show", pkg, imp)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

func permits(allowed []string, imp string) bool {
	for _, a := range allowed {
		if a == imp || strings.HasSuffix(a, "/") && strings.HasPrefix(imp, a) {
			return true
		}
	}
	return false
}
