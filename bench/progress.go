package bench

import (
	"sync"
	"time"

	"weir/bench/attack"
	"weir/bench/latency"
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
	p := Progress{Elapsed: at, Left: max(0, f.length()-at), Of: len(f.Phases), Good: f.good.Latency.At(at), GoodErrors: f.good.Latency.Errors(), Sheds: f.sampler.shedding()}
	if f.newcomers != nil {
		p.Newcomers, p.NewErrors = f.newcomers.Latency.At(at), f.newcomers.Latency.Errors()
	}
	now := len(f.Phases) - 1 // replies may be waited for when all phases are over
	for i, phase := range f.plan() {
		if at < phase.To {
			now = i
			p.PhaseLeft = phase.To - at
			break
		}
	}
	p.Phase, p.Number = f.Phases[now].Name, now+1
	for j, name := range f.Phases[now].Names() {
		p.Attacks = append(p.Attacks, Assault{name, f.counts[now][j].Live()})
	}
	return p
}
