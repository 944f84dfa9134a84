package guard

import (
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/time/rate"
	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
)

// BenchmarkDistinctSources is the whole decision about an address, from netip.Addr to yes or no,
// with a hundred million sources in a table of 1 MiB; beside it a map of x/time/rate limiters in 64
// shards with a mutex each, held to a million entries by deleting any.
func BenchmarkDistinctSources(b *testing.B) {
	next := func(x *uint64) netip.Addr {
		*x ^= *x << 13
		*x ^= *x >> 7
		*x ^= *x << 17
		return addrOf(uint32((*x >> 32) * (100 << 20) >> 32))
	}
	var ours float64
	b.Run("guard", func(b *testing.B) {
		t := bucket.New(1<<17, bucket.Limit{Tokens: 20, Burst: 5}, 0)
		hash, x, now := source.NewHash(), uint64(88172645463325252), mono.Time(start)
		b.ReportAllocs()
		for b.Loop() {
			now += 1000
			k, _ := source.Of(next(&x))
			h := bucket.HandleOf(hash.Sum(k.Bits))
			t.AllowOne(&h, now)
		}
		ours = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	b.Run("libraries", func(b *testing.B) {
		var shards [64]struct {
			sync.Mutex
			m map[netip.Addr]*rate.Limiter
		}
		for i := range shards {
			shards[i].m = map[netip.Addr]*rate.Limiter{}
		}
		x := uint64(88172645463325252)
		b.ReportAllocs()
		for b.Loop() {
			a := next(&x)
			s := &shards[a.As4()[3]&63]
			s.Lock()
			l := s.m[a]
			if l == nil {
				if len(s.m) >= 1<<20/64 {
					for k := range s.m {
						delete(s.m, k)
						break
					}
				}
				l = rate.NewLimiter(20, 5)
				s.m[a] = l
			}
			s.Unlock()
			l.Allow()
		}
		if ours > 0 {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/ours, "times-guard")
		}
	})
}
