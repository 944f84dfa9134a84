package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/report/chart"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// The bounds of what is drawn, so that a record made by a stranger cannot have the page grow without end. A siege of
// ten minutes has 1,200 slices and 601 samples.
const (
	maxSlices = 10_000
	maxSecs   = 86_400
)

// page is what the template shows.
type page struct {
	Title, Subtitle, Failure string
	Command                  string
	Cards                    []card
	Figures                  []figure
	Tables, Redo, Data       []grid
	Remarks                  []string
}

// card is one number that says much.
type card struct{ Value, Text string }

// figure is one drawing with what belongs to it.
type figure struct {
	Title, Text string
	Series      []chart.Series // the legend
	Stack       bool           // of layers, not of lines
	SVG         template.HTML
}

// grid is one table. The first column names the row.
type grid struct {
	Title string
	Head  []string
	Rows  [][]string
}

// HTML writes the record of a siege or of a load, as [Parse] returns it, as one page that needs nothing else: no
// script, no font, no picture from anywhere.
func HTML(w io.Writer, r Record) error {
	var o bench.Outcome
	switch result := r.Result.(type) {
	case bench.Outcome:
		o = result
	case load.Result:
		o.Good = result
	default:
		return fmt.Errorf("draw record: of kind %q, and only siege and load have a course to draw", r.Kind)
	}
	if err := drawable(o); err != nil {
		return err
	}
	p := page{Title: title(r, o), Subtitle: subtitle(r, o), Failure: r.Failure, Command: Shell(append([]string{"bench"}, r.Command...)), Remarks: o.Remarks}
	p.Cards = cards(o)
	var err error
	if p.Figures, err = figures(o); err != nil {
		return fmt.Errorf("draw record: %w", err)
	}
	p.Tables, p.Redo, p.Data = tables(o), redo(r, o), data(o)
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("draw record: %w", err)
	}
	return nil
}

// drawable says no to what would make a page without end or without sense.
func drawable(o bench.Outcome) error {
	timelines := [][]latency.Summary{o.Good.Timeline, o.Good.Phases}
	if o.Newcomers != nil {
		timelines = append(timelines, o.Newcomers.Timeline, o.Newcomers.Phases)
	}
	if len(o.Samples) > maxSlices {
		return fmt.Errorf("draw record: more than %d samples", maxSlices)
	}
	for _, t := range timelines {
		if len(t) > maxSlices {
			return fmt.Errorf("draw record: more than %d slices", maxSlices)
		}
		for _, s := range t {
			if !within(s.FromSecs) || !within(s.ForSecs) {
				return fmt.Errorf("draw record: a slice is not within %d seconds", maxSecs)
			}
		}
	}
	for _, s := range o.Samples {
		if !within(s.AtSecs) {
			return fmt.Errorf("draw record: a sample is not within %d seconds", maxSecs)
		}
	}
	return nil
}

func within(secs float64) bool { return secs >= 0 && secs <= maxSecs }

func title(r Record, o bench.Outcome) string {
	if r.Kind != "siege" {
		return "Load" + on(o.Good)
	}
	var names []string
	for _, a := range o.Attacks {
		names = append(names, a.Name)
	}
	return "Siege: " + strings.Join(names, ", ")
}

func subtitle(r Record, o bench.Outcome) string {
	parts := []string{r.Time.Format("2 January 2006, 15:04 UTC")}
	if o.Good.Target != "" {
		parts = append(parts, o.Good.Target)
	}
	if r.Machine.Cores > 0 {
		parts = append(parts, fmt.Sprintf("%d cores, Linux %s", r.Machine.Cores, r.Machine.Kernel))
	}
	return strings.Join(parts, " · ")
}

// cards are what one reads when one reads four numbers.
func cards(o bench.Outcome) []card {
	var out []card
	phase := bench.During
	during, ok := byName(o.Good.Phases, phase)
	if !ok && len(o.Good.Phases) > 0 {
		during, ok = o.Good.Phases[0], true // of a load, the only one
	}
	when := "during the attack"
	if len(o.Attacks) == 0 {
		when = "in the run"
	}
	kept := func(s latency.Summary, who string) {
		if all := s.OK + s.Errors; all > 0 {
			out = append(out, card{percent(float64(s.OK) / float64(all)), fmt.Sprintf("of the %s requests of the %s %s were answered in time", count(all), who, when)})
		}
	}
	if ok {
		kept(during, "good client")
	}
	if o.Newcomers != nil {
		if s, ok := byName(o.Newcomers.Phases, phase); ok {
			kept(s, "newcomers")
		}
	}
	if ok && during.OK > 0 {
		text := "p99 latency of the good client " + when
		if before, ok := byName(o.Good.Phases, bench.Before); ok && before.OK > 0 {
			text += ", " + Duration(before.P99) + " before it"
		}
		out = append(out, card{Duration(during.P99), text})
	}
	if c := o.Cost; c != nil && c.Refused > 0 {
		out = append(out, card{count(c.Refused), "units refused during the attack, counted by the " + c.CountedBy})
		if c.ServerCPU > 0 && c.AttackerCPU > 0 {
			out = append(out, card{digits(float64(c.AttackerCPU)/float64(c.ServerCPU)) + " : 1", "attacker's CPU to the server's, for each unit refused"})
		}
	}
	return out
}

func byName(all []latency.Summary, name string) (latency.Summary, bool) {
	for _, s := range all {
		if s.Name == name && s.ForSecs > 0 {
			return s, true
		}
	}
	return latency.Summary{}, false
}

func percent(part float64) string {
	text := fmt.Sprintf("%.2f", 100*part)
	if text == "100.00" && part < 1 {
		text = "99.99" // a request that failed stays to be seen
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "0"), ".0") + " %"
}

// count writes n with a comma after each three digits.
func count(n int64) string {
	if n < 0 {
		return fmt.Sprint(n)
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Shell writes a command line such that a shell reads the same words.
func Shell(words []string) string {
	var out []string
	for _, w := range words {
		plain := w != "" && strings.IndexFunc(w, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=,+@%", r))
		}) < 0
		if !plain {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		out = append(out, w)
	}
	return strings.Join(out, " ")
}
