package main

import (
	"errors"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"weir/bench/latency"
	"weir/bench/report/chart"
)

// drawnPeers are the servers of the picture, each with its style.
var drawnPeers = []string{"weir", "nginx", "haproxy"}

// picture draws the siege whose course is kept: what share of the good client's and of the newcomers' requests was
// answered over time, of the round whose share for newcomers is the median. One SVG that needs nothing else.
func (r record) picture() ([]byte, error) {
	var drawn assault
	for _, a := range assaults {
		if a.drawn {
			drawn = a
		}
	}
	by := r.of("siege", drawn.name)
	good := chart.Chart{ID: "good", Title: "Good client on kept connections"}
	fresh := chart.Chart{ID: "newcomers", Title: "Newcomers, a connection for each request"}
	var legend []chart.Series
	for i, name := range slices.Backward(drawnPeers) { // weir last: its line is on top
		s, ok := middle(by[name])
		if !ok {
			continue
		}
		good.Shades = []chart.Shade{{Interval: chart.Interval{From: s.Course.From, To: s.Course.To}, Name: "attack", Number: 1, Text: drawn.about}}
		line(&good, name, i+1, s.Course.Good)
		line(&fresh, name, i+1, s.Course.Newcomers)
		legend = append([]chart.Series{{Name: name, Style: i + 1}}, legend...)
		good.Desc += fmt.Sprintf("%s: %s answered during the attack. ", name, percent(s.Values["good"]))
		fresh.Desc += fmt.Sprintf("%s: %s answered during the attack. ", name, percent(s.Values["newcomers"]))
	}
	if len(legend) == 0 {
		return nil, errors.New("draw picture: the siege " + drawn.name + " was not measured")
	}
	fresh.Shades = good.Shades
	var panels []template.HTML
	for _, c := range []chart.Chart{good, fresh} {
		c.Format = func(v float64) string {
			if v > 100 {
				return "" // the axis ends a step above
			}
			return fmt.Sprintf("%.0f %%", v)
		}
		c.Step = true
		c.Span = chart.Interval{To: c.X[len(c.X)-1].To}
		svg, err := c.SVG()
		if err != nil {
			return nil, fmt.Errorf("draw picture: %w", err)
		}
		panels = append(panels, svg)
	}
	var b strings.Builder
	err := frame.Execute(&b, struct {
		Title, About         string
		Good, Fresh          template.HTML
		GoodTitle, NewsTitle string
		Legend               []chart.Series
	}{"Requests answered under 10,000 slow connections and a flood of new ones", footnote(r), panels[0], panels[1], good.Title, fresh.Title, legend})
	if err != nil {
		return nil, fmt.Errorf("draw picture: %w", err)
	}
	return []byte(b.String()), nil
}

func footnote(r record) string {
	return fmt.Sprintf("The same limits for all, as far as each has them. %d cores, %s; make bench-peers draws it again.", r.Machine.Cores, r.Time.Format("January 2006"))
}

// middle returns the sample with a course whose newcomers' share is the median.
func middle(samples []sample) (sample, bool) {
	v, _ := of(samples, "newcomers")
	var best sample
	found := false
	for _, s := range samples {
		if s.Course != nil && (!found || abs(s.Values["newcomers"]-v.Median) < abs(best.Values["newcomers"]-v.Median)) {
			best, found = s, true
		}
	}
	return best, found
}

func abs(v float64) float64 { return max(v, -v) }

// line adds a server to a chart, whose X is that of the first.
func line(c *chart.Chart, name string, style int, course []latency.Summary) {
	s := chart.Series{Name: name, Style: style}
	for i, at := range course {
		if len(c.Series) == 0 {
			c.X = append(c.X, chart.Interval{From: at.FromSecs, To: at.FromSecs + at.ForSecs})
		}
		if i < len(c.X) {
			s.Y = append(s.Y, share(at))
		}
	}
	c.Series = append(c.Series, s)
}

// frame holds two charts side by side on a ground of its own: it is legible on any page.
var frame = template.Must(template.New("picture").Funcs(template.FuncMap{"place": func(i int) int { return 24 + i*110 }}).Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 352" width="900" height="352" role="img" aria-labelledby="siege-title">
<title id="siege-title">{{.Title}}</title>
<style>
svg { --ground: #ffffff; --ink: #1f2328; --soft: #59636e; --edge: #d1d9e0; --shade: #cf222e14; --alarm: #cf222e; --s1: #0969da; --s2: #bc4c00; --s3: #8250df; }
@media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --ink: #e6edf3; --soft: #9198a1; --edge: #30363d; --shade: #ff7b7224; --alarm: #ff7b72; --s1: #58a6ff; --s2: #f0883e; --s3: #bc8cff; } }
text { font: 12.5px system-ui, -apple-system, "Segoe UI", sans-serif; fill: var(--soft); }
.ground { fill: var(--ground); stroke: var(--edge); }
.head { font-size: 17px; font-weight: 600; fill: var(--ink); }
.panel { font-size: 14px; fill: var(--ink); }
.row { text-anchor: end; } .column { text-anchor: middle; } .shaded { fill: var(--alarm); }
.grid { stroke: var(--edge); stroke-width: 1; } .shade { fill: var(--shade); } .band { fill: none; }
.line { fill: none; stroke-width: 2.4; stroke-linejoin: round; stroke-linecap: round; }
.s1 { stroke: var(--s1); } .s2 { stroke: var(--s2); stroke-dasharray: 7 4; } .s3 { stroke: var(--s3); stroke-dasharray: 2 4; }
</style>
<rect class="ground" x="0.5" y="0.5" width="899" height="351" rx="8"/>
<text class="head" x="24" y="32">{{.Title}}</text>
{{- range $i, $s := .Legend}}
<path class="line s{{$s.Style}}" d="M{{place $i}} 52h26"/><text x="{{place $i}}" y="56" dx="34">{{$s.Name}}</text>
{{- end}}
<text class="panel" x="24" y="86">{{.GoodTitle}}</text><text class="panel" x="464" y="86">{{.NewsTitle}}</text>
<svg x="8" y="92" width="430" height="225">{{.Good}}</svg>
<svg x="452" y="92" width="430" height="225">{{.Fresh}}</svg>
<text x="24" y="340">{{.About}}</text>
</svg>
`))
