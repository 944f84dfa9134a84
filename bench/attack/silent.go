package attack

import "time"

// silent opens connections without haste and says nothing on them; where the target speaks TLS the handshakes are made
// first. With -pipeline each sends so many good requests before it falls silent.
//
//	attacker                 server
//	   | connect --------------> |
//	   |          ...            |  a descriptor, a place, whatever a connection costs
//	   |                         |  closed at the deadline: the next connection takes its place
//
// A connection-flood is about how many come at once; this is about how long they stay.
//
// Aimed at: connection slots; with requests sent, the slots of those who have proven themselves.
// What ought to stop it: a deadline for the first frame, one for the next, limits on connections for each source. The
// ages at which connections were closed show which it was.
var silent = Kind{
	Name:  "silent",
	Help:  "opens connections at a steady rate and says nothing, or nothing more: aims at connection slots",
	Units: "connections",
	takes: []string{"count", "size", "pipeline", "hold", "version", "sni"},
	defaults: Options{
		Conns: 2_000, Total: 100_000, Count: 1_000_000, Rate: 500,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	check: checkTLS,
	loop: func(r *run) error {
		t, err := newAsker(r, r.opts.Pipeline)
		if err != nil {
			return err
		}
		return t.pour(t)
	},
}
