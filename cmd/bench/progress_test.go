package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/latency"
)

var update = flag.Bool("update", false, "write testdata anew")

// course is a siege as it goes by.
func course() []bench.Progress {
	fine := latency.Summary{ForSecs: 0.5, OK: 250, Goodput: 500, P50: 95_100, P99: 203_000}
	bad := latency.Summary{FromSecs: 12, ForSecs: 0.5, OK: 20, Goodput: 40, P50: 12_400_000, P99: 1_900_000_000, Errors: 230}
	none := latency.Summary{ForSecs: 0.5, Errors: 25}
	return []bench.Progress{
		{Phase: "calm", Number: 1, Of: 3, Left: 72 * time.Second, PhaseLeft: 5 * time.Second},
		{Phase: "calm", Number: 1, Of: 3, Elapsed: 500 * time.Millisecond, Left: 71500 * time.Millisecond, PhaseLeft: 4500 * time.Millisecond, Good: fine},
		{Phase: "all at once", Number: 2, Of: 3, Elapsed: 12500 * time.Millisecond, Left: 59500 * time.Millisecond, PhaseLeft: 54500 * time.Millisecond,
			Good: bad, GoodErrors: 260, Newcomers: none, NewErrors: 30, Sheds: &bench.Shedding{PerSecond: 12_345.6, Total: 98_765},
			Attacks: []bench.Assault{
				{Name: "slowloris", Live: attack.Live{Open: 4821, Attempts: 90_000, Established: 90_000, Resets: 85_000, Closes: 179, Units: 12_000}},
				{Name: "connection-flood#2", Live: attack.Live{Attempts: 10_000_000, Refused: 10_000_000}},
			}},
		{Phase: "recovery", Number: 3, Of: 3, Elapsed: 69 * time.Second, Left: 3 * time.Second, PhaseLeft: 3 * time.Second, Good: fine, GoodErrors: 300},
		{Phase: "recovery", Number: 3, Of: 3, Elapsed: 71 * time.Second, Left: time.Second, PhaseLeft: time.Second, Good: fine, GoodErrors: 300},
		{Phase: "recovery", Number: 3, Of: 3, Elapsed: 74 * time.Second, Good: fine, GoodErrors: 300},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s\n(-update writes it anew)", got, want)
	}
}

// screen is a terminal that knows what the view needs: line ends, up, erase to the end of the line and of the screen, and
// that a line which reaches beyond the edge goes on in the next one.
type screen struct {
	columns  int
	rows     []string
	row, col int
}

func (s *screen) Write(b []byte) (int, error) {
	for text := string(b); text != ""; {
		for len(s.rows) <= s.row {
			s.rows = append(s.rows, "")
		}
		var n int
		switch {
		case strings.HasPrefix(text, "\x1b[K"):
			s.rows[s.row] = s.rows[s.row][:min(s.col, len(s.rows[s.row]))]
			text = text[3:]
		case strings.HasPrefix(text, "\x1b[J"):
			s.rows[s.row], s.rows = s.rows[s.row][:min(s.col, len(s.rows[s.row]))], s.rows[:s.row+1]
			text = text[3:]
		case text[0] == '\x1b':
			if _, err := fmt.Sscanf(text, "\x1b[%dA", &n); err != nil || n > s.row {
				return 0, fmt.Errorf("%.10q in row %d", text, s.row)
			}
			s.row -= n
			text = text[strings.IndexByte(text, 'A')+1:]
		case text[0] == '\n':
			s.row, s.col, text = s.row+1, 0, text[1:]
		case text[0] == '\r':
			s.col, text = 0, text[1:]
		default:
			if s.col == s.columns {
				s.row, s.col = s.row+1, 0
				continue
			}
			line := s.rows[s.row] + strings.Repeat(" ", max(0, s.col+1-len(s.rows[s.row])))
			s.rows[s.row] = line[:s.col] + text[:1] + line[s.col+1:]
			s.col, text = s.col+1, text[1:]
		}
	}
	return len(b), nil
}

// narrow breaks lines that are too long for the new width, as terminals do.
func (s *screen) narrow(columns int) {
	var rows []string
	for i, line := range s.rows {
		if i == s.row {
			s.row = len(rows)
		}
		for len(line) > columns {
			rows, line = append(rows, line[:columns]), line[columns:]
		}
		rows = append(rows, line)
	}
	s.rows, s.columns = rows, columns
}

func (s *screen) String() string { return strings.Join(s.rows, "\n") + "\n" }

func TestATerminalShowsOneViewInPlace(t *testing.T) {
	var got strings.Builder
	for _, width := range []int{100, 40} {
		s := &screen{columns: width, rows: []string{"$ bench siege"}, row: 1}
		p := &progress{w: s, terminal: true, size: func() (int, int) { return s.columns, 24 }}
		for _, at := range course() {
			p.line(at)
			fmt.Fprintf(&got, "-- %d columns, after %v\n%s", width, at.Elapsed, s)
		}
		p.end()
		if s.String() != "$ bench siege\n\n" || s.col != 0 {
			t.Errorf("left behind:\n%s", s)
		}
	}
	golden(t, "terminal.txt", got.String())
}

func TestAViewSurvivesOtherSizes(t *testing.T) {
	s := &screen{columns: 100, rows: []string{"$ bench siege"}, row: 1}
	rows := 24
	p := &progress{w: s, terminal: true, size: func() (int, int) { return s.columns, rows }}
	at := course()[2]
	p.line(at)
	s.narrow(50)
	p.line(at)
	if len(s.rows) != 8 || s.rows[0] != "$ bench siege" || !strings.HasPrefix(s.rows[1], "[2/3]") || !strings.HasPrefix(s.rows[4], "  server sheds") {
		t.Errorf("after it became narrower:\n%s", s)
	}
	for _, line := range s.rows {
		if len(line) > 49 {
			t.Errorf("%q reaches the edge", line)
		}
	}
	rows = 3
	p.line(at)
	if len(s.rows) != 4 || s.rows[2] != "  and 5 more lines: the terminal is too low" {
		t.Errorf("on three rows:\n%s", s)
	}
	s.columns, rows = 1, 1
	p.line(at)
	p.end()
	p.end()
}

func TestWithoutATerminalThereArePlainLines(t *testing.T) {
	var got bytes.Buffer
	p := &progress{w: &got}
	for _, at := range course() {
		p.line(at)
	}
	p.end()
	golden(t, "plain.txt", got.String())
	for line := range strings.Lines(got.String()) {
		if strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\r\x1b\n") {
			t.Errorf("%q", line)
		}
	}
}

func TestDumbTerminalsHavePlainLines(t *testing.T) {
	for term, want := range map[string]bool{"xterm-256color": true, "dumb": false, "": false} {
		t.Setenv("TERM", term)
		c := command{terminal: true}
		if c.progress().terminal != want {
			t.Errorf("TERM=%q: drawn in place: %v", term, !want)
		}
	}
	t.Setenv("COLUMNS", "132")
	t.Setenv("LINES", "x")
	if columns, rows := terminalSize(&bytes.Buffer{}); columns != 132 || rows != 24 {
		t.Errorf("%d columns, %d rows", columns, rows)
	}
}
