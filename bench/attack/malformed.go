package attack

import (
	"time"

	"weir/bench/wire"
)

// malformed sends bytes that break the target's protocol, on each connection others: the forms that smuggle requests
// past a proxy, bad chunk sizes, folded fields, NUL, bare LF; frames of length 0 and 4 GiB; controls in lines. Where the
// target speaks TLS they are bytes that are no TLS; with -finish the handshakes are made, and the protocol inside is
// broken instead.
//
//	attacker                      server
//	   | Content-Length: 6          |
//	   | Transfer-Encoding: chunked |  where does this request end?
//	   |     0 0 G GET / ... -----> |
//	   | <-------- 400, FIN or RST  |  good replies are those that the server should not have given
//
// What is left open is held for -hold.
//
// Aimed at: parsers, and whoever believes them.
// What ought to stop it: a strict parser that ends the connection; what it costs has to stay below what it cost to send.
var malformed = Kind{
	Name:  "malformed",
	Help:  "sends bytes that break the protocol, each time in another way: aims at parsers, and at smuggling",
	Units: "strings",
	takes: []string{"hold", "finish", "version", "sni"},
	defaults: Options{
		Conns: 64, Total: 1_000_000, Hold: time.Second,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10,
	},
	check: checkTLS,
	loop: func(r *run) error {
		wrong := wire.Malformed(r.target)
		inside := !r.target.TLS || r.opts.Finish
		if !inside {
			wrong = wire.MalformedTLS()
		} else if err := r.inTLS(r.opts.Version); err != nil {
			return err
		}
		var scripts []script
		var cut []bool
		for _, w := range wrong {
			scripts, cut = append(scripts, w.Script()), append(cut, w.Cut)
		}
		t := newTalker(r, wire.MaxSize, scripts...)
		t.half = cut
		if inside {
			if err := t.readReplies(); err != nil {
				return err
			}
			return t.pour(t)
		}
		g := &garbler{t}
		return g.pour(g)
	},
}

// garbler tells alerts from other answers.
type garbler struct{ *talker }

func (g *garbler) readable(i int32) {
	g.read(i, func(b []byte) bool { g.tally(i, b); return true })
}
