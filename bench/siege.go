package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/watch"
)

// The names of the phases, in order.
const (
	Before = "before"
	During = "during"
	After  = "after"
)

// MaxSiege bounds a siege as a whole.
const MaxSiege = load.MaxDuration

// Strike is one attack of a siege.
type Strike struct {
	Kind    attack.Kind
	Options attack.Options // Duration is replaced by that of the siege
	Target  target.Target
}

// Siege says what to run. The zero value is not valid: a good target and at least one strike are needed.
type Siege struct {
	Good      load.Config   // Duration and Phases are replaced by those of the siege
	Newcomers *load.Config  // a second lane, of clients that come for the first time; likewise, and Churn is set. nil: none
	Strikes   []Strike      // all at once
	Before    time.Duration // 0 to MaxSiege, as are the next two; During above 0
	During    time.Duration
	After     time.Duration
	Sheds     *watch.Counter // nil: the server is not asked
	PIDs      []int          // of the server; none: its CPU is not read
	Watch     func(Progress) // called twice a second on a goroutine of its own; nil: nobody watches
}

// Progress is how far a siege is.
type Progress struct {
	Phase         string
	Elapsed, Left time.Duration
	Good          latency.Summary // the last whole slice of the good client
	Newcomers     latency.Summary // likewise; zero when there are none
	Attacks       []attack.Live   // in the order of the strikes
}

// Outcome is what a siege came to.
type Outcome struct {
	Good      load.Result     `json:"good"`
	Newcomers *load.Result    `json:"newcomers,omitempty"` // nil when there were none
	Attacks   []attack.Result `json:"attacks"`
	Server    []Stretch       `json:"server,omitempty"`   // one for each phase, when there was something to read
	Programs  []watch.Program `json:"programs,omitempty"` // the server's, when its process ids were given
	Samples   []Sample        `json:"samples"`            // one a second, of what the server and the attackers said
	Cost      *Cost           `json:"cost,omitempty"`
	Remarks   []string        `json:"remarks,omitempty"` // what could not be measured or was cut short
}

// ErrNothing is wrapped by the error of a siege whose good client got no good reply in a whole phase.
var ErrNothing = errors.New("the good client got nothing")

// Check returns what makes the siege impossible, as one plain line, or nil. [Siege.Run] checks too.
func (s Siege) Check() error {
	total := s.Before + s.During + s.After
	if s.Before < 0 || s.During <= 0 || s.After < 0 || total > MaxSiege {
		return fmt.Errorf("siege: before, during and after must not be negative, during above 0, and all together at most %v", MaxSiege)
	}
	if len(s.Strikes) == 0 {
		return errors.New("siege: no attack named")
	}
	for _, strike := range s.Strikes {
		strike.Options.Duration = s.During
		if err := strike.Kind.Check(strike.Options, strike.Target); err != nil {
			return fmt.Errorf("siege: %w", err)
		}
	}
	_, _, err := s.lanes()
	return err
}

// Run runs the siege, at most its three phases and the good client's timeout long; it ends early with ctx. An error
// that wraps [ErrNothing] comes with a complete outcome, any other without one. Each lane and each loop of an attack
// wants a thread: with GOMAXPROCS below their number plus two they wait for each other, and the latencies show it. Any
// goroutine.
func (s Siege) Run(ctx context.Context) (Outcome, error) {
	if err := s.Check(); err != nil {
		return Outcome{}, err
	}
	good, newcomers, err := s.lanes()
	if err != nil {
		return Outcome{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &field{Siege: s, good: good, newcomers: newcomers, counts: make([]*attack.Counts, len(s.Strikes)),
		results: make([]attack.Result, len(s.Strikes)), errs: make([]error, len(s.Strikes))}
	f.programs = watch.Programs(s.PIDs) // now: reading a program takes longer than a phase may
	for i := range f.counts {
		f.counts[i] = new(attack.Counts)
	}
	return f.run(ctx, cancel)
}

// field is a siege under way.
type field struct {
	Siege
	good      *load.Lane
	newcomers *load.Lane // nil: none
	programs  []watch.Program
	counts    []*attack.Counts
	results   []attack.Result // written by one goroutine each, read after they ended
	errs      []error
	strikes   sync.WaitGroup
}

func (f *field) run(ctx context.Context, cancel context.CancelFunc) (Outcome, error) {
	good := begin(ctx, f.good)
	select {
	case <-f.good.Started():
	case <-good.done:
		return Outcome{}, good.err
	}
	// Newcomers have nothing to open: their start is this one but for the time it takes to begin a goroutine.
	newcomers := begin(ctx, f.newcomers)
	start := f.good.StartedAt()
	stopWatch := f.watch(start)
	defer stopWatch()

	diary := newDiary(f.Sheds, f.PIDs)
	diary.read(ctx)
	stopSampling := (&sampler{counter: f.Sheds, pids: f.PIDs, counts: f.counts, start: start}).run(context.WithoutCancel(ctx))
	sampled := sync.OnceValues(stopSampling)
	defer sampled() // whichever way this ends
	sleepUntil(ctx, start.Add(f.Before))
	diary.readWithin(ctx, 100*time.Millisecond)
	// The good clients' own descriptors are spoken for, whether open at this instant or not.
	spoken := f.good.Places()
	if f.newcomers != nil {
		spoken += f.newcomers.Places()
	}
	room := sock.RoomFor(sock.NewRoom().Size() - spoken)
	end := start.Add(f.Before + f.During)
	for i, strike := range f.Strikes {
		strike.Options.Duration = max(time.Until(end), time.Millisecond)
		f.strikes.Go(func() {
			f.results[i], f.errs[i] = attack.Run(ctx, strike.Kind, strike.Options, strike.Target, room, f.counts[i])
			if f.errs[i] != nil {
				cancel() // options that make no sense: do not sit the phases out
			}
		})
	}
	sleepUntil(ctx, end)
	f.strikes.Wait()
	diary.read(ctx)
	<-good.done
	<-newcomers.done
	diary.read(context.WithoutCancel(ctx))
	samples, remarks := sampled()
	diary.remarks = append(diary.remarks, remarks...)
	if err := errors.Join(append(f.errs, good.err, newcomers.err)...); err != nil {
		return Outcome{}, err
	}
	out, err := f.outcome(ctx, good.result, newcomers.result, diary)
	out.Samples, out.Programs = samples, f.programs
	return out, err
}

func (f *field) outcome(ctx context.Context, good, newcomers *load.Result, d *diary) (Outcome, error) {
	out := Outcome{Good: *good, Newcomers: newcomers, Attacks: f.results, Remarks: d.remarks}
	if newcomers != nil {
		for _, p := range newcomers.Phases {
			if p.ForSecs > 0 && p.OK == 0 {
				// Worth knowing and no failure: to let none in is what some servers choose.
				out.Remarks = append(out.Remarks, "newcomers got nothing "+p.Name+" the attack")
			}
		}
	}
	for _, r := range f.results {
		if r.Shortened != "" {
			out.Remarks = append(out.Remarks, r.Name+": "+r.Shortened)
		}
	}
	out.Server = d.stretches([]string{Before, During, After})
	out.Cost = cost(out)
	if ctx.Err() != nil {
		return out, fmt.Errorf("siege: ended early: %w", ctx.Err())
	}
	for _, p := range good.Phases {
		if p.ForSecs > 0 && p.OK == 0 {
			return out, fmt.Errorf("siege: %w %s the attack", ErrNothing, p.Name)
		}
	}
	return out, nil
}

// watch reports progress until the returned function is called, which waits for the last report to end.
func (f *field) watch(start time.Time) (stop func()) {
	if f.Watch == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(latency.Slice)
		defer tick.Stop()
		for {
			f.Watch(f.progress(time.Since(start)))
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

func (f *field) progress(at time.Duration) Progress {
	p := Progress{Phase: After, Elapsed: at, Left: max(0, f.Before+f.During+f.After-at), Good: f.good.Latency.At(at)}
	if f.newcomers != nil {
		p.Newcomers = f.newcomers.Latency.At(at)
	}
	if at < f.Before {
		p.Phase = Before
	} else if at < f.Before+f.During {
		p.Phase = During
	}
	for _, c := range f.counts {
		p.Attacks = append(p.Attacks, c.Live())
	}
	return p
}

func sleepUntil(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
