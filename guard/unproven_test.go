package guard

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"weir/guard/mono"
)

// evicting lets a rig's newcomers push the oldest unproven connections out.
func evicting(r *rig) *rig {
	r.l.Evict = func(id ID) {
		r.ended[id], r.when[id] = ShedUnproven, r.l.Now()
		r.l.Gone(id)
	}
	return r
}

func TestUnprovenOfASourceAreFewer(t *testing.T) {
	r := newRig(t, Config{}, Limits{SourceConns: 10, SourceUnproven: 3})
	first := r.admit("192.0.2.1")
	r.admit("192.0.2.1")
	last := r.admit("192.0.2.1")
	if got := r.try("192.0.2.1"); got != ShedSourceUnproven {
		t.Fatal(got)
	}
	r.admit("192.0.2.2")
	if r.g.Unproven() != 4 {
		t.Errorf("%d unproven, want 4", r.g.Unproven())
	}
	for _, ph := range []Phase{Head, Frame, First, Handshake, Closing} {
		r.l.Phase(first, ph)
	}
	if got := r.try("192.0.2.1"); got != ShedSourceUnproven {
		t.Fatalf("a frame that has only begun proves something: %v", got)
	}
	r.l.Phase(first, Idle)
	r.admit("192.0.2.1")
	r.l.Gone(last)
	r.admit("192.0.2.1")
	if in := r.l.Info(first); in.SourceConns != 4 || in.SourceUnproven != 3 {
		t.Errorf("%+v", in)
	}
	if _, reason := r.l.ReadFrame(r.l.newest, 10); reason != OK {
		t.Fatal(reason)
	}
	if in := r.l.Info(first); in.SourceUnproven != 2 || r.g.Unproven() != 3 {
		t.Errorf("a whole first frame in one read proves nothing: %+v, %d in all", in, r.g.Unproven())
	}
	for i := 2; ; i++ { // the /24 has 16 times the share
		if got := r.try(fmt.Sprintf("192.0.2.%d", i)); got != OK {
			if got != ShedPrefixUnproven || r.g.Unproven() != 16*3 {
				t.Errorf("%v at %d", got, r.g.Unproven())
			}
			break
		}
	}
}

// Between half of the places and all of them newcomers of a source that has unproven connections
// already are dropped with a probability that rises linearly; others come in.
func TestEarlyDrop(t *testing.T) {
	const most = 1000
	for _, c := range []struct {
		taken int
		want  float64
	}{{0, 0}, {499, 0}, {500, 0}, {625, 0.25}, {750, 0.5}, {900, 0.8}, {999, 0.998}, {1000, 1}} {
		r := newRig(t, Config{MaxUnproven: most}, Limits{})
		for i := range c.taken {
			r.admit(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		}
		const tries = 20_000
		dropped := 0
		for range tries {
			id, reason := r.l.Admit(r.p, netip.MustParseAddr("10.0.0.0"))
			switch reason {
			case ShedUnproven:
				dropped++
			case OK:
				r.l.Gone(id)
			default:
				t.Fatal(reason)
			}
		}
		if c.taken == 0 {
			continue // it is alone
		}
		if got := float64(dropped) / tries; got < c.want-0.02 || got > c.want+0.02 {
			t.Errorf("%d of %d places taken: %.3f dropped, want %.3f", c.taken, most, got, c.want)
		}
		if got := r.try("10.99.0.1"); c.taken < most && got != OK {
			t.Errorf("%d of %d places taken: a source's only unproven connection is refused: %v", c.taken, most, got)
		}
	}
}

func TestOldestUnprovenMakesRoom(t *testing.T) {
	for name, cfg := range map[string]Config{"unproven": {MaxUnproven: 4}, "all": {MaxConns: 4, MaxUnproven: 100}} {
		r := evicting(newRig(t, cfg, Limits{}))
		full := map[string]Reason{"unproven": ShedUnproven, "all": ShedMaxConns}[name]
		a := r.admit("10.0.0.1")
		r.l.Turn(start + mono.Time(time.Millisecond))
		b := r.admit("10.0.0.2")
		r.admit("10.0.0.3")
		r.admit("10.0.0.4")
		if got := r.try("10.0.0.5"); got != full {
			t.Fatalf("%s: %v: who has not had its time must stay", name, got)
		}
		r.l.Turn(start + mono.Time(evictAfter))
		if got := r.try("10.0.0.4"); got != full {
			t.Fatalf("%s: %v: a source's second connection pushes nobody out", name, got)
		}
		r.admit("10.0.0.5")
		if len(r.ended) != 1 || r.ended[a] != ShedUnproven {
			t.Fatalf("%s: %v", name, r.ended)
		}
		if got := r.try("10.0.0.6"); got != full {
			t.Fatalf("%s: %v: the second oldest is a millisecond younger", name, got)
		}
		r.l.Turn(start + mono.Time(evictAfter+time.Millisecond))
		r.l.Phase(b, Idle)
		if name == "unproven" {
			r.admit("10.0.0.6") // b has proved itself and left a place
		}
		r.l.Turn(start + mono.Time(2*evictAfter))
		r.admit("10.0.0.7")
		if r.ended[b] != OK {
			t.Errorf("%s: a proven connection made room", name)
		}
		if c := r.l.Counts().Shed[ShedUnproven]; name == "all" && c != 2 {
			t.Errorf("%d counted", c)
		}
	}
}

// The list of unproven connections against a slice, under random comings, proofs and goings.
func TestUnprovenListAgainstSlice(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, Config{MaxUnproven: 1 << 20}, Limits{})
	var open, unproven []ID
	drop := func(s []ID, id ID) []ID {
		for i := range s {
			if s[i] == id {
				return append(s[:i:i], s[i+1:]...)
			}
		}
		return s
	}
	for step := range 20_000 {
		switch n := rnd.IntN(10); {
		case n < 5 && len(open) < 500:
			id := r.admit(netip.AddrFrom4([4]byte{10, 0, 0, byte(rnd.Uint32())}).String())
			open, unproven = append(open, id), append(unproven, id)
		case len(open) == 0:
		case n < 8:
			id := open[rnd.IntN(len(open))]
			r.l.Phase(id, []Phase{Idle, Busy, Body}[rnd.IntN(3)])
			unproven = drop(unproven, id)
		default:
			id := open[rnd.IntN(len(open))]
			r.l.Gone(id)
			open, unproven = drop(open, id), drop(unproven, id)
		}
		if step%50 != 0 {
			continue
		}
		at, before := r.l.oldest, none
		for _, want := range unproven {
			if at != want || r.l.cold[at].prev != before {
				t.Fatalf("seed %d step %d: %d where %d belongs", seed, step, at, want)
			}
			at, before = r.l.cold[at].next, at
		}
		if at != none || r.l.newest != before || r.g.Unproven() != len(unproven) {
			t.Fatalf("seed %d step %d: %d unproven counted, want %d", seed, step, r.g.Unproven(), len(unproven))
		}
	}
	for _, id := range open {
		r.l.Gone(id)
	}
	if r.g.Counted() != 0 || r.g.Unproven() != 0 {
		t.Error("something is left")
	}
}

func TestProxiedConnectionsCountForTheirSource(t *testing.T) {
	r := newRig(t, Config{Exempt: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}},
		Limits{SourceConns: 2, SourceConnRate: 1, SourceConnBurst: 3, SourceFrameRate: 1, SourceFrameBurst: 2, ProxyTimeout: time.Second})
	proxied := func(a string) (ID, Reason) {
		id, reason := r.l.AdmitProxy(r.p)
		if reason != OK {
			t.Fatalf("the proxy's own address is limited: %v", reason)
		}
		return id, r.l.Identify(id, netip.MustParseAddr(a))
	}
	for range 20 {
		r.l.AdmitProxy(r.p)
	}
	a, reason := proxied("192.0.2.1")
	if in := r.l.Info(a); reason != OK || in.Source != netip.MustParsePrefix("192.0.2.1/32") || in.SourceConns != 1 || in.SourceUnproven != 1 {
		t.Fatalf("%v %+v", reason, in)
	}
	if _, reason := proxied("::ffff:192.0.2.1"); reason != OK {
		t.Fatal(reason)
	}
	refused, reason := proxied("192.0.2.1")
	if reason != ShedSourceConns || !r.l.Info(refused).Exempt {
		t.Fatalf("%v", reason)
	}
	r.l.Gone(refused)
	r.l.Phase(a, First)
	for i, want := range []Reason{OK, OK, ShedSourceFrames} {
		if got := r.l.Frame(a); got != want {
			t.Errorf("frame %d: %v", i, got)
		}
	}
	if got := r.l.Frame(r.admit("192.0.2.2")); got != OK {
		t.Errorf("another source pays: %v", got)
	}
	r.l.Phase(a, Idle)
	r.l.Gone(a)
	if id, reason := proxied("192.0.2.1"); reason != OK {
		t.Errorf("the third within the burst: %v", reason)
	} else {
		r.l.Gone(id)
	}
	if _, reason := proxied("192.0.2.1"); reason != ShedSourceConnRate {
		t.Errorf("%v", reason)
	}
	if id, reason := proxied("10.9.1.1"); reason != OK || !r.l.Info(id).Exempt {
		t.Errorf("an exempt source behind a proxy: %v", reason)
	}
}

func TestHandshakesOfASource(t *testing.T) {
	r := newRig(t, Config{}, Limits{SourceHandshakeRate: 1, SourceHandshakeBurst: 2})
	a, b, c := r.admit("192.0.2.1"), r.admit("192.0.2.1"), r.admit("192.0.2.2")
	for i, step := range []struct {
		id   ID
		want Reason
	}{{a, OK}, {b, OK}, {a, ShedSourceHandshakes}, {c, OK}, {b, ShedSourceHandshakes}} {
		if got := r.l.Handshake(step.id); got != step.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	r.l.Turn(start + mono.Time(time.Second))
	if got := r.l.Handshake(a); got != OK {
		t.Errorf("a second later: %v", got)
	}
	if exempt, _ := r.l.Admit(r.p, netip.Addr{}); r.l.Handshake(exempt) != OK {
		t.Error("an exempt peer is limited")
	}
}

// The /64s of a /56 have 8 times the handshakes of one, those of a /48 32 times, an IPv4 /24 16 times.
func TestHandshakesOfAPrefix(t *testing.T) {
	for _, c := range []struct {
		addr func(i int) netip.Addr
		want int
	}{
		{func(i int) netip.Addr { return v6(0x20010db8_00010000|uint64(i%256), 1) }, 8},
		{func(i int) netip.Addr { return v6(0x20010db8_00010000|uint64(i*257%65536), 1) }, 32},
		{func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }, 16},
	} {
		r := newRig(t, Config{MaxUnproven: 20_000}, Limits{SourceHandshakeRate: 1, SourceHandshakeBurst: 3})
		for i := range 1000 {
			id := r.admit(c.addr(i).String())
			if got := r.l.Handshake(id); got != OK {
				if got != ShedPrefixHandshakes || i != 3*c.want {
					t.Errorf("%v after %d, want %v after %d", got, i, ShedPrefixHandshakes, 3*c.want)
				}
				break
			}
			if i == 999 {
				t.Error("never refused")
			}
		}
	}
}

// A handshake that was expensive is paid for afterwards, as a debt of ten bursts at most, and by
// nobody else.
func TestHandshakeCost(t *testing.T) {
	r := newRig(t, Config{}, Limits{SourceHandshakeRate: 10, SourceHandshakeBurst: 20})
	a, b := r.admit("192.0.2.1"), r.admit("198.51.100.1")
	if got := r.l.Handshake(a); got != OK {
		t.Fatal(got)
	}
	payer := r.l.Payer(a)
	r.l.ChargeHandshakes(&payer, 39) // 40 in all: 20 of debt
	r.l.ChargeHandshakes(&payer, 0)
	if got := r.l.Handshake(a); got != ShedSourceHandshakes {
		t.Error(got)
	}
	if got := r.l.Handshake(b); got != OK {
		t.Errorf("another source pays: %v", got)
	}
	r.l.Turn(start + mono.Time(1900*time.Millisecond))
	if got := r.l.Handshake(a); got != ShedSourceHandshakes {
		t.Errorf("before the debt is paid: %v", got)
	}
	r.l.Turn(start + mono.Time(2200*time.Millisecond))
	if got := r.l.Handshake(a); got != OK {
		t.Errorf("when it is: %v", got)
	}
	r.l.Gone(a)
	r.l.ChargeHandshakes(&payer, 1_000_000)
	if got := r.l.Handshake(r.admit("192.0.2.2")); got != OK {
		t.Errorf("a neighbour pays: %v", got)
	}
	a = r.admit("192.0.2.1")
	r.l.Turn(start + mono.Time(23*time.Second))
	if got := r.l.Handshake(a); got != OK {
		t.Errorf("debt has no end: %v", got)
	}
}

// A proxy's connections push nobody out before it is known whose they are.
func TestProxiedNewcomersMakeRoomWhenTheyAreKnown(t *testing.T) {
	r := evicting(newRig(t, Config{MaxUnproven: 4}, Limits{SourceConnRate: 1, SourceConnBurst: 1}))
	oldest := r.admit("10.0.0.1")
	for _, a := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"} {
		r.admit(a)
	}
	r.l.Turn(start + mono.Time(evictAfter))
	identify := func(a string) Reason {
		id, reason := r.l.AdmitProxy(r.p)
		if reason != OK {
			t.Fatal(reason)
		}
		if reason = r.l.Identify(id, netip.MustParseAddr(a)); reason != OK {
			r.l.Gone(id)
		}
		return reason
	}
	if got := identify("10.0.0.1"); got != ShedSourceConnRate || len(r.ended) != 0 {
		t.Fatalf("%v, %v ended", got, r.ended)
	}
	if got := identify("10.0.0.5"); got != OK || len(r.ended) != 1 || r.ended[oldest] != ShedUnproven {
		t.Fatalf("%v, %v ended", got, r.ended)
	}
	if n := r.g.Unproven(); n != 4 {
		t.Errorf("%d unproven", n)
	}
}

func TestDeadlinesBeforeTheFirstFrame(t *testing.T) {
	r := newRig(t, Config{}, Limits{ProxyTimeout: time.Second, HandshakeTimeout: 2 * time.Second, FirstFrameTimeout: 3 * time.Second})
	silent, _ := r.l.AdmitProxy(r.p)
	shaking, _ := r.l.AdmitProxy(r.p)
	through, _ := r.l.AdmitProxy(r.p)
	r.run(10*time.Millisecond, 500*time.Millisecond)
	for _, id := range []ID{shaking, through} {
		r.l.Phase(id, Handshake)
	}
	for d := 510 * time.Millisecond; d <= 10*time.Second; d += 10 * time.Millisecond {
		r.at(d)
		if _, gone := r.ended[shaking]; !gone {
			r.l.Read(shaking, 1) // bytes put nothing off
		}
		if d == 2400*time.Millisecond {
			r.l.Phase(through, First)
		}
	}
	for _, w := range []struct {
		id     ID
		reason Reason
		after  time.Duration
	}{
		{silent, ShedProxyHeader, time.Second},
		{shaking, ShedHandshake, 2500 * time.Millisecond},
		{through, ShedFirstFrame, 5400 * time.Millisecond},
	} {
		late := r.when[w.id].Sub(start) - w.after
		if r.ended[w.id] != w.reason || late < 0 || late > 50*time.Millisecond {
			t.Errorf("connection %d: %v, %v after its time; want %v", w.id, r.ended[w.id], late, w.reason)
		}
	}
}

func TestHandshakesAllocateNothing(t *testing.T) {
	r := newRig(t, Config{}, DefaultLimits())
	id := r.admit("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { r.l.Handshake(id); p := r.l.Payer(id); r.l.ChargeHandshakes(&p, 2) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAdmitProveGone(b *testing.B) {
	r := newRig(b, Config{MaxConns: 1 << 20}, DefaultLimits())
	x := uint32(1)
	b.ReportAllocs()
	for b.Loop() {
		x += 0x9e3779b9
		id, reason := r.l.Admit(r.p, netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}))
		if reason != OK {
			b.Fatal(reason)
		}
		r.l.Phase(id, Idle)
		r.l.Gone(id)
	}
}

// A surcharge empties the byte budgets and buys no time.
func TestSurcharge(t *testing.T) {
	r := newRig(t, Config{}, Limits{ConnByteRate: 1000, ConnByteBurst: 1000, MinRate: 100, MinRateGrace: time.Second})
	id := r.admit("192.0.2.1")
	r.l.Phase(id, Idle)
	r.l.Phase(id, Body)
	if v := r.l.Surcharge(id, 900); v.Reason != OK {
		t.Error(v)
	}
	if v := r.l.Surcharge(id, 0); v.Reason != OK {
		t.Error(v)
	}
	if v := r.l.Surcharge(id, 200); v.Reason != SlowConnBytes || v.Wait != 100*time.Millisecond {
		t.Error(v)
	}
	r.run(10*time.Millisecond, 1100*time.Millisecond)
	if r.ended[id] != ShedSlowSender {
		t.Errorf("%v: nothing arrived and it lives", r.ended[id])
	}
}
