package guard

// Owe says that the kernel took less than we had for the peer. WriteTimeout and outbound MinRate
// run from Owe to Settled. Owe when already owing is ignored.
func (l *Loop) Owe(id ID) {
	c, d := &l.conns[id], &l.cold[id]
	if c.flags&owing != 0 {
		return
	}
	p := l.policies[c.policy]
	c.flags |= owing
	d.out, d.write = p.pace.Start(l.service.Now()), 0
	if d.out != 0 {
		l.armService(uint32(id), c, p, d.out)
	}
	l.stall(id, c, p)
}

// Drained says that n further bytes have gone to the peer. While owing they put off both
// deadlines.
func (l *Loop) Drained(id ID, n int) {
	if n <= 0 {
		return
	}
	l.counts.BytesOut += uint64(n)
	c := &l.conns[id]
	if c.flags&owing == 0 {
		return
	}
	p, d := l.policies[c.policy], &l.cold[id]
	d.out = p.pace.Push(d.out, n, l.service.Now())
	l.stall(id, c, p)
}

// stall starts WriteTimeout.
func (l *Loop) stall(id ID, c *record, p *Policy) {
	if p.write != 0 {
		var tick uint32
		l.cold[id].write, tick = l.after(p.write)
		l.arm(uint32(id), c, p, tick)
	}
}

// Settled says that nothing is owed any more.
func (l *Loop) Settled(id ID) { l.conns[id].flags &^= owing }
