package attack

import (
	"time"

	"weir/bench/wire"
)

// slowloris opens many connections and drips a request into each, a few bytes at a time, that never becomes
// whole: an HTTP head whose fields never end, a frame of which a byte comes now and then, a line without an end. Where the
// target speaks TLS the handshakes are made first, and each drip is a record.
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
	takes: []string{"count", "size", "frame", "interval", "version", "sni"},
	defaults: Options{
		Conns: 2_000, Count: 50_000_000, Size: 1, Frame: 1000, Interval: time.Second,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	total: 1,
	check: checkDrip,
	loop: func(r *run) error {
		if err := r.inTLS(r.opts.Version); err != nil {
			return err
		}
		stream, err := wire.NewStream(r.target, r.opts.Frame)
		if err != nil {
			return err
		}
		return newDripper(r, stream, r.opts.Size).drip()
	},
}
