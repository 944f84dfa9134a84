package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/report"
	"weir/bench/target"
	"weir/bench/watch"
)

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
	var come newcomers
	come.flags(f)
	metrics := f.String("metrics", "", "the server's metrics page, read once a second, such as http://127.0.0.1:9090/metrics")
	name := f.String("shed-metric", "weir_shed_total", "counter on that page that counts what was shed")
	label := f.String("shed-label", "reason", "label of that counter that tells reasons apart")
	pids := f.String("pid", "", "process ids of the server, with commas between: its CPU and memory are read, once a second, and its command line is recorded")
	file := f.String("json", "", "write the record of the run to this file")
	page := f.String("html", "", "draw the record as one self-contained page, and write it to this file; bench report draws it later")
	if err := c.parse(f, "siege -target URL -attack NAME[?OPTION=VALUE&...][,NAME...] [flags]", args); err != nil {
		return err
	}

	var s bench.Siege
	t, err := target.Resolve(ctx, *to, nil)
	if err != nil {
		return usage(err)
	}
	goodTarget := t
	if *goodTo != "" {
		if goodTarget, err = target.Resolve(ctx, *goodTo, nil); err != nil {
			return usage(err)
		}
	}
	if s.Good, err = g.config(goodTarget); err != nil {
		return usage(err)
	}
	if s.Newcomers, err = come.config(s.Good); err != nil {
		return usage(err)
	}
	if len(specs) == 0 {
		return usage(errors.New("siege: name an attack; bench help lists them"))
	}
	var strikes []bench.Strike
	for _, spec := range specs {
		kind, options, err := attack.ParseSpec(spec)
		if err != nil {
			return usage(err)
		}
		strikes = append(strikes, bench.Strike{Kind: kind, Options: options, Target: t})
	}
	s.Phases = bench.Usual(*before, *during, *after, strikes)
	if *metrics != "" {
		at, err := target.Resolve(ctx, *metrics, nil)
		if err == nil && (at.Scheme != target.HTTP || at.TLS) {
			err = fmt.Errorf("metrics %q: must be http", *metrics)
		}
		if err != nil {
			return usage(err)
		}
		s.Sheds = watch.NewCounter(at, *name, *label)
	}
	if s.PIDs, err = parsePIDs(*pids); err != nil {
		return usage(err)
	}
	if err := s.Check(); err != nil {
		return usage(err)
	}
	lanes := 1
	if s.Newcomers != nil {
		lanes++
	}
	threads(lanes + s.Loops())
	show := c.progress()
	s.Watch = show.line
	outcome, err := s.Run(ctx)
	show.end()
	record := report.NewRecord(c.args, s.Good.Seed, outcome, err)
	if len(outcome.Good.Phases) > 0 {
		report.Siege(c.stdout, outcome)
		err = cmp.Or(c.drawn(*page, record), err)
	}
	return cmp.Or(c.write(*file, record), err)
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
