package guard

import (
	"fmt"
	"sync/atomic"
	"time"

	"weir/guard/bucket"
	"weir/guard/budget"
	"weir/guard/source"
	"weir/guard/wheel"
)

// maxPolicies bounds the listeners of one Guard's life; connections name theirs by index.
const maxPolicies = 4096

// Policy is one listener's compiled Limits. It never changes. Any goroutine.
type Policy struct {
	// Read for every frame.
	frames, bytes [4]*bucket.Table // by kind; nil = no limit, as for exempt
	frameMeter    bucket.Meter
	byteMeter     bucket.Meter
	pace          budget.Pace
	first, frame  time.Duration
	proxy         time.Duration
	handshake     time.Duration
	idle, write   time.Duration
	linger        time.Duration // of Closing
	half          time.Duration // of HalfClosed
	auth          time.Duration // of Auth, from admission
	life          time.Duration
	lot           uint32 // bytes a connection charges to its source at a time
	jitter        uint64 // greatest addition to idle, in fine ticks
	hop           uint32 // furthest that a deadline is filed ahead, in wheel ticks
	index         uint16

	// Read at accept and at the end.
	domain uint16 // of open connections in the census
	levels [source.Families][]level
	name   string
	lim    Limits

	_    [64]byte
	open atomic.Int64
}

// Name is the listener's name.
func (p *Policy) Name() string { return p.name }

// Limits are what the Policy was made of.
func (p *Policy) Limits() Limits { return p.lim }

// Open is the number of the listener's open connections.
func (p *Policy) Open() int { return int(p.open.Load()) }

// tableUse says what a table is for; equal uses share one.
type tableUse struct {
	family source.Family
	level  int
	what   what
	limit  bucket.Limit
}

// what a table counts. A connection's Handle serves all of them.
type what uint8

const (
	frames what = iota
	bytes
	connections
	handshakes
)

func (w what) String() string {
	return [...]string{"frames", "bytes", "connections", "handshakes"}[w]
}

// lane is where the hints of such tables are in a Handle. Connections are charged once, before the
// Handle is kept, so handshakes have their lane.
func (w what) lane() bucket.Lane { return bucket.Lane(min(w, connections)) }

// Policy compiles lim for the listener called name. The error lists what is out of range.
//
// Listeners share what is counted per source as long as they limit it equally: two listeners with
// the same SourceConns count a source's connections together, two with the same SourceFrameRate and
// SourceFrameBurst draw on one bucket for a source, and so on. What a listener limits differently
// it counts apart, in tables of its own, which Memory adds up. Asking again for the same name with the same
// limits gives the same Policy. Any goroutine, but not on a loop: it allocates.
func (g *Guard) Policy(name string, lim Limits) (*Policy, error) {
	if err := lim.Validate(); err != nil {
		return nil, fmt.Errorf("listener %q: %w", name, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.policies[:g.policyCount] {
		if p.name == name && p.lim == lim {
			return p, nil
		}
	}
	if g.policyCount == maxPolicies {
		return nil, fmt.Errorf("listener %q: more than %d listeners", name, maxPolicies)
	}
	p := &Policy{
		name: name, lim: lim, index: uint16(g.policyCount),
		frameMeter: bucket.NewMeter(frameLimit(lim.ConnFrameRate, lim.ConnFrameBurst)),
		byteMeter:  bucket.NewMeter(byteLimit(lim.ConnByteRate, lim.ConnByteBurst)),
		pace:       budget.NewPace(lim.MinRate, lim.MinRateGrace),
		first:      lim.FirstFrameTimeout,
		proxy:      lim.ProxyTimeout,
		handshake:  lim.HandshakeTimeout,
		auth:       lim.AuthTimeout,
		frame:      lim.FrameTimeout,
		idle:       lim.IdleTimeout,
		write:      lim.WriteTimeout,
		linger:     lim.linger(),
		half:       lim.HalfCloseTimeout,
		life:       lim.Lifetime,
		lot:        lot(burstOf(lim.SourceByteRate, lim.SourceByteBurst)),
		jitter:     uint64(min(time.Second, lim.IdleTimeout/16) >> fineShift),
		hop:        uint32(lim.hop()),
		domain:     g.domain(lim.SourceConns),
	}
	finest := [source.Families]int{source.V4: g.cfg.V4Prefix, source.V6: g.cfg.V6Prefix}
	for f := range source.Family(source.Families) {
		p.frames[f] = g.table(tableUse{f, 0, frames, frameLimit(lim.SourceFrameRate, lim.SourceFrameBurst)})
		p.bytes[f] = g.table(tableUse{f, 0, bytes, byteLimit(lim.SourceByteRate, lim.SourceByteBurst)})
		bits, times := prefixes(f, finest[f])
		for i := range bits {
			rate := bucket.Limit{
				Tokens: min(int64(lim.SourceConnRate)*int64(times[i]), bucket.MaxRate),
				Burst:  min(int64(burstOf(lim.SourceConnRate, lim.SourceConnBurst))*int64(times[i]), bucket.MaxBurst),
			}
			p.levels[f] = append(p.levels[f], level{
				bits:       bits[i],
				conns:      min(lim.SourceConns*times[i], maxConns),
				unproven:   min(lim.SourceUnproven*times[i], maxConns),
				rate:       g.table(tableUse{f, i, connections, rate}),
				handshakes: g.table(tableUse{f, i, handshakes, handshakeLimit(lim, times[i])}),
			})
		}
	}
	g.policies[g.policyCount] = p
	g.policyCount++
	return p, nil
}

func burstOf(rate, burst int) int {
	if burst == 0 {
		return rate
	}
	return burst
}

func frameLimit(rate, burst int) bucket.Limit {
	return bucket.Limit{Tokens: int64(rate), Burst: int64(burstOf(rate, burst))}
}

// handshakeLimit lets a debt of ten bursts build up: what a handshake costs is known afterwards.
func handshakeLimit(lim Limits, times int) bucket.Limit {
	burst := min(int64(burstOf(lim.SourceHandshakeRate, lim.SourceHandshakeBurst))*int64(times), bucket.MaxBurst)
	return bucket.Limit{
		Tokens: min(int64(lim.SourceHandshakeRate)*int64(times), bucket.MaxRate),
		Burst:  burst, Debt: min(10*burst, bucket.MaxBurst),
	}
}

// byteLimit lets a debt of one more burst build up; what is read beyond that is forgiven. It takes
// a source that reads on through several connections at once to get there.
func byteLimit(rate, burst int) bucket.Limit {
	b := int64(burstOf(rate, burst))
	return bucket.Limit{Tokens: int64(rate), Burst: b, Debt: b, Grain: 1}
}

// linger is how long a peer may take to close once we have: WriteTimeout, but 5 s at most and
// without one (nginx's lingering_timeout).
func (l Limits) linger() time.Duration {
	const most = 5 * time.Second
	if l.WriteTimeout == 0 {
		return most
	}
	return min(l.WriteTimeout, most)
}

// hop is how many ticks ahead of time a connection is filed at most. A deadline that moves closer
// leaves an entry behind where it was; looking at each connection four times in its shortest
// timeout keeps those to a handful for each.
func (l Limits) hop() int { return min(max(4*l.shortest(), 256), wheel.Slots-1) }

// shortest is the shortest of the timeouts that apply, in ticks.
func (l Limits) shortest() int {
	s := wheel.Slots * wheel.Tick
	for _, d := range []time.Duration{l.FirstFrameTimeout, l.AuthTimeout, l.FrameTimeout, l.IdleTimeout, l.HalfCloseTimeout, l.WriteTimeout} {
		if d > 0 {
			s = min(s, d)
		}
	}
	if l.MinRate > 0 {
		s = min(s, l.MinRateGrace)
	}
	return max(1, int(s/wheel.Tick))
}

// wheelEntries is how many entries one connection may have in the wheel: the one that counts, those
// left behind within a hop, two from before the first frame, and up to 8 from pausing and resuming
// close to a deadline.
func (l Limits) wheelEntries() int { return 1 + (l.hop()+l.shortest()-1)/l.shortest() + 2 + 8 }

// domain gives equal limits of open connections one number. 0 ("no limit") is counted too.
func (g *Guard) domain(sourceConns int) uint16 {
	d, ok := g.domains[sourceConns]
	if !ok {
		d = uint16(len(g.domains))
		g.domains[sourceConns] = d
	}
	return d
}

// table returns the table for u, made when it is the first of its kind; nil without a rate.
func (g *Guard) table(u tableUse) *bucket.Table {
	if t := g.byUse[u]; t != nil {
		return t
	}
	places := g.cfg.SourceTable
	if u.level > 0 {
		// A wide prefix earns its tokens back 8 times as fast or more, so the same stream of
		// admitted connections keeps an eighth of the places busy.
		places = max(bucket.MinPlaces, places/8)
	}
	if u.what == handshakes {
		// However many sources there are, handshakes are bounded by what they cost: ten thousand a
		// second and core. At 10/s each of them keeps its place busy for 0.1 s.
		places = max(bucket.MinPlaces, places/8)
	}
	t := bucket.New(places, u.limit, u.what.lane())
	if t == nil {
		return nil
	}
	g.byUse[u] = t
	all := append(append([]use{}, *g.tables.Load()...), use{u, t})
	g.tables.Store(&all)
	return t
}

// lot is how many bytes a connection reads before it charges them to its source: a 32,768th of the
// source's burst (2 KiB by default), so that 256 connections hold back less than 1 % of it. A flood
// of small frames then touches the source's bytes once in several frames.
func lot(burst int) uint32 { return uint32(burst >> 15) }
