package metrics

import (
	"sync"
	"time"

	"weir/engine"
)

// lagWindow is how far back the greatest lag of a loop is remembered: a scrape does not reset it, so
// that two Prometheus servers and the watcher do not take it from each other.
const lagWindow = 60 // seconds

// Sampler takes snapshots for all who read them, and remembers each loop's greatest lag of the last
// minute. Its methods may be called by any goroutine.
type Sampler struct {
	take func() engine.Snapshot

	mu      sync.Mutex
	seconds [lagWindow]second
	loops   int
}

// second is the greatest lag of each loop within one second of the clock.
type second struct {
	unix int64
	lag  []time.Duration
}

// NewSampler makes a Sampler that takes its snapshots with take.
func NewSampler(take func() engine.Snapshot) *Sampler { return &Sampler{take: take} }

// Sample takes a snapshot. It costs each loop a wake-up, about 10 us, and waits at most 250 ms for a
// loop that does not answer.
func (s *Sampler) Sample() engine.Snapshot {
	snap := s.take()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remember(time.Now().Unix(), snap.Loops)
	return snap
}

// MaxLag is the greatest lag of each loop that samples of the last minute have shown.
func (s *Sampler) MaxLag() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maxLag(time.Now().Unix())
}

func (s *Sampler) remember(unix int64, loops []engine.LoopSnapshot) {
	s.loops = len(loops)
	slot := &s.seconds[int(unix%lagWindow)]
	if slot.unix != unix {
		*slot = second{unix: unix, lag: make([]time.Duration, len(loops))}
	}
	for i, l := range loops {
		if i < len(slot.lag) {
			slot.lag[i] = max(slot.lag[i], l.Lag, l.MaxLag)
		}
	}
}

func (s *Sampler) maxLag(unix int64) []time.Duration {
	greatest := make([]time.Duration, s.loops)
	for i := range s.seconds {
		if s.seconds[i].unix <= unix-lagWindow {
			continue
		}
		for k, lag := range s.seconds[i].lag {
			if k < len(greatest) {
				greatest[k] = max(greatest[k], lag)
			}
		}
	}
	return greatest
}
