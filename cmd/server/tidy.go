package main

import "runtime/debug"

// tidyAbove is how much the connections must have held before it is worth a collection to give it
// back.
const tidyAbove = 32 << 20 // bytes

// tidy gives memory back to the system when an attack is over. What its connections held is garbage
// by then, but an idle process collects only every two minutes, and returns pages slower still. Not
// for concurrent use.
type tidy struct {
	peak int64
	free func() // debug.FreeOSMemory, but for tests
}

func newTidy() *tidy { return &tidy{free: debug.FreeOSMemory} }

// note is told once a second how many bytes the connections hold.
func (t *tidy) note(buffered int64) {
	t.peak = max(t.peak, buffered)
	if t.peak >= tidyAbove && buffered < t.peak/4 {
		t.peak = buffered
		t.free()
	}
}
