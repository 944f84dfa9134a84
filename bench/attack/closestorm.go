package attack

import (
	"time"

	"weir/bench/sock"
)

// closeStorm connects and closes at once, in the orderly way, over and over. With -hold it closes only its own direction,
// and waits for so long for the server to close the other.
//
//	attacker                 server
//	   | SYN ----------------> |
//	   | FIN ----------------> |  accepted, and over before anything was said
//	   | <-- FIN               |  without one, half a connection stands here for as long as nobody cares
//
// Aimed at: the accept queue, connections in CLOSE_WAIT, a log line for each.
// What ought to stop it: an end of the stream that is noticed while nothing else is due; a limit on new connections for
// each source.
var closeStorm = Kind{
	Name:  "close-storm",
	Help:  "connects and closes at once, or closes its half only: aims at the accept queue and half-open connections",
	Units: "connections",
	takes: []string{"hold"},
	defaults: Options{
		Conns: 64, Total: 200_000,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	loop: func(r *run) error {
		f := &closer{flood{run: r}}
		return f.pour(f)
	},
}

type closer struct{ flood }

func (f *closer) stood(i int32) {
	f.counts.units.Add(1)
	sock.EndWrites(int(f.conns[i].fd))
	if f.opts.Hold > 0 {
		f.hold(i, f.conns[i].since)
		return
	}
	f.leave(i)
}

func (f *closer) readable(i int32) { f.read(i, ignore) }
func (f *closer) writable(int32)   {}
