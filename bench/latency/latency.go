package latency

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Failure is a way for a request to fail. The list is closed.
type Failure uint8

// The failures a good client tells apart.
const (
	Timeout   Failure = iota // no complete reply within the timeout, counted from the instant it was due
	Cut                      // the connection was closed or reset before the reply was complete
	Status                   // a complete reply that says no: an HTTP status outside 200 to 399
	Protocol                 // a reply that is not what was asked for
	Overrun                  // dropped by the client: too many were waiting for a connection
	Connect                  // a newcomer's connection was refused or could not be made
	Handshake                // a newcomer's connection stood, and its TLS handshake failed
	failures
)

// String returns the word used in tables and JSON.
func (f Failure) String() string {
	return [...]string{"timeout", "cut", "status", "protocol", "overrun", "connect", "handshake"}[f]
}

// MaxTracked is the longest latency told apart; longer ones are counted as this long.
const MaxTracked = 2 * time.Minute

// Slice is how long one step of the timeline is.
const Slice = 500 * time.Millisecond

// Phase is a named stretch of a run: [From, To) since its start.
type Phase struct {
	Name     string
	From, To time.Duration
}

// Recorder collects outcomes. One goroutine records; any goroutine may read meanwhile.
type Recorder struct {
	mu      sync.Mutex
	phases  []Phase
	byPhase []Bin // parallel to phases
	bySlice []Bin
}

// New returns a recorder for the given phases, which must be in order and not overlap, and whose last To is the length
// of the run, above 0. Memory: about 180 KB a phase and up to 25 KB for each [Slice] of the run.
func New(phases []Phase) (*Recorder, error) {
	if len(phases) == 0 {
		return nil, fmt.Errorf("latency: no phases")
	}
	at := time.Duration(0)
	for _, p := range phases {
		if p.From < at || p.To < p.From {
			return nil, fmt.Errorf("latency: phase %q from %v to %v overlaps or ends before it begins", p.Name, p.From, p.To)
		}
		at = p.To
	}
	r := &Recorder{phases: phases, byPhase: make([]Bin, len(phases)), bySlice: make([]Bin, int((at+Slice-1)/Slice))}
	for i := range r.byPhase {
		r.byPhase[i].digits = 3
	}
	for i := range r.bySlice {
		r.bySlice[i].digits = 2 // good to 1 %, at a tenth of the memory
	}
	return r, nil
}

// OK counts a complete, good reply to a request that was due at the given instant since the start. Due
// outside all phases it is not counted.
func (r *Recorder) OK(due, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if phase, slice := r.bins(due); phase != nil {
		phase.add(took)
		slice.add(took)
	}
}

// Fail counts a request that was due at the given instant and failed.
func (r *Recorder) Fail(due time.Duration, how Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if phase, slice := r.bins(due); phase != nil {
		phase.failed[how]++
		slice.failed[how]++
	}
}

// bins returns the phase and the slice that due belongs to; nil where there is none.
func (r *Recorder) bins(due time.Duration) (phase, slice *Bin) {
	for i := range r.phases {
		if p := &r.phases[i]; due >= p.From && due < p.To {
			return &r.byPhase[i], &r.bySlice[due/Slice]
		}
	}
	return nil, nil
}

// Summary is what one phase or slice saw. Latencies are of good replies only, 0 when there was none.
type Summary struct {
	Name     string           `json:"name,omitempty"`
	FromSecs float64          `json:"from_seconds"`
	ForSecs  float64          `json:"for_seconds"`
	OK       int64            `json:"ok"`
	Errors   int64            `json:"errors"`
	Failed   map[string]int64 `json:"failed,omitempty"` // by Failure, those that happened
	Goodput  float64          `json:"goodput_per_second"`
	P50      time.Duration    `json:"p50_ns"`
	P99      time.Duration    `json:"p99_ns"`
	P999     time.Duration    `json:"p999_ns"`
	Max      time.Duration    `json:"max_ns"`
}

// Summary returns what each phase saw so far, in order. Any goroutine.
func (r *Recorder) Summary() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Summary, len(r.byPhase))
	for i := range out {
		p := r.phases[i]
		out[i] = r.byPhase[i].summary(p.From, p.To-p.From)
		out[i].Name = p.Name
	}
	return out
}

// Timeline returns what each [Slice] saw so far, in order; its percentiles are good to 1 %. Any goroutine.
func (r *Recorder) Timeline() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.phases[len(r.phases)-1].To
	out := make([]Summary, len(r.bySlice))
	for i := range out {
		from := time.Duration(i) * Slice
		out[i] = r.bySlice[i].summary(from, min(Slice, end-from))
	}
	return out
}

// LastSlice returns what the last whole slice before now saw, as a progress line shows it, of all the given recorders
// together; an empty one when there is none. Any goroutine.
func LastSlice(now time.Duration, all ...*Recorder) Bin {
	i := int(now/Slice) - 1
	var sum Bin
	for _, r := range all {
		r.mu.Lock()
		if i >= 0 && i < len(r.bySlice) {
			sum.Merge(&r.bySlice[i])
		}
		r.mu.Unlock()
	}
	return sum
}

// At returns what the last whole slice before now saw, in numbers. Any goroutine.
func (r *Recorder) At(now time.Duration) Summary {
	b := LastSlice(now, r)
	return b.At(now)
}

// At returns the bin in numbers, as that of the last whole slice before now; nothing when there is none.
func (b *Bin) At(now time.Duration) Summary {
	if now < Slice {
		return Summary{}
	}
	return b.summary((now/Slice-1)*Slice, Slice)
}

// Errors returns how many requests failed so far, at the price of a few additions. Any goroutine.
func (r *Recorder) Errors() (sum int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.byPhase {
		for _, n := range r.byPhase[i].failed {
			sum += n
		}
	}
	return sum
}

// Until is for a run that ended early, at an instant since its start: rates are then over the time that there was. Phases
// behind it stay, with no length; slices, which have no name, are left out. It changes all.
func Until(end time.Duration, all []Summary) []Summary {
	for i := range all {
		s := &all[i]
		left := end.Seconds() - s.FromSecs
		if left >= s.ForSecs {
			continue
		}
		if left <= 0 && s.Name == "" {
			return all[:i]
		}
		s.ForSecs, s.Goodput = max(0, left), 0
		if left > 0 {
			s.Goodput = float64(s.OK) / left
		}
	}
	return all
}

// Merge adds all that o recorded, which stays as it is. Both must have been made for the same phases.
func (r *Recorder) Merge(o *Recorder) error {
	if !slices.Equal(r.phases, o.phases) {
		return errors.New("latency: to merge two recorders they must have the same phases")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range r.byPhase {
		r.byPhase[i].Merge(&o.byPhase[i])
	}
	for i := range r.bySlice {
		r.bySlice[i].Merge(&o.bySlice[i])
	}
	return nil
}

// portable is a recorder as JSON.
type portable struct {
	Phases  []Phase `json:"phases"`
	ByPhase []Bin   `json:"by_phase"`
	BySlice []Bin   `json:"by_slice"`
}

// MarshalJSON writes all that was recorded, nothing rounded, for another process to merge.
func (r *Recorder) MarshalJSON() ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return json.Marshal(portable{r.phases, r.byPhase, r.bySlice})
}

// UnmarshalJSON makes r what another process wrote.
func (r *Recorder) UnmarshalJSON(text []byte) error {
	var p portable
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	fresh, err := New(p.Phases)
	if err != nil {
		return err
	}
	if len(p.ByPhase) != len(fresh.byPhase) || len(p.BySlice) != len(fresh.bySlice) {
		return errors.New("latency: a recorder with bins that do not fit its phases")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phases, r.byPhase, r.bySlice = p.Phases, p.ByPhase, p.BySlice
	return nil
}
