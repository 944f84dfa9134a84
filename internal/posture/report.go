package posture

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"weir/internal/say"
)

// Report is what -check says. Its JSON is documented in docs/operations.md: names stay, new ones may come.
type Report struct {
	Version     string     `json:"version"`
	Listeners   []Reported `json:"listeners"`
	Connections int        `json:"connections"`
	Warnings    []string   `json:"warnings"`
	Rows        []Verdict  `json:"rows"`
	Fails       bool       `json:"fails"`
}

// Reported is a listener in a Report.
type Reported struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Outside bool   `json:"outside"` // others than this machine reach it
	TLS     bool   `json:"tls"`
}

// Judge judges all rows.
func (s *Server) Judge() Report {
	r := Report{Version: s.Build.Text, Connections: s.MaxConns, Warnings: append([]string{}, s.Warnings...)}
	for i := range s.Listeners {
		l := &s.Listeners[i]
		r.Listeners = append(r.Listeners, Reported{l.Name, l.URL, l.Outside, l.isTLS()})
	}
	for _, row := range Rows {
		v := s.judge(row)
		r.Rows = append(r.Rows, v)
		r.Fails = r.Fails || v.Fails()
	}
	return r
}

// PrintJSON writes the report for programs.
func (r Report) PrintJSON(w io.Writer) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(r) // stdout that is closed is told by nobody
}

// head is the first line, for people.
func (r Report) head() string {
	text := fmt.Sprintf("the configuration is good: %s, at most %s connections", say.Several(len(r.Listeners), "listener"), say.Grouped(int64(r.Connections)))
	return strings.Join(append([]string{text}, r.Warnings...), "; warning: ")
}

// The columns of the table.
const (
	columns  = "%-4s %-5s %-20s  "
	whyStart = 4 + 1 + 5 + 1 + 20 + 2
	whyWidth = 100 - whyStart
)

// Print writes the report for people, in 100 columns but for the first line.
func (r Report) Print(w io.Writer) {
	fmt.Fprintf(w, "weir: %s\n\n", r.head())
	fmt.Fprintf(w, columns+"%s\n", "row", "state", "practice", "what is on; or where it is not, why, and (what changes it)")
	var failing []string
	for _, v := range r.Rows {
		if v.Fails() {
			failing = append(failing, v.Row)
		}
		texts := []string{v.Why}
		if len(v.Findings) > 0 {
			texts = nil
		}
		for _, f := range v.Findings {
			text := f.Why
			switch n := len(f.Listeners); {
			case n == 0 || len(r.Listeners) == 1:
			case n == len(r.Listeners):
				text = "all listeners: " + text
			default:
				text = strings.Join(f.Listeners, ", ") + ": " + text
			}
			texts = append(texts, text+" ("+f.Change+")")
		}
		head := fmt.Sprintf(columns, v.Row, v.State, v.Practice)
		for _, text := range texts {
			for _, line := range say.Wrap(text, whyWidth) {
				fmt.Fprintln(w, head+line)
				head = strings.Repeat(" ", whyStart)
			}
		}
	}
	if r.Fails {
		fmt.Fprintf(w, "\nweak or off where others than this machine can reach it: %s\n", strings.Join(failing, ", "))
		return
	}
	fmt.Fprintf(w, "\nnothing fails the check: what is weak or off is a choice, accepted, or reached from this machine only\n")
}
