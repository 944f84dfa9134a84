package main

import "testing"

func TestTidyAfterAnAttack(t *testing.T) {
	freed := 0
	m := &tidy{free: func() { freed++ }}
	for _, tc := range []struct {
		why        string
		buffered   int64
		handshakes uint64
		freed      int
	}{
		{"a little is left alone", 10 << 20, 0, 0},
		{"and so is its end", 0, 0, 0},
		{"an attack", 500 << 20, 0, 0},
		{"half of it is over", 250 << 20, 0, 0},
		{"it is over", 1 << 20, 0, 1},
		{"once is enough", 0, 0, 1},
		{"the next attack", 100 << 20, 0, 1},
		{"is over too", 0, 0, 2},
		{"a few handshakes", 0, 900, 2},
		{"are left alone", 0, 900, 2},
		{"a rush of them", 0, 3000, 2},
		{"goes on", 0, 3100, 2},
		{"it is over", 0, 3110, 3},
		{"once is enough", 0, 3120, 3},
		{"a trickle leaves little behind", 0, 3130, 3},
	} {
		if m.note(tc.buffered, tc.handshakes); freed != tc.freed {
			t.Errorf("%s: freed %d times, want %d", tc.why, freed, tc.freed)
		}
	}
}
