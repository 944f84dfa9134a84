package attack

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/target"
)

// errDrip is what attacks that drip say to a size of 0.
var errDrip = errors.New("size must be at least 1: a drip is a byte or more")

// checkDrip is the check of attacks that drip, over TLS too.
func checkDrip(o Options, t target.Target) error {
	if o.Size < 1 {
		return errDrip
	}
	return checkTLS(o, t)
}

// script is what is dripped. Append appends the n bytes that begin at offset, or those that are left of them.
type script interface {
	Append(dst []byte, offset int64, n int) []byte
}

// dripper opens many connections and sends the same script into each, some bytes at an interval. One whose script is
// over is held in silence.
type dripper struct {
	*run
	script  script
	size    int                     // bytes of a drip
	hear    func(i int32, b []byte) // takes the answers; nil: nobody does
	offsets []int64                 // parallel to conns: bytes of the script written
	next    ring.Queue[handle]      // whose drip is due next; one entry for each connection that stands and has some left
	sent    int64
	out     []byte
}

func newDripper(r *run, s script, size int) *dripper {
	return &dripper{run: r, script: s, size: size, offsets: make([]int64, len(r.conns))}
}

func (d *dripper) drip() error {
	pace, err := newPace(d.opts.Rate)
	if err != nil {
		return err
	}
	for !d.over() && d.sent < d.opts.Count {
		now := d.now()
		for n := 0; n < dialsPerTurn && !d.spent() && len(d.free) > 0 && pace.take(now); n++ {
			if !d.dial() {
				break
			}
		}
		for d.next.Len() > 0 && d.next.First().at <= now {
			d.feed(d.next.Pop())
		}
		if d.spent() && d.used() == 0 {
			return nil
		}
		wait := maxWait
		if !d.spent() && len(d.free) > 0 {
			wait = max(pace.wait(now), 200*time.Microsecond) // no hurry: the point is to be many, not quick
		}
		if d.next.Len() > 0 {
			wait = min(wait, max(0, d.next.First().at-now))
		}
		d.turn(wait, d)
	}
	return nil
}

func (d *dripper) stood(i int32) {
	sock.NoDelay(int(d.conns[i].fd))
	d.offsets[i] = 0
	d.feed(handle{i, d.conns[i].generation, d.now()})
}

func (d *dripper) readable(i int32) {
	d.read(i, func(b []byte) bool {
		if d.hear != nil {
			d.hear(i, b)
		}
		return true
	})
}

func (d *dripper) writable(int32) {}

// feed sends one drip and puts the connection back in line. One that ended meanwhile drops out.
func (d *dripper) feed(h handle) {
	c := &d.conns[h.slot]
	if c.fd < 0 || c.generation != h.generation {
		return
	}
	d.out = d.script.Append(d.out[:0], d.offsets[h.slot], d.size)
	if len(d.out) == 0 {
		return
	}
	n, err := d.write(h.slot, d.out)
	if err != nil && err != unix.EAGAIN {
		// EPIPE or a reset: an answer that came before it still counts.
		c.broke = true
		d.readable(h.slot)
		if c.fd >= 0 && c.generation == h.generation {
			d.end(h.slot, byReset)
		}
		return
	}
	d.offsets[h.slot] += int64(n)
	d.counts.bytes.Add(int64(n))
	if n > 0 {
		d.sent++
		d.counts.units.Add(1)
	}
	h.at += d.opts.Interval
	d.next.Push(h)
}
