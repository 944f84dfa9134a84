package attack

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/ring"
	"weir/bench/sock"
)

const (
	// connectTimeout is when a connect that was not answered is given up: a SYN is sent again after 1 and 3 s.
	connectTimeout = 5 * time.Second
	// maxWait is the longest sleep of a loop: how soon it notices that its attack is over.
	maxWait = 20 * time.Millisecond
	// readsPerTurn bounds what is read from one connection before the others have their turn.
	readsPerTurn = 4
)

// conn is one connection of an attack: 24 bytes. What an attack needs beside stands in a slice of its own,
// parallel to run.conns. fd ≥ 0 ⇔ the slot is not free.
type conn struct {
	fd         int32
	generation uint32        // counts connections in this slot, so that late events miss
	stands     bool          // TCP's handshake is complete
	ready      bool          // and TLS's, where there is one: stood was told
	answered   bool          // bytes came from the server; inside TLS, bytes that it held
	broke      bool          // a write failed: the end of the stream that is read next was a reset
	since      time.Duration // when its connect began, since the attack did
}

// handle names one connection, and no later one in the same slot.
type handle struct {
	slot       int32
	generation uint32
	at         time.Duration
}

type pendings = ring.Queue[handle]

// ending says who ended a connection.
type ending uint8

const (
	byReset ending = iota // the server, with a reset
	byClose               // the server, in the orderly way
	byUs
)

// wants is how an attack hears of its connections. The slot's conn is valid during the call; stood and readable
// may end it.
type wants interface {
	stood(i int32)    // the handshake is complete; inside TLS, that one
	readable(i int32) // bytes or an end are there; told once for each change
	writable(i int32) // room again; told once for each change, and after stood
}

// dial begins a connection if there may be one more now, and reports whether it did.
func (r *run) dial() bool {
	if r.spent() || len(r.free) == 0 {
		return false
	}
	if !r.room.Take() {
		r.counts.short.Store(true)
		return false
	}
	r.begun++
	r.counts.attempts.Add(1)
	fd, err := sock.DialReceiving(r.target.Addr, r.sources[r.begun%len(r.sources)], r.receive)
	if err != nil {
		r.room.Return()
		if err == unix.EMFILE || err == unix.ENFILE {
			r.counts.short.Store(true)
		}
		r.counts.failed(err)
		r.stuck = err != unix.ECONNREFUSED
		return false
	}
	r.stuck = false
	i := r.free[len(r.free)-1]
	r.free = r.free[:len(r.free)-1]
	c := &r.conns[i]
	*c = conn{fd: int32(fd), generation: c.generation + 1, since: r.now()}
	if err := r.poller.Add(fd, uint64(uint32(i))|uint64(c.generation)<<32); err != nil {
		r.counts.local.Add(1)
		r.stuck = true
		r.release(i, true)
		return false
	}
	r.pending.Push(handle{i, c.generation, c.since})
	return true
}

// turn waits for up to the given time and tells w what happened.
func (r *run) turn(wait time.Duration, w wants) {
	if r.stuck {
		wait = max(wait, time.Millisecond) // no ports or descriptors: trying again at once would only spin
	}
	for _, ev := range r.poller.Wait(min(wait, maxWait)) {
		i := int32(uint32(ev.Token))
		c := &r.conns[i]
		generation := uint32(ev.Token >> 32)
		alive := func() bool { return c.fd >= 0 && c.generation == generation }
		if !alive() {
			continue
		}
		if !c.stands && (ev.Writable || ev.Broken) {
			r.connected(i, w)
		}
		if alive() && c.stands && ev.Readable {
			if c.ready {
				w.readable(i)
			} else {
				r.shake(i, w)
			}
		}
		if alive() && c.stands && ev.Writable && r.flush(i) && c.ready {
			w.writable(i)
		}
	}
	r.giveUp()
}

func (r *run) connected(i int32, w wants) {
	c := &r.conns[i]
	now := r.now()
	switch err := sock.Problem(int(c.fd)); err {
	case nil:
		r.stand(c, now)
		if r.secure != nil {
			r.beginShake(i)
			return
		}
		c.ready = true
		w.stood(i)
	case unix.ECONNRESET, unix.EPIPE:
		// Completed and reset before we looked.
		r.stand(c, now)
		r.end(i, byReset)
	default:
		r.counts.failed(err)
		r.release(i, true)
	}
}

func (r *run) stand(c *conn, now time.Duration) {
	c.stands = true
	r.counts.established.Add(1)
	r.counts.open.Add(1)
	r.connect.Add(now - c.since)
}

// giveUp drops connects that nobody answered.
func (r *run) giveUp() {
	now := r.now()
	for r.pending.Len() > 0 && now-r.pending.First().at > connectTimeout {
		h := r.pending.Pop()
		if c := &r.conns[h.slot]; c.fd >= 0 && c.generation == h.generation && !c.stands {
			r.counts.timedOut.Add(1)
			r.release(h.slot, true)
		}
	}
	// Those that came to something need not wait in the queue: under a long flood it would only grow.
	for r.pending.Len() > 0 {
		h := r.pending.First()
		if c := &r.conns[h.slot]; c.fd >= 0 && c.generation == h.generation && !c.stands {
			return
		}
		r.pending.Pop()
	}
}

// read takes what the server sent, a bounded amount, and passes it to use, which is not to keep it and returns
// false to end the connection. It reports whether there may be more; a connection that ended has none. While use runs
// for the first time, answered is not set yet.
func (r *run) read(i int32, use func([]byte) bool) (more bool) {
	c := &r.conns[i]
	if r.secure != nil && !r.open(i, use) {
		return false
	}
	for range readsPerTurn {
		n, err := sock.Read(int(c.fd), r.in)
		switch {
		case err == unix.EAGAIN:
			return false
		case err != nil:
			r.end(i, byReset)
			return false
		case n == 0:
			r.end(i, byClose)
			return false
		}
		if r.secure != nil {
			r.tunnels[i].Receive(r.in[:n])
			if !r.open(i, use) {
				return false
			}
			continue
		}
		if !use(r.in[:n]) {
			r.end(i, byUs)
			return false
		}
		c.answered = true
	}
	return true
}

// ended ends a connection that the server has ended, whatever lies unread before, and reports whether it did. For
// attacks that do not read what is there.
func (r *run) ended(i int32) bool {
	c := &r.conns[i]
	fate, heard := sock.FateOf(int(c.fd))
	c.answered = c.answered || heard && r.secure == nil
	switch fate {
	case sock.Reset:
		r.end(i, byReset)
	case sock.Closed:
		r.end(i, byClose)
	}
	return fate != sock.Alive
}

// end closes a connection that stands and counts who ended it.
func (r *run) end(i int32, who ending) {
	c := &r.conns[i]
	r.counts.open.Add(-1)
	if c.broke && who == byClose {
		who = byReset
	}
	if who == byClose && r.closing != nil {
		r.closing(i)
	}
	switch who {
	case byReset:
		r.counts.resets.Add(1)
	case byClose:
		r.counts.closes.Add(1)
	}
	if who != byUs {
		r.age.Add(r.now() - c.since)
		if c.answered {
			r.counts.answered.Add(1)
		}
	}
	r.release(i, who != byReset)
}

// leave ends a connection from this side as a client does that is done, with a FIN.
func (r *run) leave(i int32) {
	r.counts.open.Add(-1)
	r.release(i, false)
}

// release closes the descriptor and frees the slot.
func (r *run) release(i int32, abort bool) {
	c := &r.conns[i]
	if r.secure != nil && r.tunnels[i] != nil {
		r.tunnels[i].Stop()
		r.tunnels[i] = nil
	}
	if abort {
		sock.Abort(int(c.fd))
	} else {
		sock.Close(int(c.fd))
	}
	c.fd = -1
	r.free = append(r.free, i)
	r.room.Return()
}

// closeAll ends what is left. Counts.open keeps what it was: that is what the attack ended with.
func (r *run) closeAll() {
	for i := range r.conns {
		if r.conns[i].fd >= 0 {
			r.release(int32(i), true)
		}
	}
}
