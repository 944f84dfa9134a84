package attack

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/target"
)

// slowRead asks for large answers and reads them a few bytes at an interval, through the smallest receive buffer.
//
//	attacker                 server
//	   | request ... ---------> |  an answer of which a window's worth leaves
//	   | reads a byte           |
//	   |      ... interval ...  |
//	   | reads a byte           |  a timeout that begins anew with each byte taken never ends
//
// As the kernel opens a window only when it is worth it, the server sees nothing move for a while and then a KB or two.
// It wants large answers: of weir's /echo, of a large file with -size 0, of frames with a large payload.
//
// Aimed at: memory for output and connection slots, for as long as the answer lasts.
// What ought to stop it: a bound on output, a least rate at which a peer takes what it asked for.
var slowRead = Kind{
	Name:  "slow-read",
	Help:  "asks for large answers and reads a byte at an interval: aims at memory for output and connection slots",
	Units: "requests",
	takes: []string{"count", "size", "pipeline", "sip", "interval", "version", "sni"},
	defaults: Options{
		Conns: 500, Count: 10_000_000, Size: 100_000, Pipeline: 10, Sip: 1, Interval: time.Second,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	total: 20,
	check: func(o Options, t target.Target) error {
		if o.Sip < 1 || o.Sip > 1<<16 {
			return fmt.Errorf("sip %d: must be from 1 to 65536 bytes", o.Sip)
		}
		return checkAsk(o, t)
	},
	loop: func(r *run) error {
		t, err := newAsker(r, r.opts.Pipeline)
		if err != nil {
			return err
		}
		r.receive = smallReceive(r.target)
		s := &sipper{talker: t}
		s.tick = s.sipAll
		return s.pour(s)
	},
}

// sipper reads by the clock, not when there is something.
type sipper struct {
	*talker
	next ring.Queue[handle] // who reads next; one entry for each connection that stands
}

func (s *sipper) stood(i int32) {
	c := &s.conns[i]
	generation := c.generation
	s.talker.stood(i)
	if c.fd >= 0 && c.generation == generation {
		s.next.Push(handle{i, generation, s.now() + s.opts.Interval})
	}
}

// readable looks for the end only.
func (s *sipper) readable(i int32) { s.ended(i) }

func (s *sipper) sipAll(now time.Duration) time.Duration {
	for s.next.Len() > 0 && s.next.First().at <= now {
		s.sip(s.next.Pop())
	}
	if s.next.Len() == 0 {
		return maxWait
	}
	return min(maxWait, max(0, s.next.First().at-now))
}

// sip reads once and puts the connection back in line. One that ended meanwhile drops out.
func (s *sipper) sip(h handle) {
	c := &s.conns[h.slot]
	if c.fd < 0 || c.generation != h.generation {
		return
	}
	n, err := sock.Read(int(c.fd), s.in[:s.opts.Sip])
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		s.end(h.slot, byReset)
		return
	case n == 0:
		s.end(h.slot, byClose)
		return
	case s.secure != nil:
		s.tunnels[h.slot].Receive(s.in[:n])
		if !s.open(h.slot, ignore) {
			return
		}
	default:
		c.answered = true
	}
	h.at += s.opts.Interval
	s.next.Push(h)
}
