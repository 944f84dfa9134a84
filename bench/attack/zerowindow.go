package attack

import (
	"errors"
	"time"

	"weir/bench/target"
)

// leastReceive is the receive buffer that attacks with a small one ask for, in bytes: less than any kernel's least. Inside
// TLS a handshake has to fit through.
const (
	leastReceive    = 1
	leastReceiveTLS = 4 << 10
)

// errAsk is what attacks that ask for answers say to a pipeline of 0.
var errAsk = errors.New("pipeline must be at least 1: without requests there are no answers")

// zeroWindow sends many requests on each connection and never reads an answer; its receive buffer is the least there is.
//
//	attacker                 server
//	   | request request ...  -> |  answers queue up: in the kernel's send buffer, then in the server
//	   | <-------- window 0      |  nothing moves; probes are answered for as long as anybody likes
//
// It wants large answers: of weir's /echo, of a large file with -size 0, of frames with a large payload.
//
// Aimed at: memory for output, and the kernel's, at the price of one small window.
// What ought to stop it: a bound on output, after which requests are not read either; a deadline for a peer that takes
// nothing.
var zeroWindow = Kind{
	Name:  "zero-window",
	Help:  "pipelines requests and never reads an answer, with the smallest window: aims at memory for output",
	Units: "requests",
	takes: []string{"count", "size", "pipeline", "hold", "version", "sni"},
	defaults: Options{
		Conns: 500, Count: 10_000_000, Size: 16_000, Pipeline: 64,
		Duration: 30 * time.Second, Sources: 20, Loops: 1, Nice: 10,
	},
	total: 20,
	check: checkAsk,
	loop: func(r *run) error {
		t, err := newAsker(r, r.opts.Pipeline)
		if err != nil {
			return err
		}
		r.receive = smallReceive(r.target)
		z := &zeroReader{t}
		return z.pour(z)
	},
}

func checkAsk(o Options, t target.Target) error {
	if o.Pipeline < 1 {
		return errAsk
	}
	return checkTLS(o, t)
}

func smallReceive(t target.Target) int {
	if t.TLS {
		return leastReceiveTLS
	}
	return leastReceive
}

type zeroReader struct{ *talker }

// readable looks for the end only.
func (z *zeroReader) readable(i int32) { z.ended(i) }
