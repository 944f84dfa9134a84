package relay

import (
	"testing"
	"testing/synctest"
	"time"

	"weir/engine/service"
)

// TestOneClientTriesALostServer has clients come all the time while one of two servers takes no packets,
// so that each client that is given to it waits for ConnectTimeout.
func TestOneClientTriesALostServer(t *testing.T) {
	for _, balance := range []Balance{RoundRobin, LeastConn} {
		synctest.Test(t, func(t *testing.T) {
			p, err := Open(Config{To: []string{"192.0.2.1:1", "192.0.2.2:1"}, Balance: balance, ConnectTimeout: 3 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			lost := (*p.servers.Load())[0]
			var turn uint
			given := 0 // to the lost one
			come := func(d time.Duration) {
				for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
					s, trial := p.pick(&turn, nil)
					if s == nil {
						t.Fatal("no server is up")
					}
					if s != lost {
						s.spared(trial)
						continue
					}
					given++
					s.open.Add(1)
					time.AfterFunc(p.cfg.ConnectTimeout, func() {
						s.open.Add(-1)
						s.spared(trial)
						s.failed(p, service.EndTimeout)
					})
				}
			}
			come(6 * time.Second) // nobody has known at first
			given = 0
			come(30 * time.Second)
			if given < 5 || given > 31 {
				t.Errorf("balance %d: %d clients have waited in 30 s, want one at a time", balance, given)
			}
		})
	}
}

// TestWhoGoesBeforeConnectingKeepsNoServerOut has the client that is to try a server go at once.
func TestWhoGoesBeforeConnectingKeepsNoServerOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := Open(Config{To: []string{"192.0.2.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		s := (*p.servers.Load())[0]
		for range 3 {
			s.failed(p, service.EndRefused)
		}
		var turn uint
		pick := func() (bool, int64) { s, trial := p.pick(&turn, nil); return s != nil, trial }
		if ok, _ := pick(); ok {
			t.Fatal("it is not left out")
		}
		time.Sleep(ejectFor)
		for range 5 {
			ok, trial := pick()
			if !ok || trial == 0 {
				t.Fatal("nobody may try it")
			}
			if ok, _ := pick(); ok {
				t.Fatal("two try it at once")
			}
			s.spared(trial)
		}
		_, trial := pick()
		s.succeeded(p)
		s.spared(trial)
		for range 2 {
			if ok, trial := pick(); !ok || trial != 0 {
				t.Error("it is not up again")
			}
		}
	})
}
