package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/report"
	"weir/bench/target"
	"weir/bench/watch"
)

// siegeHelp stands between the synopsis and the flags.
const siegeHelp = `siege (-target URL -attack NAME[?OPTION=VALUE&...][,NAME...] | -scenario FILE) [flags]

Without -scenario there are three phases, -before, -during and -after, with the attacks in the second. A scenario is a
TOML file of settings and phases; flags given win over its settings, which have the flags' names:

  target = "http://127.0.0.1:8080/"   # also good-target, metrics, shed-metric, shed-label, pid, seed
  [good]                              # the good client: rate, conns, timeout, ...
  rate = 500
  [newcomers]                         # none without it: rate, source, sources
  rate = 50
  [[phase]]                           # phases in order; without attacks one is quiet
  for = "5s"
  [[phase]]
  name = "mixed"
  for = "10s"
  attacks = ["frame-flood", "slowloris?conns=5000&interval=500ms"]

A record that -json wrote is a scenario, too: -scenario run.json runs the same again. Ready scenarios, by name:
`

func (c *command) siege(ctx context.Context, args []string) error {
	f := c.flags("siege")
	var g good
	g.flags(f)
	to := f.String("target", "", "the server under attack, on a loopback address")
	goodTo := f.String("good-target", "", "what the good client asks for (default: the target)")
	var specs []string
	f.Func("attack", "what to attack with, all at once; may be given again; options as in bench attack", func(v string) error {
		specs = append(specs, strings.Split(v, ",")...)
		return nil
	})
	before := f.Duration("before", 3*time.Second, "quiet time before the attack")
	during := f.Duration("during", 5*time.Second, "how long the attack lasts")
	after := f.Duration("after", 3*time.Second, "quiet time after it")
	plan := f.String("scenario", "", "a file of settings and phases, the name of a ready scenario, or a record (.json) to do again")
	var come newcomers
	come.flags(f)
	metrics := f.String("metrics", "", "the server's metrics page, read once a second, such as http://127.0.0.1:9090/metrics")
	name := f.String("shed-metric", "weir_shed_total", "counter on that page that counts what was shed")
	label := f.String("shed-label", "reason", "label of that counter that tells reasons apart")
	pids := f.String("pid", "", "process ids of the server, with commas between: its CPU and memory are read, once a second, and its command line is recorded")
	file := f.String("json", "", "write the record of the run to this file")
	page := f.String("html", "", "draw the record as one self-contained page, and write it to this file; bench report draws it later")
	quiet := f.Bool("quiet", false, "say nothing while it runs")
	var help strings.Builder
	help.WriteString(siegeHelp)
	ready(&help)
	if err := c.parse(f, strings.TrimSuffix(help.String(), "\n"), args); err != nil {
		return err
	}

	var in source
	if *plan != "" {
		for _, name := range []string{"attack", "before", "during", "after"} {
			if given(f, name) {
				return usage(fmt.Errorf("siege: the scenario has the phases: leave out -%s, or -scenario", name))
			}
		}
		sc, err := open(*plan)
		if err == nil {
			in, err = fill(f, sc)
		}
		if err != nil {
			return usage(err)
		}
	}
	var s bench.Siege
	if err := positive(f, "rate", "conns", "timeout", "pipeline"); err != nil {
		return usage(err)
	}
	t, err := target.Resolve(ctx, *to, nil)
	if err != nil {
		return usage(in.located("target", err))
	}
	goodTarget := t
	if *goodTo != "" {
		if goodTarget, err = target.Resolve(ctx, *goodTo, nil); err != nil {
			return usage(in.located("good-target", err))
		}
	}
	if s.Good, err = g.config(goodTarget); err != nil {
		return usage(in.located("source", err))
	}
	if s.Newcomers, err = come.config(s.Good); err != nil {
		return usage(in.located("newcomer-source", err))
	}
	specsOf := func(i int) []string { return in.Phases[i].Attacks }
	if *plan != "" {
		s.Phases, err = in.Against(t)
	} else {
		s.Phases, err = usual(*before, *during, *after, specs, t)
		specsOf = func(i int) []string {
			if len(s.Phases[i].Strikes) > 0 {
				return specs
			}
			return nil
		}
	}
	if err != nil {
		return usage(err)
	}
	if *metrics != "" {
		at, err := target.Resolve(ctx, *metrics, nil)
		if err == nil && (at.Scheme != target.HTTP || at.TLS) {
			err = fmt.Errorf("metrics %q: must be http", *metrics)
		}
		if err != nil {
			return usage(in.located("metrics", err))
		}
		s.Sheds = watch.NewCounter(at, *name, *label)
	}
	if s.PIDs, err = parsePIDs(*pids); err != nil {
		return usage(in.located("pid", err))
	}
	if err := s.Check(); err != nil {
		if *plan != "" {
			err = in.At(0, "%v", err)
		}
		return usage(err)
	}
	if err := writable(*file, *page); err != nil {
		return err
	}
	if err := s.Reach(ctx); err != nil {
		return err
	}
	lanes := 1
	if s.Newcomers != nil {
		lanes++
	}
	threads(lanes + s.Loops())
	show := c.progress()
	if !*quiet {
		s.Watch = show.line
	}
	outcome, err := s.Run(ctx)
	show.end()
	record := report.NewRecord(c.args, s.Good.Seed, outcome, err)
	record.Scenario = redone(f, in.About, s.Phases, specsOf).String()
	return c.finish(record, *file, *page, err)
}

// usual returns the phases that the flags make.
func usual(before, during, after time.Duration, specs []string, t target.Target) ([]bench.Phase, error) {
	if len(specs) == 0 {
		return nil, errors.New("siege: name an attack, which bench help lists, or a scenario, which bench help siege lists")
	}
	var strikes []bench.Strike
	for _, spec := range specs {
		strike, err := bench.NewStrike(spec, t)
		if err != nil {
			return nil, err
		}
		strikes = append(strikes, strike)
	}
	return bench.Usual(before, during, after, strikes), nil
}

func parsePIDs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var out []int
	for _, word := range strings.Split(list, ",") {
		pid, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || pid < 1 {
			return nil, fmt.Errorf("pid %q: want process ids with commas between", list)
		}
		out = append(out, pid)
	}
	return out, nil
}
