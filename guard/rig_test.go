package guard

import (
	"net/netip"
	"testing"
	"time"

	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
)

// rig is a Guard with one policy and loops on a clock moved by hand.
type rig struct {
	tb    testing.TB
	g     *Guard
	p     *Policy
	l     *Loop
	ended map[ID]Reason
	when  map[ID]mono.Time
}

const start = mono.Time(3 * time.Hour)

func newRig(tb testing.TB, cfg Config, lim Limits) *rig {
	tb.Helper()
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 10_000
	}
	if cfg.SourceTable == 0 {
		cfg.SourceTable = 1 << 12
	}
	g, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := g.Policy("test", lim)
	if err != nil {
		tb.Fatal(err)
	}
	r := &rig{tb: tb, g: g, p: p, l: g.Loop(cfg.MaxConns), ended: map[ID]Reason{}, when: map[ID]mono.Time{}}
	r.l.Turn(start)
	return r
}

func (r *rig) admit(addr string) ID {
	r.tb.Helper()
	id, reason := r.l.Admit(r.p, netip.MustParseAddr(addr))
	if reason != OK {
		r.tb.Fatalf("%s refused: %v", addr, reason)
	}
	return id
}

func (r *rig) try(addr string) Reason {
	_, reason := r.l.Admit(r.p, netip.MustParseAddr(addr))
	return reason
}

// at turns the loop to start + d and expires; what is due is ended.
func (r *rig) at(d time.Duration) {
	r.l.Turn(start + mono.Time(d))
	r.l.Expire(1<<30, func(id ID, reason Reason) {
		r.ended[id], r.when[id] = reason, r.l.Now()
		r.l.Gone(id)
	})
}

// run turns the loop every step until end.
func (r *rig) run(step, end time.Duration) {
	for d := r.l.Now().Sub(start) + step; d <= end; d += step {
		r.at(d)
	}
}

func handleOf(g *Guard, bits int, a netip.Addr) bucket.Handle {
	k, _ := source.Of(a)
	return bucket.HandleOf(g.hash.Sum(k.Wide(bits).Bits))
}
