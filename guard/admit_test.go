package guard

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/guard/mono"
)

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for r := range Reason(Reasons) {
		if r.Label() == "" || r.String() == "" || seen[r.Label()] || strings.ToLower(r.Label()) != r.Label() || strings.Contains(r.Label(), " ") {
			t.Errorf("reason %d: label %q, text %q", r, r.Label(), r.String())
		}
		seen[r.Label()] = true
		if r.Level() > Hostile || r.Level().String() == "" {
			t.Errorf("%s: level %d", r.Label(), r.Level())
		}
	}
}

func TestOneSourceInAllForms(t *testing.T) {
	r := newRig(t, Config{}, Limits{SourceConns: 2})
	r.admit("192.0.2.1")
	r.admit("::ffff:192.0.2.1")
	for _, a := range []string{"192.0.2.1", "::ffff:192.0.2.1%eth0", "64:ff9b::192.0.2.1"} {
		if got := r.try(a); got != ShedSourceConns {
			t.Errorf("%s: %v", a, got)
		}
	}
	r.admit("192.0.2.2")
	r.admit("64:ff9b::192.0.2.2")
	if got := r.try("192.0.2.2"); got != ShedSourceConns {
		t.Errorf("two forms of one host are two sources: %v", got)
	}
}

// fill admits distinct addresses until one is refused.
func fill(r *rig, addr func(i int) netip.Addr) (n int, reason Reason) {
	for i := range 100_000 {
		if _, reason = r.l.Admit(r.p, addr(i)); reason != OK {
			return i, reason
		}
	}
	return -1, OK
}

func v6(hi uint64, lo uint64) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(hi>>(56-8*i)), byte(lo>>(56-8*i))
	}
	return netip.AddrFrom16(b)
}

func TestRotationGainsLittle(t *testing.T) {
	const net = uint64(0x20010db8_00010000)
	r32 := func() uint64 { return rand.Uint64() }
	cases := []struct {
		name   string
		addr   func(i int) netip.Addr
		want   int // multiples of the limit
		reason [2]Reason
	}{
		{"within a /64", func(int) netip.Addr { return v6(net, r32()) }, 1, [2]Reason{ShedSourceConns, ShedSourceConnRate}},
		{"the /64s of a /56", func(i int) netip.Addr { return v6(net|uint64(i%256), r32()) }, 8, [2]Reason{ShedPrefixConns, ShedPrefixConnRate}},
		{"the /64s of a /48", func(i int) netip.Addr { return v6(net|uint64(i*7919%65536), r32()) }, 32, [2]Reason{ShedPrefixConns, ShedPrefixConnRate}},
		{"one IPv4 address", func(int) netip.Addr { return netip.MustParseAddr("192.0.2.9") }, 1, [2]Reason{ShedSourceConns, ShedSourceConnRate}},
		{"an IPv4 /24", func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }, 16, [2]Reason{ShedPrefixConns, ShedPrefixConnRate}},
	}
	for _, c := range cases {
		for i, lim := range []Limits{{SourceConns: 10}, {SourceConnRate: 5, SourceConnBurst: 10}} {
			r := newRig(t, Config{}, lim)
			n, reason := fill(r, c.addr)
			if n != 10*c.want || reason != c.reason[i] {
				t.Errorf("%s: %d admitted, then %v; want %d, then %v", c.name, n, reason, 10*c.want, c.reason[i])
			}
		}
	}
	for _, c := range []struct {
		v6   bool
		bits int
		want int
	}{{true, 56, 8}, {true, 48, 32}, {true, 64, 1}, {false, 24, 16}, {false, 32, 1}} {
		if got := WiderShare(c.v6, c.bits); got != c.want {
			t.Errorf("WiderShare(%v, %d) = %d", c.v6, c.bits, got)
		}
	}
}

func TestCoarserSources(t *testing.T) {
	r := newRig(t, Config{V4Prefix: 16, V6Prefix: 48}, Limits{SourceConns: 3})
	for i := range 3 {
		r.admit(fmt.Sprintf("10.1.%d.1", i))
		r.admit(fmt.Sprintf("2001:db8:1:%d::1", i))
	}
	if got := r.try("10.1.200.1"); got != ShedSourceConns {
		t.Error(got)
	}
	if got := r.try("2001:db8:1:99::1"); got != ShedSourceConns {
		t.Error(got)
	}
	if n := len(r.p.levels[0]) + len(r.p.levels[1]); n != 2 {
		t.Errorf("%d levels", n)
	}
}

// A refusal at any step leaves nothing behind in the steps before it.
func TestRefusedLeavesNothing(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::1")
	b := netip.MustParseAddr("2001:db8:0:1::1")
	for _, c := range []struct {
		cfg  Config
		lim  Limits
		want Reason
		peer netip.Addr
	}{
		{Config{}, Limits{SourceConns: 1, SourceConnRate: 100}, ShedSourceConns, a},
		{Config{}, Limits{SourceConns: 9, SourceConnRate: 1, SourceConnBurst: 1}, ShedSourceConnRate, a},
		{Config{}, Limits{SourceConnRate: 100, MaxConns: 1}, ShedListenerConns, b},
		{Config{ConnRate: 1}, Limits{SourceConnRate: 100}, ShedConnRate, b},
		{Config{MaxConns: 1}, Limits{SourceConnRate: 100}, ShedMaxConns, b},
	} {
		c.cfg.Exempt = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
		r := newRig(t, c.cfg, c.lim)
		id := r.admit(a.String())
		if c.cfg.ConnRate > 0 { // burst 2
			r.l.Gone(r.admit("203.0.113.1"))
		}
		used := r.g.Counted()
		left := func() (n int) {
			for _, lv := range r.p.levels[1] {
				if lv.rate != nil {
					h := handleOf(r.g, lv.bits, c.peer)
					n += lv.rate.Left(&h, r.l.Now())
				}
			}
			return n
		}
		before := left()
		for range 50 {
			if _, got := r.l.Admit(r.p, c.peer); got != c.want {
				t.Fatalf("%v, want %v", got, c.want)
			}
		}
		if r.g.Counted() != used || left() != before || r.g.Open() != 1 || r.p.Open() != 1 {
			t.Errorf("%v: counted %d → %d, tokens %d → %d, open %d and %d",
				c.want, used, r.g.Counted(), before, left(), r.g.Open(), r.p.Open())
		}
		r.l.Gone(id)
		if r.g.Counted() != 0 || r.g.Open() != 0 || r.p.Open() != 0 {
			t.Errorf("%v: something is left at the end", c.want)
		}
		if n := r.l.Counts(); n.Shed[c.want] != 50 {
			t.Errorf("%v: counted %d times", c.want, n.Shed[c.want])
		}
	}
}

func TestMostSpecificReasonFirst(t *testing.T) {
	// One source hammers: it meets its own limit and not everybody's.
	r := newRig(t, Config{ConnRate: 50}, Limits{SourceConnRate: 5, SourceConnBurst: 5})
	for range 1000 {
		if got := r.try("192.0.2.1"); got != OK && got != ShedSourceConnRate {
			t.Fatal(got)
		}
	}
	for i := range 90 { // of a burst of 100, 95 are left
		r.admit(fmt.Sprintf("10.%d.0.1", i))
	}
}

func TestExempt(t *testing.T) {
	r := newRig(t, Config{MaxConns: 50, Exempt: []netip.Prefix{
		netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120"), netip.MustParsePrefix("2001:db8::1/128"),
	}}, Limits{SourceConns: 1, SourceConnRate: 1, SourceFrameRate: 1, SourceByteRate: 1, ConnFrameRate: 5})
	for i, a := range []string{"192.0.2.1", "::ffff:192.0.2.1", "198.51.100.7", "2001:db8::1"} {
		for range 10 {
			id := r.admit(a)
			if in := r.l.Info(id); !in.Exempt {
				t.Errorf("%s: %+v", a, in)
			}
			for range 5 {
				if got := r.l.Frame(id); got != OK {
					t.Fatal(got)
				}
			}
			if got := r.l.Frame(id); got != ShedConnFrames {
				t.Errorf("exempt from the connection's own limit: %v", got)
			}
			if v := r.l.Read(id, 1<<20); v.Reason != OK {
				t.Error(v)
			}
		}
		if r.g.Open() != 10*(i+1) {
			t.Error("exempt connections are not counted in all")
		}
	}
	r.admit("2001:db8::2")
	if got := r.try("2001:db8::2"); got != ShedSourceConns {
		t.Error(got)
	}
	// Behind a translator somebody else's 192.0.2.1 is not ours.
	r.admit("64:ff9b::192.0.2.1")
	if got := r.try("64:ff9b::192.0.2.1"); got != ShedSourceConns {
		t.Error(got)
	}
	if _, got := r.l.Admit(r.p, netip.Addr{}); got != OK {
		t.Errorf("a Unix socket: %v", got)
	}
	for range 20 {
		r.l.Admit(r.p, netip.Addr{})
	}
	if _, got := r.l.Admit(r.p, netip.Addr{}); got != ShedMaxConns || r.g.Open() != 50 {
		t.Errorf("exempt from -max-conns: %v, %d open", got, r.g.Open())
	}
}

func TestListenersShareEqualLimits(t *testing.T) {
	lim := Limits{SourceConns: 4, SourceFrameRate: 10, SourceFrameBurst: 10}
	r := newRig(t, Config{}, lim)
	other := lim
	other.IdleTimeout, other.MaxConns = time.Second, 99
	same, _ := r.g.Policy("same", other)
	lim.SourceConns, lim.SourceFrameBurst = 2, 20
	apart, err := r.g.Policy("apart", lim)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := r.g.Policy("apart", lim); again != apart {
		t.Error("the same listener twice")
	}
	a := netip.MustParseAddr("192.0.2.1")
	admit := func(p *Policy) (ID, Reason) { return r.l.Admit(p, a) }
	x, _ := admit(r.p)
	y, _ := admit(same)
	admit(same)
	admit(r.p)
	if _, got := admit(same); got != ShedSourceConns {
		t.Errorf("equal limits are counted apart: %v", got)
	}
	z, got := admit(apart)
	if got != OK {
		t.Errorf("different limits are counted together: %v", got)
	}
	for i := range 10 {
		if r.l.Frame([]ID{x, y}[i%2]) != OK {
			t.Fatal("refused within the burst")
		}
	}
	if r.l.Frame(x) != ShedSourceFrames || r.l.Frame(y) != ShedSourceFrames || r.l.Frame(z) != OK {
		t.Error("frames are not shared as they should be")
	}
}

// Two loops with clocks 20 ms apart keep a source to its limit within 1 %.
func TestSkewedLoops(t *testing.T) {
	r := newRig(t, Config{}, Limits{SourceFrameRate: 1000, SourceFrameBurst: 50})
	slow, fast := r.l, r.g.Loop(10)
	fast.Turn(start)
	a := netip.MustParseAddr("192.0.2.1")
	x, _ := slow.Admit(r.p, a)
	y, _ := fast.Admit(r.p, a)
	admitted := 0
	const seconds = 20
	for ms := mono.Time(1); ms < seconds*1000; ms++ {
		now := start + ms*mono.Time(time.Millisecond)
		fast.Turn(now + mono.Time(20*time.Millisecond))
		slow.Turn(now)
		for range 8 { // batches and single frames
			if slow.Frame(x) == OK {
				admitted++
			}
			if fast.Frame(y) == OK {
				admitted++
			}
		}
	}
	if want := 50.0 + seconds*1000; float64(admitted) > want*1.01 || float64(admitted) < want*0.99 {
		t.Errorf("%d admitted, want %.0f", admitted, want)
	}
}

// Frames taken in batches are decided as if they were taken one by one, and nothing is lost.
func TestBatchesChangeNothing(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 6))
	lim := Limits{SourceFrameRate: 100, SourceFrameBurst: 40}
	r := newRig(t, Config{}, lim)
	ids := []ID{r.admit("192.0.2.1"), r.admit("192.0.2.1"), r.admit("198.51.100.1")}
	tat := map[bool]float64{}
	now := float64(start)
	for step := range 20_000 {
		id := ids[rnd.IntN(3)]
		for range 1 + rnd.IntN(30) {
			k := id == ids[2]
			next := max(tat[k], now) + 1e7
			edge := next - now - 40e7
			got := r.l.Frame(id)
			if edge > -4e5 && edge < 4e5 { // a unit of time decides
				if got == OK {
					tat[k] = next
				}
				continue
			}
			if (got == OK) != (edge <= 0) {
				t.Fatalf("seed %d step %d: %v, %.3f tokens over", seed, step, got, edge/1e7)
			}
			if got == OK {
				tat[k] = next
			}
		}
		if rnd.IntN(3) == 0 {
			now += rnd.Float64() * 5e8
			r.l.Turn(mono.Time(now))
		}
		if rnd.IntN(50) == 0 { // leaving with a batch in hand
			i := rnd.IntN(3)
			r.l.Gone(ids[i])
			ids[i] = r.admit([]string{"192.0.2.1", "192.0.2.1", "198.51.100.1"}[i])
		}
	}
}

func TestBytesSlowDownButAreCharged(t *testing.T) {
	r := newRig(t, Config{}, Limits{ConnByteRate: 1000, ConnByteBurst: 1000, SourceByteRate: 2000, SourceByteBurst: 2000})
	a, b, c := r.admit("192.0.2.1"), r.admit("192.0.2.1"), r.admit("192.0.2.1")
	if v := r.l.Read(a, 1000); v != (Verdict{}) {
		t.Error(v)
	}
	if v := r.l.Read(a, 500); v.Reason != SlowConnBytes || v.Wait < 500*time.Millisecond || v.Wait > 501*time.Millisecond {
		t.Error(v)
	}
	r.l.Read(b, 500)
	if v := r.l.Read(c, 1000); v.Reason != SlowSourceBytes || v.Wait < 500*time.Millisecond || v.Wait > 501*time.Millisecond {
		t.Error(v)
	}
	if !SlowConnBytes.Slows() || !SlowSourceBytes.Slows() || ShedIdle.Slows() {
		t.Error("Slows")
	}
	if v := r.l.Read(a, -5); v != (Verdict{}) {
		t.Error(v)
	}
	n := r.l.Counts()
	if n.BytesIn != 3000 || n.Slowed[SlowConnBytes] != 1 || n.Slowed[SlowSourceBytes] != 1 {
		t.Errorf("%+v", n)
	}
}

// A source's bytes are held to the rate within 1 %, though connections charge them in lots.
func TestSourceBytesAreExact(t *testing.T) {
	lim := Limits{SourceByteRate: 32 << 20, SourceByteBurst: 64 << 20}
	r := newRig(t, Config{}, lim)
	ids := make([]ID, 200)
	wait := make([]mono.Time, len(ids))
	for i := range ids {
		ids[i] = r.admit("192.0.2.1")
	}
	total, seconds := 0, 10
	for now := start; now < start+mono.Time(seconds)*mono.Time(time.Second); now += mono.Time(time.Millisecond) {
		r.l.Turn(now)
		for i, id := range ids {
			if wait[i] <= now {
				total += 700
				if v := r.l.Read(id, 700); v.Wait > 0 {
					wait[i] = now.Add(v.Wait)
				}
			}
		}
	}
	want := float64(64<<20 + seconds*32<<20)
	if got := float64(total); got > want*1.01 || got < want*0.99 {
		t.Errorf("%.3f of the limit", got/want)
	}
}

func TestInfo(t *testing.T) {
	r := newRig(t, Config{}, DefaultLimits())
	id := r.admit("2001:db8:1:2:3::4")
	r.admit("2001:db8:1:2::9")
	for range 5 {
		r.l.Frame(id)
	}
	r.l.Read(id, 1<<20)
	in := r.l.Info(id)
	if in.Source != netip.MustParsePrefix("2001:db8:1:2::/64") || in.SourceConns != 2 || in.SourceConnLimit != 256 ||
		in.FramesLeft != 3995 || in.FrameRate != 2000 || in.BytesLeft != 63<<20 || in.ByteRate != 32<<20 || in.Admitted != start {
		t.Errorf("%+v", in)
	}
	if (r.l.Info(999) != Info{}) {
		t.Error("nobody has an Info")
	}
}

func TestValidate(t *testing.T) {
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Limits{}).Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{MaxConns: 1}).Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		lim  Limits
		want string
	}{
		{Limits{SourceFrameRate: 5_000_000_000}, "source-frame-rate 5000000000: must be 0 (no limit) to 1000000000 per second"},
		{Limits{SourceConns: -1}, "source-conns -1: must be 0 (no limit) to 16777216"},
		{Limits{ConnByteRate: 11 << 30}, "conn-byte-rate 11811160064: must be 0 (no limit) to 10737418240 per second"},
		{Limits{SourceConnBurst: -2}, "source-conn-burst -2: must be 0 (one second's worth) to 1000000000"},
		{Limits{IdleTimeout: 25 * time.Hour}, "idle-timeout 25h0m0s: must be 0 (none) to 24h0m0s"},
		{Limits{Lifetime: -1}, "lifetime -1ns: must be 0 (none) to 8760h0m0s"},
		{Limits{MinRate: 240}, "min-rate-grace 0s: must be above 0 when min-rate is set, or nobody can begin"},
		{Limits{MaxConns: 1 << 25, MinRate: -1}, "max-conns 33554432: must be 0 (no limit) to 16777216\nmin-rate -1: must be 0 (no limit) to 10000000 bytes per second"},
	} {
		if err := c.lim.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "max-conns 0: must be 1 to 16777216"},
		{Config{MaxConns: 1, SourceTable: 100}, "source-table 100: must be a power of two from 8 to 67108864"},
		{Config{MaxConns: 1, V4Prefix: 33, V6Prefix: 65}, "v4-prefix 33: must be 8 to 32\nv6-prefix 65: must be 16 to 64"},
		{Config{MaxConns: 1, Exempt: []netip.Prefix{{}}}, "exempt invalid Prefix: not a prefix"},
	} {
		if _, err := New(c.cfg); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
	g, _ := New(Config{MaxConns: 1})
	if _, err := g.Policy("web", Limits{MaxConns: -1}); err == nil || !strings.HasPrefix(err.Error(), `listener "web": max-conns -1`) {
		t.Error(err)
	}
}

func TestGoneTwicePanics(t *testing.T) {
	r := newRig(t, Config{}, Limits{})
	id := r.admit("192.0.2.1")
	r.l.Gone(id)
	defer func() {
		if recover() == nil {
			t.Error("counted down twice")
		}
	}()
	r.l.Gone(id)
}

func TestNoAllocations(t *testing.T) {
	lim := DefaultLimits()
	lim.ConnFrameRate, lim.Lifetime = 1_000_000, time.Hour
	lim.SourceFrameRate, lim.SourceConnRate, lim.SourceConnBurst = 1_000_000_000, 1_000_000, 0
	r := newRig(t, Config{}, lim)
	keep := r.admit("192.0.2.1")
	peers := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:1.2.3.4%x")}
	due := func(id ID, _ Reason) { r.l.Phase(id, Idle) }
	i := 0
	work := func() {
		i++
		r.l.Turn(r.l.Now() + mono.Time(20*time.Millisecond))
		r.l.Expire(100, due)
		id, _ := r.l.Admit(r.p, peers[i%3])
		for range 3 {
			r.l.Read(keep, 500)
			r.l.Frame(keep)
		}
		r.l.Phase(keep, Frame)
		r.l.Pause(keep)
		r.l.Resume(keep)
		r.l.Owe(keep)
		r.l.Drained(keep, 10)
		r.l.Settled(keep)
		r.l.Phase(keep, Idle)
		r.l.Next()
		r.l.Gone(id)
	}
	for range 10_000 {
		work()
	}
	if n := testing.AllocsPerRun(5000, work); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a crowd of connections that come, begin, fall idle and go can make of the wheel stays
// within what Memory says.
func TestMemorySaysTheWorst(t *testing.T) {
	lim := DefaultLimits()
	lim.FirstFrameTimeout, lim.FrameTimeout, lim.IdleTimeout = time.Second, 2*time.Second, time.Hour
	lim.SourceConns, lim.SourceConnRate = 0, 0
	const n = 5000
	r := newRig(t, Config{MaxConns: n}, lim)
	rnd := rand.New(rand.NewPCG(7, 7))
	var ids []ID
	steps := 20_000
	if testing.Short() || raceEnabled {
		steps = 2_000
	}
	for range steps {
		r.l.Turn(r.l.Now() + mono.Time(17*time.Millisecond))
		for range 200 {
			if len(ids) < n && rnd.IntN(3) == 0 {
				id, _ := r.l.Admit(r.p, addrOf(rnd.Uint32()))
				ids = append(ids, id)
			}
			if len(ids) == 0 {
				continue
			}
			i := rnd.IntN(len(ids))
			switch id := ids[i]; rnd.IntN(6) {
			case 0:
				r.l.Gone(id)
				ids[i] = ids[len(ids)-1]
				ids = ids[:len(ids)-1]
			case 1, 2:
				r.l.Phase(id, Idle)
			case 3:
				r.l.Phase(id, Head)
			case 4:
				r.l.Pause(id)
			case 5:
				r.l.Resume(id)
			}
		}
		r.l.Expire(1<<30, func(id ID, _ Reason) { r.l.Phase(id, Idle) })
	}
	said := int64(0)
	for _, term := range r.g.Memory() {
		if strings.HasPrefix(term.Name, "timer wheels") {
			said += term.Bytes
		}
	}
	if is := r.l.wheel.Bytes(); is > said {
		t.Errorf("the wheel has %d bytes, Memory said %d", is, said)
	}
	t.Logf("wheel %d bytes, Memory says %d; %d stale of %d visits", r.l.wheel.Bytes(), said, r.l.counts.Stale, r.l.counts.Stale+r.l.counts.Refiled)
}

func TestMemoryOfDefaults(t *testing.T) {
	r := newRig(t, Config{MaxConns: 100_000, SourceTable: 1 << 17}, DefaultLimits())
	tables := int64(0)
	for _, s := range r.g.Tables(start) {
		tables += int64(s.Places) * 8
	}
	if tables > 8<<20 {
		t.Errorf("source tables of the defaults have %d bytes, more than 8 MiB", tables)
	}
	if recordBytes != 64 || coldBytes != 48 {
		t.Errorf("records have %d and %d bytes", recordBytes, coldBytes)
	}
	s := r.g.Memory().String()
	if !strings.Contains(s, "total") || r.g.Memory().Total() < tables {
		t.Error(s)
	}
	t.Logf("\n%s", s)
}
