package guard

import (
	"net/netip"

	"weir/guard/census"
	"weir/guard/mono"
	"weir/guard/source"
)

// Counts is what a Loop has counted since its start.
type Counts struct {
	Admitted, Gone    uint64
	Frames            uint64          // frames that were let through
	BytesIn, BytesOut uint64          // as told by Read and Drained
	Shed              [Reasons]uint64 // refusals by Admit and Frame, expiries by Expire
	Slowed            [Reasons]uint64 // Verdicts with a Wait
	Refiled           uint64          // visits of the wheel that found a deadline moved
	Stale             uint64          // entries of the wheel that meant nothing any more
}

// Counts is a copy of the loop's counts. On the loop's goroutine only.
func (l *Loop) Counts() Counts { return l.counts }

// Add adds o to c, for totals over loops.
func (c *Counts) Add(o *Counts) {
	c.Admitted += o.Admitted
	c.Gone += o.Gone
	c.Frames += o.Frames
	c.BytesIn += o.BytesIn
	c.BytesOut += o.BytesOut
	c.Refiled += o.Refiled
	c.Stale += o.Stale
	for i := range c.Shed {
		c.Shed[i] += o.Shed[i]
		c.Slowed[i] += o.Slowed[i]
	}
}

// Open is the number of open connections of all loops. Any goroutine.
func (g *Guard) Open() int { return int(g.open.Load()) }

// Counted is the number of sources and wider prefixes with open connections. It waits for the lock
// that admissions take. Any goroutine.
func (g *Guard) Counted() int { return g.census.Used() }

// Evictions is how many buckets that were not full the source tables have forgotten to make room.
// When it rises, Config.SourceTable is too small for what is admitted. Any goroutine.
func (g *Guard) Evictions() uint64 {
	n := uint64(0)
	for _, u := range *g.tables.Load() {
		n += u.table.Evictions()
	}
	return n
}

// TableStat describes one source table.
type TableStat struct {
	What      string // "connections", "frames", "bytes" or "handshakes"
	V6        bool
	Level     int   // 0 is the source, 1 and 2 are wider prefixes
	Rate      int64 // per second
	Burst     int64
	Places    int
	Live      int // buckets that are not full, estimated from a sample
	Evictions uint64
}

// tableSample is how many sets Tables looks at in each table: 256 cache lines, about 10 µs.
const tableSample = 256

// Tables describes the source tables at the given instant. Any goroutine.
func (g *Guard) Tables(now mono.Time) []TableStat {
	var s []TableStat
	for _, u := range *g.tables.Load() {
		s = append(s, TableStat{
			What: u.what.String(), V6: u.family == source.V6, Level: u.level,
			Rate: u.limit.Tokens, Burst: u.limit.Burst,
			Places: u.table.Places(), Live: u.table.Live(tableSample, now), Evictions: u.table.Evictions(),
		})
	}
	return s
}

// Info is what the guard knows of a connection and its source. A limit or rate of 0 is none, and
// then what is left of it is 0 as well.
type Info struct {
	Source                       netip.Prefix // the finest prefix counted; invalid when exempt
	Exempt                       bool
	SourceConns, SourceConnLimit int
	SourceUnproven               int // of SourceConns
	FramesLeft, FrameRate        int // of the source
	BytesLeft, ByteRate          int // of the source
	Admitted                     mono.Time
}

// Info is a snapshot of one connection. It takes the lock that admissions take: not for every
// frame.
func (l *Loop) Info(id ID) Info {
	c, d := &l.conns[id], &l.cold[id]
	if c.flags&live == 0 {
		return Info{}
	}
	p := l.policies[c.policy]
	kind := c.flags >> kindShift
	if kind == exempt {
		return Info{Exempt: true, Admitted: d.admitted}
	}
	l.settlePrepaid()
	key := source.Key{Bits: d.bits, Family: source.Family(kind)}
	var places [census.Levels]census.Place
	p.places(key, &places)
	open, unproven := l.guard.census.Count(p.domain, places[0])
	in := Info{
		Source:          key.Prefix(p.levels[kind][0].bits),
		SourceConns:     open,
		SourceUnproven:  unproven,
		SourceConnLimit: p.lim.SourceConns,
		FrameRate:       p.lim.SourceFrameRate,
		ByteRate:        p.lim.SourceByteRate,
		Admitted:        d.admitted,
	}
	if t := p.frames[kind]; t != nil {
		in.FramesLeft = t.Left(&c.handle, l.now)
	}
	if t := p.bytes[kind]; t != nil {
		in.BytesLeft = t.Left(&c.handle, l.now)
	}
	return in
}
