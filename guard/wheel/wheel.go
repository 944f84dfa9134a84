// Package wheel is a hashed timer wheel (Varghese and Lauck, 1987, scheme 6) for the deadlines of
// very many connections on one loop. It stores ids, not timers.
//
// A record of the caller has a word, at: the tick under which the wheel knows it, 0 when it does
// not. Moving a deadline later does not touch the wheel at all; the record is visited at its old
// tick and filed again. Cancelling does not either. Slots are vectors of ids in chunks of 256
// bytes: a visit of a million records in one tick runs at memory speed, because the ids come in
// arrays and not from a chain of dependent loads (lists took ten to twenty times as long), and the
// garbage collector sees no pointers.
//
// Not for concurrent use. Nothing here reads a clock.
package wheel

import (
	"math/bits"
	"time"
	"unsafe"

	"weir/guard/mono"
)

// Tick is the wheel's step, 16.8 ms: a deadline is met at the first tick at or after it, so up to
// a Tick late, and never early.
const (
	TickShift = 24
	Tick      = time.Duration(1) << TickShift
)

// Slots is the number of slots. A deadline further than Slots-1 ticks away (68.7 s) is filed there
// and looked at again.
const (
	Slots = 4096
	mask  = Slots - 1
)

// TickOf is the tick during which now lies. Ticks are compared by the sign of their difference,
// so their wrap after 2.3 years does no harm.
func TickOf(now mono.Time) uint32 { return uint32(now >> TickShift) }

// Due is the first tick that begins at or after t.
func Due(t mono.Time) uint32 { return uint32((t + mono.Time(Tick) - 1) >> TickShift) }

const chunkIDs = 62

type chunk struct {
	next, n uint32
	ids     [chunkIDs]uint32
}

// ChunkBytes is the memory of one chunk of ChunkIDs entries.
const (
	ChunkBytes = int(unsafe.Sizeof(chunk{}))
	ChunkIDs   = chunkIDs
)

// Wheel is ready after New.
type Wheel struct {
	slots  [Slots]uint32 // first chunk of each slot, 0 = none; only the first may have room
	filled [Slots / 64]uint64
	chunks []chunk // [0] is unused
	free   uint32  // first free chunk

	cur  uint32 // the tick to which Advance was last asked to go; everything filed is after it
	hand uint32 // the last tick whose slot was taken up, at most cur

	pend, pendAt uint32 // chunk being visited, and the next entry in it; 0 = none
}

// New makes a wheel that stands at tick cur. Chunks come as they are needed and are reused.
func New(cur uint32) *Wheel {
	return &Wheel{chunks: make([]chunk, 1, 16), cur: cur, hand: cur}
}

// Arm files id under tick due unless it is filed there or earlier already, which is the usual case
// and costs one comparison. at is the record's word.
func (w *Wheel) Arm(id uint32, at *uint32, due uint32) {
	if a := *at; a == 0 || int32(due-a) < 0 {
		w.file(id, at, due)
	}
}

// file clamps due to the ticks after cur that the slots can tell apart.
func (w *Wheel) file(id uint32, at *uint32, due uint32) {
	if d := int32(due - w.cur); d < 1 {
		due = w.cur + 1
	} else if d > mask {
		due = w.cur + mask
	}
	if due == 0 { // means "not filed"
		due = 1
	}
	*at = due
	w.put(id, due)
}

func (w *Wheel) put(id, tick uint32) {
	slot := tick & mask
	c := w.slots[slot]
	if c == 0 || w.chunks[c].n == chunkIDs {
		k := w.take()
		w.chunks[k].next, w.chunks[k].n = c, 0
		w.slots[slot] = k
		w.filled[slot/64] |= 1 << (slot % 64)
		c = k
	}
	ch := &w.chunks[c]
	ch.ids[ch.n] = id
	ch.n++
}

func (w *Wheel) take() uint32 {
	if c := w.free; c != 0 {
		w.free = w.chunks[c].next
		return c
	}
	w.chunks = append(w.chunks, chunk{})
	return uint32(len(w.chunks) - 1)
}

// Claim is asked first in a visit: it reports whether the record with the word at is really due to
// be visited, and if so takes it out of the wheel (at = 0). Otherwise the entry is stale: the
// record was filed earlier, visited and filed elsewhere meanwhile, or belongs to nobody.
func (w *Wheel) Claim(id uint32, at *uint32) bool {
	a := *at
	if a != 0 && int32(a-w.cur) <= 0 {
		*at = 0
		return true
	}
	if a != 0 && (a^w.hand)&mask == 0 {
		// Advance goes to cur at once and takes up the slots behind it one by one, so what is
		// filed meanwhile can land in a slot that is still to come. It stays there.
		w.put(id, a)
	}
	return false
}

// Advance takes up every slot up to tick to, calls visit for at most budget entries, and reports
// whether it has finished; if not, the next call goes on. visit must call Claim; it may call Arm.
// A to that is not after the last one is no step back. After a jump of more than Slots ticks each
// slot is taken up once.
func (w *Wheel) Advance(to uint32, budget int, visit func(id uint32)) bool {
	if int32(to-w.cur) > 0 {
		w.cur = to
	}
	for {
		for w.pend != 0 {
			ch := &w.chunks[w.pend]
			for w.pendAt < ch.n {
				if budget <= 0 {
					return false
				}
				budget--
				id := ch.ids[w.pendAt]
				w.pendAt++
				visit(id)
				ch = &w.chunks[w.pend] // chunks may have moved
			}
			done := w.pend
			w.pend, w.pendAt = ch.next, 0
			ch.next, w.free = w.free, done
		}
		behind := w.cur - w.hand
		if behind == 0 {
			return true
		}
		if behind > Slots {
			w.hand, behind = w.cur-Slots, Slots
		}
		d := w.ahead(w.hand)
		if d == 0 || d > behind {
			w.hand = w.cur
			return true
		}
		w.hand += d
		slot := w.hand & mask
		w.pend, w.pendAt = w.slots[slot], 0
		w.slots[slot] = 0
		w.filled[slot/64] &^= 1 << (slot % 64)
	}
}

// Done reports whether Advance to tick to would find nothing to take up because it has been there.
func (w *Wheel) Done(to uint32) bool { return int32(to-w.hand) <= 0 && w.pend == 0 }

// ahead is the distance from tick t to the next filled slot, 1 to Slots; 0 when all are empty.
func (w *Wheel) ahead(t uint32) uint32 {
	first := (t + 1) & mask
	i := first / 64
	word := w.filled[i] >> (first % 64) << (first % 64)
	for range Slots/64 + 1 {
		if word != 0 {
			slot := i*64 + uint32(bits.TrailingZeros64(word))
			return (slot-first)&mask + 1
		}
		i = (i + 1) % (Slots / 64)
		word = w.filled[i]
	}
	return 0
}

// Next is the earliest tick at which Advance may have something to visit, and whether there is
// one. It is exact up to stale entries.
func (w *Wheel) Next() (uint32, bool) {
	if w.pend != 0 {
		return w.cur, true
	}
	d := w.ahead(w.hand)
	return w.hand + d, d != 0
}

// Bytes is the memory in use: the slots and all chunks ever needed at once.
func (w *Wheel) Bytes() int64 {
	return int64(unsafe.Sizeof(*w)) + int64(cap(w.chunks))*int64(ChunkBytes)
}
