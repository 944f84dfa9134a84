package codec

import (
	"regexp"
	"testing"
)

func TestEveryFaultIsNamedOnce(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	seen := map[string]Fault{}
	for f := range Fault(Faults) {
		if !form.MatchString(f.Label()) || f.Error() == "" {
			t.Errorf("fault %d: label %q, text %q", f, f.Label(), f.Error())
		}
		if other, ok := seen[f.Label()]; ok {
			t.Errorf("faults %d and %d share the label %q", f, other, f.Label())
		}
		seen[f.Label()] = f
	}
	if f := Fault(Faults); f.Label() != "unknown" || f.Error() != "unknown fault" {
		t.Errorf("beyond the list: %q, %q", f.Label(), f.Error())
	}
}
