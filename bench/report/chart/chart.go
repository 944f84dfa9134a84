package chart

import (
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The drawing's size in its own units: it is scaled to the width there is. On a phone that is 320 pixels or so, where
// the page makes text larger, for which there is room; on a desk two drawings stand side by side.
const (
	width, height            = 420, 220
	left, right, top, bottom = 58, 18, 20, 24
)

// Styles is how many series can be told apart.
const Styles = 8

// Interval is a stretch of time in seconds.
type Interval struct{ From, To float64 }

// Shade is a time that stands out. Its name stands above it when all of the chart's names fit, else its number does.
type Shade struct {
	Interval
	Name   string
	Number int
	Text   string // what is shown where the pointer is
}

// Series is one line or one layer of a stack.
type Series struct {
	Name   string
	Style  int       // 1 to Styles
	Dashed bool      // a line to compare with
	Y      []float64 // one for each of the chart's X; NaN is a gap
}

// Chart is values over time. Names and texts may come from anywhere: they are escaped.
type Chart struct {
	ID     string // letters and hyphens, once in a page
	Title  string
	Desc   string               // what it shows, as one who cannot see it would be told
	Format func(float64) string // of values on the axis and where the pointer is
	Span   Interval             // of the time axis
	Shades []Shade              // times to be told from the rest, in order; those of no length are left out
	Log    bool                 // values of 0 and less are then gaps
	Step   bool                 // a value holds through its interval, instead of a line through the middles
	Stack  bool                 // the series on top of each other, in order; implies Step, never Log
	X      []Interval           // in order
	Series []Series
}

// Empty reports whether there is nothing to draw.
func (c Chart) Empty() bool {
	for _, s := range c.Series {
		if slices.ContainsFunc(s.Y, c.real) {
			return false
		}
	}
	return true
}

// real reports whether v is a value and no gap.
func (c Chart) real(v float64) bool {
	return !math.IsNaN(v) && !math.IsInf(v, 0) && (!c.Log || v > 0)
}

type (
	mark  struct{ At, Text string }
	shape struct{ Class, Path string }
	band  struct{ X, Width, Text string }
	label struct{ X, Text, Title string }
)

// drawing is a chart in numbers that are ready to be written.
type drawing struct {
	Chart
	Width, Height, Left, Right, Top, Depth int // the last four are of the plot
	Tick, Foot                             int // where the labels of the axes stand
	Rows, Columns                          []mark
	Shapes                                 []shape
	Shaded                                 []band
	Labels                                 []label
	Bands                                  []band
}

// SVG draws the chart.
func (c Chart) SVG() (template.HTML, error) {
	x := scale{low: c.Span.From, high: max(c.Span.To, c.Span.From+1e-3), start: left, end: width - right}
	y, ticks := c.axis()
	d := drawing{Chart: c, Width: width, Height: height, Left: left, Right: width - right, Top: top, Depth: height - bottom - top,
		Tick: left - 6, Foot: height - 6}
	for _, t := range ticks {
		d.Rows = append(d.Rows, mark{place(y.at(t)), c.Format(t)})
	}
	by := step(x.high-x.low, 7)
	first := math.Ceil(x.low/by) * by
	for i := range 8 { // counted: adding a small step to a large number may change nothing
		t := first + float64(i)*by
		if t > x.high+by*1e-6 {
			break
		}
		d.Columns = append(d.Columns, mark{place(x.at(t)), seconds(t)})
	}
	d.Shaded, d.Labels = c.shaded(x)
	floor := make([]float64, len(c.X)) // of a stack: what lies below
	for _, s := range c.Series {
		style := "s" + string(rune('0'+min(max(s.Style, 1), Styles)))
		switch {
		case c.Stack:
			d.Shapes = append(d.Shapes, shape{"area " + style, c.layer(s, floor, x, y)})
		case s.Dashed:
			d.Shapes = append(d.Shapes, shape{"line dashed " + style, c.line(s, x, y)})
		default:
			d.Shapes = append(d.Shapes, shape{"line " + style, c.line(s, x, y)})
		}
	}
	for i, at := range c.X {
		d.Bands = append(d.Bands, band{place(x.at(at.From)), place(max(x.at(at.To)-x.at(at.From), 0)), c.told(i)})
	}
	var b strings.Builder
	if err := page.ExecuteTemplate(&b, "chart", d); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

// letter is about how wide a letter of a label is: that of a phone, where text is larger.
const letter = 7.5

// shaded returns the shades and their labels. The last label may reach beyond its shade, up to the drawing's edge. A
// number that finds no room is left out, as names would be that nobody could read.
func (c Chart) shaded(x scale) (shaded []band, labels []label) {
	all := slices.DeleteFunc(slices.Clone(c.Shades), func(s Shade) bool { return !(s.To > s.From) })
	names := true
	room := func(i int) float64 {
		if i+1 < len(all) {
			return x.at(all[i+1].From) - x.at(all[i].From)
		}
		return width - x.at(all[i].From)
	}
	for i, s := range all {
		names = names && float64(len(s.Name)+1)*letter <= room(i)
	}
	free := 0.0
	for _, s := range all {
		from, to := x.at(s.From), x.at(s.To)
		shaded = append(shaded, band{place(from), place(to - from), ""})
		text := s.Name
		if !names {
			text = strconv.Itoa(s.Number)
		}
		if names || from >= free {
			labels = append(labels, label{place(from), text, s.Text})
			free = from + (float64(len(text))+0.6)*letter
		}
	}
	return shaded, labels
}

// axis returns the scale of values and where its ticks are.
func (c Chart) axis() (scale, []float64) {
	low, high := math.Inf(1), 0.0
	for i := range c.X {
		sum := 0.0
		for _, s := range c.Series {
			if v := c.value(s, i); c.real(v) {
				sum += max(v, 0)
				low, high = min(low, v), max(high, v)
			}
		}
		if c.Stack {
			high = max(high, sum)
		}
	}
	high = min(high, 1e18) // whatever the record says
	if c.Log && high > 0 {
		return decades(max(low, 1e-18), max(high, 1e-18), height-bottom, top)
	}
	return linear(high, height-bottom, top)
}

func (c Chart) value(s Series, i int) float64 {
	if i >= len(s.Y) {
		return math.NaN()
	}
	return s.Y[i]
}

// line is the path of a series; it begins anew after each gap.
func (c Chart) line(s Series, x, y scale) string {
	var b strings.Builder
	open := false
	for i, at := range c.X {
		v := c.value(s, i)
		if !c.real(v) {
			open = false
			continue
		}
		points := []float64{(at.From + at.To) / 2}
		if c.Step {
			points = []float64{at.From, at.To}
		}
		for j, p := range points {
			if open || j > 0 {
				b.WriteString("L")
			} else {
				b.WriteString("M")
			}
			b.WriteString(place(x.at(p)) + " " + place(y.at(v)))
		}
		// A line of no length makes a single value a dot, with round ends.
		if !open && len(points) == 1 {
			b.WriteString("h0")
		}
		open = true
	}
	return b.String()
}

// layer is the area of a series on floor, which it raises.
func (c Chart) layer(s Series, floor []float64, x, y scale) string {
	var b strings.Builder
	for i, at := range c.X {
		v := c.value(s, i)
		if !c.real(v) || v <= 0 {
			continue
		}
		under := y.at(floor[i])
		floor[i] += v
		b.WriteString("M" + place(x.at(at.From)) + " " + place(under) + "V" + place(y.at(floor[i])) + "H" + place(x.at(at.To)) + "V" + place(under) + "z")
	}
	return b.String()
}

// told is what is shown where the pointer is.
func (c Chart) told(i int) string {
	var b strings.Builder
	b.WriteString(seconds(c.X[i].From) + " to " + seconds(c.X[i].To))
	middle := (c.X[i].From + c.X[i].To) / 2
	for _, s := range c.Shades {
		if middle >= s.From && middle < s.To {
			b.WriteString("\n" + s.Text)
			break
		}
	}
	for _, s := range c.Series {
		text := "-"
		if v := c.value(s, i); c.real(v) {
			text = c.Format(v)
		}
		b.WriteString("\n" + s.Name + ": " + text)
	}
	return b.String()
}

func seconds(v float64) string { return place(v) + " s" }

// Bar is one bar of [Bars].
type Bar struct {
	Name  string
	Style int // 1 to Styles
	Value float64
	Text  string // the value as it is told
}

// Bars draws bars from a common zero, one below the other.
func Bars(id, title, desc string, bars []Bar) (template.HTML, error) {
	row, thick := 58, 18
	if len(bars) > 6 {
		row, thick = 36, 8
	}
	type line struct {
		Bar
		TextY, BarY, Length string
	}
	d := struct {
		ID, Title, Desc string
		Width, Height   int
		Thick           int // of a bar
		Lines           []line
	}{ID: id, Title: title, Desc: desc, Width: width, Height: row*len(bars) + 8, Thick: thick}
	high := 0.0
	for _, b := range bars {
		high = max(high, b.Value)
	}
	for i, b := range bars {
		b.Style = min(max(b.Style, 1), Styles)
		length := 0.0
		if high > 0 {
			length = max(b.Value/high, 0) * (width - 8)
		}
		d.Lines = append(d.Lines, line{b, place(float64(i*row + 22)), place(float64(i*row + 30)), place(max(length, 1))})
	}
	var b strings.Builder
	if err := page.ExecuteTemplate(&b, "bars", d); err != nil {
		return "", err
	}
	return template.HTML(b.String()), nil // escaped by the template
}

var page = template.Must(template.New("").Parse(`
{{- define "chart"}}<svg id="{{.ID}}" class="chart" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="{{.ID}}-title {{.ID}}-desc">
<title id="{{.ID}}-title">{{.Title}}</title>
<desc id="{{.ID}}-desc">{{.Desc}}</desc>
{{- $d := .}}
{{- range .Shaded}}
<rect class="shade" x="{{.X}}" y="{{$d.Top}}" width="{{.Width}}" height="{{$d.Depth}}"/>
{{- end}}
{{- range .Labels}}
<text class="shaded" x="{{.X}}" y="14">{{.Text}}{{with .Title}}<title>{{.}}</title>{{end}}</text>
{{- end}}
{{- range .Rows}}
<line class="grid" x1="{{$d.Left}}" x2="{{$d.Right}}" y1="{{.At}}" y2="{{.At}}"/><text class="tick row" x="{{$d.Tick}}" y="{{.At}}" dy="4">{{.Text}}</text>
{{- end}}
{{- range .Columns}}
<text class="tick column" x="{{.At}}" y="{{$d.Foot}}">{{.Text}}</text>
{{- end}}
{{- range .Shapes}}
<path class="{{.Class}}" d="{{.Path}}"/>
{{- end}}
<g class="bands">
{{- range .Bands}}
<rect class="band" x="{{.X}}" y="{{$d.Top}}" width="{{.Width}}" height="{{$d.Depth}}"><title>{{.Text}}</title></rect>
{{- end}}
</g>
</svg>{{end}}
{{- define "bars"}}<svg id="{{.ID}}" class="chart" viewBox="0 0 {{.Width}} {{.Height}}" role="img" aria-labelledby="{{.ID}}-title {{.ID}}-desc">
<title id="{{.ID}}-title">{{.Title}}</title>
<desc id="{{.ID}}-desc">{{.Desc}}</desc>
{{- range .Lines}}
<text class="name" x="0" y="{{.TextY}}">{{.Name}}: {{.Text}}</text>
<rect class="bar s{{.Style}}" x="0" y="{{.BarY}}" width="{{.Length}}" height="{{$.Thick}}" rx="2"/>
{{- end}}
</svg>{{end}}`))
