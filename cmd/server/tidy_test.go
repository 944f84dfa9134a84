package main

import "testing"

func TestTidyAfterAnAttack(t *testing.T) {
	freed := 0
	m := &tidy{free: func() { freed++ }}
	for _, tc := range []struct {
		why      string
		buffered int64
		freed    int
	}{
		{"a little is left alone", 10 << 20, 0},
		{"and so is its end", 0, 0},
		{"an attack", 500 << 20, 0},
		{"half of it is over", 250 << 20, 0},
		{"it is over", 1 << 20, 1},
		{"once is enough", 0, 1},
		{"the next attack", 100 << 20, 1},
		{"is over too", 0, 2},
	} {
		if m.note(tc.buffered); freed != tc.freed {
			t.Errorf("%s: freed %d times, want %d", tc.why, freed, tc.freed)
		}
	}
}
