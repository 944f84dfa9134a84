package guard

import (
	"net/netip"
	"time"

	"weir/guard/bucket"
	"weir/guard/census"
	"weir/guard/source"
)

// A connection is unproven from Admit until its first frame is complete: until then it may be one
// of a flood that costs its sender nothing but packets. Unproven connections have places of their
// own, fewer than there are connections, so that however many there are, those that have proved
// something, and newcomers, find room.
//
// From half of Config.MaxUnproven on newcomers are turned away at random, the more the fuller it is
// (OpenSSH's MaxStartups), except those that are their source's only unproven connection, or exempt:
// a flood from a thousand addresses then drops its own. When all places are taken such a newcomer takes the
// place of the oldest unproven connection of its loop. So good clients, who prove themselves within
// moments, come in also while the places are full, and what is shed has had the most time.

// evictAfter is how old an unproven connection must be to lose its place to a newcomer. TLS 1.2 and a
// request are three round trips: 160 ms each, from one side of the world to the other.
const evictAfter = 500 * time.Millisecond

// AdmitProxy is Admit for a peer that must send a PROXY header: its own address has no per-source
// limits, and its phase is Proxy. Identify tells whose connection it is, and asks for a place among
// the unproven.
func (l *Loop) AdmitProxy(p *Policy) (ID, Reason) {
	id, r := l.admitExempt(p)
	if r != OK {
		l.counts.Shed[r]++
		return 0, r
	}
	l.counts.Admitted++
	l.Phase(id, Proxy)
	return id, OK
}

// Identify counts an admitted connection, which has proved nothing yet, for the source peer: what
// its PROXY header says. The limits of that source are applied as in Admit; when they refuse, the
// Reason says so and the connection counts as before, until Gone.
func (l *Loop) Identify(id ID, peer netip.Addr) Reason {
	c, d := &l.conns[id], &l.cold[id]
	key, some := source.Of(peer)
	if !some || l.guard.isExempt(peer) {
		return OK
	}
	p := l.policies[c.policy]
	var at standing
	r := l.count(p, key, &at)
	if r == OK {
		if r = l.earlyDrop(at.alone, id); r != OK {
			l.takeBack(p, uint8(key.Family), &at, at.n)
		}
	}
	if r != OK {
		l.counts.Shed[r]++
		return r
	}
	d.bits = key.Bits
	c.handle = at.handles[0]
	c.flags = c.flags&(1<<kindShift-1) | uint8(key.Family)<<kindShift
	return OK
}

// Handshake charges the source, and its wider prefixes with their larger shares, with a TLS
// handshake: OK, ShedSourceHandshakes or ShedPrefixHandshakes. A handshake that is refused is not
// charged. To be asked before anything is computed.
func (l *Loop) Handshake(id ID) Reason {
	var at shaking
	levels := l.shakingAt(id, &at)
	for i := range levels {
		if !levels[i].handshakes.AllowOne(at.place(i), l.now) {
			for k := range levels[:i] {
				levels[k].handshakes.Refund(at.place(k), 1, l.now)
			}
			r := finest(i, ShedSourceHandshakes, ShedPrefixHandshakes)
			l.counts.Shed[r]++
			return r
		}
	}
	return OK
}

// Payer is who pays for a connection's handshakes, for when that has gone.
type Payer struct {
	table  *bucket.Table // nil: nobody
	handle bucket.Handle
}

// Payer tells who pays for a connection's handshakes.
func (l *Loop) Payer(id ID) Payer {
	var at shaking
	if levels := l.shakingAt(id, &at); len(levels) > 0 {
		return Payer{levels[0].handshakes, *at.source}
	}
	return Payer{}
}

// ChargeHandshakes charges n more handshakes for one that took as long as several, whether they are
// there or not; the debt ends at ten bursts. Wider prefixes, in which others live, do not pay.
func (l *Loop) ChargeHandshakes(p *Payer, n int) {
	if p.table != nil && n > 0 {
		p.table.Take(&p.handle, uint64(n), l.now)
	}
}

// shaking is where a connection's handshakes are counted.
type shaking struct {
	source *bucket.Handle // the record's own, which keeps its hints
	wide   [census.Levels]bucket.Handle
}

func (s *shaking) place(level int) *bucket.Handle {
	if level == 0 {
		return s.source
	}
	return &s.wide[level]
}

// shakingAt fills in at and returns the levels that go with it; none for an exempt connection, or
// where handshakes are not limited. What one level limits all do.
func (l *Loop) shakingAt(id ID, at *shaking) []level {
	c := &l.conns[id]
	kind := c.flags >> kindShift
	if kind == exempt {
		return nil
	}
	levels := l.policies[c.policy].levels[kind]
	if levels[0].handshakes == nil {
		return nil
	}
	at.source = &c.handle
	key := source.Key{Bits: l.cold[id].bits, Family: source.Family(kind)}
	for i := 1; i < len(levels); i++ {
		at.wide[i] = bucket.HandleOf(l.guard.hash.Sum(key.Wide(levels[i].bits).Bits))
	}
	return levels
}

// Unproven is the number of unproven connections of all loops. Any goroutine.
func (g *Guard) Unproven() int { return int(g.unproven.Load()) }

// standing is where a new connection is counted, finest first.
type standing struct {
	places  [census.Levels]census.Place
	handles [census.Levels]bucket.Handle
	n       int
	alone   bool // no other unproven connection of its source
}

// count applies what is limited per source to a new connection and counts it there, or says why not
// and leaves nothing behind.
func (l *Loop) count(p *Policy, key source.Key, at *standing) Reason {
	g := l.guard
	at.n = p.places(key, &at.places)
	for i := range at.places[:at.n] {
		at.handles[i] = bucket.HandleOf(g.hash.Sum(at.places[i].Bits))
	}
	full, alone, ok := g.census.Add(p.domain, at.places[:at.n])
	switch {
	case !ok && full.Unproven:
		return finest(full.Place, ShedSourceUnproven, ShedPrefixUnproven)
	case !ok:
		return finest(full.Place, ShedSourceConns, ShedPrefixConns)
	}
	at.alone = alone
	levels := p.levels[key.Family]
	for i := range levels {
		if t := levels[i].rate; t != nil && !t.AllowOne(&at.handles[i], l.now) {
			l.takeBack(p, uint8(key.Family), at, i)
			return finest(i, ShedSourceConnRate, ShedPrefixConnRate)
		}
	}
	return OK
}

// takeBack undoes count: the places' counts, and one token of each of the first n levels.
func (l *Loop) takeBack(p *Policy, kind uint8, at *standing, n int) {
	for i := range at.handles[:n] {
		if t := p.levels[kind][i].rate; t != nil {
			t.Refund(&at.handles[i], 1, l.now)
		}
	}
	l.guard.census.Remove(p.domain, at.places[:at.n], true)
}

// earlyDrop decides whether there is a place among the unproven for a newcomer, and makes one. self
// is none, or the newcomer's ID when it is among them already.
func (l *Loop) earlyDrop(alone bool, self ID) Reason {
	n := int(l.guard.unproven.Load())
	if self != none {
		n--
	}
	if !alone && l.crowded(n) || alone && n >= l.guard.cfg.MaxUnproven && !l.makeRoom(self) {
		return ShedUnproven
	}
	return OK
}

// crowded decides by chance whether one more is too much where n are unproven: never up to half of
// the places, always when all are taken.
func (l *Loop) crowded(n int) bool {
	most := l.guard.cfg.MaxUnproven
	return n > most/2 && l.chance(uint64(n-most/2), uint64(most-most/2))
}

// chance is true in n of m cases. The generator is xorshift64* (Vigna, 2016): who is dropped need
// not be unpredictable, only spread.
func (l *Loop) chance(n, m uint64) bool {
	x := l.dice
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	l.dice = x
	return (x*0x2545f4914f6cdd1d)>>32*m>>32 < n
}

// makeRoom ends the oldest unproven connection of this loop, if it has had its time and is not self.
func (l *Loop) makeRoom(self ID) bool {
	id := l.oldest
	if id == self && id != none {
		id = l.cold[id].next
	}
	if id == none || l.Evict == nil || l.now.Sub(l.cold[id].admitted) < evictAfter {
		return false
	}
	l.counts.Shed[ShedUnproven]++
	l.Evict(id)
	return true
}

// begun puts a new connection behind the other unproven ones.
func (l *Loop) begun(id ID) {
	l.conns[id].unproven = true
	d := &l.cold[id]
	d.prev, d.next = l.newest, none
	if l.newest != none {
		l.cold[l.newest].next = id
	} else {
		l.oldest = id
	}
	l.newest = id
	l.guard.unproven.Add(1)
}

// prove says that a connection's first frame is complete.
func (l *Loop) prove(id ID, c *record) {
	l.unlist(id, c)
	if kind := c.flags >> kindShift; kind != exempt {
		p := l.policies[c.policy]
		var places [census.Levels]census.Place
		n := p.places(source.Key{Bits: l.cold[id].bits, Family: source.Family(kind)}, &places)
		l.guard.census.Prove(p.domain, places[:n])
	}
}

// unlist takes a connection out of the list of the unproven.
func (l *Loop) unlist(id ID, c *record) {
	c.unproven = false
	d := &l.cold[id]
	if d.prev != none {
		l.cold[d.prev].next = d.next
	} else {
		l.oldest = d.next
	}
	if d.next != none {
		l.cold[d.next].prev = d.prev
	} else {
		l.newest = d.prev
	}
	l.guard.unproven.Add(-1)
}
