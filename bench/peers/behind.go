package main

import (
	"fmt"
	"strings"
)

// What counts as behind under attack: differences below are what two runs of one server differ by.
const (
	shareApart = 0.5 // percent of requests
	p99Apart   = 1.0 // milliseconds, and half as much again
)

// behind lists where another server does better than weir, in all that was measured.
func (r record) behind() string {
	var lines []string
	for _, m := range measures {
		by := r.of(m.name, "")
		for _, c := range m.columns {
			if !c.main {
				continue
			}
			w, _ := of(by["weir"], c.name)
			for _, p := range peers {
				v, _ := of(by[p.name], c.name)
				if w.N == 0 || v.N == 0 || v.Median >= w.Median {
					continue
				}
				line := fmt.Sprintf("%s: %s %s, weir %s %s", m.title, p.label(), c.format(v.Median), c.format(w.Median), c.head)
				if v.Most >= w.Least {
					line += " (the ranges of the rounds overlap)"
				}
				lines = append(lines, line)
			}
		}
	}
	for _, a := range assaults {
		lines = append(lines, r.behindIn(a)...)
	}
	if len(lines) == 0 {
		if len(r.Samples) == 0 {
			return ""
		}
		return "Nowhere in what was measured here.\n"
	}
	return "- " + strings.Join(lines, "\n- ") + "\n"
}

func (r record) behindIn(a assault) (lines []string) {
	by := r.of("siege", a.name)
	value := func(name, column string) spread { v, _ := of(by[name], column); return v }
	for _, name := range sieged {
		if name == "weir" || value(name, "good").N == 0 || value("weir", "good").N == 0 {
			continue
		}
		for _, c := range []struct{ column, what string }{{"good", "good clients"}, {"newcomers", "newcomers"}} {
			w, v := value("weir", c.column), value(name, c.column)
			if v.Median > w.Median+shareApart {
				lines = append(lines, fmt.Sprintf("Under %s: %s answers %s of what %s ask for, weir %s", a.name, name, percent(v.Median), c.what, percent(w.Median)))
			}
		}
		// A p99 of the few that were answered is no better for it.
		w, v := value("weir", "p99_ms"), value(name, "p99_ms")
		if v.N > 0 && value(name, "good").Median >= value("weir", "good").Median-shareApart && w.Median > v.Median+p99Apart && w.Median > 1.5*v.Median {
			lines = append(lines, fmt.Sprintf("Under %s: the good client's p99 is %s with %s, %s with weir", a.name, millis(v.Median), name, millis(w.Median)))
		}
	}
	return lines
}
