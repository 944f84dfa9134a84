package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
	"weir/guard"
)

const (
	// roundPull is what one round over all connections that pull may send, about 1 ms: each has an
	// equal share of it, of mostPull at most and leastPull at least. The poller says at once that
	// more can be written, after the others have had their turn. Large pieces are cheaper: at 512
	// KiB a reader that is alone costs 10 % more than at 2 MiB, which is also nginx's figure.
	roundPull = 4 << 20
	mostPull  = 2 << 20
	leastPull = 128 << 10
	// pullBytes is what a source is asked to read at once: with what TLS adds it fits the largest
	// class of buffers, where the kernel may leave all of it. It is what a peer that stops
	// reading can make us hold.
	pullBytes = 48 << 10
	// pullAgain is after how long a source that has nothing Later is asked again.
	pullAgain = 10 * time.Millisecond
)

// Send is service.Conn's.
func (c *conn) Send(s service.Source) {
	switch {
	case c.state&(gone|closing|lingering) != 0:
		s.Release()
	case c.src != nil || c.loop.cur != c:
		s.Release()
		c.loop.overflow(c)
	default:
		c.src = s
		c.state |= pulling
		c.loop.pulls++
	}
}

// Ready is service.Conn's.
func (c *conn) Ready() {
	if c.state&(resting|gone) == resting {
		c.state &^= resting
		c.loop.yield(c)
	}
}

// pull sends what c.src has, behind what is queued, until it ends, has nothing for now, the kernel
// takes no more, or the turn is over. It reports whether the source has ended and something more may
// be served. It is called in c's own wakes only.
//
// hot: 0 allocs, see BenchmarkSource
func (l *loop) pull(c *conn) (ended bool) {
	turn := min(max(roundPull/l.pulls, leastPull), mostPull)
	if c.tls != nil { // reading and encrypting takes four times as long
		turn /= 4
	}
	for c.out == nil && c.state&(busy|resting|gone) == 0 && l.pulled < turn {
		flow := service.More
		var r service.Range
		if c.tls == nil {
			r, flow = c.src.File(c)
		}
		if r.N > 0 {
			if !l.pullFile(c, r, turn-l.pulled) {
				break
			}
			continue
		}
		if flow == service.More {
			flow = l.pullBytes(c)
		}
		if c.state&gone != 0 {
			return false
		}
		switch flow {
		case service.End:
			l.unsend(c)
			return true
		case service.Pause, service.Later:
			l.rests(c, flow)
		case service.Broken:
			l.drop(c, guard.ShedAnswer)
		}
	}
	if c.state&(gone|busy) == 0 && c.stage != unknownStage { // nothing is asked of the peer but to read
		c.state &^= fresh | idling // the clocks are set anew at the end
		c.stage = unknownStage
		l.g.Phase(c.id, guard.Busy)
	}
	return false
}

// pullFile has the kernel send a part of a file, most bytes at most, and reports whether it may take
// more.
func (l *loop) pullFile(c *conn, r service.Range, most int) (more bool) {
	if l.push(c, unix.MSG_MORE); c.out != nil || c.state&gone != 0 {
		return false
	}
	n, errno := sendFile(c.fd, r.FD, r.Offset, int(min(r.N, int64(most))))
	l.count.writes++
	switch {
	case errno == unix.EAGAIN:
		l.owes(c)
		return false
	case errno == unix.EPIPE || errno == unix.ECONNRESET:
		l.drop(c, guard.OK)
		return false
	case errno != 0 || n == 0: // the disk failed, or the file is shorter than it was
		l.drop(c, guard.ShedAnswer)
		return false
	}
	l.wrote(c, n)
	l.count.sendfile += uint64(n)
	l.pulled += n
	c.src.Sent(n)
	if int64(n) == min(r.N, int64(most)) {
		return true
	}
	l.owes(c)
	return false
}

// pullBytes gathers a part of a source in the loop's buffer, and sends what has gathered when that is
// much.
func (l *loop) pullBytes(c *conn) service.Flow {
	room := min(pullBytes, c.ln.MaxOut)
	if len(l.out) > 0 && len(l.out)+room > readBytes || c.tls != nil && len(l.out) > room/2 {
		if l.flush(c); c.out != nil || c.state&gone != 0 {
			return service.More
		}
	}
	if at := len(l.out); cap(l.out)-at < room {
		l.out = append(make([]byte, 0, at+room), l.out...)
	}
	at := len(l.out)
	n, flow := c.src.Read(c, l.out[at:at+room])
	l.out = l.out[:at+n]
	l.pulled += n
	if flow == service.More && n == 0 {
		panic("engine: a source that has more and gives nothing")
	}
	return flow
}

// rests leaves a source alone that has nothing now. Meanwhile nothing is owed.
func (l *loop) rests(c *conn, f service.Flow) {
	if l.flush(c); c.state&gone != 0 || c.out != nil {
		return // it is asked again when that is gone
	}
	l.settled(c)
	if c.state&busy != 0 { // until the work is done
		return
	}
	c.state |= resting
	if f == service.Later {
		l.timers.push(timer{at: l.g.Now().Add(pullAgain), c: c, gen: c.gen, pull: true})
	}
}

// unsend lets go of a source that has ended.
func (l *loop) unsend(c *conn) {
	s := c.src
	c.src = nil
	c.state &^= pulling | resting
	l.pulls--
	if c.out == nil {
		l.settled(c)
	}
	s.Release()
}
