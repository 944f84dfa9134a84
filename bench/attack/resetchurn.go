package attack

import (
	"time"

	"weir/bench/target"
	"weir/bench/wire"
)

// resetChurn connects, sends part of a request and resets, over and over. Where the target speaks TLS the part is one of
// a ClientHello.
//
//	attacker                 server
//	   | SYN ----------------> |
//	   | half a request -----> |  a buffer, a parser half way, a timer
//	   | RST ----------------> |  to be cleaned up: before accept, in mid-read, in mid-write
//
// With a -size as long as the request or more it is whole, and the answer is written to nobody.
//
// Aimed at: whatever ends a connection: leaks, double closes, writes to a descriptor that has a new owner; a log line for
// each.
// What ought to stop it: one way to clean up, a limit on new connections for each source.
var resetChurn = Kind{
	Name:  "reset-churn",
	Help:  "connects, sends part of a request and resets, over and over: aims at how connections are cleaned up",
	Units: "parts",
	takes: []string{"size", "hold", "version", "sni"},
	defaults: Options{
		Conns: 64, Total: 1_000_000,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	check: checkTLS,
	loop: func(r *run) error {
		part, err := aPart(r)
		if err != nil {
			return err
		}
		t := newTalker(r, int64(len(part)), wholeScript(part))
		return t.pour(&resetter{t})
	},
}

// aPart returns the first bytes of what a good client would say, -size of them or about half.
func aPart(r *run) ([]byte, error) {
	var whole []byte
	if r.target.TLS {
		h, err := newHello(r)
		if err != nil {
			return nil, err
		}
		whole = h.Next()
	} else {
		size := 64
		if r.target.Scheme == target.HTTP {
			size = 0
		}
		q, err := wire.NewRequest(r.target, size)
		if err != nil {
			return nil, err
		}
		whole = q.Bytes
	}
	n := len(whole) / 2
	if r.opts.Size > 0 {
		n = min(r.opts.Size, len(whole))
	}
	return whole[:n], nil
}

type resetter struct{ *talker }

func (s *resetter) stood(i int32) {
	c := &s.conns[i]
	generation := c.generation
	s.talker.stood(i)
	if s.opts.Hold == 0 && c.fd >= 0 && c.generation == generation {
		s.end(i, byUs)
	}
}
