// Package printable makes text that came from elsewhere fit for a terminal and for a page.
//
// A server under attack and a record made by a stranger say what the bench then shows: labels of metrics, status lines,
// names of phases. It does not judge what they say, and it escapes nothing for HTML. Any goroutine.
package printable

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with ? for each rune that does not print: control characters, so that no escape sequence and no new
// line reaches a terminal, and characters that turn the direction of what follows. What is no UTF-8 becomes U+FFFD.
func Text(s string) string { return keep(s, "") }

// Lines is Text for text of several lines: line feeds and tabs stay.
func Lines(s string) string { return keep(s, "\n\t") }

func keep(s, more string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || strings.ContainsRune(more, r) {
			return r
		}
		return '?'
	}, s)
}

// Cut returns at most the first most bytes of s, with "..." behind when that is not all. It cuts no rune in two.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "..."
}
