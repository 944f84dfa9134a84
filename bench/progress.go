package bench

import (
	"sync"
	"time"

	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/load"
)

// Progress is how far a siege is.
type Progress struct {
	Phase         string
	Number, Of    int // of the phase, from 1 on, and of how many; 0 where there are no phases
	Elapsed, Left time.Duration
	PhaseLeft     time.Duration
	Good          latency.Summary // the last whole slice of the good client
	GoodErrors    int64           // of all slices so far
	Newcomers     latency.Summary // likewise; zero when there are none
	NewErrors     int64
	Attacks       []Assault // those of the phase, in the order of its strikes
	Sheds         *Shedding // nil: the server is not asked, or has not answered twice yet
}

// Assault is an attack under way.
type Assault struct {
	Name string // see [Phase.Names]
	attack.Live
}

// Shedding is what the server shed by its own counters.
type Shedding struct {
	PerSecond float64 // between the last two samples that came
	Total     int64   // since the first one
}

// watch reports progress until the returned function is called, which waits for the last report to end.
func (f *field) watch(start time.Time) (stop func()) {
	if f.Watch == nil {
		return func() {}
	}
	v := &viewer{field: f, good: tally{lane: f.good, timeout: f.Good.Timeout}}
	if f.newcomers != nil {
		v.newcomers = tally{lane: f.newcomers, timeout: f.Newcomers.Timeout}
	}
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(latency.Slice)
		defer tick.Stop()
		for {
			f.Watch(v.progress(time.Since(start)))
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	return func() { close(quit); done.Wait() }
}

// viewer makes progress reports. Not for concurrent use.
type viewer struct {
	*field
	good, newcomers tally
}

func (v *viewer) progress(at time.Duration) Progress {
	p := Progress{Elapsed: at, Left: max(0, v.length()-at), Of: len(v.Phases), Good: v.good.at(at), GoodErrors: v.good.total, Sheds: v.sampler.shedding()}
	if v.newcomers.lane != nil {
		p.Newcomers, p.NewErrors = v.newcomers.at(at), v.newcomers.total
	}
	now := len(v.Phases) - 1 // replies may be waited for when all phases are over
	for i, phase := range v.plan() {
		if at < phase.To {
			now = i
			p.PhaseLeft = phase.To - at
			break
		}
	}
	p.Phase, p.Number = v.Phases[now].Name, now+1
	for j, name := range v.Phases[now].Names() {
		p.Attacks = append(p.Attacks, Assault{name, v.counts[now][j].Live()})
	}
	return p
}

// tally adds up the errors of a lane, from its slices: those of all phases would have to be read with all their
// percentiles, while the lane waits for them.
type tally struct {
	lane    *load.Lane // nil: none
	timeout time.Duration
	errors  []int64 // by slice
	total   int64
}

// at returns the last whole slice and brings total up to date. A request may fail as late as its timeout, so the
// slices of that time are read again.
func (t *tally) at(now time.Duration) latency.Summary {
	whole := int(now / latency.Slice)
	timeout := t.timeout
	if timeout == 0 {
		timeout = 2 * time.Second // the lane's default
	}
	open := int(timeout/latency.Slice) + 4 // the lane sweeps late, and so may we be
	from := max(0, len(t.errors)-open)
	for i := from; i < whole; i++ {
		n := t.lane.Latency.At(time.Duration(i+1) * latency.Slice).Errors
		if i == len(t.errors) {
			t.errors = append(t.errors, 0)
		}
		t.total += n - t.errors[i]
		t.errors[i] = n
	}
	return t.lane.Latency.At(now)
}
