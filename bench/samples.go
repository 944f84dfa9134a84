package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"weir/bench/attack"
	"weir/bench/watch"
)

const (
	// sampleEvery is the time between two samples. One costs a page of metrics and a few files in /proc: about a
	// millisecond of CPU on each side (docs/decisions/0010-report-plots.md).
	sampleEvery = time.Second
	// samplePatience bounds one sample, below sampleEvery: a page that does not come costs its own sample only.
	samplePatience = 900 * time.Millisecond
	// maxSampledReasons bounds the labels that samples tell apart, so that a server with a label for each client
	// cannot fill the memory: with at most a sample a second for MaxSiege that is 601 small maps. Phases tell as many
	// apart. The rest is counted as otherReasons.
	maxSampledReasons = 64
	otherReasons      = "(other)"
)

// Sample is one look at the server and the attackers while a siege runs. All counts are since the first sample.
type Sample struct {
	AtSecs   float64          `json:"at_seconds"`          // since the good client's first request was due
	Sheds    map[string]int64 `json:"sheds,omitempty"`     // by reason; nil when not read, or nothing was shed
	Shed     *int64           `json:"shed,omitempty"`      // all reasons together; nil when not read
	CPU      *time.Duration   `json:"cpu_ns,omitempty"`    // of the server; nil when not read
	RSSBytes int64            `json:"rss_bytes,omitempty"` // of the server; 0 when not read
	Attempts int64            `json:"attempts"`            // connections begun by all attackers
	Refused  int64            `json:"refused"`             // connections that the server refused or ended and replies that said no, as the attackers saw them
}

// sampler reads the server once a second on a goroutine of its own. What fails is counted and not tried again before
// the next sample is due; a sample that takes too long delays the next one and none piles up.
type sampler struct {
	counter *watch.Counter // nil: not asked
	pids    []int
	counts  []*attack.Counts
	start   time.Time

	// On the sampler's goroutine only, until stop returned.
	samples []Sample
	sheds   map[string]float64 // of the first page that came
	reasons []string           // those told apart
	cpu     time.Duration      // of the first reading
	hasCPU  bool
	missed  int
	why     error // of the last one missed

	mu         sync.Mutex
	last, prev told // any goroutine, under mu
}

// told is what a page came to that was read.
type told struct {
	atSecs float64
	shed   int64
	known  bool
}

// shedding returns what the server sheds, nil before the second page. Any goroutine.
func (s *sampler) shedding() *Shedding {
	s.mu.Lock()
	defer s.mu.Unlock()
	took := s.last.atSecs - s.prev.atSecs
	if !s.prev.known || took <= 0 {
		return nil
	}
	return &Shedding{PerSecond: float64(max(0, s.last.shed-s.prev.shed)) / took, Total: s.last.shed}
}

// run samples until the returned function is called, which takes a last sample and returns all of them with what
// is to be remarked.
func (s *sampler) run(ctx context.Context) (stop func() ([]Sample, []string)) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			s.sample(ctx)
			select {
			case <-tick.C:
			case <-quit:
				s.sample(ctx)
				return
			}
		}
	})
	return func() ([]Sample, []string) {
		close(quit)
		done.Wait()
		if s.missed == 0 {
			return s.samples, nil
		}
		return s.samples, []string{fmt.Sprintf("%d of %d samples are incomplete: %v", s.missed, len(s.samples), s.why)}
	}
}

func (s *sampler) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, samplePatience)
	defer cancel()
	now := Sample{}
	var failed error
	if s.counter != nil {
		page, err := s.counter.Read(ctx)
		if err != nil {
			failed = err
		} else {
			s.shed(&now, page)
		}
	}
	// The instant is that of the answer: a page may wait for a second, and counts until it is made.
	now.AtSecs = time.Since(s.start).Seconds()
	if len(s.pids) > 0 {
		u, err := watch.Processes(s.pids)
		if err != nil {
			failed = err
		} else {
			if !s.hasCPU {
				s.cpu, s.hasCPU = u.CPU, true
			}
			used := max(0, u.CPU-s.cpu)
			now.CPU, now.RSSBytes = &used, u.RSSBytes
		}
	}
	for _, c := range s.counts {
		live := c.Live()
		now.Attempts += live.Attempts
		now.Refused += live.Ended() + live.Bad
	}
	if failed != nil {
		s.missed, s.why = s.missed+1, failed
	}
	if now.Shed != nil {
		s.mu.Lock()
		s.prev, s.last = s.last, told{now.AtSecs, *now.Shed, true}
		s.mu.Unlock()
	}
	s.samples = append(s.samples, now)
}

// shed puts what grew since the first page into the sample.
func (s *sampler) shed(now *Sample, page map[string]float64) {
	if s.sheds == nil {
		s.sheds = page
	}
	var all int64
	for reason, n := range watch.Grown(s.sheds, page) {
		all = watch.Sum(all, n)
		if !slices.Contains(s.reasons, reason) {
			if len(s.reasons) >= maxSampledReasons {
				reason = otherReasons
			} else {
				s.reasons = append(s.reasons, strings.Clone(reason)) // not the whole page with it
			}
		}
		if now.Sheds == nil {
			now.Sheds = make(map[string]int64)
		}
		now.Sheds[reason] = watch.Sum(now.Sheds[reason], n)
	}
	now.Shed = &all
}
