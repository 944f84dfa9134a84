package main

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// forgetAfter is how long a source is remembered after its last request: far longer than its bucket takes to fill.
const forgetAfter = 10 * time.Second

// sources is a limiter for each address in a map behind a mutex, which is what is commonly advised, swept of those
// that have gone, and bounded: a source that finds it full is refused. Any goroutine.
type sources struct {
	perSecond rate.Limit
	burst     int
	most      int

	mu    sync.Mutex
	swept time.Time
	by    map[string]*source
}

type source struct {
	limiter *rate.Limiter
	seen    time.Time
}

func newSources(perSecond float64, burst, most int) *sources {
	return &sources{perSecond: rate.Limit(perSecond), burst: burst, most: most, by: make(map[string]*source)}
}

// allow reports whether a request of the source may go on.
func (s *sources) allow(host string) bool {
	now := time.Now()
	s.mu.Lock()
	if now.Sub(s.swept) > forgetAfter {
		s.sweep(now)
	}
	one := s.by[host]
	if one == nil {
		if len(s.by) >= s.most {
			s.mu.Unlock()
			return false
		}
		one = &source{limiter: rate.NewLimiter(s.perSecond, s.burst)}
		s.by[host] = one
	}
	one.seen = now
	s.mu.Unlock()
	return one.limiter.AllowN(now, 1)
}

func (s *sources) sweep(now time.Time) {
	s.swept = now
	for host, one := range s.by {
		if now.Sub(one.seen) > forgetAfter {
			delete(s.by, host)
		}
	}
}
