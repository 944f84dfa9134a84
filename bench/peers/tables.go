package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// region returns what stands between the markers of that name in a document: a table with its notes. It is empty when
// nothing of it was measured, and an error when there is no such region.
func (r record) region(name string) (string, error) {
	switch name {
	case "about":
		return r.about(), nil
	case "behind":
		return r.behind(), nil
	case "siege-good":
		return r.siegeTable(goodCell), nil
	case "siege-newcomers":
		return r.siegeTable(newcomersCell), nil
	case "siege-cost":
		return r.siegeTable(costCell), nil
	}
	for _, m := range measures {
		if m.name == name {
			return r.table(m), nil
		}
	}
	return "", fmt.Errorf("no region peers:%s", name)
}

// regionNames are all there are.
func regionNames() []string {
	names := []string{"about", "behind"}
	for _, m := range measures {
		names = append(names, m.name)
	}
	return append(names, "siege-good", "siege-newcomers", "siege-cost")
}

func (p peer) label() string {
	if p.shown != "" {
		return p.shown
	}
	return p.name
}

// table is the table of one measure: a row for each peer, and below it why a peer has none.
func (r record) table(m measure) string {
	by := r.of(m.name, "")
	if len(by) == 0 {
		return ""
	}
	head := []string{"server"}
	for _, c := range m.columns {
		if head = append(head, c.head); c.main {
			head = append(head, "from-to", "weir's to its")
		}
	}
	var rows [][]string
	var notes []string
	for _, p := range peers {
		if !slices.Contains(m.peers, p.name) || len(by[p.name]) == 0 {
			continue
		}
		row := []string{p.label()}
		for _, c := range m.columns {
			v, why := of(by[p.name], c.name)
			if v.N == 0 {
				row = append(row, "-")
				if c.main {
					row = append(row, "-", "-")
					notes = append(notes, p.name+": "+why)
				}
				continue
			}
			if row = append(row, c.format(v.Median)); c.main {
				row = append(row, c.format(v.Least)+"-"+c.format(v.Most), ratio(by["weir"], c.name, v))
			}
		}
		rows = append(rows, row)
	}
	out := m.about + "\n\n" + markdown(head, rows)
	if len(notes) > 0 {
		out += "\n" + strings.Join(notes, "; ") + ".\n"
	}
	return out
}

// ratio is weir's median to that of another.
func ratio(weir []sample, column string, other spread) string {
	w, _ := of(weir, column)
	if w.N == 0 || other.Median == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", w.Median/other.Median)
}

// siegeTable has a row for each attack and a column for each peer that was attacked.
func (r record) siegeTable(cell func([]sample) string) string {
	head := []string{"attack"}
	var shown []string
	for _, p := range peers {
		if slices.Contains(sieged, p.name) && slices.ContainsFunc(r.Samples, func(s sample) bool { return s.What == "siege" && s.Peer == p.name && s.Values != nil }) {
			shown, head = append(shown, p.name), append(head, p.label())
		}
	}
	var rows [][]string
	for _, a := range assaults {
		by := r.of("siege", a.name)
		if len(by) == 0 {
			continue
		}
		row := []string{a.name + ": " + a.about}
		for _, name := range shown {
			row = append(row, cell(by[name]))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return ""
	}
	out := markdown(head, rows)
	if notes := r.siegeNotes(); len(notes) > 0 {
		out += "\n" + strings.Join(notes, "; ") + ".\n"
	}
	return out
}

// siegeNotes say why a cell is empty.
func (r record) siegeNotes() (notes []string) {
	for _, s := range r.Samples {
		if s.What == "siege" && s.Values == nil && s.Why != "" {
			if note := s.Peer + ", " + s.Case + ": " + s.Why; !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

// goodCell is what became of the good client: how much was answered, and p99 during the attack.
func goodCell(samples []sample) string {
	good, _ := of(samples, "good")
	if good.N == 0 {
		return "-"
	}
	text := emphasised(good.Median)
	if p99, _ := of(samples, "p99_ms"); p99.N > 0 {
		text += ", " + millis(p99.Median)
	}
	return text
}

func newcomersCell(samples []sample) string {
	v, _ := of(samples, "newcomers")
	if v.N == 0 {
		return "-"
	}
	text := emphasised(v.Median)
	if p99, _ := of(samples, "newcomers_p99_ms"); p99.N > 0 {
		text += ", " + millis(p99.Median)
	}
	return text
}

// emphasised is a share, bold when more than one in a hundred got no answer.
func emphasised(v float64) string {
	if v < 99 {
		return "**" + percent(v) + "**"
	}
	return percent(v)
}

func costCell(samples []sample) string {
	cores, _ := of(samples, "cores")
	grown, _ := of(samples, "grown_mib")
	if cores.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f, %+.0f", cores.Median, grown.Median)
}

// about says what the numbers come from.
func (r record) about() string {
	m := r.Machine
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		if name != "nginx-bare" {
			versions = append(versions, versionText(name, r.Versions[name]))
		}
	}
	text := fmt.Sprintf("%s; %d cores of %s, %.0f GiB, Linux %s, %s, loopback. %d rounds of %v, sieges %d of %v.", r.Time.Format("2 January 2006"),
		m.Cores, m.CPU, float64(m.MemoryBytes)/(1<<30), m.Kernel, r.Go, r.Setup.Rounds, r.Setup.For, r.Setup.SiegeRounds,
		r.Setup.Before+r.Setup.During+r.Setup.After)
	if len(versions) > 0 {
		text += " " + strings.Join(versions, ", ") + "."
	}
	if r.Commit != "" {
		text += fmt.Sprintf(" weir at %.12s.", r.Commit)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Absent)) {
		text += fmt.Sprintf(" Left out: %s, %s.", name, r.Absent[name])
	}
	return text + "\n"
}

// versionText is a name with the first word of its version that begins with a digit.
func versionText(name, v string) string {
	for _, word := range strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == '/' }) {
		if word[0] >= '0' && word[0] <= '9' {
			return name + " " + word
		}
	}
	return name + " " + v
}
