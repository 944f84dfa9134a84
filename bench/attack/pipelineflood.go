package attack

import (
	"fmt"
	"time"

	"weir/bench/target"
	"weir/bench/wire"
)

// maxBurstBytes bounds what the requests of one burst come to.
const maxBurstBytes = 64 << 20

// pipelineFlood sends -pipeline requests in one write, and again as many when all of them are answered; at a -rate too it
// is whole bursts that are due.
//
//	attacker                        server
//	   | request request ... 1000 -> |  one read is followed by a thousand turns of work
//	   | <----- reply reply ...      |
//
// Aimed at: the other connections of the loop that got the burst.
// What ought to stop it: a bound on the frames and bytes of one turn; buckets of frames for each source.
var pipelineFlood = Kind{
	Name:  "pipeline-flood",
	Help:  "sends a thousand requests in one write and reads the answers: aims at those who wait for their turn",
	Units: "requests",
	takes: []string{"count", "size", "pipeline", "version", "sni"},
	defaults: Options{
		Conns: 16, Count: 100_000_000, Pipeline: 1000,
		Duration: 5 * time.Second, Sources: 16, Loops: 1, Nice: 10,
	},
	total: 1000,
	check: func(o Options, t target.Target) error {
		if o.Pipeline < 1 {
			return errAsk
		}
		if q, err := wire.NewRequest(t, wire.SizeOr(t, o.Size)); err != nil || o.Pipeline*len(q.Bytes) > maxBurstBytes {
			return fmt.Errorf("pipeline %d: requests of one burst may come to %d bytes", o.Pipeline, maxBurstBytes)
		}
		return checkTLS(o, t)
	},
	loop: func(r *run) error {
		q, err := wire.NewRequest(r.target, wire.SizeOr(r.target, r.opts.Size))
		if err != nil {
			return err
		}
		n := r.opts.Pipeline
		return (&frames{run: r, burst: n, batchBytes: n * len(q.Bytes)}).flood()
	},
}
