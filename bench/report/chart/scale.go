package chart

import (
	"math"
	"strconv"
)

// scale maps values to places along an axis. Places are in user units of the drawing.
type scale struct {
	low, high  float64 // values; on a log scale those of the ends' exponents
	start, end float64 // places
	log        bool
}

// at returns the place of v, which may lie outside of the scale: then it is that of the nearer end.
func (s scale) at(v float64) float64 {
	if s.log {
		v = math.Log10(v)
	}
	part := (v - s.low) / (s.high - s.low)
	return s.start + min(max(part, 0), 1)*(s.end-s.start)
}

// step returns the least of 1, 2 and 5 times a power of ten of which at most n fit in length.
func step(length float64, n int) float64 {
	least := length / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= least*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// linear returns a scale from 0 to a round number above high, and its ticks.
func linear(high, start, end float64) (scale, []float64) {
	if !(high > 0) {
		high = 1
	}
	by := step(high, 5)
	n := math.Ceil(high/by + 0.01) // a line at the very top would hide behind the edge
	var ticks []float64
	for i := 0.0; i <= n; i++ {
		ticks = append(ticks, i*by)
	}
	return scale{high: n * by, start: start, end: end}, ticks
}

// decades returns a logarithmic scale of whole powers of ten around low to high, which are above 0, and its ticks: all
// of the powers or, when there are many, every second one.
func decades(low, high, start, end float64) (scale, []float64) {
	a, b := math.Floor(math.Log10(low)+1e-9), math.Ceil(math.Log10(high)-1e-9)
	if a >= b {
		b = a + 1
	}
	every := math.Ceil((b - a) / 7)
	var ticks []float64
	for e := a; e <= b; e += every {
		ticks = append(ticks, math.Pow(10, e))
	}
	return scale{low: a, high: b, start: start, end: end, log: true}, ticks
}

// place writes a place with a tenth of a unit, which no screen tells apart.
func place(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
