package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// init binds main to the process's first thread, which lives as long as the process: servers that it starts are ended
// by the kernel with the thread that started them.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	setup
	bin, json, from, write, svg string
	merge                       bool
}

const help = `Measures weir beside other servers, interleaved over several rounds: medians, spread and ratios.
All of it with the defaults takes about 40 minutes: 15 for three rounds of cost and memory, 25 for a round of sieges.

usage: peers [flags]

`

func parse(args []string, out io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("peers", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() { fmt.Fprint(out, help); f.PrintDefaults() }
	what := f.String("what", "", "measurements, with commas between (default all: "+strings.Join(whats(), ",")+")")
	names := f.String("peers", "", "servers, with commas between (default all: "+strings.Join(peerNames(), ",")+")")
	attacks := f.String("attacks", "", "sieges, with commas between (default all: "+strings.Join(attackNames(), ",")+")")
	f.IntVar(&o.Rounds, "rounds", 3, "rounds of cost and memory, 1 to 100")
	f.IntVar(&o.SiegeRounds, "siege-rounds", 1, "rounds of sieges, 1 to 100; one takes about 20 minutes")
	f.DurationVar(&o.For, "for", 4*time.Second, "how long one measurement of cost lasts, from 1s; by wrk in whole seconds")
	f.IntVar(&o.Conns, "idle-conns", 15000, "connections whose memory is measured; server and client need a descriptor for each")
	f.DurationVar(&o.Before, "before", 2*time.Second, "quiet time before an attack")
	f.DurationVar(&o.During, "during", 5*time.Second, "how long a flood lasts; slow attacks last 4s longer")
	f.DurationVar(&o.After, "after", time.Second, "quiet time after it")
	f.StringVar(&o.Driver, "driver", "", "of kept connections: wrk, or bench for its closed loop (default bench if it has one, else wrk)")
	f.StringVar(&o.bin, "bin", "bin", "where server, bench and the peers of this repository are built")
	f.StringVar(&o.json, "json", "bin/peers.json", "write the record, with the values of each round, to this file")
	f.BoolVar(&o.merge, "merge", false, "keep in that file what is not measured this time")
	f.StringVar(&o.from, "from", "", "measure nothing: read this record, or several with commas between, of which the last one counts where two have the same")
	f.StringVar(&o.write, "write", "", "replace the tables between the markers <!-- peers:NAME --> and <!-- /peers --> of this file")
	f.StringVar(&o.svg, "svg", "", "draw the siege by slow connections and a flood to this file")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("nothing is to follow the flags, found %q", f.Arg(0))
	}
	var err error
	for _, list := range []struct {
		to    *[]string
		value string
		all   []string
		what  string
	}{{&o.What, *what, whats(), "measurement"}, {&o.Peers, *names, peerNames(), "peer"}, {&o.Attacks, *attacks, attackNames(), "siege"}} {
		if *list.to, err = choice(list.value, list.all, list.what); err != nil {
			return o, err
		}
	}
	switch {
	case o.Rounds < 1 || o.Rounds > 100 || o.SiegeRounds < 1 || o.SiegeRounds > 100:
		return o, errors.New("rounds: from 1 to 100")
	case o.For < time.Second:
		return o, errors.New("for: from 1s")
	case o.Conns < 1:
		return o, errors.New("idle-conns: from 1")
	}
	return o, nil
}

// choice reads a list of names of which each is one of all; empty means all.
func choice(list string, all []string, what string) ([]string, error) {
	if list == "" {
		return all, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("no %s %q: there are %s", what, name, strings.Join(all, ", "))
		}
	}
	return names, nil
}

func whats() (names []string) {
	for _, m := range measures {
		names = append(names, m.name)
	}
	return append(names, "siege")
}

func peerNames() (names []string) {
	for _, p := range peers {
		names = append(names, p.name)
	}
	return names
}

func attackNames() (names []string) {
	for _, a := range assaults {
		names = append(names, a.name)
	}
	return names
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	var r record
	if o.from != "" {
		if r, err = readRecords(strings.Split(o.from, ",")); err != nil {
			return err
		}
	} else if r, err = measureAll(ctx, o, args, out); err != nil {
		return err
	}
	if o.write == "" {
		for _, name := range regionNames() {
			text, err := r.region(name)
			if err != nil {
				return err
			}
			if text != "" {
				fmt.Fprintf(out, "\n## %s\n\n%s", name, text)
			}
		}
	} else if err := r.writeInto(o.write); err != nil {
		return err
	}
	if o.svg == "" {
		return nil
	}
	svg, err := r.picture()
	if err != nil {
		return err
	}
	return replaceFile(o.svg, svg)
}

// measureAll measures and writes the record, after each measurement: what an interrupt leaves is of use, with -merge.
func measureAll(ctx context.Context, o options, args []string, out io.Writer) (record, error) {
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return record{}, err
	}
	if o.Driver, err = driver(o.Driver, filepath.Join(bin, "bench")); err != nil {
		return record{}, err
	}
	var old record
	if o.merge {
		if old, err = readRecord(o.json); err != nil && !errors.Is(err, os.ErrNotExist) {
			return record{}, err
		}
	}
	dir, err := os.MkdirTemp("", "weir-peers")
	if err != nil {
		return record{}, err
	}
	defer os.RemoveAll(dir)
	r := newRecord(args, o.setup)
	l := lab{setup: o.setup, bin: bin, dir: dir, log: out, record: &r}
	l.measured = func() error {
		merged := r
		merged.merge(old)
		return merged.write(o.json)
	}
	if err := l.prepare(); err != nil {
		return record{}, err
	}
	failure := l.run(ctx)
	r.Time = time.Now().UTC().Truncate(time.Second)
	err = l.measured()
	r.merge(old)
	if failure != nil {
		return r, fmt.Errorf("ended early: %w", failure)
	}
	return r, err
}

// driver returns what drives kept connections.
func driver(name, bench string) (string, error) {
	switch name {
	case "wrk", "bench":
		return name, nil
	case "":
		// Its help is printed with status 0.
		out, err := exec.Command(bench, "load", "-help").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("run %s: %w (make bench-peers builds it)", bench, err)
		}
		if strings.Contains(string(out), "-closed") {
			return "bench", nil
		}
		if _, err := exec.LookPath("wrk"); err != nil {
			return "", errors.New("neither bench has a closed loop nor is wrk installed")
		}
		return "wrk", nil
	}
	return "", fmt.Errorf("no driver %q: there are wrk and bench", name)
}
