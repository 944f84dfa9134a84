package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// inPhase is how unknown calls the table of a phase.
const inPhase = "phase"

// unknown is the error for a key at path that table does not have, with what may have been meant.
func (p *parser) unknown(table, path, key string, v any) error {
	tables := []struct {
		name, where string
		keys        []string
	}{
		{Top, "at the top, above all [tables]", append([]string{"about"}, tops...)},
		{Good, "in [good]", p.good},
		{Newcomers, "in [newcomers]", newcomers},
		{inPhase, "in a [[phase]]", ofPhases},
	}
	here := tables[0]
	for _, t := range tables {
		if t.name == table {
			here = t
		}
	}
	line := p.line(path)
	if _, isTable := v.(map[string]any); isTable && table == Top {
		return p.At(line, "no table %q: there are [good], [newcomers] and [[phase]]%s", clean(key), meant(key, []string{Good, Newcomers, "phase"}))
	}
	if hint := meant(key, here.keys); hint != "" {
		return p.At(line, "no setting %q %s%s", clean(key), here.where, hint)
	}
	var elsewhere []string
	for _, t := range tables {
		if t.name != table && slices.Contains(t.keys, key) {
			elsewhere = append(elsewhere, t.where)
		}
	}
	if len(elsewhere) > 0 {
		return p.At(line, "no setting %q %s; it stands %s", clean(key), here.where, strings.Join(elsewhere, " or "))
	}
	return p.At(line, "no setting %q %s: there are %s", clean(key), here.where, strings.Join(here.keys, ", "))
}

// clean makes a key fit for a line of an error: keys in quotes may have anything in them.
func clean(key string) string { return key[:min(len(key), 60)] }

// meant asks about the nearest of known to key, when one is near.
func meant(key string, known []string) string {
	low := strings.ToLower(strings.ReplaceAll(key, "_", "-"))
	best, least := "", 3
	for _, k := range known {
		if d := distance(low[:min(len(low), 40)], k); d < least && d < len(k)-1 {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// distance is how many letters have to be changed, added or left out to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		last := row[0]
		row[0] = i + 1
		for j := range b {
			change := last
			if a[i] != b[j] {
				change++
			}
			last = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
