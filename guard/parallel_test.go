package guard

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/guard/mono"
)

// Loops on their own goroutines share counts and limits; others read the metrics meanwhile.
func TestLoopsInParallel(t *testing.T) {
	const loops, conns, limit, seconds = 4, 200, 37, 3
	r := newRig(t, Config{MaxConns: loops * conns, ConnRate: 1_000_000}, Limits{
		SourceConns: limit, SourceConnRate: 1_000_000, SourceFrameRate: 1000, SourceFrameBurst: 100,
		SourceByteRate: 1 << 20, MinRate: 1, MinRateGrace: time.Second, IdleTimeout: 100 * time.Millisecond,
	})
	a := netip.MustParseAddr("2001:db8::1")
	var wg sync.WaitGroup
	var frames, open, most [loops]int
	var at [loops]atomic.Int64
	for i := range at {
		at[i].Store(int64(start))
	}
	for i := range loops {
		l := r.g.Loop(conns)
		wg.Go(func() {
			var ids []ID
			skew := mono.Time(i) * mono.Time(5*time.Millisecond)
			for now := start; now < start+seconds*mono.Time(time.Second); now += mono.Time(5 * time.Millisecond) {
				at[i].Store(int64(now))
				for j := range at { // real loops' clocks differ by a turn, not by seconds
					for at[j].Load() < int64(now)-int64(10*time.Millisecond) {
						runtime.Gosched()
					}
				}
				l.Turn(now + skew)
				for range 5 {
					if id, reason := l.Admit(r.p, a); reason == OK {
						ids = append(ids, id)
					}
				}
				for _, id := range ids {
					l.Read(id, 10)
					for range 2 {
						if l.Frame(id) == OK {
							frames[i]++
						}
					}
				}
				most[i] = max(most[i], len(ids))
				if len(ids) > 5 {
					l.Gone(ids[0])
					ids = ids[1:]
				}
				l.Expire(100, func(ID, Reason) {})
			}
			open[i] = len(ids)
			at[i].Store(1<<63 - 1)
		})
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				r.g.Tables(start)
				r.g.Evictions()
				r.g.Counted()
				if n := r.g.Open(); n > limit {
					t.Errorf("%d open, the limit is %d", n, limit)
					return
				}
			}
		}
	})
	wg.Wait()
	close(stop)
	reader.Wait()
	sum, n := 0, 0
	for i := range loops {
		sum += open[i]
		n += frames[i]
	}
	if r.g.Open() != sum || r.p.Open() != sum {
		t.Errorf("%d open, counted %d and %d", sum, r.g.Open(), r.p.Open())
	}
	// The furthest clock sees 15 ms more than the nominal time.
	if most := 100 + seconds*1000 + 15; n > most*101/100 {
		t.Errorf("%d frames within a limit of %d", n, most)
	}
}
