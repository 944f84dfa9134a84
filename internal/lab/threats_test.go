package lab

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weir/guard"
)

// TestThreatModelNamesTestsThatExist holds docs/threat-model.md to its promise: every test that it names is there, and so are its sections.
func TestThreatModelNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"Assets", "Attackers", "Entry points", "In scope", "Out of scope", "Attacks"} {
		if !strings.Contains(string(page), "\n## "+section+"\n") {
			t.Errorf("there is no section %s", section)
		}
	}
	named := regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?((?:Test|Fuzz|Benchmark)[A-Za-z0-9]+)`").FindAllStringSubmatch(string(page), -1)
	if len(named) < 50 {
		t.Fatalf("only %d tests are named", len(named))
	}
	tests := map[string]string{} // the text of a folder's tests
	if err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "_test.go") {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			tests[strings.TrimPrefix(filepath.Dir(path), "../../")] += string(text)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, n := range named {
		found := false
		for folder, text := range tests {
			if folder == n[1] || n[1] == "" || strings.HasSuffix(folder, "/"+n[1]) {
				found = found || strings.Contains(text, "func "+n[2]+"(")
			}
		}
		if !found {
			t.Errorf("%s names %s, which does not exist", "docs/threat-model.md", n[0])
		}
	}
}

// TestThreatModelHasEveryReason: what a connection can be refused or ended for stands beside an attack, but
// for what is no sign of one.
func TestThreatModelHasEveryReason(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	_, attacks, _ := strings.Cut(string(page), "\n## Attacks\n")
	for r := guard.OK + 1; int(r) < guard.Reasons; r++ {
		if !strings.Contains(attacks, "`"+r.Label()+"`") {
			t.Errorf("%s (%s) stands beside no attack", r.Label(), r.Level())
		}
	}
}
