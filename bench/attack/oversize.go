package attack

import (
	"time"

	"weir/bench/wire"
)

// leastOversize is sent on a connection when no size is given: more than any head or line needs.
const leastOversize = 4 << 20

// oversize begins what is longer than any limit, each connection in another way, and goes on at full speed: frames that
// announce 4 GiB, heads, lines, chunk sizes and trailers without an end.
//
//	attacker                server
//	   | FF FF FF FF ---------> |  is four bytes enough to know better, or is room made first?
//	   | frame frame frame -->  |  up to -size bytes, then silence
//
// Aimed at: memory that follows what is announced, arithmetic on lengths, work that begins anew with each byte.
// What ought to stop it: a limit for each length, looked at before anything is made ready for it.
var oversize = Kind{
	Name:  "oversize",
	Help:  "announces 4 GiB frames, sends heads and lines without an end: aims at memory and arithmetic on lengths",
	Units: "beginnings",
	takes: []string{"size", "hold", "version", "sni"},
	defaults: Options{
		Conns: 32, Total: 100_000, Size: leastOversize,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	check: checkTLS,
	loop: func(r *run) error {
		if err := r.inTLS(r.opts.Version); err != nil {
			return err
		}
		size := int64(r.opts.Size)
		if size == 0 {
			size = leastOversize
		}
		var scripts []script
		for _, s := range wire.Oversize(r.target) {
			scripts = append(scripts, s)
		}
		t := newTalker(r, size, scripts...)
		if err := t.readReplies(); err != nil {
			return err
		}
		return t.pour(t)
	},
}
