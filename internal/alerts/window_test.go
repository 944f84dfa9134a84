package alerts

import (
	"math/rand/v2"
	"testing"
	"time"
)

// model is window done slowly.
type model map[int64]uint64

func TestWindowIsTheSumOfItsUnits(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w, m, now := newWindow(10*time.Second, 10), model{}, time.Unix(1000, 0)
	for i := range 10_000 {
		now = now.Add(time.Duration(r.IntN(3)) * time.Second)
		if r.IntN(100) == 0 {
			now = now.Add(time.Duration(r.IntN(40)) * time.Second)
		}
		n := uint64(r.IntN(5))
		m[now.Unix()] += n
		want := uint64(0)
		for s := now.Unix() - 9; s <= now.Unix(); s++ {
			want += m[s]
		}
		if got := w.add(now, n); got != want {
			t.Fatalf("seed %d, step %d: %d, want %d", seed, i, got, want)
		}
	}
	if w.add(now, 1<<40); w.sum < 1<<31 || w.add(now.Add(time.Hour), 0) != 0 {
		t.Error("a number beyond 32 bits")
	}
}
