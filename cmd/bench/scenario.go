package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"weir/bench"
	"weir/bench/report"
	"weir/bench/scenario"
)

// goodWords are the settings that a scenario's [good] may have: the flags of a good client, but for those that stand at
// the top.
func goodWords() (out []string) {
	f := flag.NewFlagSet("good", flag.ContinueOnError)
	new(good).flags(f)
	f.VisitAll(func(f *flag.Flag) {
		if !scenario.IsTop(f.Name) {
			out = append(out, f.Name)
		}
	})
	return out
}

// flagOf names the flag that a setting is another place for.
func flagOf(table, name string) string {
	switch {
	case table != scenario.Newcomers:
		return name
	case name == "rate":
		return "newcomers"
	}
	return "newcomer-" + name
}

// open reads the scenario of that name, file or record.
func open(name string) (scenario.Scenario, error) {
	if !strings.HasSuffix(name, ".json") {
		file, text, err := scenario.Open(name)
		if err != nil {
			return scenario.Scenario{}, err
		}
		return scenario.Parse(file, text, goodWords())
	}
	r, err := report.Read(name)
	if err != nil {
		return scenario.Scenario{}, err
	}
	if r.Scenario == "" {
		return scenario.Scenario{}, fmt.Errorf("%s: holds no scenario: it is of a %s, or of an earlier bench", name, r.Kind)
	}
	return scenario.Parse("the scenario in "+name, r.Scenario, goodWords())
}

// source is where the flags of a siege come from: the command line and, where that says nothing, a scenario.
type source struct {
	scenario.Scenario
	lines map[string]int // of the flags that the scenario set
}

// fill sets the flags that the command line left to the scenario.
func fill(f *flag.FlagSet, s scenario.Scenario) (source, error) {
	in := source{s, map[string]int{}}
	said := map[string]bool{}
	f.Visit(func(f *flag.Flag) { said[f.Name] = true })
	for _, v := range s.Settings {
		name := flagOf(v.Table, v.Name)
		if said[name] {
			continue
		}
		if err := f.Set(name, v.Value); err != nil {
			kind, usage := flag.UnquoteUsage(f.Lookup(name))
			if kind == "value" { // of a flag with words of its own, which says what is wrong
				return in, s.At(v.Line, "%v", err)
			}
			return in, s.At(v.Line, "%s %q: want %s: %s", v.Name, v.Value, want(kind), usage)
		}
		in.lines[name] = v.Line
	}
	return in, nil
}

// want says what a flag takes, by the name that package flag has for it.
func want(kind string) string {
	switch kind {
	case "duration":
		return `a length of time such as "500ms" or "2s"`
	case "float":
		return "a number"
	case "int", "uint":
		return "a whole number"
	case "":
		return "true or false"
	}
	return "another value"
}

// located adds the line to an error about a flag's value, when it came from the scenario.
func (in source) located(name string, err error) error {
	if line, ok := in.lines[name]; ok && err != nil {
		return in.At(line, "%v", err)
	}
	return err
}

// redone returns what a siege runs as a scenario: all settings, whoever made them, and the phases. Only the server's
// process is left out, which will be another one.
func redone(f *flag.FlagSet, about string, phases []bench.Phase, specs func(i int) []string) scenario.Scenario {
	out := scenario.Scenario{About: about}
	add := func(table string, names ...string) {
		for _, name := range names {
			v := f.Lookup(flagOf(table, name)).Value.String()
			if v != "" {
				out.Settings = append(out.Settings, scenario.Setting{Table: table, Name: name, Value: v})
			}
		}
	}
	add(scenario.Top, "target", "good-target", "metrics", "shed-metric", "shed-label", "seed")
	add(scenario.Good, goodWords()...)
	if f.Lookup("newcomers").Value.String() != "0" {
		add(scenario.Newcomers, "rate", "source", "sources")
	}
	for i, p := range phases {
		if p.For > 0 {
			out.Phases = append(out.Phases, scenario.Phase{Name: p.Name, For: p.For, Attacks: specs(i)})
		}
	}
	return out
}

// ready lists the scenarios that come with the program.
func ready(w io.Writer) {
	for _, name := range scenario.Ready() {
		file, text, err := scenario.Open(name)
		if err != nil {
			continue
		}
		if s, err := scenario.Parse(file, text, goodWords()); err == nil {
			fmt.Fprintf(w, "  %-12s %s\n", name, s.About)
		}
	}
}
