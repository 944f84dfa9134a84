package bucket

import "weir/guard/mono"

// Sweep clears a share of the words that have passed, so that none can look live again when the
// 32-bit clock comes round. It is to be called every few milliseconds by everyone who uses the
// Table; whoever comes first does the share that has become due since the last one, so all
// together go round once in a quarter of a wrap. (2,000 tokens/s: a wrap is 9 hours and Sweep
// clears a set every half second; 32 MiB/s: 128 s, and a set every 2 ms.)
//
// After nobody has called for longer than half a wrap, every word has passed and the whole Table
// is cleared at once, about 50 µs a MiB. Any goroutine.
func (t *Table) Sweep(now mono.Time) {
	last := t.swept.Load()
	idle := int64(now) - last
	if idle < t.wrap>>12 && idle < 1e9 || idle <= 0 {
		return
	}
	n := int64(len(t.sets))
	period := max(1, t.wrap/4)
	share := int64(float64(n) * float64(idle) / float64(period))
	if share == 0 { // a large wrap: leave the time to add up to a set
		return
	}
	if !t.swept.CompareAndSwap(last, int64(now)) {
		return // another loop is at it
	}
	switch {
	case last == 0: // never used before
	case idle > t.wrap/2:
		for i := range t.sets {
			t.clear(&t.sets[i], 0, false)
		}
	default:
		share = min(share, n)
		at := uint32(t.at(now))
		from := t.hand.Add(uint32(share)) - uint32(share)
		for i := range uint32(share) {
			t.clear(&t.sets[(from+i)&t.mask], at, true)
		}
	}
}

// clear empties the words of s: all, or those that have passed.
func (t *Table) clear(s *set, at uint32, onlyPassed bool) {
	for i := range s {
		w := s[i].Load()
		if w == 0 || onlyPassed && t.residual(w, at) != 0 {
			continue
		}
		s[i].CompareAndSwap(w, 0)
	}
}
