package load

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"time"

	"weir/bench/latency"
	"weir/bench/sock"
)

// MaxProcesses bounds the processes of a fleet.
const MaxProcesses = 64

// startsIn is how long after the last process is ready the first request is due: time for the word to get there.
const startsIn = 50 * time.Millisecond

// goodbye is how long a worker has from the end of the run, or from being told to stop, to hand in what it counted.
const goodbye = 5 * time.Second

// Fleet is one client in several processes, for more connections than one has descriptors: each runs a [Crew] with its
// share of the connections and requests, all from one instant on, and what they counted is added up, histograms included,
// as if it had been one. Make it with [NewFleet]; call Run once.
//
// A worker is any command that calls [Work] with its standard input and output. They talk in lines of JSON: a job, and
// when the worker says that it is ready the instant to begin at; then what each half second saw, and in the end the sum. A
// worker whose input ends stops.
type Fleet struct {
	cfg       Config
	loops     int
	processes int
	worker    func(context.Context) *exec.Cmd
	started   chan struct{}
	start     time.Time // set before started is closed

	mu     sync.Mutex
	at     time.Duration // of the latest slice that any worker told of
	slice  []latency.Bin // the latest of each worker
	failed []int64       // requests, of each worker
}

// NewFleet returns a client in 2 to [MaxProcesses] processes, each made by worker and with so many loops. It starts
// nothing yet.
func NewFleet(cfg Config, loops, processes int, worker func(context.Context) *exec.Cmd) (*Fleet, error) {
	if processes < 2 || processes > MaxProcesses {
		return nil, fmt.Errorf("processes %d: must be from 2 to %d", processes, MaxProcesses)
	}
	first, err := newCrew(cfg, loops, 0, processes)
	if err != nil {
		return nil, err // before anything is started
	}
	cfg = first.cfg
	if cfg.Conns < processes {
		return nil, fmt.Errorf("processes %d: more than there are connections (%d)", processes, cfg.Conns)
	}
	return &Fleet{cfg: cfg, loops: loops, processes: processes, worker: worker, started: make(chan struct{}), slice: make([]latency.Bin, processes), failed: make([]int64, processes)}, nil
}

// Started is closed when it is settled when the first request is due. Any goroutine.
func (f *Fleet) Started() <-chan struct{} { return f.started }

// StartedAt returns when the first request was due. After Started is closed only.
func (f *Fleet) StartedAt() time.Time { return f.start }

// At returns what the latest whole slice saw that the workers told of. Any goroutine.
func (f *Fleet) At(time.Duration) latency.Summary {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum latency.Bin
	for i := range f.slice {
		sum.Merge(&f.slice[i])
	}
	return sum.At(f.at)
}

// Errors returns how many requests failed so far, as far as the workers told. Any goroutine.
func (f *Fleet) Errors() (sum int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.failed {
		sum += n
	}
	return sum
}

// job is what a worker is told first.
type job struct {
	Config    Config
	Loops     int
	Part      int
	Processes int
}

// begin is what it is told when all are ready, in nanoseconds since 1970: the processes are on one machine.
type begin struct{ Start int64 }

// news is what a worker says: one of these at a time.
type news struct {
	Ready  bool          `json:",omitempty"`
	At     time.Duration `json:",omitempty"`
	Slice  *latency.Bin  `json:",omitempty"` // the last whole one before At
	Errors int64         `json:",omitempty"` // so far
	Tally  *tally        `json:",omitempty"`
	Error  string        `json:",omitempty"`
}

// Run is [Lane.Run] in all processes; none is left when it returns. A worker that fails ends it for all.
func (f *Fleet) Run(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tallies := make([]*tally, f.processes)
	errs := make([]error, f.processes)
	var missing, all sync.WaitGroup
	missing.Add(f.processes)
	go func() {
		missing.Wait()
		f.start = time.Now().Add(startsIn)
		close(f.started)
	}()
	for i := range f.processes {
		all.Go(func() {
			here := sync.OnceFunc(missing.Done)
			defer here()
			if tallies[i], errs[i] = f.run(ctx, i, here); errs[i] != nil {
				errs[i] = fmt.Errorf("process %d of %d: %w", i+1, f.processes, errs[i])
				cancel()
			}
		})
	}
	all.Wait()
	if err := cmp.Or(errs...); err != nil { // the first is enough: the others are often the same, or follow from it
		return Result{}, err
	}
	sum, err := together(&f.cfg, tallies)
	if err != nil {
		return Result{}, err
	}
	return sum.result(&f.cfg, f.loops, f.processes), nil
}

// run starts the i'th worker and sees it through.
func (f *Fleet) run(ctx context.Context, i int, here func()) (*tally, error) {
	// Not ctx: a worker that is to end early is told so and hands in what it has.
	life, kill := context.WithTimeout(context.WithoutCancel(ctx), MaxDuration+2*time.Minute)
	defer kill()
	cmd := f.worker(life)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		select {
		case <-f.started: // a worker that hangs must not hold the others' results up
			time.AfterFunc(time.Until(f.start)+f.cfg.Duration+f.cfg.Timeout+goodbye, kill)
		case <-life.Done():
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		in.Close()
		time.AfterFunc(goodbye, kill)
	})
	defer stop()
	t, err := f.talk(json.NewEncoder(in), json.NewDecoder(out), i, here)
	in.Close()
	if err != nil {
		kill()
	}
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	return t, err
}

func (f *Fleet) talk(in *json.Encoder, out *json.Decoder, i int, here func()) (*tally, error) {
	if err := in.Encode(job{f.cfg, f.loops, i, f.processes}); err != nil {
		return nil, fmt.Errorf("took no job: %w", err)
	}
	for {
		var n news
		if err := out.Decode(&n); err != nil {
			return nil, fmt.Errorf("ended without a result: %w", err)
		}
		switch {
		case n.Error != "":
			return nil, errors.New(n.Error)
		case n.Tally != nil:
			return n.Tally, n.Tally.fits(&f.cfg)
		case n.Ready:
			here()
			<-f.started // comes: each worker gets here, or ends
			if err := in.Encode(begin{f.start.UnixNano()}); err != nil {
				return nil, fmt.Errorf("ended without a result: %w", err)
			}
		case n.Slice != nil:
			f.mu.Lock()
			f.at, f.slice[i], f.failed[i] = max(f.at, n.At), *n.Slice, n.Errors
			f.mu.Unlock()
		}
	}
}

// Work does one process's share of a client: the job comes on in, what it sees goes to out. It ends with in or ctx.
// admit is called before anything is opened, with the loops that there will be and the connections that they will hold; an
// error from it refuses the job.
func Work(ctx context.Context, in io.Reader, out io.Writer, admit func(loops, places int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	say := &mouth{to: json.NewEncoder(out)}
	from := json.NewDecoder(in)
	var j job
	if err := from.Decode(&j); err != nil {
		return fmt.Errorf("no job: %w", err)
	}
	fail := func(err error) error {
		say.out(news{Error: err.Error()})
		return err
	}
	if j.Processes < 1 || j.Processes > MaxProcesses || j.Part < 0 || j.Part >= j.Processes {
		return fail(fmt.Errorf("part %d of %d", j.Part, j.Processes))
	}
	c, err := newCrew(j.Config, j.Loops, j.Part, j.Processes)
	if err != nil {
		return fail(err)
	}
	if err := admit(c.Loops(), c.Places()); err != nil {
		return fail(err)
	}
	begins := make(chan time.Time, 1)
	go func() {
		defer cancel() // the end of the input: nobody is there any more
		var b begin
		if from.Decode(&b) == nil {
			begins <- time.Unix(0, b.Start)
			_, _ = io.Copy(io.Discard, in)
		}
	}()
	c.hold = func(ctx context.Context) time.Time {
		say.out(news{Ready: true})
		select {
		case at := <-begins:
			return at
		case <-ctx.Done():
			return time.Now()
		}
	}
	stop := c.tell(say)
	t, err := c.tally(ctx)
	stop()
	if err != nil {
		return fail(err)
	}
	t.RSSBytes = sock.ResidentMost()
	return say.out(news{Tally: t})
}

// tell says what each slice saw until the returned function is called.
func (c *Crew) tell(say *mouth) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(latency.Slice)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-quit:
				return
			}
			select {
			case <-c.started:
				at := time.Since(c.start)
				b := c.at(at)
				say.out(news{At: at, Slice: &b, Errors: c.Errors()})
			default:
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

// mouth writes one piece of news at a time. Any goroutine.
type mouth struct {
	mu sync.Mutex
	to *json.Encoder
}

func (m *mouth) out(n news) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.to.Encode(n)
}
