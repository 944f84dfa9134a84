package main

import (
	"errors"
	"strings"
	"testing"
)

func TestRegionsAreReplacedAndNothingElse(t *testing.T) {
	const text = "# A\n\n<!-- peers:hello -->\nold\n<!-- /peers -->\n\nbetween\n\n<!-- peers:idle -->\n\nkept\n\n<!-- /peers -->\nend"
	const want = "# A\n\n<!-- peers:hello -->\n\nnew\n\n<!-- /peers -->\n\nbetween\n\n<!-- peers:idle -->\n\nkept\n\n<!-- /peers -->\nend"
	content := func(name string) (string, error) {
		if name == "hello" {
			return "new\n", nil
		}
		return "", nil // not measured
	}
	got, err := replaceRegions(text, content)
	if err != nil || got != want {
		t.Fatalf("%v:\n%s\nwant\n%s", err, got, want)
	}
	again, err := replaceRegions(got, content)
	if err != nil || again != want {
		t.Errorf("a second time it changes: %v\n%s", err, again)
	}
}

func TestBrokenMarkersAreErrors(t *testing.T) {
	for why, text := range map[string]string{
		"no end":         "<!-- peers:hello -->\n",
		"no beginning":   "a\n<!-- /peers -->\n",
		"one in another": "<!-- peers:hello -->\n<!-- peers:idle -->\n<!-- /peers -->\n<!-- /peers -->\n",
		"unknown":        "<!-- peers:nothing -->\n<!-- /peers -->\n",
	} {
		out, err := replaceRegions(text, record{}.region)
		if err == nil || out != "" {
			t.Errorf("%s: %v, %q", why, err, out)
		}
	}
	if _, err := replaceRegions("<!-- peers:idle -->\n<!-- /peers -->\n", func(string) (string, error) { return "", errors.New("no") }); err == nil || !strings.Contains(err.Error(), "no") {
		t.Error("the error of the content got lost")
	}
}
