package attempts

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"weir/guard/mono"
	"weir/guard/source"
)

// site is an address in the n-th of very many networks: IPv4 /24s, or IPv6 /48s of one /32.
func site(v6 bool, n int) source.Key {
	if v6 {
		return from(fmt.Sprintf("2001:db8:%x::1", n))
	}
	return source.Key{Bits: uint64(0x0b000000+n<<8+7) << 32}
}

// TestAnOwnerFromElsewhere: while k networks guess at an account, who has never logged in from where he is gets in at
// any time, with two mistakes before; and the k networks get no more than is said.
func TestAnOwnerFromElsewhere(t *testing.T) {
	const hours = 2
	for _, c := range []struct {
		why      string
		v6       bool
		k        int
		networks int // how many of them count
	}{
		{"10 networks", false, 10, 10},
		{"100 networks", false, 100, 100},
		{"1,000 networks", false, 1000, 1000},
		{"20 sites of one provider", true, 20, 20},
		{"1,000 sites of one provider", true, 1000, 32},
	} {
		l := New(Config{})
		rng := rand.New(rand.NewPCG(1, uint64(c.k)))
		let, owner := 0, 0
		for at := time.Duration(0); at < hours*time.Hour; at += 2 * time.Second {
			now := t0.Add(at)
			l.Sweep(now)
			for range 10 {
				if l.may(site(c.v6, rng.IntN(c.k)), "alice", now) == OK {
					let++
				}
			}
			if at%(10*time.Minute) == 9*time.Minute {
				owner++
				home := source.Key{Bits: uint64(0x50000000+owner<<8) << 32}
				for range 2 {
					if why := l.may(home, "alice", now); why != OK {
						t.Fatalf("%s: the owner mistypes after %v: %v", c.why, at, why)
					}
				}
				if why := l.enter(home, "alice", now); why != OK {
					t.Fatalf("%s: the owner, after %v: %v", c.why, at, why)
				}
			}
		}
		most := 30 + 6*60*hours + c.networks*(3+3*hours)
		t.Logf("%s: %d guesses in %d hours, at most %d", c.why, let, hours, most)
		if let > most+most/100 || let < most*9/10-100 {
			t.Errorf("%s: %d guesses, at most %d", c.why, let, most)
		}
	}
}

// TestAllNetworksTogether: what every network there is may guess is bounded, also by far more than there are
// places for, at once and over hours.
func TestAllNetworksTogether(t *testing.T) {
	for _, places := range []int{64, 1 << 16} {
		l := New(Config{Places: places})
		l.May(site(false, 1<<23), "bob", t0)
		let, n := 0, 0
		try := func(tries int, now mono.Time) {
			for range tries {
				n++
				if l.may(site(false, n%(1<<20)), "alice", now) == OK {
					let++
				}
			}
		}
		try(20_000, t0)
		const burst = 30 + mostNetworks*3
		if let > burst || let < burst*9/10 {
			t.Errorf("%d places: %d guesses at once, at most %d", places, let, burst)
		}
		if why := l.may(site(false, 1<<22), "alice", t0); why != ByAccount {
			t.Errorf("%d places: a newcomer: %v", places, why)
		}
		if why := l.may(site(false, 1<<22), "bob", t0); why != OK {
			t.Errorf("%d places: another account: %v", places, why)
		}
		for at := time.Minute; at <= 2*time.Hour; at += time.Minute {
			l.Sweep(t0.Add(at))
			try(300, t0.Add(at))
		}
		if most := burst + 2*60*6 + 2*3*mostNetworks; let > most+most/100 {
			t.Errorf("%d places: %d guesses in 2 hours, at most %d", places, let, most)
		}
	}
}

// TestWhatIsGivenBackIsWhatWasTaken: attempts that are not made, and those that succeed, neither cost a
// network what it has at an account nor give somebody a guess.
func TestWhatIsGivenBackIsWhatWasTaken(t *testing.T) {
	l := New(Config{})
	if got := guesses(l, 10_000, func(i int) source.Key { return site(false, i%50) }, always("alice"), t0); got != 30+50*3 {
		t.Fatalf("%d let on", got)
	}
	fresh := site(false, 99)
	for i := range 1000 {
		took, why := l.May(fresh, "alice", t0)
		if why != OK || took&ofApart == 0 || took&ofAccount != 0 {
			t.Fatalf("try %d: %v, %b", i, why, took)
		}
		l.Withdrawn(fresh, "alice", took, t0)
	}
	if why := l.enter(fresh, "alice", t0); why != OK {
		t.Fatal(why)
	}
	if got := guesses(l, 10_000, func(i int) source.Key { return site(false, i%50) }, always("alice"), t0); got != 0 {
		t.Errorf("%d guesses for nothing", got)
	}
	// The neighbour of who has got in has all that the network had.
	if got := guesses(l, 100, always(source.Key{Bits: fresh.Bits + 1<<32}), always("alice"), t0); got != 3 {
		t.Errorf("a neighbour is let on %d times", got)
	}
}
