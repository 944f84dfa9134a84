package attack

import (
	"errors"
	"time"

	"weir/bench/target"
)

// uploadFlood sends requests with large bodies, or large frames, as fast as the server takes them, and reads what comes
// back.
//
//	attacker                    server
//	   | 1 MB 1 MB 1 MB ... ---> |  few requests, many bytes: limits on frames see little of it
//	   | <--- 1 MB, or 413       |
//
// Of HTTP targets it wants a path that takes a body, such as weir's /echo. A server that takes less than -size shows
// what it does with a body that it has refused.
//
// Aimed at: memory, the copying of bytes, the loop's time for others while one connection always has more.
// What ought to stop it: a budget of bytes for each source and connection, a bound on the bytes of one turn, a largest
// body.
var uploadFlood = Kind{
	Name:  "upload-flood",
	Help:  "sends bodies or frames of a megabyte at full speed: aims at memory and the time of the loops",
	Units: "bodies",
	takes: []string{"count", "size", "version", "sni"},
	defaults: Options{
		Conns: 8, Count: 1_000_000, Size: 1 << 20,
		Duration: 5 * time.Second, Sources: 8, Loops: 1, Nice: 10,
	},
	total: 1000,
	check: func(o Options, t target.Target) error {
		if o.Size < 1 {
			return errors.New("size must be at least 1: without a body there is no upload")
		}
		return checkTLS(o, t)
	},
	loop: func(r *run) error { return (&frames{run: r, burst: 1, batchBytes: batchBytes}).flood() },
}
