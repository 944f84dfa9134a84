package attempts

import (
	"fmt"
	"testing"
	"time"

	"weir/guard/source"
)

// TestManyAddressesOfANetwork has somebody try one password on many accounts, from as many sources as a
// network has: no more than 16 sources may from a /24, 8 from a /56, 32 from a /48.
func TestManyAddressesOfANetwork(t *testing.T) {
	account := func(i int) string { return fmt.Sprint("user", i) }
	for _, c := range []struct {
		why  string
		src  func(int) source.Key
		want int
	}{
		{"a /24", func(i int) source.Key { return from(fmt.Sprintf("192.0.2.%d", i%256)) }, 16 * 20},
		{"a /24, mapped", func(i int) source.Key { return from(fmt.Sprintf("::ffff:192.0.2.%d", i%256)) }, 16 * 20},
		{"a /56", func(i int) source.Key { return from(fmt.Sprintf("2001:db8:0:%x::1", i%256)) }, 8 * 20},
		{"a /48", func(i int) source.Key { return from(fmt.Sprintf("2001:db8:0:%x::1", i*37%65536)) }, 32 * 20},
	} {
		for _, of := range []func(int) string{account, always("")} {
			l := limiter()
			if got := guesses(l, 5000, c.src, of, t0); got != c.want {
				t.Errorf("%s, accounts such as %q: %d of 5000 let on, want %d", c.why, of(1), got, c.want)
			}
			if by := l.may(c.src(5001), of(5001), t0); by != ByPrefix || by.String() != "prefix" {
				t.Errorf("%s: %v", c.why, by)
			}
			// What is refused takes nothing from who is elsewhere, and time gives back what is due.
			if why := l.may(from("2001:db8:1::1"), of(1), t0); why != OK {
				t.Errorf("%s: another network is refused: %v", c.why, why)
			}
			if got := guesses(l, 5000, c.src, func(i int) string { return of(i + 5000) }, t0.Add(time.Minute)); got < c.want-1 || got > c.want+1 {
				t.Errorf("%s: a minute later %d, want %d", c.why, got, c.want)
			}
		}
	}
}

// TestNeighboursLockNobodyOut: who has logged in from an address has it to himself, whatever comes from
// beside it.
func TestNeighboursLockNobodyOut(t *testing.T) {
	l := limiter()
	home, neighbour := from("2001:db8:0:1::1"), func(i int) source.Key { return from(fmt.Sprintf("2001:db8:0:%x::1", 2+i%254)) }
	l.Met(home, "alice", t0)
	guesses(l, 5000, neighbour, func(i int) string { return fmt.Sprint("user", i) }, t0)
	for range 100 {
		if why := l.enter(home, "alice", t0); why != OK {
			t.Fatalf("the owner: %v", why)
		}
	}
	// A stranger's success gives the network back what it took, and so does what was not tried.
	now := t0.Add(time.Hour)
	for i := range 1000 {
		name := fmt.Sprint("user", i)
		took, why := l.May(neighbour(i), name, now)
		if why != OK {
			t.Fatalf("login %d: %v", i, why)
		}
		if i%2 == 0 {
			l.Passed(neighbour(i), name, took, now)
		} else {
			l.Withdrawn(neighbour(i), name, took, now)
		}
	}
}
