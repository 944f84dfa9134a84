package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/report"
	"weir/bench/sock"
	"weir/bench/target"
)

func (c *command) attack(ctx context.Context, args []string) error {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		if len(args) > 0 && strings.TrimLeft(args[0], "-") == "help" || len(args) > 0 && args[0] == "-h" {
			fmt.Fprint(c.stdout, "usage: bench attack NAME -target URL [flags]\n\nbench help attack NAME shows the flags of one:\n")
			attacks(c.stdout)
			return nil
		}
		return usage(errors.New("attack: its name comes first; bench help attack lists them"))
	}
	kind, err := attack.ByName(args[0])
	if err != nil {
		return usage(err)
	}
	f := c.flags("attack " + kind.Name)
	options := kind.Options()
	for _, p := range kind.Table() {
		// Func has no default to show, so it stands in the text.
		f.Func(p.Name, fmt.Sprintf("%s (default %s)", p.Help, orNone(p.Get(options))),
			func(v string) error {
				if p.Set(&options, v) != nil {
					return fmt.Errorf("want %s", p.Help)
				}
				return nil
			})
	}
	to := f.String("target", "", "the server, on a loopback address")
	file := f.String("json", "", "write the record of the run to this file")
	if err := c.parse(f, "attack "+kind.Name+" -target URL [flags]\n\n"+kind.Help, args[1:]); err != nil {
		return err
	}
	t, err := target.Resolve(ctx, *to, nil)
	if err != nil {
		return usage(err)
	}
	if err := kind.Check(options, t); err != nil {
		return usage(err)
	}
	if err := writable(*file, ""); err != nil {
		return err
	}
	threads(options.Loops)
	counts := new(attack.Counts)
	show, start := c.progress(), time.Now()
	stop := every(func() {
		at := time.Since(start)
		show.line(bench.Progress{Phase: "attack", Elapsed: at, Left: max(0, options.Duration-at), Attacks: []bench.Assault{{Name: kind.Name, Live: counts.Live()}}})
	})
	result, err := attack.Run(ctx, kind, options, t, sock.NewRoom(), counts)
	stop()
	show.end()
	if err == nil && result.Established == 0 && result.Refused == 0 {
		err = fmt.Errorf("attack %s reached nothing at %s", kind.Name, t)
	}
	return c.finish(report.NewRecord(c.args, 0, result, err), *file, "", err)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
