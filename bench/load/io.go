package load

import (
	"io"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/latency"
	"weir/bench/sock"
	"weir/bench/tunnel"
	"weir/bench/wire"
)

// unread is a connection of which there was more to read than one turn takes.
type unread struct {
	i          int
	generation uint32
	ending     bool
}

// tlsPart is how much of a request is encrypted before the socket took what was: what a connection holds of a large
// one is bounded by it.
const tlsPart = 32 << 10

// write sends what it can of the requests under way and of what TLS has to say.
func (l *Lane) write(i int, now time.Duration) {
	c := &l.conns[i]
	for {
		if c.tls != nil && !l.flush(i, now) {
			return
		}
		if c.owed == 0 || c.state != ready {
			return
		}
		rest := l.batch[c.offset:]
		rest = rest[:min(c.owed, len(rest))]
		n := len(rest)
		var err error
		if c.tls != nil {
			n = min(n, tlsPart)
			err = c.tls.Write(rest[:n])
		} else {
			n, err = sock.Write(int(c.fd), rest)
		}
		if err == unix.EAGAIN {
			return // told when there is room
		}
		if err != nil {
			l.cut(i, now)
			return
		}
		c.owed -= n
		c.offset = (c.offset + int32(n)) % int32(len(l.request.Bytes))
	}
}

// owes reports whether there is something that was not sent for want of room.
func (l *Lane) owes(c *conn) bool {
	return c.tls != nil && c.tls.Pending() || c.state == ready && c.owed > 0
}

// flush sends what TLS has ready and reports whether all of it is gone. A connection that broke over it is cut.
func (l *Lane) flush(i int, now time.Duration) bool {
	c := &l.conns[i]
	err := c.tls.Flush(int(c.fd))
	if err != nil && err != unix.EAGAIN {
		l.broke(i, now)
	}
	return err == nil
}

// broke ends a connection of which a read or write failed.
func (l *Lane) broke(i int, now time.Duration) {
	if l.conns[i].state == shaking {
		l.shakeFailed(i, now, latency.Cut)
		return
	}
	l.cut(i, now)
}

// readsAtOnce is how often one connection is read before the others, the clock and the end of the run have their turn: a
// server that sends faster than it is read would hold the loop for ever.
const readsAtOnce = 4

// read takes what there is, up to a bound: what it leaves is taken up by the next poll. A read that does not fill the buffer has emptied the socket, and anything later is told
// of anew, so that asking once more for EAGAIN is spared; unless the end, too, was told of already.
func (l *Lane) read(i int, ending bool) {
	c := &l.conns[i]
	for turn := 0; ; turn++ {
		if turn == readsAtOnce {
			l.unread = append(l.unread, unread{i, c.generation, ending})
			return
		}
		n, err := sock.Read(int(c.fd), l.in)
		if err == unix.EAGAIN {
			return
		}
		now := l.now()
		lives := false
		switch {
		case err != nil || n == 0 && c.state == shaking:
			l.broke(i, now)
		case n == 0 && c.tls != nil:
			// An end without a goodbye may have been made by anybody: it completes nothing.
			l.cut(i, now)
		case n == 0:
			l.ended(i, now)
		case c.tls != nil:
			lives = l.decrypt(i, l.in[:n])
		default:
			lives = l.take(i, l.in[:n], now)
		}
		if !lives || n < len(l.in) && !ending {
			return
		}
	}
}

// decrypt takes bytes of a TLS connection and reports whether it lives on.
func (l *Lane) decrypt(i int, b []byte) bool {
	c := &l.conns[i]
	if !c.tls.Up() {
		if !l.step(i, b) {
			return false
		}
		if !c.tls.Up() {
			return true
		}
	} else {
		c.tls.Receive(b)
	}
	for {
		n, err := c.tls.Read(l.plain)
		now := l.now() // what decrypting took belongs to the latency
		if n > 0 && !l.take(i, l.plain[:n], now) {
			return false
		}
		switch err {
		case nil:
		case tunnel.ErrMore:
			_ = l.flush(i, now)
			return c.tls != nil
		case io.EOF:
			l.ended(i, now)
			return false
		default:
			l.cut(i, now)
			return false
		}
	}
}

// take feeds the replies and reports whether the connection lives on.
func (l *Lane) take(i int, b []byte, now time.Duration) bool {
	got, err := l.conns[i].replies.Feed(b)
	return l.handle(i, got, err, now)
}

// ended is the orderly end of what the server sends.
func (l *Lane) ended(i int, now time.Duration) {
	if got := l.conns[i].replies.End(); got.OK+got.Bad > 0 {
		l.handle(i, got, nil, now) // the end was that of a reply without a length
		return
	}
	l.cut(i, now)
}

// handle acts on what the replies came to and reports whether the connection lives on.
func (l *Lane) handle(i int, got wire.Count, bad error, now time.Duration) bool {
	c := &l.conns[i]
	if begun := int(c.asked) - c.owed/len(l.request.Bytes); got.OK > begun {
		got.OK, bad = begun, wire.ErrReply // an answer to what was not asked yet is none
	}
	if got.OK+got.Bad > 0 && c.asked > 0 {
		generation := c.generation
		l.answered(i, got, now)
		if c.state == down || c.generation != generation {
			return false // a newcomer has left
		}
	}
	if bad != nil {
		l.fail(i, latency.Protocol)
	}
	if bad == nil && got.Close {
		l.withdraw(i)
	}
	if bad != nil || got.Close {
		l.cut(i, now)
		return false
	}
	if c.owed > 0 {
		generation := c.generation
		l.write(i, now)
		return c.generation == generation
	}
	return true
}
