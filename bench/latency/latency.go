package latency

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
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
	mu     sync.Mutex
	phases []bin // parallel to names
	names  []Phase
	slices []bin
}

type bin struct {
	ok     int64
	failed [failures]int64
	took   *hdrhistogram.Histogram // nanoseconds, of ok replies; nil until the first
	digits int
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
	r := &Recorder{names: phases, phases: make([]bin, len(phases)), slices: make([]bin, int((at+Slice-1)/Slice))}
	for i := range r.phases {
		r.phases[i].digits = 3
	}
	for i := range r.slices {
		r.slices[i].digits = 2 // good to 1 %, at a tenth of the memory
	}
	return r, nil
}

// OK counts a complete, good reply to a request that was due at the given instant since the start. Due
// outside all phases it is not counted.
func (r *Recorder) OK(due, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bins(due) {
		if b == nil {
			continue
		}
		b.ok++
		if b.took == nil {
			b.took = hdrhistogram.New(1000, int64(MaxTracked), b.digits)
		}
		// Cannot fail: clamped to the histogram's range.
		_ = b.took.RecordValue(int64(max(0, min(took, MaxTracked))))
	}
}

// Fail counts a request that was due at the given instant and failed.
func (r *Recorder) Fail(due time.Duration, how Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.bins(due) {
		if b != nil {
			b.failed[how]++
		}
	}
}

// bins returns the phase and the slice that due belongs to; nil where there is none.
func (r *Recorder) bins(due time.Duration) (out [2]*bin) {
	for i, p := range r.names {
		if due >= p.From && due < p.To {
			out[0] = &r.phases[i]
			out[1] = &r.slices[due/Slice]
			return out
		}
	}
	return out
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
	out := make([]Summary, len(r.phases))
	for i := range out {
		p := r.names[i]
		out[i] = r.phases[i].summary(p.From, p.To-p.From)
		out[i].Name = p.Name
	}
	return out
}

// Timeline returns what each [Slice] saw so far, in order; its percentiles are good to 1 %. Any goroutine.
func (r *Recorder) Timeline() []Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.names[len(r.names)-1].To
	out := make([]Summary, len(r.slices))
	for i := range out {
		from := time.Duration(i) * Slice
		out[i] = r.slices[i].summary(from, min(Slice, end-from))
	}
	return out
}

// At returns what the slice around now saw so far, and its predecessor when that one is the last complete one:
// what a progress line shows. Any goroutine.
func (r *Recorder) At(now time.Duration) Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := int(now/Slice) - 1
	if i < 0 || i >= len(r.slices) {
		return Summary{}
	}
	return r.slices[i].summary(time.Duration(i)*Slice, Slice)
}

func (b *bin) summary(from, length time.Duration) Summary {
	s := Summary{FromSecs: from.Seconds(), ForSecs: length.Seconds(), OK: b.ok}
	for f, n := range b.failed {
		if n == 0 {
			continue
		}
		if s.Failed == nil {
			s.Failed = make(map[string]int64)
		}
		s.Failed[Failure(f).String()] = n
		s.Errors += n
	}
	if length > 0 {
		s.Goodput = float64(b.ok) / length.Seconds()
	}
	if b.took != nil {
		q := func(p float64) time.Duration { return time.Duration(b.took.ValueAtQuantile(p)) }
		s.P50, s.P99, s.P999, s.Max = q(50), q(99), q(99.9), time.Duration(b.took.Max())
	}
	return s
}
