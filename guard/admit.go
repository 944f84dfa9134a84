package guard

import (
	"net/netip"

	"weir/guard/bucket"

	"weir/guard/census"
	"weir/guard/mono"
	"weir/guard/source"
)

// Admit decides on a new connection, cheapest and most specific check first; the package comment
// has the order. When the Reason is OK the connection is counted and in phase First, and Gone must
// be called once in the end. Otherwise nothing of it is left in any count or bucket, and the ID
// means nothing.
//
// peer may be IPv4, IPv6 or IPv4-mapped. An invalid one, as of a Unix socket, is exempt.
func (l *Loop) Admit(p *Policy, peer netip.Addr) (ID, Reason) {
	id, r := l.admit(p, peer)
	if r != OK {
		l.counts.Shed[r]++
		return 0, r
	}
	l.counts.Admitted++
	return id, OK
}

func (l *Loop) admit(p *Policy, peer netip.Addr) (ID, Reason) {
	key, some := source.Of(peer)
	if !some || l.guard.isExempt(peer) {
		if r := l.earlyDrop(true, none); r != OK {
			return 0, r
		}
		return l.admitExempt(p)
	}
	var at standing
	r := l.count(p, key, &at)
	if r != OK {
		return 0, r
	}
	if r = l.earlyDrop(at.alone, none); r == OK {
		r = l.admitGlobal(p, at.alone)
	}
	if r != OK {
		l.takeBack(p, uint8(key.Family), &at, at.n)
		return 0, r
	}
	return l.enroll(p, uint8(key.Family), key.Bits, at.handles[0]), OK
}

// admitExempt admits a connection that has no limits per source, or none yet.
func (l *Loop) admitExempt(p *Policy) (ID, Reason) {
	if r := l.admitGlobal(p, true); r != OK {
		return 0, r
	}
	return l.enroll(p, exempt, 0, bucket.Handle{}), OK
}

// enroll makes the record of a connection that is admitted.
func (l *Loop) enroll(p *Policy, kind uint8, bits uint64, handle bucket.Handle) ID {
	id := l.newID()
	c, d := &l.conns[id], &l.cold[id]
	*c = record{at: c.at, handle: handle, policy: p.index, flags: live | kind<<kindShift}
	*d = cold{bits: bits, admitted: l.now}
	l.begun(id)
	l.begin(id, c, p.first)
	if p.life != 0 {
		l.arm(uint32(id), c, p, dueTick(l.now+mono.Time(p.life)))
	}
	return id
}

func finest(level int, fine, wide Reason) Reason {
	if level == 0 {
		return fine
	}
	return wide
}

// admitGlobal asks what is not the source's: the listener's places, the rate of all, the places of
// all, and last this loop's room. Where all places are taken the oldest unproven connection makes
// room for a newcomer that is its source's only one.
func (l *Loop) admitGlobal(p *Policy, alone bool) Reason {
	g := l.guard
	if !claim(&p.open, p.lim.MaxConns) {
		return ShedListenerConns
	}
	if !g.rate.Allow(1, l.now) {
		p.open.Add(-1)
		return ShedConnRate
	}
	if !l.claimPlace() && (!alone || !l.makeRoom(none) || !l.claimPlace()) {
		g.rate.Refund(1)
		p.open.Add(-1)
		return ShedMaxConns
	}
	return OK
}

// claimPlace takes a place among all connections, if this loop has room for it.
func (l *Loop) claimPlace() bool {
	return (l.free != none || int(l.fresh) < len(l.conns)) && claim(&l.guard.open, l.guard.cfg.MaxConns)
}

// places fills in where a source is counted, finest first, and returns how many there are.
func (p *Policy) places(key source.Key, places *[census.Levels]census.Place) int {
	levels := p.levels[key.Family]
	for i := range levels {
		places[i] = census.Place{
			Bits:  key.Wide(levels[i].bits).Bits,
			Level: uint8(key.Family)*census.Levels + uint8(i),
			Limit: levels[i].conns, Unproven: levels[i].unproven,
		}
	}
	return len(levels)
}

func (l *Loop) newID() ID {
	id := l.free
	if id == none {
		id = l.fresh
		l.fresh++
		return id
	}
	l.free = l.cold[id].next
	return id
}

// Gone ends the connection's counting. The ID is free for reuse. An ID that is not admitted is a
// fault of the caller's and panics.
func (l *Loop) Gone(id ID) {
	c, d := &l.conns[id], &l.cold[id]
	if c.flags&live == 0 {
		panic("guard: Gone without Admit")
	}
	if l.prepaid.id == id {
		l.settlePrepaid()
	}
	p := l.policies[c.policy]
	if kind := c.flags >> kindShift; kind != exempt {
		if c.pending > 0 {
			p.bytes[kind].Take(&c.handle, uint64(c.pending), l.now)
		}
		var places [census.Levels]census.Place
		n := p.places(source.Key{Bits: d.bits, Family: source.Family(kind)}, &places)
		l.guard.census.Remove(p.domain, places[:n], c.unproven)
	}
	if c.unproven {
		l.unlist(id, c)
	}
	p.open.Add(-1)
	l.guard.open.Add(-1)
	l.counts.Gone++
	// The wheel's word stays: its entry is there, and the next connection with this ID adopts it.
	*c = record{at: c.at}
	d.next, l.free = l.free, id
}
