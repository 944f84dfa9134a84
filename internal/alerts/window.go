package alerts

import "time"

// window is a sum over the last units of time, the present one included. It is exact to one unit.
type window struct {
	ring []uint32
	unit time.Duration
	base time.Time // of the first add: units are counted from it, by the monotonic clock
	at   int64     // the unit that was added to last
	sum  uint64
}

func newWindow(length time.Duration, units int) window {
	return window{ring: make([]uint32, units), unit: length / time.Duration(units)}
}

// add adds n at now, which does not go back, and returns the sum.
func (w *window) add(now time.Time, n uint64) uint64 {
	if w.base.IsZero() {
		w.base = now
	}
	at := int64(now.Sub(w.base) / w.unit)
	for gone := min(at-w.at, int64(len(w.ring))); gone > 0; gone-- {
		slot := &w.ring[(at-gone+1)%int64(len(w.ring))]
		w.sum -= uint64(*slot)
		*slot = 0
	}
	w.at = max(w.at, at)
	slot := &w.ring[w.at%int64(len(w.ring))]
	n = min(n, uint64(^uint32(0)-*slot)) // four thousand million a second are enough
	*slot += uint32(n)
	w.sum += n
	return w.sum
}
