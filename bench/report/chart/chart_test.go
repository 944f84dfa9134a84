package chart

import (
	"encoding/xml"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

func example() Chart {
	return Chart{ID: "a", Title: "A & b", Desc: "what it shows", Format: func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) },
		Span: Interval{0, 4}, Shades: []Shade{{Interval: Interval{1, 3}, Name: "flood", Number: 2, Text: "a flood"}}, X: []Interval{{0, 1}, {1, 2}, {2, 3}, {3, 4}},
		Series: []Series{{Name: "one", Style: 1, Y: []float64{1, 10, math.NaN(), 100}}, {Name: "two", Style: 2, Dashed: true, Y: []float64{2, 2, 2}}}}
}

// parts reads an SVG as XML, which every browser can, and returns how many elements of each name it has.
func parts(t *testing.T, svg string) map[string]int {
	t.Helper()
	out := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			out[e.Name.Local]++
		}
	}
}

func TestSVGHasWhatItIsMadeOf(t *testing.T) {
	svg, err := example().SVG()
	if err != nil {
		t.Fatal(err)
	}
	got := parts(t, string(svg))
	if got["path"] != 2 || got["desc"] != 1 || got["title"] != 6 || got["rect"] != 5 || got["svg"] != 1 {
		t.Errorf("%v in\n%s", got, svg)
	}
	for _, w := range []string{"A &amp; b", `role="img"`, `aria-labelledby="a-title a-desc"`, `class="shade"`, "line dashed s2", "1 s to 2 s\na flood\none: 10\ntwo: 2", "one: -"} {
		if !strings.Contains(string(svg), w) {
			t.Errorf("no %q in\n%s", w, svg)
		}
	}
}

// Names stand above the shades as long as all of them fit; then numbers do, as far as those fit.
func TestLabelsThatDoNotFitAreNumbers(t *testing.T) {
	x := scale{low: 0, high: 100, start: left, end: width - right}
	for _, c := range []struct {
		n    int
		want string
	}{{0, ""}, {1, "slowloris"}, {4, "slowloris slowloris slowloris slowloris"}, {5, "1 2 3 4 5"}} {
		var got []string
		_, labels := Chart{Shades: stripes(c.n)}.shaded(x)
		for _, l := range labels {
			got = append(got, l.Text)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%d shades: %q, want %q", c.n, got, c.want)
		}
	}
	if shaded, labels := (Chart{Shades: stripes(20)}).shaded(x); len(shaded) != 20 || len(labels) != 15 || labels[8].Text != "9" || labels[10].Text != "12" {
		t.Errorf("of 20 shades %d are drawn and %d labelled", len(shaded), len(labels))
	}
	if shaded, labels := (Chart{Shades: stripes(200)}).shaded(x); len(shaded) != 200 || len(labels) < 10 || len(labels) > 50 {
		t.Errorf("of 200 shades %d are drawn and %d labelled", len(shaded), len(labels))
	}
	if shaded, _ := (Chart{Shades: []Shade{{Name: "empty"}, {Interval: Interval{math.NaN(), 1}}}}).shaded(x); len(shaded) != 0 {
		t.Errorf("shades of no length: %v", shaded)
	}
}

// stripes returns n shades of one length that follow each other from 0 to 100.
func stripes(n int) (out []Shade) {
	for i := range n {
		out = append(out, Shade{Interval: Interval{float64(i) * 100 / float64(n), float64(i+1) * 100 / float64(n)}, Name: "slowloris", Number: i + 1})
	}
	return out
}

func TestGapsBeginALineAnew(t *testing.T) {
	c := example()
	x, y := scale{low: 0, high: 4, start: 0, end: 40}, scale{low: 0, high: 100, start: 100, end: 0}
	if got, want := c.line(c.Series[0], x, y), "M5 99h0L15 90M35 0h0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c.Step = true
	if got, want := c.line(c.Series[0], x, y), "M0 99L10 99L10 90L20 90M30 0L40 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestLayersStandOnEachOther(t *testing.T) {
	c := example()
	x, y := scale{low: 0, high: 4, start: 0, end: 40}, scale{low: 0, high: 100, start: 100, end: 0}
	floor := make([]float64, 4)
	c.layer(c.Series[0], floor, x, y)
	if got, want := c.layer(c.Series[1], floor, x, y), "M0 99V97H10V99zM10 90V88H20V90zM20 100V98H30V100z"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestAxes(t *testing.T) {
	for _, c := range []struct {
		why  string
		log  bool
		y    []float64
		want string
	}{
		{"nothing", false, nil, "0 0.2 0.4 0.6000000000000001 0.8 1 1.2000000000000002"},
		{"round", false, []float64{500}, "0 100 200 300 400 500 600"},
		{"odd", false, []float64{43}, "0 10 20 30 40 50"},
		{"one decade", true, []float64{0.002, 0.003}, "0.001 0.01"},
		{"a power itself", true, []float64{0.001}, "0.001 0.01"},
		{"zero is a gap", true, []float64{0, 5}, "1 10"},
		{"many decades", true, []float64{1e-9, 100}, "1e-09 1e-07 1e-05 0.001 0.1 10"},
	} {
		d := Chart{Log: c.log, X: make([]Interval, len(c.y)), Series: []Series{{Y: c.y}}}
		_, ticks := d.axis()
		var got []string
		for _, v := range ticks {
			got = append(got, strconv.FormatFloat(v, 'g', -1, 64))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// A record may say anything; a drawing stays one of finite size within its edges.
func TestAbsurdValuesStayWithinTheDrawing(t *testing.T) {
	absurd := []float64{math.Inf(1), math.Inf(-1), math.NaN(), -1, 0, math.MaxFloat64, math.SmallestNonzeroFloat64, 1e300}
	for _, c := range []Chart{{}, {Log: true}, {Stack: true}, {Step: true}} {
		c.Format, c.X = example().Format, make([]Interval, len(absurd))
		c.Series = []Series{{Name: "<script>", Style: -3, Y: absurd}, {Style: 99, Y: absurd}}
		c.X[3] = Interval{-5, 1e15}
		c.Span = c.X[3]
		svg, err := c.SVG()
		if err != nil {
			t.Fatal(err)
		}
		parts(t, string(svg))
		for _, w := range []string{"NaN", "Inf", "<script>"} {
			if strings.Contains(string(svg), w) {
				t.Errorf("%s in\n%s", w, svg)
			}
		}
		if len(svg) > 1<<14 {
			t.Errorf("%d bytes", len(svg))
		}
	}
}

func TestEmpty(t *testing.T) {
	if example().Empty() {
		t.Error("the example is empty")
	}
	c := example()
	c.Log, c.Series = true, []Series{{Y: []float64{0, math.NaN()}}, {}}
	if !c.Empty() {
		t.Error("gaps alone are something")
	}
}

func TestBars(t *testing.T) {
	svg, err := Bars("cost", "CPU", "<told>", []Bar{{"server", 1, 1, "1us"}, {"attackers", 2, 2, "2us"}, {"nobody", 0, -1, "-"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := parts(t, string(svg)); got["rect"] != 3 || got["text"] != 3 || !strings.Contains(string(svg), "&lt;told&gt;") {
		t.Errorf("%v in\n%s", got, svg)
	}
}
