package scenario

import "fmt"

// The bounds of what the TOML library is given. It walks and writes out the whole path again for each part of a dotted
// key and for each table in another: a key with 60,000 dots, in 120 KB, took it longer than anybody waits, and it
// heeds no signal. Within these bounds the worst file takes a tenth of a second or two. A scenario needs two dots in a
// line and three brackets in each other.
const (
	maxDots     = 16
	maxBrackets = 8
)

// excess returns the first line that is beyond the bounds and what is too much in it, or "". A text that is no TOML may
// be told odd things: the library stops where it stops being TOML, and up to there both see the same.
func excess(text string) (line int, why string) {
	s := &scanner{text: text, line: 1}
	dots, depth, of := 0, 0, 1
	for s.i < len(s.text) {
		if s.line != of {
			dots, of = 0, s.line
		}
		switch s.text[s.i] {
		case '"', '\'':
			s.quoted()
			continue
		case '#':
			s.comment()
			continue
		case '.':
			dots++
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		}
		if dots > maxDots {
			return s.line, fmt.Sprintf("more than %d dots outside quotes", maxDots)
		}
		if depth > maxBrackets {
			return s.line, fmt.Sprintf("more than %d brackets in each other", maxBrackets)
		}
		s.step()
	}
	return 0, ""
}
