package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/report"
)

// work is what a client got done.
type work struct {
	units  float64
	took   time.Duration
	client []string // the command line
}

// client keeps a server busy for about d.
type client func(ctx context.Context, l *lab, s *server, d time.Duration) (work, error)

// warmUp is how long a server works before it is measured: heaps grow, pages are touched.
const warmUp = time.Second

// cost measures the CPU that a server spends on one unit.
func cost(c client, warm bool) func(context.Context, *lab, *server) (outcome, error) {
	return func(ctx context.Context, l *lab, s *server) (outcome, error) {
		if warm {
			if _, err := c(ctx, l, s, warmUp); err != nil {
				return outcome{}, err
			}
		}
		before, err := s.cpu()
		if err != nil {
			return outcome{}, err
		}
		w, err := c(ctx, l, s, l.setup.For)
		if err != nil {
			return outcome{}, err
		}
		after, err := s.cpu()
		if err != nil {
			return outcome{}, err
		}
		if w.units <= 0 || w.took <= 0 {
			return outcome{}, errors.New("the client got nothing done")
		}
		spent := after - before
		return outcome{client: w.client, values: map[string]float64{
			"cpu_us": spent.Seconds() * 1e6 / w.units, "per_second": w.units / w.took.Seconds(),
			"units": w.units, "cpu_seconds": spent.Seconds(), "seconds": w.took.Seconds()}}, nil
	}
}

// bench runs the attack bench and returns its record. A run that failed with a complete record is a result.
func (l *lab) bench(ctx context.Context, args ...string) (report.Record, []string, error) {
	file := filepath.Join(l.dir, "bench.json")
	os.Remove(file)
	argv := append([]string{"bench"}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(l.bin, "bench"), append(args, "-json", file)...)
	out, err := output(cmd)
	r, readErr := report.Read(file)
	if readErr != nil {
		if err == nil {
			err = readErr
		}
		return r, argv, fmt.Errorf("%s: %w: %s", strings.Join(argv[:2], " "), err, lastLines(out, 1))
	}
	return r, argv, ctx.Err()
}

// output runs a client that ends when this process does.
func output(cmd *exec.Cmd) (string, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// closedLoop asks for / on 64 connections, depth requests at a time, by wrk or by bench.
func closedLoop(depth int) client {
	return func(ctx context.Context, l *lab, s *server, d time.Duration) (work, error) {
		if l.setup.Driver == "bench" {
			return l.load(ctx, s, d, "-closed", "-conns", "64", "-pipeline", strconv.Itoa(depth))
		}
		return l.wrk(ctx, s, d, depth)
	}
}

// wrk runs that program. Its own script makes it pipeline: https://github.com/wg/wrk/blob/master/scripts/pipeline.lua
func (l *lab) wrk(ctx context.Context, s *server, d time.Duration, depth int) (work, error) {
	argv := []string{"wrk", "-t1", "-c64", "-d" + strconv.Itoa(max(1, int(d.Seconds()))) + "s"}
	if depth > 1 {
		script := filepath.Join(l.dir, "pipeline.lua")
		text := fmt.Sprintf("init = function()\n  local all = {}\n  for i = 1, %d do all[i] = wrk.format() end\n  batch = table.concat(all)\nend\nrequest = function() return batch end\n", depth)
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			return work{}, err
		}
		argv = append(argv, "-s", script)
	}
	argv = append(argv, s.url("/"))
	out, err := output(exec.CommandContext(ctx, argv[0], argv[1:]...))
	if err != nil {
		return work{}, fmt.Errorf("wrk: %w: %s", err, lastLines(out, 1))
	}
	w, err := parseWrk(out)
	w.client = argv
	return w, err
}

// parseWrk reads what wrk prints: "  367022 requests in 4.10s, 45.50MB read".
func parseWrk(out string) (w work, err error) {
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		switch {
		case strings.Contains(line, " requests in "):
			var took string
			if _, err := fmt.Sscanf(line, "%f requests in %s", &w.units, &took); err != nil {
				return work{}, fmt.Errorf("wrk printed %q", line)
			}
			if w.took, err = time.ParseDuration(strings.TrimSuffix(took, ",")); err != nil {
				return work{}, fmt.Errorf("wrk printed %q", line)
			}
		case strings.HasPrefix(line, "Non-2xx or 3xx responses:"):
			return work{}, fmt.Errorf("wrk: %s", line)
		}
	}
	if w.took == 0 {
		return work{}, fmt.Errorf("wrk printed %q", lastLines(out, 1))
	}
	return w, nil
}

// load runs the bench's good client against /.
func (l *lab) load(ctx context.Context, s *server, d time.Duration, args ...string) (work, error) {
	r, argv, err := l.bench(ctx, append([]string{"load", "-target", s.url("/"), "-duration", d.String()}, args...)...)
	if err != nil {
		return work{}, err
	}
	result, ok := r.Result.(load.Result)
	if !ok || len(result.Phases) == 0 {
		return work{}, errors.New("bench load: no result")
	}
	p := result.Phases[0]
	if p.OK == 0 {
		return work{}, fmt.Errorf("bench load: no good answer, failed: %v", p.Failed)
	}
	return work{units: float64(p.OK), took: time.Duration(p.ForSecs * float64(time.Second)), client: argv}, nil
}

func churn(ctx context.Context, l *lab, s *server, d time.Duration) (work, error) {
	return l.load(ctx, s, d, "-churn", "-rate", "5000", "-sources", "20", "-timeout", "5s")
}

// echoes offers more than can be had: what comes back within the time and the backlog is the rate.
func echoes(ctx context.Context, l *lab, s *server, d time.Duration) (work, error) {
	return l.load(ctx, s, d, "-rate", "150000", "-conns", "64", "-timeout", "30s")
}

// strike runs one attack alone.
func (l *lab) strike(ctx context.Context, s *server, name string, args ...string) (attack.Result, []string, error) {
	r, argv, err := l.bench(ctx, append([]string{"attack", name, "-target", s.url("/")}, args...)...)
	if err != nil {
		return attack.Result{}, nil, err
	}
	result, ok := r.Result.(attack.Result)
	if !ok {
		return attack.Result{}, nil, fmt.Errorf("bench attack %s: no result", name)
	}
	return result, argv, nil
}

func handshakes(version string) client {
	return func(ctx context.Context, l *lab, s *server, d time.Duration) (work, error) {
		r, argv, err := l.strike(ctx, s, "tls-handshake", "-version", version, "-rate", "1500", "-conns", "1000", "-total", "100000", "-duration", d.String(), "-nice", "0")
		if err == nil && r.Handshakes == 0 {
			err = fmt.Errorf("no handshake came about, %d were refused with an alert", r.Alerts)
		}
		return work{float64(r.Handshakes), r.Took, argv}, err
	}
}

// refusedConns lets those that got in go soon, so that all of them come to an end.
func refusedConns(ctx context.Context, l *lab, s *server, _ time.Duration) (work, error) {
	r, argv, err := l.strike(ctx, s, "connection-flood", "-sources", "200", "-per-net", "1", "-conns", "1000", "-total", "50000", "-hold", "200ms", "-duration", "60s")
	return work{float64(r.Ended()), r.Took, argv}, err
}

func refusedRequests(ctx context.Context, l *lab, s *server, d time.Duration) (work, error) {
	r, argv, err := l.strike(ctx, s, "frame-flood", "-rate", "20000", "-conns", "64", "-total", "1000000", "-sources", "16", "-per-net", "1", "-nice", "0", "-duration", d.String())
	return work{float64(r.Units - r.Replies), r.Took, argv}, err
}
