package attack

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/target"
	"weir/bench/wire"
)

// frameFlood sends whole, valid requests as fast as a few connections take them, without waiting for replies:
// pipelined HTTP requests, frames, lines. Where the target speaks TLS they go inside it.
//
//	attacker                 server
//	   | request request ...  -> |  every one of them is legal, there are only too many
//	   | <------- reply reply    |  read and thrown away as fast as they come
//
// Aimed at: the CPU of the loops, and the patience of the other connections on them.
// What ought to stop it: a bucket of frames and bytes for each source, a budget for each connection, a bound on
// the work of one wake. A connection that is cut is opened again, up to -total.
var frameFlood = Kind{
	Name:  "frame-flood",
	Help:  "sends valid requests without waiting for replies: aims at the CPU of the loops",
	Units: "frames",
	takes: []string{"count", "size", "version", "sni"},
	defaults: Options{
		Conns: 64, Count: 100_000_000,
		Duration: 5 * time.Second, Sources: 16, Loops: 1, Nice: 10,
	},
	total: 1000, // servers end a connection after so many requests, and a shed attacker comes back
	check: func(o Options, t target.Target) error {
		if o.Size > 1<<20 {
			return fmt.Errorf("size %d: at most 1048576 bytes, a flood is of many frames", o.Size)
		}
		return checkTLS(o, t)
	},
	loop: func(r *run) error { return (&frames{run: r, burst: 1, batchBytes: batchBytes}).flood() },
}

const (
	// batchBytes is how much one write offers: large enough that the attacker pays little for a request, small
	// enough that a server with a bound on its buffers gets to show it.
	batchBytes = 32 << 10
	// minWait is the shortest sleep at a rate: above 5,000 frames a second a few go in one write.
	minWait = 200 * time.Microsecond
	// lastReplies is how long replies may still trickle in when everything is sent.
	lastReplies = 200 * time.Millisecond
)

type frames struct {
	*run
	burst      int // requests that begin together, or none does; above 1 the next wait for all their answers
	batchBytes int // of batch, at least one request in any case
	request    *wire.Request
	batch      []byte // whole requests, one after the other
	flows      []flow // parallel to conns
	granted    int64  // requests given to connections to write, ≤ opts.Count
	heard      time.Duration
}

// flow is what one connection has under way.
type flow struct {
	written int64 // bytes, on this connection
	pending int   // bytes granted and not yet written
	owed    int   // answers to what was granted that are still to come
	canRead bool  // told readable, and not yet read dry
	canSend bool  // told writable, and not yet full
	replies wire.Replies
}

func (f *frames) flood() (err error) {
	if err := f.inTLS(f.opts.Version); err != nil {
		return err
	}
	if f.request, err = wire.NewRequest(f.target, wire.SizeOr(f.target, f.opts.Size)); err != nil {
		return err
	}
	for len(f.batch) == 0 || len(f.batch)+len(f.request.Bytes) <= f.batchBytes {
		f.batch = append(f.batch, f.request.Bytes...)
	}
	f.flows = make([]flow, len(f.conns))
	pace, err := newPace(f.opts.Rate)
	if err != nil {
		return err
	}
	allowed, first := 0, 0
	for !f.over() {
		now := f.now()
		for n := 0; n < dialsPerTurn && f.dial(); n++ {
		}
		for f.opts.Rate > 0 && allowed < 1<<20 && pace.take(now) {
			allowed++
		}
		if f.opts.Rate == 0 {
			allowed = int(min(f.opts.Count, 1<<30))
		}
		busy := false
		for n := range f.conns {
			i := int32((first + n) % len(f.conns))
			busy = f.serve(i, &allowed) || busy
		}
		first++ // so that a low rate is not all spent on the first connections
		if f.done(now) {
			return nil
		}
		wait := time.Duration(0)
		if !busy {
			wait = maxWait
			if f.opts.Rate > 0 && !f.enough(allowed) {
				wait = max(pace.wait(now), minWait)
			}
		}
		f.turn(wait, f)
	}
	return nil
}

// done reports whether all that may be sent was sent and answered, or cannot be sent any more.
func (f *frames) done(now time.Duration) bool {
	if f.spent() && f.used() == 0 {
		return true
	}
	if f.granted < f.opts.Count {
		return false
	}
	for i := range f.flows {
		if f.conns[i].fd >= 0 && f.flows[i].pending > 0 {
			return false
		}
	}
	return now-f.heard > lastReplies
}

func (f *frames) stood(i int32) {
	w := &f.flows[i]
	*w = flow{canSend: true, replies: w.replies}
	w.replies.Reset(f.request)
}

func (f *frames) readable(i int32) { f.flows[i].canRead = true }
func (f *frames) writable(i int32) { f.flows[i].canSend = true }

// serve reads and writes once on a connection and reports whether it could go on at once.
func (f *frames) serve(i int32, allowed *int) bool {
	c, w := &f.conns[i], &f.flows[i]
	if c.fd < 0 || !c.ready {
		return false
	}
	generation := c.generation
	if w.canRead {
		w.canRead = f.read(i, func(b []byte) bool {
			f.heard = f.now()
			got, err := w.replies.Feed(b)
			f.counts.replies.Add(int64(got.OK))
			f.counts.bad.Add(int64(got.Bad))
			w.owed -= got.OK + got.Bad
			return err == nil
		})
		if c.fd < 0 || c.generation != generation {
			return true
		}
	}
	if w.canSend {
		f.write(i, allowed)
	}
	return w.canRead || w.canSend && (w.pending > 0 || f.enough(*allowed) && f.turnOf(w))
}

// turnOf reports whether a connection that has nothing left to write may begin again.
func (f *frames) turnOf(w *flow) bool { return f.burst == 1 || w.owed <= 0 }

// enough reports whether so many requests that may be sent now are worth beginning.
func (f *frames) enough(allowed int) bool {
	n := min(int64(f.burst), f.opts.Count-f.granted)
	return n > 0 && int64(allowed) >= n
}

func (f *frames) write(i int32, allowed *int) {
	c, w := &f.conns[i], &f.flows[i]
	size := len(f.request.Bytes)
	if w.pending == 0 {
		if !f.enough(*allowed) || !f.turnOf(w) {
			return
		}
		n := int(min(int64(len(f.batch)/size), int64(*allowed), f.opts.Count-f.granted))
		*allowed -= n
		f.granted += int64(n)
		w.pending = n * size
		w.owed += n
	}
	at := int(w.written % int64(len(f.batch)))
	b := f.batch[at:min(len(f.batch), at+w.pending)]
	if f.secure != nil {
		b = b[:min(len(b), batchBytes)] // a tunnel keeps what it was given until it is sent
	}
	n, err := f.run.write(i, b)
	before := w.written / int64(size)
	w.written += int64(n)
	w.pending -= n
	f.counts.bytes.Add(int64(n))
	f.counts.units.Add(w.written/int64(size) - before)
	f.heard = f.now()
	switch {
	case err == unix.EAGAIN:
		w.canSend = false
	case err != nil:
		// The reset may have an answer before it, which reading finds; it ends the connection either way.
		c.broke = true
		w.canSend, w.canRead = false, true
	case n < len(b):
		w.canSend = false
	}
}
