package report

import (
	"fmt"
	"strings"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/report/chart"
)

// stage is a phase of a siege that had a length.
type stage struct {
	Number    int // from 1 on, those without a length counted, as the progress of the run does
	Name      string
	From, For float64 // seconds
	Attacks   []attack.Result
}

// stages returns the phases of a siege, told by what the good client saw.
func stages(o bench.Outcome) []stage {
	var out []stage
	for i, p := range o.Good.Phases {
		if p.ForSecs <= 0 {
			continue
		}
		s := stage{Number: i + 1, Name: p.Name, From: p.FromSecs, For: p.ForSecs}
		for _, a := range o.Attacks {
			if a.Phase == p.Name {
				s.Attacks = append(s.Attacks, a.Result)
			}
		}
		out = append(out, s)
	}
	return out
}

// attacked returns those with attacks.
func attacked(all []stage) []stage {
	var out []stage
	for _, s := range all {
		if len(s.Attacks) > 0 {
			out = append(out, s)
		}
	}
	return out
}

// names of the attacks of a stage, one after the other.
func (s stage) names() string {
	var out []string
	for _, a := range s.Attacks {
		out = append(out, a.Name)
	}
	return strings.Join(out, ", ")
}

// shadedText says what each number above a drawing stands for.
func shadedText(all []stage) string {
	if len(all) < 2 {
		return ""
	}
	var out []string
	for _, s := range all {
		out = append(out, fmt.Sprintf("%d %s", s.Number, s.Name))
	}
	return "Shaded are the phases with attacks: " + strings.Join(out, ", ") + "."
}

// maxShadeBytes bounds what stands in a drawing once for each slice of time.
const maxShadeBytes = 120

// shades are the stages with attacks as drawings show them.
func shades(all []stage) []chart.Shade {
	var out []chart.Shade
	for _, s := range attacked(all) {
		name := s.Name
		if name == bench.During {
			name = "attack" // of a plain siege, where there is but one
		}
		out = append(out, chart.Shade{Interval: chart.Interval{From: s.From, To: s.From + s.For}, Name: short(name, bench.MaxPhaseName), Number: s.Number,
			Text: short(s.Name+": "+s.names(), maxShadeBytes)})
	}
	return out
}
