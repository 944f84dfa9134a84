package engine

// Hold is service.Conn's.
func (c *conn) Hold() {
	if c.state&(gone|closing) == 0 {
		c.state = c.state&^(resumed|pressing) | heldBack
	}
}

// Resume is service.Conn's.
func (c *conn) Resume() {
	if c.state&heldBack == 0 {
		return
	}
	c.state &^= heldBack | pressing
	if c.loop.cur == c {
		c.state |= resumed
	} else {
		c.loop.yield(c)
	}
}

// unhold goes on with a connection that was resumed in the present wake.
func (l *loop) unhold(c *conn, gen uint32) {
	for c.gen == gen && c.state&(resumed|gone) == resumed {
		c.state &^= resumed
		if c.state&(closing|again) == 0 {
			l.proceed(c)
		}
	}
}
