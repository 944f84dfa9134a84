package scenario

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/printable"
	"weir/bench/target"
)

// The tables that settings stand in.
const (
	Top       = ""
	Good      = "good"
	Newcomers = "newcomers"
)

// Scenario is what a file says. Only [Parse] makes one with lines.
type Scenario struct {
	File     string    // for errors; empty when it came from no file
	About    string    // one line
	Settings []Setting // in the file's order
	Phases   []Phase
}

// Setting is one value, as it would stand behind its flag.
type Setting struct {
	Table string // Top, Good or Newcomers
	Name  string
	Value string
	Line  int
}

// Phase is one phase, whose attacks are written as on the command line.
type Phase struct {
	Name    string
	For     time.Duration
	Attacks []string
	Line    int   // of its [[phase]]
	Lines   []int // of its attacks
}

// Error is a mistake in a scenario.
type Error struct {
	File string
	Line int // 0: of the file as a whole
	Why  string
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Why)
	}
	return e.File + ": " + e.Why
}

// At returns an error for a line of the scenario.
func (s Scenario) At(line int, format string, args ...any) error {
	// The file may be anybody's, and the error goes to a terminal.
	return &Error{s.File, line, printable.Text(fmt.Sprintf(format, args...))}
}

// Against returns the phases for a siege of that target. What an attack cannot do there is an error with its line.
func (s Scenario) Against(t target.Target) ([]bench.Phase, error) {
	var out []bench.Phase
	for _, p := range s.Phases {
		phase := bench.Phase{Name: p.Name, For: p.For}
		for i, spec := range p.Attacks {
			strike, err := bench.NewStrike(spec, t)
			if err == nil {
				err = strike.Check(p.For)
			}
			if err != nil {
				line := p.Line
				if i < len(p.Lines) {
					line = p.Lines[i]
				}
				return nil, s.At(line, "phase %s: %v", p.Name, err)
			}
			phase.Strikes = append(phase.Strikes, strike)
		}
		out = append(out, phase)
	}
	return out, nil
}

// String returns the scenario as the text of a file that says the same.
func (s Scenario) String() string {
	var b strings.Builder
	if s.About != "" {
		fmt.Fprintf(&b, "about = %s\n", quote(s.About))
	}
	for _, table := range []string{Top, Good, Newcomers} {
		headed := table == Top
		for _, v := range s.Settings {
			if v.Table != table {
				continue
			}
			if !headed {
				fmt.Fprintf(&b, "\n[%s]\n", table)
				headed = true
			}
			fmt.Fprintf(&b, "%s = %s\n", v.Name, literal(v.Value))
		}
	}
	for _, p := range s.Phases {
		fmt.Fprintf(&b, "\n[[phase]]\nname = %s\nfor = %q\n", quote(p.Name), p.For)
		switch len(p.Attacks) {
		case 0:
		case 1:
			fmt.Fprintf(&b, "attacks = [%s]\n", quote(p.Attacks[0]))
		default:
			b.WriteString("attacks = [\n")
			for _, a := range p.Attacks {
				fmt.Fprintf(&b, "  %s,\n", quote(a))
			}
			b.WriteString("]\n")
		}
	}
	return b.String()
}

// literal writes numbers and truths as such, where their text stays the same when read back, and all else in quotes.
func literal(v string) string {
	if v == "true" || v == "false" {
		return v
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil && strconv.FormatInt(n, 10) == v {
		return v
	}
	return quote(v)
}

// quote writes v as a basic string of TOML.
func quote(v string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range v {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
