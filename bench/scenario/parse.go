package scenario

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"weir/bench"
	"weir/bench/attack"
)

// tops and newcomers are the settings of those tables. Those of the good client are the caller's to say, as they are its
// flags.
var (
	tops      = []string{"target", "good-target", "metrics", "shed-metric", "shed-label", "pid", "seed"}
	newcomers = []string{"rate", "source", "sources"}
	ofPhases  = []string{"name", "for", "attacks"}
)

// IsTop reports whether a setting of that name stands at the top of a file.
func IsTop(name string) bool { return slices.Contains(tops, name) }

// parser is a file being read. Not for concurrent use.
type parser struct {
	Scenario
	lines map[string]int
	good  []string
}

// Parse reads the text of a scenario. file is what to call it in errors, each of which is an [Error]; good are the
// settings that [good] may have. Values are not looked at, but for those of phases: that is up to the flags they are for.
// Any goroutine.
func Parse(file, text string, good []string) (Scenario, error) {
	p := &parser{Scenario: Scenario{File: file}, good: good}
	if len(text) > maxBytes {
		return Scenario{}, p.At(0, "has more than %d KiB", maxBytes>>10)
	}
	if line, why := excess(text); why != "" {
		return Scenario{}, p.At(line, "%s", why)
	}
	var root map[string]any
	if _, err := toml.Decode(text, &root); err != nil {
		return Scenario{}, p.syntax(err)
	}
	p.lines = lines(text)
	if err := p.root(root); err != nil {
		return Scenario{}, err
	}
	return p.Scenario, nil
}

// syntax says what is no TOML in one line.
func (p *parser) syntax(err error) error {
	var bad toml.ParseError
	if errors.As(err, &bad) {
		why := strings.Join(strings.Fields(bad.Message), " ")
		if bad.LastKey != "" {
			why += " (after " + bad.LastKey + ")"
		}
		return p.At(bad.Position.Line, "%s", why)
	}
	return p.At(0, "%s", strings.Join(strings.Fields(err.Error()), " "))
}

// keys returns those of a table in the order of the file, so that the first mistake is the one that is told.
func (p *parser) keys(path string, table map[string]any) []string {
	return slices.SortedFunc(maps.Keys(table), func(a, b string) int {
		return cmp.Or(cmp.Compare(p.line(join(path, a)), p.line(join(path, b))), cmp.Compare(a, b))
	})
}

// line returns that of a path or, where it is not known, of what it is in.
func (p *parser) line(path string) int {
	for {
		if n := p.lines[path]; n > 0 || path == "" {
			return n
		}
		path = path[:max(strings.LastIndexByte(path, '.'), 0)]
	}
}

func (p *parser) root(root map[string]any) error {
	var phases any
	for _, key := range p.keys("", root) {
		v, line := root[key], p.line(key)
		var err error
		switch {
		case key == "about":
			text, ok := v.(string)
			if !ok || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				return p.At(line, "about: want one line of text in quotes")
			}
			p.About = text
		case key == "phase":
			phases = v
		case key == Good || key == Newcomers:
			known := p.good
			if key == Newcomers {
				known = newcomers
			}
			err = p.table(key, v, known)
		case IsTop(key):
			err = p.setting(Top, key, v)
		default:
			err = p.unknown(Top, key, key, v)
		}
		if err != nil {
			return err
		}
	}
	return p.phases(phases)
}

// table reads the settings of [good] or [newcomers].
func (p *parser) table(name string, v any, known []string) error {
	table, ok := v.(map[string]any)
	if !ok {
		return p.At(p.line(name), "%s: want a table, begun by a line [%s]", name, name)
	}
	for _, key := range p.keys(name, table) {
		if !slices.Contains(known, key) {
			return p.unknown(name, join(name, key), key, table[key])
		}
		if err := p.setting(name, key, table[key]); err != nil {
			return err
		}
	}
	return nil
}

// setting reads one value as the text that its flag takes.
func (p *parser) setting(table, key string, v any) error {
	line := p.line(join(table, key))
	text, ok := plain(v)
	if list, isList := v.([]any); isList && key == "pid" {
		var parts []string
		ok = true
		for _, e := range list {
			part, fine := plain(e)
			parts, ok = append(parts, part), ok && fine
		}
		text = strings.Join(parts, ",")
	}
	if !ok {
		return p.At(line, "%s: want one value, a number or text in quotes", key)
	}
	p.Settings = append(p.Settings, Setting{Table: table, Name: key, Value: text, Line: line})
	return nil
}

// plain returns a value that is one word, as on the command line.
func plain(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), !math.IsNaN(v) && !math.IsInf(v, 0) && math.Abs(v) < 1e18
	case bool:
		return strconv.FormatBool(v), true
	}
	return "", false
}

func (p *parser) phases(v any) error {
	if v == nil {
		return p.At(0, "has no [[phase]]: a siege needs at least one, with attacks")
	}
	tables, ok := v.([]map[string]any)
	if list, isList := v.([]any); isList { // written inline
		ok = true
		for _, e := range list {
			table, fine := e.(map[string]any)
			tables, ok = append(tables, table), ok && fine
		}
	}
	if !ok {
		return p.At(p.line("phase"), "phase: want [[phase]] in double brackets, once for each phase")
	}
	if len(tables) > bench.MaxPhases {
		return p.At(p.line(fmt.Sprintf("phase.%d", bench.MaxPhases)), "more than %d phases", bench.MaxPhases)
	}
	total, strikes := time.Duration(0), 0
	for i, table := range tables {
		phase, err := p.phase(fmt.Sprintf("phase.%d", i), table)
		if err != nil {
			return err
		}
		p.Phases = append(p.Phases, phase)
		if total += phase.For; total > bench.MaxSiege {
			return p.At(phase.Line, "up to this phase it would take %v: at most %v", total, bench.MaxSiege)
		}
		if strikes += len(phase.Attacks); strikes > bench.MaxStrikes {
			return p.At(phase.Line, "up to this phase there are %d attacks: at most %d", strikes, bench.MaxStrikes)
		}
	}
	if strikes == 0 {
		return p.At(0, `has no attack: give a phase some, such as attacks = ["slowloris"]`)
	}
	return p.names()
}

func (p *parser) phase(path string, table map[string]any) (out Phase, err error) {
	out.Line = p.line(path)
	for _, key := range p.keys(path, table) {
		v, line := table[key], p.line(join(path, key))
		switch key {
		case "name":
			text, ok := v.(string)
			if !ok {
				return out, p.At(line, "name: want text in quotes")
			}
			if err := bench.CheckName(text); err != nil {
				return out, p.At(line, "%v", err)
			}
			out.Name = text
		case "for":
			text, ok := v.(string)
			if out.For, err = time.ParseDuration(text); !ok || err != nil {
				return out, p.At(line, `for: want a length of time in quotes, with its unit, such as "10s" or "1m30s"`)
			}
			if out.For <= 0 || out.For > bench.MaxSiege {
				return out, p.At(line, "for %s: must be above 0 and at most %v", text, bench.MaxSiege)
			}
		case "attacks":
			list, ok := v.([]any)
			if !ok {
				return out, p.At(line, `attacks: want a list, such as ["slowloris?conns=5000", "frame-flood"]`)
			}
			for i, e := range list {
				line := p.line(fmt.Sprintf("%s.attacks.%d", path, i))
				spec, ok := e.(string)
				if !ok || strings.Contains(spec, ",") {
					return out, p.At(line, `attacks: want each attack in quotes of its own, such as "slowloris?conns=5000"`)
				}
				if _, _, err := attack.ParseSpec(spec); err != nil {
					return out, p.At(line, "%v", err)
				}
				out.Attacks, out.Lines = append(out.Attacks, spec), append(out.Lines, line)
			}
		default:
			return out, p.unknown(inPhase, join(path, key), key, v)
		}
	}
	if out.For == 0 {
		return out, p.At(out.Line, `this phase does not say how long it lasts: add for = "10s"`)
	}
	return out, nil
}

// names gives each phase without a name one, and sees to it that no two are called the same.
func (p *parser) names() error {
	taken := map[string]bool{}
	for _, phase := range p.Phases {
		if phase.Name != "" && taken[phase.Name] {
			return p.At(phase.Line, "two phases are called %q", phase.Name)
		}
		taken[phase.Name] = true
	}
	for i := range p.Phases {
		phase := &p.Phases[i]
		if phase.Name != "" {
			continue
		}
		base := "quiet"
		if len(phase.Attacks) > 0 {
			var kinds []string
			for _, spec := range phase.Attacks {
				kind, _, _ := strings.Cut(spec, "?")
				kinds = append(kinds, kind)
			}
			if base = strings.Join(kinds, "+"); len(base) > bench.MaxPhaseName-4 {
				base = "mixed"
			}
		}
		phase.Name = base
		for n := 2; taken[phase.Name]; n++ {
			phase.Name = fmt.Sprintf("%s %d", base, n)
		}
		taken[phase.Name] = true
	}
	return nil
}
