package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"weir/internal/say"
)

// report is what -check says. Its JSON is documented in docs/operations.md: names stay, new ones may come.
type report struct {
	Version     string     `json:"version"`
	Listeners   []reported `json:"listeners"`
	Connections int        `json:"connections"`
	Warnings    []string   `json:"warnings"`
	Rows        []verdict  `json:"rows"`
	Fails       bool       `json:"fails"`

	head string // the first line, for people
}

// reported is a listener in a report.
type reported struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Outside bool   `json:"outside"` // others than this machine reach it
	TLS     bool   `json:"tls"`
}

// report judges all rows.
func (p *posture) report() report {
	warnings := p.s.checkWarnings(p.certs, p.now)
	r := report{
		Version: p.build.String(), Connections: p.s.engine.Guard.MaxConns, Warnings: append([]string{}, warnings...), Rows: p.judgeAll(),
		head: checkText(p.s, warnings),
	}
	for i := range p.s.listeners {
		l := &p.s.listeners[i]
		r.Listeners = append(r.Listeners, reported{l.name, l.boundURL(l.address), l.outside(), l.isTLS()})
	}
	for _, v := range r.Rows {
		r.Fails = r.Fails || v.fails()
	}
	return r
}

func (r report) printJSON(w io.Writer) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(r) // stdout that is closed is told by nobody
}

// The columns of the table.
const (
	columns  = "%-4s %-5s %-20s  "
	whyStart = 4 + 1 + 5 + 1 + 20 + 2
	whyWidth = 100 - whyStart
)

// print writes the report for people, in 100 columns but for the first line.
func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "weir: %s\n\n", r.head)
	fmt.Fprintf(w, columns+"%s\n", "row", "state", "practice", "what is on; or where it is not, why, and (what changes it)")
	var failing []string
	for _, v := range r.Rows {
		if v.fails() {
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
