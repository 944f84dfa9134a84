package printable

import "testing"

func TestWhatDoesNotPrintIsAQuestionMark(t *testing.T) {
	for _, c := range []struct{ why, in, want string }{
		{"plain", "source_conns 5 \u00e9\u4e16", "source_conns 5 \u00e9\u4e16"},
		{"an escape sequence", "a\x1b[2Jb\x07", "a?[2Jb?"},
		{"one of one byte, in UTF-8", "a\u009b2J", "a?2J"},
		{"lines", "a\r\nb\tc", "a??b?c"},
		{"bidirectional controls", "a\u202eb\u2066c\u200fd", "a?b?c?d"},
		{"no width", "a\u200bb\ufeff", "a?b?"},
		{"no UTF-8", "a\xffb", "a\ufffdb"},
	} {
		if got := Text(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
	if got := Lines("a\n\tb\x1b\r"); got != "a\n\tb??" {
		t.Errorf("lines: %q", got)
	}
}

func TestCutLeavesRunesWhole(t *testing.T) {
	for _, c := range []struct {
		in   string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "abc..."}, {"a\u00e9b", 2, "a..."}, {"\u4e16", 1, "..."}, {"\x80\x80", 1, "..."}} {
		if got := Cut(c.in, c.most); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}
