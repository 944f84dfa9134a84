package guard

import (
	"math/rand/v2"
	"testing"
	"time"

	"weir/guard/mono"
)

// TestReadFrameIsItsParts does the same at random to two guards, by ReadFrame in one and by Read,
// Frame and Phase(Idle) in the other, and compares what they say, count and end.
func TestReadFrameIsItsParts(t *testing.T) {
	for why, lim := range map[string]Limits{
		"the defaults": DefaultLimits(),
		"all limits low": {
			SourceFrameRate: 50, SourceFrameBurst: 20, ConnFrameRate: 30, ConnFrameBurst: 10,
			SourceByteRate: 40_000, SourceByteBurst: 60_000, ConnByteRate: 30_000, ConnByteBurst: 20_000,
			IdleTimeout: 2 * time.Second, FirstFrameTimeout: time.Second, FrameTimeout: time.Second,
			MinRate: 1000, MinRateGrace: time.Second,
		},
		"none": {},
	} {
		t.Run(why, func(t *testing.T) {
			seed := rand.Uint64()
			rnd := rand.New(rand.NewPCG(seed, 7))
			one, parts := newRig(t, Config{}, lim), newRig(t, Config{}, lim)
			addrs := []string{"192.0.2.1", "192.0.2.1", "198.51.100.1", "2001:db8::1"}
			for _, a := range addrs {
				if one.admit(a) != parts.admit(a) {
					t.Fatal("the rigs differ")
				}
			}
			now := start
			for step := range 20_000 {
				if rnd.IntN(3) == 0 {
					now += mono.Time(rnd.Int64N(int64(50 * time.Millisecond)))
					one.at(now.Sub(start))
					parts.at(now.Sub(start))
				}
				id := ID(rnd.IntN(len(addrs)))
				if r, over := one.ended[id]; over {
					if parts.ended[id] != r || parts.when[id] != one.when[id] {
						t.Fatalf("seed %d step %d: ended by %v and %v", seed, step, r, parts.ended[id])
					}
					delete(one.ended, id)
					delete(parts.ended, id)
					for one.admit(addrs[id]) != id { // the last one freed comes first
						t.Fatalf("seed %d step %d: another ID", seed, step)
					}
					parts.admit(addrs[id])
				}
				n := 1 + rnd.IntN(3000)
				switch rnd.IntN(6) {
				case 0: // a read that completes nothing
					one.l.Read(id, n)
					parts.l.Read(id, n)
					one.l.Phase(id, Frame)
					parts.l.Phase(id, Frame)
				case 1: // a second frame of the same read
					if a, b := one.l.Frame(id), parts.l.Frame(id); a != b {
						t.Fatalf("seed %d step %d: %v and %v", seed, step, a, b)
					}
				case 2:
					one.l.Pause(id)
					parts.l.Pause(id)
				case 3:
					one.l.Resume(id)
					parts.l.Resume(id)
				default:
					v, r := one.l.ReadFrame(id, n)
					w, q := parts.l.Read(id, n), parts.l.Frame(id)
					if q == OK {
						parts.l.Phase(id, Idle)
					}
					if v != w || r != q {
						t.Fatalf("seed %d step %d: %v %v and %v %v", seed, step, v, r, w, q)
					}
				}
			}
			if a, b := one.l.Counts(), parts.l.Counts(); a.Frames != b.Frames || a.BytesIn != b.BytesIn || a.Shed != b.Shed {
				t.Errorf("seed %d: counted %+v and %+v", seed, a, b)
			}
		})
	}
}
