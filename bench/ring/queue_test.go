package ring

import (
	"math/rand/v2"
	"testing"
)

func TestQueueIsFirstInFirstOut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var q Queue[int]
	var model []int
	for i := range 100_000 {
		if random.IntN(5) > 1 && len(model) < 1000 || len(model) == 0 {
			q.Push(i)
			model = append(model, i)
			continue
		}
		if q.First() != model[0] {
			t.Fatalf("step %d: first is %d, want %d", i, q.First(), model[0])
		}
		if i%7 == 0 {
			q.Unpop(-i)
			if got := q.Pop(); got != -i {
				t.Fatalf("step %d: got %d back", i, got)
			}
		}
		if got := q.Pop(); got != model[0] {
			t.Fatalf("step %d: got %d, want %d", i, got, model[0])
		}
		model = model[1:]
		if q.Len() != len(model) {
			t.Fatalf("step %d: length %d, want %d", i, q.Len(), len(model))
		}
	}
}
