package engine

import (
	"context"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
	"weir/guard"
)

// Stop ends the engine in order: nothing more is accepted, idle connections are closed, frames in
// flight are finished for up to DrainTimeout, or until ctx ends, then everything is closed. It
// returns when all loops have ended, with Wait's error. Any goroutine; a second call waits with the
// first.
func (e *Engine) Stop(ctx context.Context) error {
	e.stopOnce.Do(func() { close(e.stopping) })
	e.startOnce.Do(func() { // never started
		for _, l := range e.loops {
			l.release()
		}
		e.finish()
	})
	for _, l := range e.loops {
		l.do(l.drain)
	}
	limit := time.NewTimer(e.cfg.DrainTimeout)
	defer limit.Stop()
	select {
	case <-e.done:
		return e.Wait()
	case <-limit.C:
	case <-ctx.Done():
	}
	for _, l := range e.loops {
		l.do(l.cut)
	}
	return e.Wait()
}

// drain stops accepting and closes what is idle. What the kernel has accepted already is served.
func (l *loop) drain() {
	if l.draining {
		return
	}
	for _, ln := range l.listeners {
		for range 4096 / turnAccepts { // a bound on what somebody may keep adding meanwhile
			before := ln.accepted + ln.refused
			l.accepts(ln)
			if ln.accepted+ln.refused == before {
				break
			}
		}
		ln.close(l)
	}
	l.draining = true
	for l.freeParked() { // nobody will need them
	}
	for _, c := range l.byFD {
		if c != nil && c.state&lingering != 0 { // its answer and our FIN are sent
			l.end(c, false)
			continue
		}
		if c == nil || c.state&(stops|again|eof) != 0 || waiting(c.fd) > 0 {
			continue
		}
		gen := c.gen
		l.enter(c)
		l.leave(c, gen)
	}
	l.stopWhenEmpty()
}

// retire closes a connection that is between two frames while the loop drains.
func (l *loop) retire(c *conn) {
	if c.opening != opened {
		if c.opening != shaking && c.in == nil && c.state&stops == 0 && waiting(c.fd) == 0 {
			c.state |= closing
		}
		return
	}
	if c.up != nil {
		l.retireRelay(c)
		return
	}
	if c.state&(stops|again) == 0 && c.in == nil && c.out == nil && len(l.out) == 0 && (c.tls == nil || c.tls.raw == nil) &&
		c.sess.Stage() == service.Between && waiting(c.fd) == 0 {
		c.state |= closing
	}
}

func (l *loop) stopWhenEmpty() {
	if l.draining && l.conns == 0 {
		l.stopped = true
	}
}

// cut closes everything at once.
func (l *loop) cut() {
	l.drain()
	for _, c := range l.byFD {
		if c != nil {
			l.drop(c, guard.ShedDrain)
		}
	}
	l.stopWhenEmpty()
}

// release closes what the loop still owns after its last turn.
func (l *loop) release() {
	for _, c := range l.byFD {
		if c != nil {
			l.drop(c, guard.ShedDrain)
		}
	}
	if l.summing {
		l.sumUp()
	}
	for _, ln := range l.listeners {
		ln.close(l)
	}
	for l.freeParked() {
	}
	l.pipe.close()
	if l.spareFD >= 0 {
		_ = unix.Close(l.spareFD)
	}
	if l.timerFD >= 0 {
		_ = unix.Close(l.timerFD)
	}
}

// closePollers closes the pollers. Only when all loops and workers have ended: until then somebody may
// wake a loop, which is a write to a descriptor whose number another socket would have by now.
func (e *Engine) closePollers() {
	for _, l := range e.loops {
		l.gate.Lock()
		l.deaf = true
		_ = l.p.Close()
		l.gate.Unlock()
	}
}
