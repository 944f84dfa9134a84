package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/printable"
	"weir/bench/report/chart"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// The bounds of what is drawn, so that a record made by a stranger cannot have the page grow without end. A siege of
// ten minutes has 1,200 slices and 601 samples.
const (
	maxSlices  = 1_500
	maxSamples = 1_000
	maxSecs    = 86_400
	maxPhases  = 2 * bench.MaxPhases // each is in every drawing
	maxStruck  = 2 * bench.MaxStrikes
)

// page is what the template shows.
type page struct {
	Title, Subtitle, Failure string
	Command, Scenario        string
	Shaded                   string // which phases are, when there are several
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
	if err := bounded(o); err != nil {
		return fmt.Errorf("draw record: %w", err)
	}
	command := Shell(append([]string{"bench"}, r.Command...))
	o, r = siegeTamed(o), recordTamed(r)
	p := page{Title: title(r, o), Subtitle: subtitle(r, o), Failure: r.Failure, Command: printable.Cut(printable.Text(command), maxCommandBytes),
		Scenario: r.Scenario, Remarks: o.Remarks}
	p.Cards, p.Shaded = cards(o), shadedText(attacked(stages(o)))
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

// bounded says no to what would make tables and a page without end or without sense.
func bounded(o bench.Outcome) error {
	timelines, phases := [][]latency.Summary{o.Good.Timeline}, [][]latency.Summary{o.Good.Phases}
	lanes := []load.Result{o.Good}
	if o.Newcomers != nil {
		lanes = append(lanes, *o.Newcomers)
		timelines, phases = append(timelines, o.Newcomers.Timeline), append(phases, o.Newcomers.Phases)
	}
	for _, r := range lanes {
		if r.TLS != nil {
			phases = append(phases, r.TLS.Phases)
		}
	}
	if slices.ContainsFunc(phases, func(all []latency.Summary) bool { return len(all) > maxPhases }) || len(o.Server) > maxPhases || len(o.Costs) > maxPhases {
		return fmt.Errorf("more than %d phases", maxPhases)
	}
	timelines = append(timelines, phases...)
	if len(o.Attacks) > maxStruck {
		return fmt.Errorf("more than %d attacks", maxStruck)
	}
	if len(o.Samples) > maxSamples {
		return fmt.Errorf("more than %d samples", maxSamples)
	}
	for _, t := range timelines {
		if len(t) > maxSlices {
			return fmt.Errorf("more than %d slices", maxSlices)
		}
		for _, s := range t {
			if !within(s.FromSecs) || !within(s.ForSecs) {
				return fmt.Errorf("a slice is not within %d seconds", maxSecs)
			}
		}
	}
	for _, s := range o.Samples {
		if !within(s.AtSecs) {
			return fmt.Errorf("a sample is not within %d seconds", maxSecs)
		}
	}
	return nil
}

// recordTamed is siegeTamed for what a record says beside its result, the command left out.
func recordTamed(r Record) Record {
	scenario := r.Scenario
	r.Result, r.Scenario, r.Command = nil, "", nil
	r = tamed(r)
	r.Scenario = printable.Lines(printable.Cut(scenario, maxScenarioBytes))
	return r
}

// maxScenarioBytes is what a scenario may have to be run again.
const maxScenarioBytes = 128 << 10

func within(secs float64) bool { return secs >= 0 && secs <= maxSecs }

func title(r Record, o bench.Outcome) string {
	if r.Kind != "siege" {
		return "Load" + on(o.Good)
	}
	var names []string
	for _, a := range o.Attacks {
		if !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	if more := len(names) - maxTitled; more > 0 {
		names = append(names[:maxTitled], fmt.Sprintf("and %d more", more))
	}
	return "Siege: " + strings.Join(names, ", ")
}

// maxTitled is how many attacks a title names.
const maxTitled = 4

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
	struck := func(all []latency.Summary) []latency.Summary {
		if len(o.Attacks) == 0 {
			return all // of a load, the only one
		}
		return slices.DeleteFunc(slices.Clone(all), func(s latency.Summary) bool { return !o.Attacked(s.Name) })
	}
	during := struck(o.Good.Phases)
	when := "during the attack"
	switch {
	case len(o.Attacks) == 0:
		when = "in the run"
	case len(during) > 1:
		when = fmt.Sprintf("in %d phases with attacks", len(during))
	}
	kept := func(all []latency.Summary, who string) {
		ok, asked := int64(0), int64(0)
		for _, s := range all {
			ok, asked = ok+s.OK, asked+s.OK+s.Errors
		}
		if asked > 0 {
			out = append(out, card{percent(float64(ok) / float64(asked)), fmt.Sprintf("of the %s requests of the %s %s were answered in time", count(asked), who, when)})
		}
	}
	kept(during, "good client")
	if o.Newcomers != nil {
		kept(struck(o.Newcomers.Phases), "newcomers")
	}
	if worst := slices.MaxFunc(append(during, latency.Summary{}), func(a, b latency.Summary) int { return cmp.Compare(a.P99, b.P99) }); worst.OK > 0 {
		text := "p99 latency of the good client " + when
		if len(during) > 1 {
			text = "p99 latency of the good client in its worst phase, " + worst.Name
		}
		if quiet, ok := quiet(o); ok && quiet.OK > 0 {
			text += ", " + Duration(quiet.P99) + " before it"
		}
		out = append(out, card{Duration(worst.P99), text})
	}
	var refused, server, attackers, by float64
	for _, c := range o.Costs {
		refused += float64(c.Refused)
		if c.ServerCPU > 0 && c.AttackerCPU > 0 {
			server, attackers = server+float64(c.Refused)*float64(c.ServerCPU), attackers+float64(c.Refused)*float64(c.AttackerCPU)
			by++
		}
	}
	if refused > 0 {
		out = append(out, card{count(int64(refused)), "units shed " + when + ", counted by the " + o.Costs[0].CountedBy})
	}
	if by > 0 {
		text := "attacker's CPU to the server's, for each unit shed"
		out = append(out, card{digits(attackers/server) + " : 1", text})
	}
	return out
}

// quiet returns what the good client saw in the first phase without attacks, if that is one before all attacks.
func quiet(o bench.Outcome) (latency.Summary, bool) {
	for _, s := range o.Good.Phases {
		if o.Attacked(s.Name) {
			break
		}
		if s.ForSecs > 0 && len(o.Attacks) > 0 {
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
