package attack

import "time"

// tlsHello sends a whole, valid ClientHello on each connection and then says nothing for good.
//
//	attacker                        server
//	   | ClientHello --------------> |  a key exchange, a signature, a handshake's worth of state
//	   | <---- ServerHello, Finished |
//	   |          ...                |  waits for a Finished that never comes
//
// The ClientHello is made once; each connection's differs in its random bytes.
//
// Aimed at: the CPU for signatures and the state of handshakes under way, at the price of a few hundred bytes.
// What ought to stop it: as for tls-handshake, and a deadline for the handshake as a whole. The ages at which connections
// were closed show which it was.
var tlsHello = Kind{
	Name:  "tls-hello",
	Help:  "sends a whole ClientHello, then nothing, holding the connection: aims at signatures and handshake state",
	Units: "hellos",
	takes: []string{"hold", "version", "sni"},
	defaults: Options{
		Conns: 2_000, Total: 200_000,
		Duration: 10 * time.Second, Sources: 200, Loops: 1, Nice: 10, Version: "1.3",
	},
	check: onlyTLS,
	loop: func(r *run) error {
		h, err := newHellos(r)
		if err != nil {
			return err
		}
		return h.pour(&silentHello{h})
	},
}

type silentHello struct{ *hellos }

func (h *silentHello) stood(i int32) {
	h.counts.units.Add(1)
	h.greet(i)
	h.hold(i, h.conns[i].since)
}
