package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"time"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/pacer"
	"weir/bench/report"
	"weir/bench/sock"
	"weir/bench/target"
)

// good holds the flags of a good client, which load and siege share.
type good struct {
	cfg     load.Config
	source  string
	sources int
}

func (g *good) flags(f *flag.FlagSet) {
	f.Float64Var(&g.cfg.Rate, "rate", 500, "requests a second, due whatever the server does")
	f.IntVar(&g.cfg.Conns, "conns", 10, "connections that are kept open")
	f.DurationVar(&g.cfg.Timeout, "timeout", 2*time.Second, "of a request, counted from when it was due, and of a connect")
	f.IntVar(&g.cfg.Size, "size", 0, "bytes of payload: of a frame or line, 64 when 0; for HTTP of a POST, and a GET when 0")
	f.IntVar(&g.cfg.Pipeline, "pipeline", 1, "requests under way on a connection at most")
	f.TextVar(&g.cfg.Arrivals, "arrivals", pacer.Arrivals{}, "when requests are due: constant, poisson (exponential gaps), ramp?from=RATE (evenly from that to the rate over the run) or burst?every=1s (all of a second at its beginning)")
	f.Uint64Var(&g.cfg.Seed, "seed", 1, "of the exponential gaps")
	f.StringVar(&g.source, "source", "", "first source address (default 127.0.0.1, or ::1)")
	f.IntVar(&g.sources, "sources", 1, "consecutive source addresses, from -source on, that connections take in turn")
	f.StringVar(&g.cfg.TLS.Version, "tls-version", "", "of TLS targets, 1.2 or 1.3 (default the highest that both have)")
	f.StringVar(&g.cfg.TLS.Name, "sni", "", "server name sent to TLS targets (default the target's host, if it is a name)")
	f.BoolVar(&g.cfg.TLS.Resume, "resume", false, "resume TLS sessions when connecting again, instead of full handshakes")
}

// config returns the configuration for a run against t.
func (g *good) config(t target.Target) (load.Config, error) {
	g.cfg.Target = t
	if g.source == "" {
		g.source = "127.0.0.1"
		if t.Addr.Addr().Is6() {
			g.source = "::1"
		}
	}
	first, err := netip.ParseAddr(g.source)
	if err != nil {
		return load.Config{}, fmt.Errorf("source %q is no address", g.source)
	}
	if first.Is4() != t.Addr.Addr().Is4() {
		return load.Config{}, fmt.Errorf("source %s and target %s are of different families", first, t.Addr)
	}
	g.cfg.Sources, err = target.Sources(first, g.sources, 0)
	return g.cfg, err
}

// client is a good client alone, whichever way it is spread over loops and processes.
type client interface {
	Started() <-chan struct{}
	StartedAt() time.Time
	At(time.Duration) latency.Summary
	Errors() int64
	Run(context.Context) (load.Result, error)
}

func (c *command) load(ctx context.Context, args []string) error {
	f := c.flags("load")
	var g good
	g.flags(f)
	to := f.String("target", "", "the server, on a loopback address")
	duration := f.Duration("duration", 10*time.Second, "how long requests are sent, up to 10m")
	churn := f.Bool("churn", false, "a new connection for each request, closed after it: newcomers; conns is then how many at once (default rate times timeout)")
	closed := f.Bool("closed", false, "a closed loop: each connection asks again when it has its reply, and there is no rate; hides stalls from the latencies, as wrk does")
	think := f.Duration("think", 0, "closed loop: pause of a connection from a reply to its next request")
	loops := f.Int("loops", 1, "event loops of each process, on a thread each")
	processes := f.Int("processes", 0, "processes that share the connections and the load; 0: one, or as many as -conns needs under the open-file limit")
	file := f.String("json", "", "write the record of the run to this file")
	page := f.String("html", "", "draw the record as one self-contained page, and write it to this file; bench report draws it later")
	quiet := f.Bool("quiet", false, "say nothing while it runs")
	if err := c.parse(f, "load -target URL [flags]", args); err != nil {
		return err
	}
	if err := positive(f, "rate", "conns", "timeout", "pipeline", "duration"); err != nil {
		return usage(err)
	}
	t, err := target.Resolve(ctx, *to, nil)
	if err != nil {
		return usage(err)
	}
	cfg, err := g.config(t)
	if err != nil {
		return usage(err)
	}
	cfg.Duration = *duration
	if cfg.Churn = *churn; *churn && !given(f, "conns") && !*closed {
		cfg.Conns = 0
	}
	cfg.Closed, cfg.Think = *closed, *think
	if *closed && !given(f, "rate") {
		cfg.Rate = 0
	}
	run, err := c.client(cfg, *loops, *processes)
	if err != nil {
		return usage(err)
	}
	if err := writable(*file, *page); err != nil {
		return err
	}
	show := c.progress()
	stop := every(func() {
		select {
		case <-run.Started():
			if at := time.Since(run.StartedAt()); at >= 0 && !*quiet {
				show.line(bench.Progress{Phase: "load", Elapsed: at, Left: max(0, cfg.Duration-at), Good: run.At(at), GoodErrors: run.Errors()})
			}
		default:
		}
	})
	result, err := run.Run(ctx)
	stop()
	show.end()
	switch {
	case err != nil:
	case result.Phases[0].OK == 0:
		err = bench.ErrNothing
		if result.ConnectError != "" {
			err = fmt.Errorf("%w: connect: %s", err, result.ConnectError)
		}
	case ctx.Err() != nil:
		err = fmt.Errorf("load: ended early: %w", ctx.Err())
	}
	if len(result.Phases) > 0 {
		if result.RSSBytes == 0 {
			result.RSSBytes = sock.ResidentMost()
		}
	}
	return c.finish(report.NewRecord(c.args, cfg.Seed, result, err), *file, *page, err)
}

// client spreads a good client over loops and processes; 0 processes means as many as it has to have.
func (c *command) client(cfg load.Config, loops, processes int) (client, error) {
	crew, err := load.NewCrew(cfg, loops)
	if err != nil {
		return nil, err
	}
	room := max(1, sock.NewRoom().Size())
	if processes == 0 {
		processes = (crew.Places() + room - 1) / room
	}
	if processes == 1 {
		if crew.Places() > room {
			return nil, fmt.Errorf("conns %d: there are %d descriptors for them; use more -processes, or raise ulimit -n", crew.Places(), room)
		}
		threads(crew.Loops())
		return crew, nil
	}
	if pipes := 4 * processes; pipes > room {
		return nil, fmt.Errorf("processes %d: they take %d descriptors and there are %d; raise ulimit -n", processes, pipes, room)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("processes %d: %w", processes, err)
	}
	return load.NewFleet(cfg, loops, processes, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, self, "load-worker")
		cmd.Stderr = os.Stderr
		return cmd
	})
}

// worker is one process of several; it is started by load and by nobody else.
func (c *command) worker(ctx context.Context) error {
	return load.Work(ctx, c.stdin, c.stdout, func(loops, places int) error {
		if room := sock.NewRoom().Size(); places > room {
			return fmt.Errorf("%d connections and %d descriptors: use more processes", places, room)
		}
		threads(loops)
		return nil
	})
}

// positive returns an error for a flag that was given as 0: left out it has a default, and 0 means nothing else.
func positive(f *flag.FlagSet, names ...string) (err error) {
	f.Visit(func(set *flag.Flag) {
		if v := set.Value.String(); slices.Contains(names, set.Name) && (v == "0" || v == "0s") {
			err = fmt.Errorf("%s %s: must be above 0", set.Name, v)
		}
	})
	return err
}

// given reports whether a flag was set on the command line.
func given(f *flag.FlagSet, name string) (yes bool) {
	f.Visit(func(set *flag.Flag) { yes = yes || set.Name == name })
	return yes
}
