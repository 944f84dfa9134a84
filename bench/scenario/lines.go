package scenario

import (
	"fmt"
	"strconv"
	"strings"
)

// lines returns the line of each key in a text that is TOML, by its path: "target", "good.rate", "phase.0.attacks.1". The
// library knows the lines of keys, but not of those in an array of tables, where each phase has the same path.
//
// It looks at no more than it takes to find its way, and a text that is no TOML gives it odd lines and no trouble.
func lines(text string) map[string]int {
	s := &scanner{text: text, line: 1, at: map[string]int{}, tables: map[string]int{}}
	for s.i < len(s.text) {
		switch c := s.text[s.i]; {
		case c == '\n' || c == ' ' || c == '\t' || c == '\r':
			s.step()
		case c == '#':
			s.comment()
		case c == '[':
			s.header()
		default:
			s.key()
		}
	}
	return s.at
}

type scanner struct {
	text   string
	i      int // 0 ≤ i ≤ len(text)
	line   int // that of i
	table  string
	at     map[string]int
	tables map[string]int // how many of a name in double brackets there were
}

func (s *scanner) step() {
	if s.text[s.i] == '\n' {
		s.line++
	}
	s.i++
}

func (s *scanner) comment() {
	for s.i < len(s.text) && s.text[s.i] != '\n' {
		s.i++
	}
}

// until goes on to any of the signs, or the end of the line, and returns what it passed.
func (s *scanner) until(signs string) string {
	from := s.i
	for s.i < len(s.text) && s.text[s.i] != '\n' && strings.IndexByte(signs, s.text[s.i]) < 0 {
		if c := s.text[s.i]; c == '"' || c == '\'' {
			s.quoted()
			continue
		}
		s.i++
	}
	return s.text[from:s.i]
}

// header is [name] or [[name]].
func (s *scanner) header() {
	line := s.line
	s.i++
	double := s.i < len(s.text) && s.text[s.i] == '['
	if double {
		s.i++
	}
	name := bare(s.until("]"))
	s.until("\n")
	s.table = name
	if double {
		s.mark(name, line)
		s.table = fmt.Sprintf("%s.%d", name, s.tables[name])
		s.tables[name]++
	}
	s.mark(s.table, line)
}

// key is name = value.
func (s *scanner) key() {
	line, from := s.line, s.i
	path := join(s.table, bare(s.until("=")))
	s.mark(path, line)
	if s.i < len(s.text) && s.text[s.i] == '=' {
		s.i++
		s.value(path)
	}
	if s.i == from {
		s.step()
	}
}

// value passes a value and marks the elements of a list, and of lists in it.
func (s *scanner) value(path string) {
	depth, element, begun := 0, 0, false
	for s.i < len(s.text) {
		c := s.text[s.i]
		if depth == 1 && !begun && strings.IndexByte(" \t\r\n#,]", c) < 0 {
			s.mark(fmt.Sprintf("%s.%d", path, element), s.line)
			begun = true
		}
		switch c {
		case '"', '\'':
			s.quoted()
			continue
		case '#':
			s.comment()
			continue
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case ',':
			if depth == 1 {
				element, begun = element+1, false
			}
		case '\n':
			if depth <= 0 {
				return
			}
		}
		s.step()
	}
}

// quoted passes a string of any of the four kinds.
func (s *scanner) quoted() {
	quote := s.text[s.i : s.i+1]
	escapes := quote == `"`
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.i:], long) {
		quote = long
	}
	s.i += len(quote)
	for s.i < len(s.text) {
		switch {
		case strings.HasPrefix(s.text[s.i:], quote):
			s.i += len(quote)
			for n := 0; len(quote) == 3 && n < 2 && strings.HasPrefix(s.text[s.i:], quote[:1]); n++ {
				s.i++ // up to two quotes at the end are part of a long string
			}
			return
		case len(quote) == 1 && s.text[s.i] == '\n':
			return
		case escapes && s.text[s.i] == '\\' && s.i+1 < len(s.text):
			s.step()
		}
		s.step()
	}
}

// mark keeps the first line of a path.
func (s *scanner) mark(path string, line int) {
	if s.at[path] == 0 {
		s.at[path] = line
	}
}

// bare is a key without the blanks around it and its quotes.
func bare(key string) string {
	key = strings.TrimSpace(key)
	if text, err := strconv.Unquote(key); err == nil { // whose escapes are those of TOML, nearly
		return text
	}
	return strings.Trim(key, `"'`)
}

func join(table, key string) string {
	if table == "" {
		return key
	}
	return table + "." + key
}
