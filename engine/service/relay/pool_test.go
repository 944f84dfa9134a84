package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/engine/service"
)

func open(t *testing.T, cfg Config) *Pool {
	t.Helper()
	p, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// names are the servers picked in n turns.
func names(p *Pool, turn *uint, n int) (list []string) {
	for range n {
		s, _ := p.pick(turn, nil)
		if s == nil {
			return append(list, "none")
		}
		s.open.Add(1)
		list = append(list, s.name)
	}
	return list
}

func TestBalance(t *testing.T) {
	to := []string{"192.0.2.1:1", "192.0.2.2:1", "unix:/run/c"}
	p := open(t, Config{To: to})
	turn := uint(2)
	if got := names(p, &turn, 6); !slices.Equal(got, slices.Concat(to, to)) {
		t.Errorf("round robin: %v", got)
	}
	p = open(t, Config{To: to, Balance: LeastConn})
	list := *p.servers.Load()
	list[0].open.Store(5)
	list[1].open.Store(2)
	list[2].open.Store(3)
	if got := names(p, &turn, 2); got[0] != to[1] || list[1].open.Load()+list[2].open.Load() != 7 {
		t.Errorf("fewest connections: %v", got)
	}
	for range 300 {
		names(p, &turn, 1)
	}
	for _, s := range list {
		if n := s.open.Load(); n < 103 || n > 105 {
			t.Errorf("%s has %d connections of 312", s.name, n)
		}
	}
}

func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []Change
		p, err := Open(Config{To: []string{"192.0.2.1:1", "192.0.2.2:1"}, Tell: func(c Change) { told = append(told, c) }})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		list := *p.servers.Load()
		var turn uint
		list[0].failed(p, service.EndRefused)
		list[0].failed(p, service.EndTimeout)
		list[0].failed(p, service.EndDescriptors) // our own trouble
		list[0].failed(p, service.EndPorts)
		if !p.up(list[0]) || len(told) != 0 {
			t.Fatal("left out after two")
		}
		list[0].failed(p, service.EndRefused)
		if got := names(p, &turn, 4); slices.Contains(got, "192.0.2.1:1") {
			t.Errorf("picked all the same: %v", got)
		}
		time.Sleep(ejectFor)
		if !p.up(list[0]) {
			t.Error("nobody tries it again")
		}
		list[0].failed(p, service.EndRefused)
		if p.up(list[0]) {
			t.Error("one failure more is enough")
		}
		list[1].failed(p, service.EndRefused)
		list[1].failed(p, service.EndRefused)
		list[1].failed(p, service.EndRefused)
		if s, _ := p.pick(&turn, nil); s != nil {
			t.Errorf("%s is down", s.name)
		}
		time.Sleep(ejectFor)
		list[0].succeeded(p)
		list[0].failed(p, service.EndRefused)
		if !p.up(list[0]) {
			t.Error("success does not count")
		}
		if fmt.Sprint(told) != "[{192.0.2.1:1 false clients cannot connect: refused} {192.0.2.2:1 false clients cannot connect: refused} {192.0.2.1:1 true }]" {
			t.Errorf("told %v", told)
		}
	})
}

func TestNamesAreLookedUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		found, asked := "", 0
		answer := func(s string) { mu.Lock(); found = s; mu.Unlock() }
		p, err := Open(Config{To: []string{"a.example:1", "192.0.2.9:2"}, Lookup: func(_ context.Context, name string) (list []netip.Addr, err error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			if name != "a.example" || found == "" {
				return nil, errors.New("no such host")
			}
			for _, a := range strings.Fields(found) {
				list = append(list, netip.MustParseAddr(a))
			}
			return list, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		servers := func() (all string) {
			for _, s := range *p.servers.Load() {
				all += s.to.Addr.String() + " "
			}
			return strings.TrimSpace(all)
		}
		step := func(after time.Duration, want, why string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := servers(); got != want {
				t.Errorf("%s: %q, want %q", why, got, want)
			}
		}
		step(0, "192.0.2.9:2", "not found at first")
		if st := p.Status(); st[0].Up || !st[1].Up {
			t.Errorf("%+v", st)
		}
		answer("192.0.2.2 192.0.2.1 ::ffff:192.0.2.1")
		step(lookUpAgain, "192.0.2.1:1 192.0.2.2:1 192.0.2.9:2", "soon again, sorted, each once")
		first := (*p.servers.Load())[0]
		first.fails.Store(2)
		answer("192.0.2.1 2001:db8::1")
		step(29*time.Second, "192.0.2.1:1 192.0.2.2:1 192.0.2.9:2", "not before its time")
		step(time.Second, "192.0.2.1:1 [2001:db8::1]:1 192.0.2.9:2", "after 30 s")
		if (*p.servers.Load())[0] != first {
			t.Error("what is known of an address is forgotten")
		}
		answer("")
		step(30*time.Second, "192.0.2.1:1 [2001:db8::1]:1 192.0.2.9:2", "what was found stays when nothing is")
	})
}

func TestHealthChecks(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	accept := func(ln net.Listener) {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}
	go accept(ln)
	changes := make(chan Change, 16)
	p := open(t, Config{To: []string{addr}, Check: 5 * time.Millisecond, Tell: func(c Change) { changes <- c }})
	time.Sleep(50 * time.Millisecond)
	if !p.Status()[0].Up {
		t.Fatal("down")
	}
	ln.Close()
	if c := <-changes; c.Up || c.Server != addr || !strings.Contains(c.Why, "refused") {
		t.Fatalf("%+v", c)
	}
	var turn uint
	if s, _ := p.pick(&turn, nil); s != nil {
		t.Error("picked")
	}
	if ln, err = net.Listen("tcp", addr); err != nil {
		t.Skip("somebody took the port: ", err)
	}
	defer ln.Close()
	go accept(ln)
	if c := <-changes; !c.Up {
		t.Fatalf("%+v", c)
	}
	if s, _ := p.pick(&turn, nil); s == nil {
		t.Error("not picked")
	}
}

// TestRiseAndFall walks through outcomes of checks: + and - are what a check found.
func TestRiseAndFall(t *testing.T) {
	for _, c := range []struct{ checks, up, why string }{
		{"+++", "uuu", "all is well"},
		{"--+---+", "uuuuudd", "three in a row"},
		{"---+-++-", "uudddduu", "two in a row"},
	} {
		p := &Pool{cfg: Config{Rise: 2, Fall: 3, Tell: func(Change) {}}}
		s, n, got := &server{}, 0, ""
		for _, outcome := range c.checks {
			err := error(nil)
			if outcome == '-' {
				err = errors.New("no")
			}
			n = p.judge(s, n, err)
			got += map[bool]string{true: "d", false: "u"}[s.down.Load()]
		}
		if got != c.up {
			t.Errorf("%s: %s, want %s: %s", c.checks, got, c.up, c.why)
		}
	}
}

func TestWrongPools(t *testing.T) {
	for _, cfg := range []Config{
		{}, {To: []string{""}}, {To: []string{"a"}}, {To: []string{"a:0"}}, {To: []string{"a:x"}}, {To: []string{"a:01"}}, {To: []string{":1"}},
		{To: []string{"a\n:1"}}, {To: []string{"[fe80::1%lo]:1"}}, {To: []string{"unix:x"}}, {To: []string{"unix:/" + strings.Repeat("x", 107)}},
		{To: []string{"192.0.2.1:1"}, ProxyTo: 3}, {To: []string{"192.0.2.1:1"}, Fall: -1},
	} {
		if p, err := Open(cfg); err == nil {
			p.Close()
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// BenchmarkPick is what choosing a server costs a new connection.
func BenchmarkPick(b *testing.B) {
	p, err := Open(Config{To: []string{"192.0.2.1:1", "192.0.2.2:1", "192.0.2.3:1"}, Balance: LeastConn})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	var turn uint
	b.ReportAllocs()
	for b.Loop() {
		p.pick(&turn, nil)
	}
}
