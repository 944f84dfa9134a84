package attack

import "time"

// connectionFlood opens connections as fast as it can and says nothing on them.
//
//	attacker                 server
//	   | SYN ------------------> |  accepts, and has to decide without having read a byte
//	   | <-------------- SYN/ACK |
//	   |                         |  shed: RST or FIN, and the next connection takes its place
//	   |                         |  not shed: held until -hold is over, or the attack
//
// Aimed at: the accept queue, descriptors, memory for a connection, the cost of accepting one.
// What ought to stop it: limits on connections and new connections a second, for each source and in all; a
// deadline for the first byte.
var connectionFlood = Kind{
	Name:  "connection-flood",
	Help:  "connects as fast as possible from many sources and says nothing: aims at descriptors and the accept queue",
	Units: "connections",
	takes: []string{"hold", "churn"},
	defaults: Options{
		Conns: 10_000, Total: 100_000, Size: 0,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	loop: func(r *run) error {
		f := &connFlood{flood{run: r}}
		return f.pour(f)
	},
}

type connFlood struct{ flood }

func (f *connFlood) stood(i int32) {
	f.counts.units.Add(1)
	if f.opts.Churn {
		f.end(i, byUs)
		return
	}
	f.hold(i, f.conns[i].since)
}

func (f *connFlood) readable(i int32) { f.read(i, ignore) }
func (f *connFlood) writable(int32)   {}
