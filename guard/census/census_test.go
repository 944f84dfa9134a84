package census

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"weir/guard/source"
)

type modelKey struct {
	domain uint16
	bits   uint64
	level  uint8
}

// Counts are exact under random coming and going, all places or none, in a table as full as it
// gets, and what is gone leaves nothing behind.
func TestAgainstMap(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 5))
	const conns = 500
	c := New(conns, source.NewHash())
	model := map[modelKey][2]int{} // open, unproven
	add := func(k modelKey, open, unproven int) {
		m := model[k]
		if m = [2]int{m[0] + open, m[1] + unproven}; m[0] == 0 {
			delete(model, k)
			return
		}
		model[k] = m
	}
	type open struct {
		domain   uint16
		places   []Place
		unproven bool
	}
	var opens []open
	steps := 200_000
	if testing.Short() {
		steps = 30_000
	}
	for step := range steps {
		if len(opens) < conns && r.IntN(100) < 52 {
			d, a := uint16(r.IntN(3)), r.Uint64N(400)
			if r.IntN(2) == 0 {
				a = r.Uint64N(1 << 40)
			}
			p := []Place{{a, 0, 4, 2}, {a &^ 7, 1, 20, 9}, {a &^ 63, 2, 0, 0}}[:1+r.IntN(3)]
			want, wantOK := Full{}, true
			for i, q := range p {
				m := model[modelKey{d, q.Bits, q.Level}]
				if q.Limit > 0 && m[0] >= q.Limit || q.Unproven > 0 && m[1] >= q.Unproven {
					want, wantOK = Full{Place: i, Unproven: q.Limit == 0 || m[0] < q.Limit}, false
					break
				}
			}
			wantAlone := wantOK && model[modelKey{d, p[0].Bits, p[0].Level}][1] == 0
			full, alone, ok := c.Add(d, p)
			if full != want || alone != wantAlone || ok != wantOK {
				t.Fatalf("seed %d step %d: %v %v %v, want %v %v %v", seed, step, full, alone, ok, want, wantAlone, wantOK)
			}
			if ok {
				for _, q := range p {
					add(modelKey{d, q.Bits, q.Level}, 1, 1)
				}
				opens = append(opens, open{d, p, true})
			}
		} else if len(opens) > 0 {
			i := r.IntN(len(opens))
			o := &opens[i]
			if o.unproven && r.IntN(2) == 0 {
				c.Prove(o.domain, o.places)
				o.unproven = false
				for _, q := range o.places {
					add(modelKey{o.domain, q.Bits, q.Level}, 0, -1)
				}
				continue
			}
			c.Remove(o.domain, o.places, o.unproven)
			for _, q := range o.places {
				unproven := 0
				if o.unproven {
					unproven = -1
				}
				add(modelKey{o.domain, q.Bits, q.Level}, -1, unproven)
			}
			*o = opens[len(opens)-1]
			opens = opens[:len(opens)-1]
		}
		if step%1000 == 0 {
			if c.Used() != len(model) {
				t.Fatalf("seed %d step %d: %d places, want %d", seed, step, c.Used(), len(model))
			}
			for k, n := range model {
				if open, unproven := c.Count(k.domain, Place{Bits: k.bits, Level: k.level}); open != n[0] || unproven != n[1] {
					t.Fatalf("seed %d step %d: %v counts %d and %d, want %d", seed, step, k, open, unproven, n)
				}
			}
		}
	}
	for _, o := range opens {
		c.Remove(o.domain, o.places, o.unproven)
	}
	for i := range c.slot {
		if c.slot[i] != (slot{}) {
			t.Fatalf("seed %d: something is left in slot %d", seed, i)
		}
	}
}

func TestLoopsShareExactCounts(t *testing.T) {
	const loops, limit = 4, 37
	c := New(10_000, source.NewHash())
	p := []Place{{1 << 32, 0, limit, 0}, {0, 1, 0, 0}}
	var wg sync.WaitGroup
	var got [loops]int
	for l := range loops {
		wg.Go(func() {
			for range 1000 {
				if _, _, ok := c.Add(0, p); ok {
					got[l]++
					if got[l]%3 == 0 {
						c.Remove(0, p, true)
						got[l]--
					}
				}
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range got {
		sum += n
	}
	if n, _ := c.Count(0, p[0]); n != sum || n > limit {
		t.Errorf("counted %d, open %d, limit %d", n, sum, limit)
	}
}

func TestFull(t *testing.T) {
	c := New(1, source.NewHash())
	added := 0
	for i := range uint64(100) {
		if _, _, ok := c.Add(0, []Place{{i, 0, 0, 0}}); ok {
			added++
		}
	}
	full, _, ok := c.Add(0, []Place{{1 << 50, 0, 0, 0}})
	if added == 0 || added >= len(c.slot) || ok || full != (Full{}) {
		t.Errorf("%d of %d slots taken", added, len(c.slot))
	}
	if Bytes(1000) != int64(len(New(1000, source.NewHash()).slot))*slotBytes || slotBytes != unsafe.Sizeof(slot{}) {
		t.Error("Bytes is wrong")
	}
}

func TestNoAllocations(t *testing.T) {
	c := New(1000, source.NewHash())
	p := []Place{{1, 0, 5, 5}, {2, 1, 5, 5}, {3, 2, 5, 5}}
	if n := testing.AllocsPerRun(1000, func() { c.Add(1, p); c.Prove(1, p); c.Remove(1, p, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAddRemove(b *testing.B) {
	c := New(1<<20, source.NewHash())
	x := uint64(1)
	places := func(a uint64) []Place {
		return []Place{{a, 0, 1 << 20, 1 << 20}, {a &^ 255, 1, 0, 0}, {a &^ 65535, 2, 0, 0}}
	}
	for range 500_000 {
		x += 0x9e3779b97f4a7c15
		c.Add(0, places(x<<16))
	}
	b.ReportAllocs()
	for b.Loop() {
		x += 0x9e3779b97f4a7c15
		p := places(x << 16)
		c.Add(0, p)
		c.Remove(0, p, true)
	}
}
