package attack

import (
	"time"

	"weir/bench/wire"
)

// spray makes every connection from another source, sends a request on each, and goes when it is answered.
//
//	127.0.1.1   | request ----> |  a first sight of each: no history, no debt
//	127.0.2.1   | request ----> |
//	127.0.3.1   | request ----> |  a table of sources fills up, and something has to be forgotten
//
// Against ::1 it rotates through IPv6 prefixes: -first 2001:db8:7::1 -per-net 0 -sources 100000 is one /64, in a network
// namespace in which it is routed to lo, see target.Documentation.
//
// Each /24 holds one source unless -per-net says otherwise. -pipeline is how many requests each sends.
//
// Aimed at: limits for each source, which no one of them comes near, and the tables they are kept in.
// What ought to stop it: limits for wider networks and for all together; tables of a fixed size, in which no good client
// is forgotten for a stranger.
var spray = Kind{
	Name:  "spray",
	Help:  "makes every connection from another source, one request each: aims at limits per source and their tables",
	Units: "requests",
	takes: []string{"count", "size", "pipeline", "hold", "version", "sni"},
	defaults: Options{
		Conns: 256, Total: 1_000_000, Count: 10_000_000, Pipeline: 1,
		Duration: 5 * time.Second, Sources: 30_000, PerNet: 1, Loops: 1, Nice: 10,
	},
	check: checkAsk,
	loop: func(r *run) error {
		t, err := newAsker(r, r.opts.Pipeline)
		if err != nil {
			return err
		}
		answers := make([]int64, len(r.conns))
		s := &sprayer{t, answers}
		t.heard = s.hear
		return s.pour(s)
	},
}

type sprayer struct {
	*talker
	answers []int64 // parallel to conns: requests that were answered
}

func (s *sprayer) stood(i int32) {
	s.answers[i] = 0
	s.talker.stood(i)
}

// hear ends a connection that has all its answers.
func (s *sprayer) hear(i int32, got wire.Count) {
	s.answers[i] += int64(got.OK + got.Bad)
	if w := &s.says[i]; w.left == 0 && s.answers[i] >= w.offset/s.unit {
		s.end(i, byUs)
	}
}
