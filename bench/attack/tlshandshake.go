package attack

import "time"

// tlsHandshake makes full TLS handshakes and nothing else: none resumes, each makes the server sign.
//
//	attacker                        server
//	   | ClientHello --------------> |  a key exchange and a signature: the dearest thing that a stranger can ask for
//	   | <---- ServerHello, Finished |
//	   | Finished -----------------> |  a connection in good standing, on which nothing is ever asked
//	   | RST                         |  and the next one; or held for -hold
//
// With -finish=false the attacker sends a ClientHello made beforehand and goes as soon as the ServerHello is there: the
// server has paid nearly the same, and the attacker next to nothing. On one machine against crypto/tls with a P-256 key a
// whole handshake cost this side 190 us, of which half is X25519 and the check of the signature, and half a one 36 us.
//
// Aimed at: the CPU for signatures, which the good newcomers need.
// What ought to stop it: a budget of handshakes for each source and in all, charged before the signature; handshakes off
// the loops, so that those who are in do not wait for those who come.
var tlsHandshake = Kind{
	Name:  "tls-handshake",
	Help:  "makes full TLS handshakes as fast as the rate says and hangs up: aims at the CPU for signatures",
	Units: "handshakes",
	takes: []string{"hold", "finish", "version", "sni"},
	defaults: Options{
		Conns: 256, Total: 1_000_000, Finish: true,
		Duration: 5 * time.Second, Sources: 200, Loops: 1, Nice: 10, Version: "1.3",
	},
	check: onlyTLS,
	loop: func(r *run) error {
		if !r.opts.Finish {
			return halfShake(r)
		}
		if err := r.inTLS(r.opts.Version); err != nil {
			return err
		}
		s := &shaker{flood{run: r}}
		return s.pour(s)
	},
}

type shaker struct{ flood }

func (s *shaker) stood(i int32)    { s.shook(i) }
func (s *shaker) readable(i int32) { s.read(i, ignore) }
func (s *shaker) writable(int32)   {}

// shook counts a handshake and ends its connection, or begins to hold it.
func (f *flood) shook(i int32) {
	f.counts.units.Add(1)
	if f.opts.Hold == 0 {
		f.end(i, byUs)
		return
	}
	f.hold(i, f.now())
}

func halfShake(r *run) error {
	h, err := newHellos(r)
	if err != nil {
		return err
	}
	h.served = h.shook
	return h.pour(&halfShaker{h})
}

type halfShaker struct{ *hellos }

func (h *halfShaker) stood(i int32) { h.greet(i) }
