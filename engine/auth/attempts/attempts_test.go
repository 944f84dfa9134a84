package attempts

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/guard/mono"
	"weir/guard/source"
)

const t0 = mono.Time(3 * time.Hour)

func from(a string) source.Key {
	k, _ := source.Of(netip.MustParseAddr(a))
	return k
}

// botnet is the n-th of very many addresses.
func botnet(n int) source.Key { return source.Key{Bits: uint64(0x0b000000+n) << 32} }

func limiter() *Limiter {
	return New(Config{Source: Rate{20, time.Minute, 20}, Pair: Rate{2, time.Minute, 5}, Account: Rate{6, time.Minute, 30}, Remember: 24 * time.Hour, Places: 1 << 12})
}

// may is May for who does not give back. Would must have said the same.
func (l *Limiter) may(src source.Key, account string, now mono.Time) Why {
	would := l.Would(src, account, now)
	_, why := l.May(src, account, now)
	if would != why {
		panic(fmt.Sprint("Would says ", would, ", May ", why))
	}
	return why
}

// enter is a login that succeeds.
func (l *Limiter) enter(src source.Key, account string, now mono.Time) Why {
	took, why := l.May(src, account, now)
	if why == OK {
		l.Passed(src, account, took, now)
	}
	return why
}

// guesses counts how many of n attempts in a row are let on.
func guesses(l *Limiter, n int, src func(int) source.Key, account func(int) string, now mono.Time) (let int) {
	for i := range n {
		if l.may(src(i), account(i), now) == OK {
			let++
		}
	}
	return let
}

func always[T any](v T) func(int) T { return func(int) T { return v } }

func TestWhoGuessesIsStopped(t *testing.T) {
	names := func(i int) string { return "user" + string(rune('a'+i%26)) + string(rune('a'+i/26)) }
	for _, c := range []struct {
		why     string
		src     func(int) source.Key
		account func(int) string
		want    int
		by      Why
	}{
		{"one address on one account", always(from("192.0.2.1")), always("alice"), 5, ByPair},
		{"one address on many accounts", always(from("192.0.2.1")), names, 20, BySource},
		{"one address, nobody in particular", always(from("192.0.2.1")), always(""), 20, BySource},
		{"one /64 on one account", func(i int) source.Key {
			return from("2001:db8::" + string("123456789abcdef"[i%15]))
		}, always("alice"), 5, ByPair},
		{"many addresses on one account, of two networks", botnet, always("alice"), 30 + 2*3, ByAccount},
	} {
		l := limiter()
		if got := guesses(l, 500, c.src, c.account, t0); got != c.want {
			t.Errorf("%s: %d of 500 let on, want %d", c.why, got, c.want)
		}
		if by := l.may(c.src(501), c.account(501), t0); by != c.by {
			t.Errorf("%s: %v, want %v", c.why, by, c.by)
		}
	}
}

// Over a day an account gets no more guesses than burst and rate allow, from however many addresses of a network.
func TestADaysGuesses(t *testing.T) {
	l := limiter()
	let := 0
	n := 0
	for at := time.Duration(0); at < 24*time.Hour; at += time.Second {
		now := t0.Add(at)
		l.Sweep(now)
		for range 3 {
			n++
			if l.may(botnet(n%256), "alice", now) == OK {
				let++
			}
		}
	}
	if want := 30 + 6*60*24 + 3 + 3*24; let > want+want/100 || let < want-want/100 {
		t.Errorf("%d guesses in a day, want %d", let, want)
	}
}

func TestTheOwnerIsNotLockedOut(t *testing.T) {
	l := limiter()
	home, away := from("198.51.100.7"), from("203.0.113.9")
	if l.enter(home, "alice", t0) != OK {
		t.Fatal("refused at first")
	}
	n := 0
	for at := time.Duration(0); at < 10*time.Hour; at += time.Second {
		now := t0.Add(at)
		for range 5 {
			n++
			l.may(botnet(n), "alice", now)
		}
		if int(at/time.Second)%60 == 59 {
			if why := l.enter(home, "alice", now); why != OK {
				t.Fatalf("after %v: %v", at, why)
			}
		}
	}
	now := t0.Add(10 * time.Hour)
	guesses(l, 500, func(i int) source.Key { return botnet(5e5 + i) }, always("alice"), now)
	if got := guesses(l, 100, always(away), always("alice"), now); got != 3 {
		t.Errorf("a stranger is let on %d times", got)
	}
	if why := l.may(home, "bob", now); why != OK {
		t.Errorf("another account, nobody guesses: %v", why)
	}
	// A day later, with no login between, it is a stranger.
	now = now.Add(24*time.Hour + time.Minute)
	guesses(l, 500, func(i int) source.Key { return botnet(1e6 + i) }, always("alice"), now)
	if got := guesses(l, 100, always(home), always("alice"), now); got != 3 {
		t.Errorf("after a day it is let on %d times", got)
	}
}

func TestASuccessCostsNothingAndBuysNothing(t *testing.T) {
	l := limiter()
	src := from("192.0.2.1")
	for i := range 1000 {
		if why := l.enter(src, "alice", t0); why != OK {
			t.Fatalf("login %d: %v", i, why)
		}
	}
	if got := guesses(l, 5, always(src), always("alice"), t0); got != 5 {
		t.Fatal(got)
	}
	// Who has an account of their own does not get guesses on another by logging in to it.
	for range 100 {
		l.enter(src, "mallory", t0)
		if l.may(src, "alice", t0) == OK {
			t.Fatal("a success on one account buys guesses on another")
		}
	}
}

func TestOtherAccountsPushNobodyOut(t *testing.T) {
	l := limiter()
	home := from("198.51.100.7")
	l.Met(home, "alice", t0)
	_, _, alice := l.hashes(home, "alice")
	_, pair, _ := l.hashes(home, "alice")
	name := "mallory"
	for {
		if _, _, of := l.hashes(home, name); of%uint64(len(l.known.sets)) != alice%uint64(len(l.known.sets)) {
			break
		}
		name += "x"
	}
	for i := range 100_000 {
		l.Met(botnet(i), name, t0.Add(time.Minute))
	}
	if !l.known.has(alice, pair, t0.Add(time.Minute)) {
		t.Error("forgotten")
	}
	// Of one account the latest 8 sources stay.
	for i := range 20 {
		l.Met(botnet(i), "alice", t0.Add(time.Duration(2+i)*time.Minute))
	}
	stay := 0
	for i := range 20 {
		_, pair, _ := l.hashes(botnet(i), "alice")
		if l.known.has(alice, pair, t0.Add(time.Hour)) {
			stay++
			if i < 12 {
				t.Errorf("source %d stays", i)
			}
		}
	}
	if stay != ways {
		t.Errorf("%d stay", stay)
	}
}

func TestRefusalsAreFree(t *testing.T) {
	l := limiter()
	src := from("192.0.2.1")
	guesses(l, 1000, always(src), always("alice"), t0)
	// 5 of 20 were charged to the source; 15 are left for others behind it.
	if got := guesses(l, 100, always(src), func(i int) string { return "user" + string(rune('a'+i%26)) }, t0); got != 15 {
		t.Errorf("%d", got)
	}
	if got := guesses(l, 10, always(src), always("alice"), t0.Add(10*time.Minute)); got != 5 {
		t.Errorf("after 10 minutes %d", got)
	}
}

func TestSideBySideIsNoMore(t *testing.T) {
	l := limiter()
	var let atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 500 {
				if _, why := l.May(botnet(w*500+i), "alice", t0); why == OK {
					let.Add(1)
				}
				l.Met(botnet(i), "bob", t0)
			}
		})
	}
	wg.Wait()
	if n := let.Load(); n > 30+6*7+16*3+16 { // one burst; twice in the first instant, when two file the account at once; and what 16 networks have
		t.Errorf("%d let on", n)
	}
}

func TestMemoryIsFixedAndNothingAllocates(t *testing.T) {
	l := New(Config{})
	if l.Bytes() != 8*512<<10 {
		t.Errorf("%d bytes", l.Bytes())
	}
	n := 0
	if a := testing.AllocsPerRun(1000, func() {
		n++
		l.enter(botnet(n), "alice", t0)
		l.may(botnet(n<<8), "bob", t0)
		l.Sweep(t0)
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func TestWrongConfigs(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Pair: Rate{Tokens: 1, Burst: 1}}, "Pair"},
		{Config{Source: Rate{1, time.Second, 0}}, "Source"},
		{Config{Account: Rate{1, 25 * time.Hour, 1}}, "Account"},
		{Config{Network: Rate{mostNetwork + 1, time.Hour, 1}}, "Network"},
		{Config{Network: Rate{1, time.Hour, mostNetwork + 1}}, "Network"},
		{Config{Remember: -1}, "remember"},
		{Config{Remember: 46 * 24 * time.Hour}, "remember"},
		{Config{Places: 100}, "places"},
	} {
		if err := c.cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	for _, r := range []Rate{{1, 24 * time.Hour, 1}, {1, 24 * time.Hour, 1_000_000}, {1_000_000, time.Second, 1_000_000}} {
		n := Rate{min(r.Tokens, mostNetwork), r.Per, min(r.Burst, mostNetwork)}
		New(Config{Source: r, Pair: r, Account: r, Network: n, Remember: maxRemember, Places: 64})
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func BenchmarkMay(b *testing.B) {
	l := New(Config{})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		l.may(botnet(n&0xffff), "alice", t0)
	}
}

func TestWhatWasNotTriedCostsNothing(t *testing.T) {
	l, src := limiter(), from("192.0.2.1")
	for i := range 100 {
		took, why := l.May(src, "alice", t0)
		if why != OK {
			t.Fatalf("try %d: %v", i, why)
		}
		l.Withdrawn(src, "alice", took, t0)
	}
	if l.Knows(src, "alice", t0) {
		t.Error("it counts as a login")
	}
}
