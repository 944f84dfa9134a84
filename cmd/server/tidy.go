package main

import "runtime/debug"

const (
	// tidyAbove is how much the connections must have held before it is worth a collection to give
	// it back, in bytes.
	tidyAbove = 32 << 20
	// tidyShakes is the same in TLS handshakes: each leaves some 50 KB of garbage. tidyQuiet is how
	// many there may be in a second that counts as quiet.
	tidyShakes = 1000
	tidyQuiet  = 20
)

// tidy gives memory back to the system when an attack, or a rush, is over. What its connections and
// their handshakes held is garbage by then, but an idle process collects only every two minutes, and
// returns pages slower still. Not for concurrent use.
type tidy struct {
	peak       int64  // bytes held at most since memory was given back
	done, last uint64 // handshakes when it was, and a second ago
	free       func() // debug.FreeOSMemory, but for tests
}

func newTidy() *tidy { return &tidy{free: debug.FreeOSMemory} }

// note is told once a second how many bytes the connections hold, and how many TLS handshakes there
// have been.
func (t *tidy) note(buffered int64, handshakes uint64) {
	t.peak = max(t.peak, buffered)
	quiet := handshakes-t.last < tidyQuiet
	t.last = handshakes
	if t.peak >= tidyAbove && buffered < t.peak/4 || quiet && handshakes-t.done >= tidyShakes {
		t.peak, t.done = buffered, handshakes
		t.free()
	}
}
