package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/report/chart"
)

// leastApart is the shortest time between two samples that is divided by: over less a rate is noise.
const leastApart = 0.2

// figures draws what there is to draw, in the order of the page.
func figures(o bench.Outcome) ([]figure, error) {
	d := drafts{o: o}
	for _, s := range o.Good.Timeline {
		d.span.To = max(d.span.To, s.FromSecs+s.ForSecs)
	}
	d.attacks = shades(stages(o))
	d.lane("good", "Good client", o.Good)
	if o.Newcomers != nil {
		d.lane("new", "Newcomers", *o.Newcomers)
	}
	d.sheds()
	d.server()
	d.attackers()
	d.cost()
	return d.out, d.err
}

// drafts collects figures.
type drafts struct {
	o       bench.Outcome
	span    chart.Interval
	attacks []chart.Shade
	out     []figure
	err     error // the first
}

// add draws c, unless there is nothing in it.
func (d *drafts) add(c chart.Chart, text string) {
	if c.Empty() {
		return
	}
	c.Span, c.Shades = d.span, d.attacks
	svg, err := c.SVG()
	d.err = cmp.Or(d.err, err)
	d.out = append(d.out, figure{Title: c.Title, Text: text, Series: c.Series, Stack: c.Stack, SVG: svg})
}

// lane draws the latency and the goodput of a good client or of newcomers.
func (d *drafts) lane(id, who string, r load.Result) {
	var x []chart.Interval
	p50, p99, most := nothing(r.Timeline), nothing(r.Timeline), nothing(r.Timeline)
	ok, bad, asked := nothing(r.Timeline), nothing(r.Timeline), nothing(r.Timeline)
	failures := false
	for i, s := range r.Timeline {
		x = append(x, chart.Interval{From: s.FromSecs, To: s.FromSecs + s.ForSecs})
		if s.OK > 0 {
			p50[i], p99[i], most[i] = s.P50.Seconds(), s.P99.Seconds(), s.Max.Seconds()
		}
		if s.ForSecs > 0 {
			ok[i], bad[i] = s.Goodput, min(float64(s.Errors)/s.ForSecs, maxAmount)
			failures = failures || s.Errors > 0
		}
		if r.Setup.Rate > 0 {
			asked[i] = r.Setup.Rate
		}
	}
	d.add(chart.Chart{ID: id + "-latency", Title: who + ": latency", Format: secs, Log: true, X: x,
		Desc: told(r.Phases, func(s latency.Summary) string {
			return "p50 " + Duration(s.P50) + ", p99 " + Duration(s.P99) + ", max " + Duration(s.Max)
		}),
		Series: []chart.Series{{Name: "max", Style: 2, Y: most}, {Name: "p99", Style: 3, Y: p99}, {Name: "p50", Style: 1, Y: p50}}},
		"Of good replies, from when each request was due, in slices of half a second; logarithmic. A gap: no reply.")
	series := []chart.Series{{Name: "asked", Style: 8, Dashed: true, Y: asked}, {Name: "answered", Style: 4, Y: ok}}
	if failures {
		series = append(series, chart.Series{Name: "failed", Style: 5, Y: bad})
	}
	d.add(chart.Chart{ID: id + "-goodput", Title: who + ": goodput", Format: number, X: x, Step: true, Series: series,
		Desc: told(r.Phases, func(s latency.Summary) string {
			return fmt.Sprintf("%.1f a second answered, %d failed", s.Goodput, s.Errors)
		})},
		"Requests a second, by when they were due.")
}

// told says what each phase came to, for those who cannot see the drawing.
func told(phases []latency.Summary, of func(latency.Summary) string) string {
	text := ""
	for _, s := range phases {
		if s.ForSecs > 0 {
			text += s.Name + ": " + of(s) + ". "
		}
	}
	return text
}

// sheds draws what the server shed, by reason, the most frequent ones by name. A page that did not come makes its
// neighbours one longer interval.
func (d *drafts) sheds() {
	pages := slices.DeleteFunc(slices.Clone(d.o.Samples), func(s bench.Sample) bool { return s.Shed == nil })
	pages = apart(pages)
	if len(pages) < 2 {
		return
	}
	final := pages[len(pages)-1]
	named := drawn(d.o.Samples)
	c := chart.Chart{ID: "sheds", Title: "Shed by the server", Format: number, Stack: true, X: between(pages),
		Desc: fmt.Sprintf("By reason; %s in all.", count(*final.Shed))}
	rest := rates(pages, func(s bench.Sample) float64 { return float64(*s.Shed) })
	for i, reason := range named {
		y := rates(pages, func(s bench.Sample) float64 { return float64(s.Sheds[reason]) })
		for j := range y {
			rest[j] -= y[j]
		}
		c.Series = append(c.Series, chart.Series{Name: reason, Style: i + 1, Y: y})
		c.Desc += fmt.Sprintf(" %s: %s.", reason, count(final.Sheds[reason]))
	}
	if more := len(final.Sheds) - len(named); more > 0 {
		c.Series = append(c.Series, chart.Series{Name: fmt.Sprintf("%d other reasons", more), Style: chart.Styles, Y: rest})
	}
	d.add(c, "Units a second by reason, from the server's own counters.")
}

// drawn returns the reasons that are drawn by name: those most frequent at the end.
func drawn(samples []bench.Sample) []string {
	for _, s := range slices.Backward(samples) {
		if s.Shed != nil {
			return frequent(s.Sheds, chart.Styles-1)
		}
	}
	return nil
}

// server draws the server's CPU and memory.
func (d *drafts) server() {
	known := apart(slices.DeleteFunc(slices.Clone(d.o.Samples), func(s bench.Sample) bool { return s.CPU == nil }))
	if len(known) < 2 {
		return
	}
	desc := ""
	for _, s := range d.o.Server {
		if s.Wall > 0 {
			desc += fmt.Sprintf("%s: %.3f cores, %s at its end. ", s.Name, s.CPU.Seconds()/s.Wall.Seconds(), mebibytes(float64(s.RSSBytes)))
		}
	}
	cores := rates(known, func(s bench.Sample) float64 { return s.CPU.Seconds() })
	d.add(chart.Chart{ID: "server-cpu", Title: "Server: CPU", Desc: desc, Format: number, Step: true, X: between(known),
		Series: []chart.Series{{Name: "cores in use", Style: 1, Y: cores}}}, "Cores in use, user and system, all its threads.")
	var memory []float64
	for _, s := range known[1:] {
		memory = append(memory, float64(s.RSSBytes)/(1<<20))
	}
	d.add(chart.Chart{ID: "server-memory", Title: "Server: memory", Desc: desc, Format: number,
		X: between(known), Step: true, Series: []chart.Series{{Name: "MiB", Style: 6, Y: memory}}}, "MiB resident, at the end of each second.")
}

// attackers draws how hard it was attacked.
func (d *drafts) attackers() {
	all := apart(slices.Clone(d.o.Samples))
	if len(all) < 2 || len(d.o.Attacks) == 0 {
		return
	}
	last := all[len(all)-1]
	d.add(chart.Chart{ID: "attackers", Title: "Attackers", Format: number, Step: true, X: between(all),
		Desc: fmt.Sprintf("%s connections begun, %s refused or ended by the server.", count(last.Attempts), count(last.Refused)),
		Series: []chart.Series{
			{Name: "connections begun", Style: 2, Y: rates(all, func(s bench.Sample) float64 { return float64(s.Attempts) })},
			{Name: "refused or ended by the server", Style: 1, Y: rates(all, func(s bench.Sample) float64 { return float64(s.Refused) })},
		}}, "A second, all attacks together, as the attackers saw it.")
}

// maxPairs is of how many phases both sides' bars are drawn, and maxBars how many bars in all. The table has the rest.
const (
	maxPairs = 4
	maxBars  = 24
)

// cost draws what shedding a unit cost both sides, in each phase.
func (d *drafts) cost() {
	var bars []chart.Bar
	desc := ""
	// Of many phases the server's side alone: that is what one compares.
	both := len(d.o.Costs) <= maxPairs || !slices.ContainsFunc(d.o.Costs, func(c bench.Cost) bool { return c.ServerCPU > 0 })
	for _, c := range d.o.Costs {
		where := ""
		if len(d.o.Costs) > 1 {
			where = c.Phase + ": "
		}
		if c.ServerCPU > 0 {
			bars = append(bars, chart.Bar{Name: where + "server, above its quiet time", Style: 1, Value: c.ServerCPU.Seconds(), Text: Duration(c.ServerCPU)})
		}
		if c.AttackerCPU > 0 && both {
			bars = append(bars, chart.Bar{Name: where + "attackers", Style: 2, Value: c.AttackerCPU.Seconds(), Text: Duration(c.AttackerCPU)})
		}
		desc += where + c.String() + ". "
	}
	if len(bars) == 0 {
		return
	}
	text := "The server's part includes what it spent on attackers that it did not shed."
	if len(d.o.Costs) == 1 {
		text = fmt.Sprintf("%s units, counted by the %s. ", count(d.o.Costs[0].Refused), d.o.Costs[0].CountedBy) + text
	}
	if bars = bars[:min(len(bars), maxBars)]; !both || len(bars) == maxBars {
		text += " The rest is in the table below."
	}
	const title = "CPU for each unit shed"
	svg, err := chart.Bars("cost", title, desc, bars)
	d.err = cmp.Or(d.err, err)
	d.out = append(d.out, figure{Title: title, SVG: svg, Text: text})
}

// apart leaves out samples that follow another one too closely to be divided by the time between.
func apart(all []bench.Sample) []bench.Sample {
	var out []bench.Sample
	for _, s := range all {
		if len(out) == 0 || s.AtSecs-out[len(out)-1].AtSecs >= leastApart {
			out = append(out, s)
		}
	}
	return out
}

func between(samples []bench.Sample) []chart.Interval {
	var out []chart.Interval
	for i := 1; i < len(samples); i++ {
		out = append(out, chart.Interval{From: samples[i-1].AtSecs, To: samples[i].AtSecs})
	}
	return out
}

// rates returns by how much a value grew a second between samples.
func rates(samples []bench.Sample, of func(bench.Sample) float64) []float64 {
	var out []float64
	for i := 1; i < len(samples); i++ {
		a, b := samples[i-1], samples[i]
		out = append(out, max(0, of(b)-of(a))/(b.AtSecs-a.AtSecs))
	}
	return out
}

// nothing returns a gap for each slice.
func nothing(timeline []latency.Summary) []float64 {
	return slices.Repeat([]float64{math.NaN()}, len(timeline))
}

// secs writes v seconds without zeros that say nothing: 1ms, 87.1us.
func secs(v float64) string {
	text := Duration(time.Duration(math.Round(v * 1e9)))
	value, unit := text, ""
	if i := strings.IndexAny(text, "nums"); i > 0 {
		value, unit = text[:i], text[i:]
	}
	return trim(value) + unit
}

// trim takes the zeros off the end of a fraction.
func trim(v string) string {
	if !strings.Contains(v, ".") {
		return v
	}
	return strings.TrimSuffix(strings.TrimRight(v, "0"), ".")
}

func mebibytes(bytes float64) string { return fmt.Sprintf("%.1f MiB", bytes/(1<<20)) }

// number writes v with as many digits as are read: 0.25, 12.5, 1,250, 34k.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1e7:
		return trim(digits(v/1e6)) + "M"
	case v >= 1e4:
		return trim(digits(v/1e3)) + "k"
	case v >= 100 || v == math.Trunc(v):
		return count(int64(math.Round(v)))
	}
	return fmt.Sprintf("%.3g", v)
}
