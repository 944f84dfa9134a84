package latency

import (
	"encoding/base64"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Spread is a set of durations of which the least, the middle and the greatest matter: the ages at which a server
// closed connections, the time a connect took. The zero value is empty and ready. Not for concurrent use.
type Spread struct {
	h *hdrhistogram.Histogram
}

// Add puts d in the set. Negative ones count as 0, those above [MaxTracked] as that.
func (s *Spread) Add(d time.Duration) {
	if s.h == nil {
		s.h = hdrhistogram.New(1000, int64(MaxTracked), 3)
	}
	_ = s.h.RecordValue(int64(max(0, min(d, MaxTracked))))
}

// Merge adds all of o, which stays as it is.
func (s *Spread) Merge(o *Spread) { s.h = merged(s.h, o.h) }

// MarshalText writes all that was added, for another process to merge.
func (s Spread) MarshalText() ([]byte, error) {
	b, err := encode(s.h)
	return base64.StdEncoding.AppendEncode(nil, b), err
}

// UnmarshalText makes s what another process wrote.
func (s *Spread) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	s.h, err = decode(b)
	return err
}

// Range is a [Spread] put in numbers; all 0 when it is empty.
type Range struct {
	Count int64         `json:"count"`
	Min   time.Duration `json:"min_ns"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	Max   time.Duration `json:"max_ns"`
}

// Range returns the numbers, good to one part in a thousand.
func (s *Spread) Range() Range {
	if s.h == nil {
		return Range{}
	}
	q := func(p float64) time.Duration { return time.Duration(s.h.ValueAtQuantile(p)) }
	return Range{
		Count: s.h.TotalCount(), Min: time.Duration(s.h.Min()),
		P50: q(50), P99: q(99), Max: time.Duration(s.h.Max()),
	}
}
