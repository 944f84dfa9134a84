package engine

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"weir/engine/service/echo"
	"weir/guard"
	"weir/guard/mono"
)

// TestEventsAddUp: a million sheds are told in a few events, and what was left out is told to the last
// one, without an event that comes later, and at the end.
func TestEventsAddUp(t *testing.T) {
	var mu sync.Mutex
	var sum, told, summaries uint64
	e, _ := serve(t, echo.Lines(100), 102, func(c *Config) {
		c.Events = func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Reason != guard.ShedSourceConns {
				return
			}
			told++
			sum += e.Dropped
			if e.Summary {
				summaries++
			} else {
				sum++
			}
		}
	})
	l := e.loops[0]
	flood := func(n int) {
		done := make(chan bool)
		l.do(func() {
			for range n {
				l.count.shed[guard.ShedSourceConns]++
				l.tell(guard.ShedSourceConns, netip.MustParseAddr("192.0.2.1"), l.listeners[0], "", nil)
			}
			close(done)
		})
		<-done
	}
	begun := time.Now()
	for range 10 {
		flood(100_000)
		time.Sleep(10 * time.Millisecond)
	}
	l.do(func() { // ten seconds later
		for i := range l.timers {
			if l.timers[i].sum {
				l.timers[i].at = mono.Time(1)
			}
		}
		l.soon = true
	})
	eventually(t, "all are told", func() bool { mu.Lock(); defer mu.Unlock(); return sum == 1_000_000 })
	mu.Lock()
	took := time.Since(begun)
	if told > 30+eventRate*uint64(took/time.Second+1) || summaries == 0 || summaries > 1+uint64(took/sumAfter) {
		t.Errorf("%d events in %s, %d of them summaries", told, took, summaries)
	}
	mu.Unlock()
	flood(1000)
	e.Stop(context.Background())
	mu.Lock()
	defer mu.Unlock()
	if sum != 1_001_000 || snap(e).Shed[guard.ShedSourceConns] != 1_001_000 {
		t.Errorf("%d told of %d", sum, snap(e).Shed[guard.ShedSourceConns])
	}
}
