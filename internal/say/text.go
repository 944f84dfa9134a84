package say

import (
	"fmt"
	"strconv"
	"strings"

	"weir/internal/events"
)

// Shown is a value for a one-line message: quoted when it could be misread, cut when it is long.
func Shown(value string) string {
	shown := events.Clean(value, 80)
	if shown == "" || strings.ContainsAny(shown, " \t\"'") {
		return strconv.Quote(shown)
	}
	return shown
}

// OneOf is a choice: "a, b or c".
func OneOf(words []string) string { return joined(words, "or") }

// AllOf is a list: "a, b and c".
func AllOf(words []string) string { return joined(words, "and") }

func joined(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " " + last + " " + words[len(words)-1]
}

// Grouped is a whole number for people, with a comma between thousands.
func Grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Several is a number of things: "1 token", "2 tokens".
func Several(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return Grouped(int64(n)) + " " + what
}

// Wrap breaks text into lines of at most width bytes, at spaces. A longer word has a line of its own.
func Wrap(text string, width int) (lines []string) {
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += w
	}
	return append(lines, line)
}

// Names are a certificate's names, or others, in one line, at most three of them.
func Names(names []string) string {
	text := strings.Join(names[:min(len(names), 3)], ", ")
	if more := len(names) - 3; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if text == "" {
		text = "(no names)"
	}
	return events.Clean(text, 200)
}
