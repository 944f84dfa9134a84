package guard

import (
	"net/netip"
	"sync"
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
	for i := range loops {
		l := r.g.Loop(conns)
		wg.Go(func() {
			var ids []ID
			skew := mono.Time(i) * mono.Time(5*time.Millisecond)
			for now := start; now < start+seconds*mono.Time(time.Second); now += mono.Time(5 * time.Millisecond) {
				l.Turn(now + skew)
				for range 5 {
					if id, reason := l.Admit(r.p, a); reason == OK {
						ids = append(ids, id)
					}
				}
				for _, id := range ids {
					l.Read(id, 10)
					if l.Frame(id) == OK && l.Frame(id) == OK {
						frames[i]++
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
	if n > (100+seconds*1000)*102/100 {
		t.Errorf("%d pairs of frames within a limit of %d frames", n, 100+seconds*1000)
	}
}
