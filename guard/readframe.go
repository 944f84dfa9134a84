package guard

// ReadFrame is Read, then Frame, then, when the frame is admitted, Phase(Idle), in one step: for a
// read that brought one whole frame, or a whole one first. It is the usual case of a peer that
// waits for its answers, and two thirds of the cost of the three calls. What is out of the ordinary
// is left to them.
//
// hot: 0 allocs, no lock, no clock, see BenchmarkGuardFrame.
func (l *Loop) ReadFrame(id ID, n int) (Verdict, Reason) {
	c := &l.conns[id]
	p := l.policies[c.policy%maxPolicies]
	kind := c.flags >> kindShift
	t := p.frames[kind]
	size := uint64(n)
	if t == nil || c.unproven || c.flags&paused != 0 || n <= 0 || l.prepaid.left != 0 || l.prepaid.id == id {
		return l.readFrame(id, n)
	}
	pending := uint64(c.pending) + size
	if p.bytes[kind] == nil {
		pending = 0
	} else if pending >= uint64(p.lot) {
		return l.readFrame(id, n)
	}
	now := l.now
	bytes, over := p.byteMeter.Take(c.bytes, size, now)
	frames, ok := c.frames, true
	if p.frameMeter.Limits() {
		frames, ok = p.frameMeter.Allow(frames, 1, now)
	}
	if over || !ok || !t.AllowOne(&c.handle, now) { // nothing is charged yet
		return l.readFrame(id, n)
	}
	l.prepaid.id = id
	c.bytes, c.frames, c.pending = bytes, frames, uint32(pending)
	c.phase, c.in = Idle, 0
	c.flags &^= told | inHead | inFrame
	l.counts.BytesIn += size
	l.counts.Frames++
	l.idle(uint32(id), c, p)
	return Verdict{}, OK
}

// readFrame is ReadFrame by its parts.
//
//go:noinline
func (l *Loop) readFrame(id ID, n int) (Verdict, Reason) {
	v := l.Read(id, n)
	r := l.Frame(id)
	if r == OK {
		l.Phase(id, Idle)
	}
	return v, r
}
