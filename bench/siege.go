package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/sock"
	"weir/bench/watch"
)

// MaxSiege bounds a siege as a whole.
const MaxSiege = load.MaxDuration

// Siege says what to run. The zero value is not valid: a good target and at least one strike are needed.
type Siege struct {
	Good      load.Config    // Duration and Phases are replaced by those of the siege
	Newcomers *load.Config   // a second lane, of clients that come for the first time; likewise, and Churn is set. nil: none
	Phases    []Phase        // in order, 1 to MaxPhases, all together at most MaxSiege long
	Sheds     *watch.Counter // nil: the server is not asked
	PIDs      []int          // of the server; none: its CPU is not read
	Watch     func(Progress) // called twice a second on a goroutine of its own; nil: nobody watches
}

// Outcome is what a siege came to.
type Outcome struct {
	Good      load.Result     `json:"good"`
	Newcomers *load.Result    `json:"newcomers,omitempty"` // nil when there were none
	Attacks   []Struck        `json:"attacks"`             // in the order of the phases and of their strikes
	Server    []Stretch       `json:"server,omitempty"`    // one for each phase, when there was something to read
	Programs  []watch.Program `json:"programs,omitempty"`  // the server's, when its process ids were given
	Samples   []Sample        `json:"samples"`             // one a second, of what the server and the attackers said
	Costs     []Cost          `json:"costs,omitempty"`     // one for each phase with attacks in which something was refused
	Remarks   []string        `json:"remarks,omitempty"`   // what could not be measured or was cut short
}

// Struck is what one strike came to.
type Struck struct {
	Phase string `json:"phase"` // the name of the one it belongs to
	attack.Result
}

// Attacked reports whether the phase of that name had attacks.
func (o Outcome) Attacked(phase string) bool {
	return slices.ContainsFunc(o.Attacks, func(a Struck) bool { return a.Phase == phase })
}

// ErrNothing is wrapped by the error of a siege whose good client got no good reply in a whole phase.
var ErrNothing = errors.New("the good client got nothing")

// late is how late a phase's attacks may begin before it is remarked.
const late = 500 * time.Millisecond

// Check returns what makes the siege impossible, as one plain line, or nil. [Siege.Run] checks too.
func (s Siege) Check() error {
	if err := s.checkPhases(); err != nil {
		return err
	}
	_, _, err := s.lanes()
	return err
}

// Run runs the siege, at most its phases and the good client's timeout long; it ends early with ctx. An error
// that wraps [ErrNothing] comes with a complete outcome, one that wraps ctx's with that of the phases that began, any other
// without one. Each lane and each loop of an attack
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
	f := &field{Siege: s, good: good, newcomers: newcomers, counts: make([][]*attack.Counts, len(s.Phases))}
	f.programs = watch.Programs(s.PIDs) // now: reading a program takes longer than a phase may
	for i, p := range s.Phases {
		for range p.Strikes {
			f.counts[i] = append(f.counts[i], new(attack.Counts))
		}
	}
	return f.run(ctx, cancel)
}

// field is a siege under way.
type field struct {
	Siege
	good      *load.Lane
	newcomers *load.Lane // nil: none
	programs  []watch.Program
	counts    [][]*attack.Counts // by phase and strike
	sampler   *sampler

	// On the goroutine of run only.
	diary  *diary
	begun  int // phases
	struck []Struck
	errs   []error
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
	f.sampler = &sampler{counter: f.Sheds, pids: f.PIDs, counts: slices.Concat(f.counts...), start: start}
	stopWatch := f.watch(start)
	defer stopWatch()

	f.diary = newDiary(f.Sheds, f.PIDs)
	f.diary.read(ctx)
	sampled := sync.OnceValues(f.sampler.run(context.WithoutCancel(ctx)))
	defer sampled() // whichever way this ends
	for i, at := range f.plan() {
		sleepUntil(ctx, start.Add(at.From))
		if ctx.Err() != nil {
			break
		}
		f.begun = i + 1
		if i > 0 {
			f.diary.readWithin(ctx, patience(f.Phases[i]))
		}
		if len(f.Phases[i].Strikes) > 0 {
			if behind := time.Since(start.Add(at.From)); behind > late {
				f.diary.remark("%s: its attacks began %v late: what came before took that long to end", at.Name, behind.Round(10*time.Millisecond))
			}
			f.strike(ctx, cancel, i, start.Add(at.To))
		}
	}
	sleepUntil(ctx, start.Add(f.length()))
	<-good.done
	<-newcomers.done
	f.diary.read(context.WithoutCancel(ctx))
	samples, remarks := sampled()
	f.diary.remarks = append(f.diary.remarks, remarks...)
	if err := errors.Join(append(f.errs, good.err, newcomers.err)...); err != nil {
		return Outcome{}, err
	}
	out, err := f.outcome(ctx, good.result, newcomers.result)
	out.Samples, out.Programs = samples, f.programs
	return out, err
}

// leastPatience is below late: a reading alone makes no attack late.
const leastPatience = 250 * time.Millisecond

// patience is how long a reading of the server may take when p is due: attacks wait for it.
func patience(p Phase) time.Duration {
	if len(p.Strikes) > 0 {
		return min(max(p.For/10, leastPatience), time.Second)
	}
	return max(p.For/2, leastPatience)
}

// strike runs the strikes of phase i until end and returns when all of them have ended.
func (f *field) strike(ctx context.Context, cancel context.CancelFunc, i int, end time.Time) {
	p := f.Phases[i]
	// The good clients' own descriptors are spoken for, whether open at this instant or not.
	spoken := f.good.Places()
	if f.newcomers != nil {
		spoken += f.newcomers.Places()
	}
	room := sock.RoomFor(sock.NewRoom().Size() - spoken)
	results, errs := make([]Struck, len(p.Strikes)), make([]error, len(p.Strikes))
	var strikes sync.WaitGroup
	for j, s := range p.Strikes {
		s.Options.Duration = max(time.Until(end), time.Millisecond)
		strikes.Go(func() {
			results[j].Phase = p.Name
			results[j].Result, errs[j] = attack.Run(ctx, s.Kind, s.Options, s.Target, room, f.counts[i][j])
			if errs[j] != nil {
				cancel() // options that make no sense: do not sit the phases out
			}
		})
	}
	// Attacks that are done early leave the rest of the phase to the server's recovery.
	sleepUntil(ctx, end)
	strikes.Wait()
	f.struck, f.errs = append(f.struck, results...), append(f.errs, errs...)
}

func (f *field) outcome(ctx context.Context, good, newcomers *load.Result) (Outcome, error) {
	// Of a siege that ended early, what never came is not told as if nothing had been answered in it.
	f.cut(good)
	f.cut(newcomers)
	out := Outcome{Good: *good, Newcomers: newcomers, Attacks: f.struck, Remarks: f.diary.remarks}
	if newcomers != nil && ctx.Err() == nil {
		for _, p := range newcomers.Phases {
			if p.ForSecs > 0 && p.OK == 0 {
				// Worth knowing and no failure: to let none in is what some servers choose.
				out.Remarks = append(out.Remarks, "newcomers got nothing "+When(p.Name))
			}
		}
	}
	for _, r := range f.struck {
		if r.Shortened != "" {
			out.Remarks = append(out.Remarks, r.Name+" "+When(r.Phase)+": "+r.Shortened)
		}
	}
	out.Server = f.diary.stretches(f.Phases[:f.begun])
	for _, p := range f.Phases[:f.begun] {
		if len(p.Strikes) > 0 {
			if c := cost(out, p.Name); c != nil {
				out.Costs = append(out.Costs, *c)
			}
		}
	}
	if ctx.Err() != nil {
		return out, fmt.Errorf("siege: ended early: %w", ctx.Err())
	}
	for _, p := range good.Phases {
		if p.ForSecs > 0 && p.OK == 0 {
			return out, fmt.Errorf("siege: %w %s", ErrNothing, When(p.Name))
		}
	}
	return out, nil
}

// cut leaves out the phases that did not begin. r is nil when there was no lane.
func (f *field) cut(r *load.Result) {
	if r == nil {
		return
	}
	r.Phases = r.Phases[:min(f.begun, len(r.Phases))]
	if r.TLS != nil {
		r.TLS.Phases = r.TLS.Phases[:min(f.begun, len(r.TLS.Phases))]
	}
}

// When says in words when the phase of that name was: "during the attack", or "in phase slow".
func When(phase string) string {
	switch phase {
	case Before, During, After:
		return phase + " the attack"
	}
	return "in phase " + phase
}

func sleepUntil(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
