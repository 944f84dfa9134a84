package latency

import (
	"encoding/json"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Bin is what became of the requests of one stretch of a run. The zero value is empty. Not for concurrent use.
type Bin struct {
	ok     int64
	failed [failures]int64
	took   *hdrhistogram.Histogram // nanoseconds, of ok replies; nil until the first
	digits int                     // of took
}

func (b *Bin) add(took time.Duration) {
	b.ok++
	if b.took == nil {
		b.took = hdrhistogram.New(1000, int64(MaxTracked), b.digits)
	}
	// Cannot fail: clamped to the histogram's range.
	_ = b.took.RecordValue(int64(max(0, min(took, MaxTracked))))
}

// Merge adds all of o, which stays as it is.
func (b *Bin) Merge(o *Bin) {
	b.ok += o.ok
	for i, n := range o.failed {
		b.failed[i] += n
	}
	b.took = merged(b.took, o.took)
}

// merged adds one histogram to another; either may be nil.
func merged(to, from *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	switch {
	case from == nil:
		return to
	case to == nil:
		return from.Clone()
	}
	to.Merge(from)
	return to
}

func (b *Bin) summary(from, length time.Duration) Summary {
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

// portableBin is a bin as JSON, its histogram in the compressed form that all HdrHistogram libraries read.
type portableBin struct {
	OK     int64           `json:"ok"`
	Failed [failures]int64 `json:"failed"`
	Took   []byte          `json:"took,omitempty"`
	Digits int             `json:"digits"`
}

// MarshalJSON writes all that was recorded.
func (b Bin) MarshalJSON() ([]byte, error) {
	took, err := encode(b.took)
	if err != nil {
		return nil, err
	}
	return json.Marshal(portableBin{b.ok, b.failed, took, b.digits})
}

// UnmarshalJSON makes b what another process wrote.
func (b *Bin) UnmarshalJSON(text []byte) error {
	var p portableBin
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	took, err := decode(p.Took)
	*b = Bin{p.OK, p.Failed, took, p.Digits}
	return err
}

func encode(h *hdrhistogram.Histogram) ([]byte, error) {
	if h == nil {
		return nil, nil
	}
	return h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

func decode(b []byte) (*hdrhistogram.Histogram, error) {
	if len(b) == 0 {
		return nil, nil
	}
	return hdrhistogram.Decode(b)
}
