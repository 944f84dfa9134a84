package load

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"weir/bench/latency"
)

// MaxLoops bounds the loops of one process.
const MaxLoops = 64

// Crew is several lanes on a loop each that are one client together: connections and requests are shared out among them,
// so that it does what one lane would, were that fast enough. Make it with [NewCrew]; call Run once.
type Crew struct {
	cfg     Config
	lanes   []*Lane
	started chan struct{}
	start   time.Time // set before started is closed

	// hold is called when all connections are open and returns when the first request is due. nil: now.
	hold func(context.Context) time.Time
}

// NewCrew returns a client with 1 to [MaxLoops] loops; more than it has connections are of no use and are left out. It
// opens nothing yet.
func NewCrew(cfg Config, loops int) (*Crew, error) { return newCrew(cfg, loops, 0, 1) }

// newCrew returns the part'th of so many processes' share of a client.
func newCrew(cfg Config, loops, part, processes int) (*Crew, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if loops < 1 || loops > MaxLoops {
		return nil, fmt.Errorf("loops %d: must be from 1 to %d", loops, MaxLoops)
	}
	loops = min(loops, max(1, cfg.Conns/processes))
	c := &Crew{cfg: cfg, started: make(chan struct{})}
	for i := range loops {
		l, err := newLane(cfg, share{Part: part*loops + i, Of: processes * loops})
		if err != nil {
			return nil, err
		}
		c.lanes = append(c.lanes, l)
	}
	return c, nil
}

// Loops returns how many there are.
func (c *Crew) Loops() int { return len(c.lanes) }

// Places returns how many connections the lanes have open at most, together. Any goroutine.
func (c *Crew) Places() (all int) {
	for _, l := range c.lanes {
		all += l.Places()
	}
	return all
}

// Started is closed when the first request is due. Any goroutine.
func (c *Crew) Started() <-chan struct{} { return c.started }

// StartedAt returns when the first request was due. After Started is closed only.
func (c *Crew) StartedAt() time.Time { return c.start }

// At returns what the last whole slice before now saw, now counting from the start. Any goroutine.
func (c *Crew) At(now time.Duration) latency.Summary {
	b := c.at(now)
	return b.At(now)
}

// Errors returns how many requests failed so far. Any goroutine.
func (c *Crew) Errors() (sum int64) {
	for _, l := range c.lanes {
		sum += l.Latency.Errors()
	}
	return sum
}

func (c *Crew) at(now time.Duration) latency.Bin {
	var all []*latency.Recorder
	for _, l := range c.lanes {
		all = append(all, l.Latency)
	}
	return latency.LastSlice(now, all...)
}

// Run is [Lane.Run] for all of them: no request is due before the last lane has opened its connections.
func (c *Crew) Run(ctx context.Context) (Result, error) {
	t, err := c.tally(ctx)
	if err != nil {
		return Result{}, err
	}
	return t.result(&c.cfg, len(c.lanes), 1), nil
}

func (c *Crew) tally(ctx context.Context) (*tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var missing sync.WaitGroup // lanes that are opening
	missing.Add(len(c.lanes))
	go func() {
		missing.Wait()
		c.start = time.Now()
		if c.hold != nil {
			c.start = c.hold(ctx)
		}
		close(c.started)
	}()
	tallies := make([]*tally, len(c.lanes))
	errs := make([]error, len(c.lanes))
	var all sync.WaitGroup
	for i, l := range c.lanes {
		here := sync.OnceFunc(missing.Done)
		l.rendezvous = func() time.Time {
			here()
			<-c.started // comes: each lane gets here, or ends, and hold ends with ctx
			return c.start
		}
		all.Go(func() {
			defer here()
			tallies[i], errs[i] = l.tally(ctx)
			if errs[i] != nil {
				cancel() // the others would be a client with a part missing
			}
		})
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil {
		return nil, err
	}
	return together(&c.cfg, tallies)
}
