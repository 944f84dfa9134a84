package pacer

import (
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Shape is how arrivals are spread over time. The zero value is [Even].
type Shape uint8

// The shapes.
const (
	Even   Shape = iota // constant gaps
	Random              // exponential gaps: independent clients, bursts included (a Poisson process)
	Ramp                // a rate that grows or falls evenly from one to another over the run
	Bursts              // all that are due in a while at once, at its beginning
)

var shapes = [...]string{"constant", "poisson", "ramp", "burst"}

// String returns the word that [ParseArrivals] knows.
func (s Shape) String() string { return shapes[s] }

// Arrivals is a shape with what it needs beside the rate. The zero value is constant gaps.
type Arrivals struct {
	Shape Shape
	From  float64       // Ramp: requests a second at the beginning, 0 or more; the rate is that at the end
	Every time.Duration // Bursts: from one to the next, above 0; the rate times this many seconds, rounded, come at once
}

// ParseArrivals reads what [Arrivals.String] writes: "constant", "poisson", "ramp", "ramp?from=100", "burst" or
// "burst?every=500ms". A ramp begins at 0 and bursts come each second unless they say otherwise.
func ParseArrivals(text string) (Arrivals, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Fragment != "" {
		return Arrivals{}, fmt.Errorf("arrivals %q: want constant, poisson, ramp?from=RATE or burst?every=TIME", text)
	}
	a := Arrivals{Shape: Shape(len(shapes))}
	for i, name := range shapes {
		if u.Path == name {
			a.Shape = Shape(i)
		}
	}
	options, err := url.ParseQuery(u.RawQuery)
	if a.Shape == Shape(len(shapes)) || err != nil {
		return Arrivals{}, fmt.Errorf("arrivals %q: want constant, poisson, ramp?from=RATE or burst?every=TIME", text)
	}
	if a.Shape == Bursts {
		a.Every = time.Second
	}
	for name, values := range options {
		value := values[len(values)-1]
		switch {
		case a.Shape == Ramp && name == "from":
			a.From, err = strconv.ParseFloat(value, 64)
		case a.Shape == Bursts && name == "every":
			a.Every, err = time.ParseDuration(value)
		default:
			return Arrivals{}, fmt.Errorf("arrivals %q: %s has no option %q", text, a.Shape, name)
		}
		if err != nil {
			return Arrivals{}, fmt.Errorf("arrivals %q: %s is no %s", text, value, map[string]string{"from": "rate", "every": "duration"}[name])
		}
	}
	return a, a.check()
}

func (a Arrivals) check() error {
	switch {
	case a.Shape >= Shape(len(shapes)):
		return fmt.Errorf("arrivals: no shape %d", a.Shape)
	case a.Shape == Ramp && !(a.From >= 0 && a.From <= MaxRate):
		return fmt.Errorf("arrivals: a ramp from %v: must be from 0 to 1e9 a second", a.From)
	case a.Shape == Bursts && a.Every <= 0:
		return fmt.Errorf("arrivals: a burst every %v: must be above 0", a.Every)
	}
	return nil
}

// String returns the shape with its options.
func (a Arrivals) String() string {
	switch {
	case a.Shape == Ramp:
		return "ramp?from=" + strconv.FormatFloat(a.From, 'g', -1, 64)
	case a.Shape == Bursts:
		return "burst?every=" + a.Every.String()
	}
	return a.Shape.String()
}

// MarshalText is [Arrivals.String].
func (a Arrivals) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is [ParseArrivals].
func (a *Arrivals) UnmarshalText(text []byte) (err error) {
	*a, err = ParseArrivals(string(text))
	return err
}
