package say

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestWordsForPeople(t *testing.T) {
	for _, c := range []struct{ got, want, why string }{
		{Shown("web"), "web", "what cannot be misread stands as it is"},
		{Shown(""), `""`, "nothing would not be seen"},
		{Shown("a b"), `"a b"`, "nor where it ends"},
		{Shown("a\nweir: all is well"), `"a\\nweir: all is well"`, "one line stays one"},
		{OneOf([]string{"a"}), "a", ""},
		{OneOf([]string{"a", "b", "c"}), "a, b or c", ""},
		{AllOf([]string{"a", "b"}), "a and b", ""},
		{AllOf(nil), "", ""},
		{Several(1, "token"), "1 token", ""},
		{Several(1234, "token"), "1,234 tokens", ""},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s: %s", c.got, c.want, c.why)
		}
	}
	if got := Wrap("one two  three-and-more four", 8); !slices.Equal(got, []string{"one two", "three-and-more", "four"}) {
		t.Errorf("%q", got)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	takes := func(flag string) string { return map[string]string{"loops": "a whole number"}[flag] }
	for _, c := range []struct {
		err  error
		want string
	}{
		{Wrong("-loops", "x y", "must be a whole number"), `-loops "x y": must be a whole number`},
		{LineError(errors.New("flag provided but not defined: -x\n"), takes), `-x\n: no such flag; -help lists them`},
		{LineError(errors.New("flag needs an argument: -loops"), takes), "-loops: needs a value: a whole number"},
		{LineError(errors.New("flag needs an argument: -admin"), takes), "-admin: needs a value; -help tells more"},
		{LineError(errors.New("flag needs an argument: -loops"), nil), "-loops: needs a value; -help tells more"},
		{LineError(errors.New("bad flag syntax: -="), takes), "bad flag syntax: -=; -help lists the flags"},
	} {
		if got := c.err.Error(); got != c.want || strings.Contains(got, "\n") {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
