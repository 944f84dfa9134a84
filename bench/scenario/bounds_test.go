package scenario

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The library takes minutes for any of the first ones, and no signal ends it.
func TestDeepFilesAreRefusedAtOnce(t *testing.T) {
	const phase = "[[phase]]\nfor = \"1s\"\nattacks = [\"silent\"]\n"
	dots := strings.Repeat(".a", 60_000)
	for _, c := range []struct{ why, text, want string }{
		{"a key", "a" + dots + "=1", "x.toml:1: more than 16 dots outside quotes"},
		{"a key further down", phase + "a" + dots + "=1", "x.toml:4: more than 16 dots outside quotes"},
		{"a header", "\n[a" + dots + "]\n", "x.toml:2: more than 16 dots outside quotes"},
		{"a header of phases", "\n[[a" + dots + "]]\n", "x.toml:2: more than 16 dots outside quotes"},
		{"tables in each other", "a=" + strings.Repeat("{a=", 40_000), "x.toml:1: more than 8 brackets in each other"},
		{"lists in each other", "a=" + strings.Repeat("[\n", 60_000), "x.toml:9: more than 8 brackets in each other"},
		{"behind a string with a quote at its end", "a=[\"\"\"\"x\"\"\"\", {a" + dots + "=1}]", "x.toml:1: more than 16 dots outside quotes"},
		{"behind a literal with quotes at its end", "a=['''x''''', {a" + dots + "=1}]", "x.toml:1: more than 16 dots outside quotes"},
		{"behind an escaped quote", `a=["\"", {a` + dots + `=1}]`, "x.toml:1: more than 16 dots outside quotes"},
	} {
		start := time.Now()
		_, err := Parse("x.toml", c.text, goods)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.why, err, c.want)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", c.why, took)
		}
	}
	fine := "about = '" + dots[:200] + "' # " + dots + "\ntarget = \"http://127.0.0.1/" + strings.Repeat("{[.", 50) + "\"\n" + phase
	if _, err := Parse("x.toml", fine, goods); err != nil {
		t.Errorf("dots in quotes and comments: %v", err)
	}
}

// The most expensive files within the bounds.
func TestTheWorstFileIsReadInSeconds(t *testing.T) {
	deep := "a" + strings.Repeat(".a", maxDots)
	nested := strings.Repeat("{"+deep+"=[\n", maxBrackets/2-1) + "1" + strings.Repeat("]}", maxBrackets/2-1) + ",\n"
	var keys, tables strings.Builder
	for i := range maxBytes/len(deep) - 1000 {
		fmt.Fprintf(&keys, "k%d.%s=1\n", i, deep[2:])
		fmt.Fprintf(&tables, "[[t%d.%s]]\n", i, deep[2:])
	}
	list := "a=[\n" + strings.Repeat(nested, maxBytes/len(nested)-5) + "]"
	for why, text := range map[string]string{
		"keys": keys.String(), "tables": tables.String(), "nested": list, "phases": strings.Repeat("[["+deep+"]]\n", maxBytes/(len(deep)+8)),
	} {
		start := time.Now()
		if _, err := Parse("x.toml", text, goods); err == nil || strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %v", why, err)
		}
		took := time.Since(start)
		t.Logf("%s: %d bytes, %v", why, len(text), took)
		if took > 10*time.Second {
			t.Errorf("%s: took %v", why, took)
		}
	}
}
