package attack

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/target"
	"weir/bench/wire"
)

// proxySpoof begins each connection with a PROXY header that claims to come from somewhere else, and follows it with a
// good request.
//
//	attacker 127.0.1.1             server
//	   | PROXY TCP4 10.1.2.3 ... --> |  believed: 10.1.2.3 is charged, and banned, for what 127.0.1.1 does
//	   | request ------------------> |
//	   | <--------- reply, RST, FIN  |  told apart: good and bad replies, odd ones, resets, closes
//
// With -victim every header claims that one address: who believes it bans the victim. Other -form values are headers that
// no proxy sends. Where the target speaks TLS the header goes before the ClientHello, in the clear.
//
// Aimed at: whoever is in the place of the source, and the parser of headers.
// What ought to stop it: headers are believed from trusted peers only; limits and bans count for the real address before
// and beside; a bound on the header's length, and a deadline for it. Whether an answered header was believed or ignored
// only the server can tell.
var proxySpoof = Kind{
	Name:  "proxy-spoof",
	Help:  "begins connections with a PROXY header that claims forged addresses: aims at who is counted, and at its parser",
	Units: "headers",
	takes: []string{"size", "hold", "version", "form", "victim", "sni"},
	defaults: Options{
		Conns: 64, Total: 100_000,
		Duration: 5 * time.Second, Sources: 16, Loops: 1, Nice: 10, Version: "1", Form: formGood,
	},
	check: checkSpoof,
	loop: func(r *run) (err error) {
		s := &spoof{flood: flood{run: r}, forger: newForger(r.opts, r.target.Addr), flows: make([]spoofed, len(r.conns))}
		if s.request, err = wire.NewRequest(r.target, wire.SizeOr(r.target, r.opts.Size)); err != nil {
			return err
		}
		r.closing = s.closing
		if r.opts.Form != formCut { // a header that is cut has nothing after it, TLS neither
			if err := r.inTLS(""); err != nil {
				return err
			}
			r.preface = s.foreword
		}
		return s.pour(s)
	},
}

func checkSpoof(o Options, t target.Target) error {
	if !slices.Contains([]string{"1", "2", "v1", "v2"}, o.Version) {
		return fmt.Errorf("version %q: the PROXY protocol has 1 and 2", o.Version)
	}
	if !slices.Contains([]string{formGood, formCut, formHuge, formBad}, o.Form) {
		return fmt.Errorf("form %q: there are good, cut, huge and bad", o.Form)
	}
	if o.Victim != "" {
		if a, err := netip.ParseAddr(o.Victim); err != nil || a.Zone() != "" || a.Is4In6() {
			return fmt.Errorf("victim %q is no plain address", o.Victim)
		}
	}
	_, err := tlsOptions(o, "").Config(t)
	return err
}

type spoof struct {
	flood
	forger  *forger
	request *wire.Request
	flows   []spoofed // parallel to conns
}

// spoofed is what one connection has under way.
type spoofed struct {
	out     []byte // to be written
	sent    int    // of out
	replies wire.Replies
}

// forge returns a header and counts it.
func (s *spoof) forge() []byte {
	s.counts.units.Add(1)
	return s.forger.next()
}

// foreword is forge for a connection inside TLS, which sends it.
func (s *spoof) foreword() []byte {
	b := s.forge()
	s.counts.bytes.Add(int64(len(b)))
	return b
}

func (s *spoof) stood(i int32) {
	w := &s.flows[i]
	w.replies.Reset(s.request)
	w.out, w.sent = w.out[:0], 0
	if s.secure == nil {
		w.out = append(w.out, s.forge()...)
	}
	if s.opts.Form != formCut {
		w.out = append(w.out, s.request.Bytes...)
	}
	s.hold(i, s.conns[i].since)
	s.writable(i)
}

// writable sends what is left. A connection that broke over it has its end to be read.
func (s *spoof) writable(i int32) {
	w := &s.flows[i]
	for w.sent < len(w.out) {
		n, err := s.write(i, w.out[w.sent:])
		if err != nil {
			s.conns[i].broke = s.conns[i].broke || err != unix.EAGAIN
			return
		}
		w.sent += n
		s.counts.bytes.Add(int64(n))
	}
	if cap(w.out) > 8<<10 {
		w.out, w.sent = nil, 0 // huge ones are kept by those only that are still at it
	}
}

// readable ends a connection with its one reply.
func (s *spoof) readable(i int32) {
	w := &s.flows[i]
	s.read(i, func(b []byte) bool {
		got, err := w.replies.Feed(b)
		if err != nil {
			s.counts.odd.Add(1)
		}
		return !s.count(got) && err == nil
	})
}

// closing counts the reply that the end of the connection completes: a 400 is often one.
func (s *spoof) closing(i int32) {
	if s.conns[i].ready {
		s.count(s.flows[i].replies.End())
	}
}

// count reports whether there was a reply, and counts it.
func (s *spoof) count(got wire.Count) bool {
	switch {
	case got.OK > 0:
		s.counts.replies.Add(1)
	case got.Bad > 0:
		s.counts.bad.Add(1)
	default:
		return false
	}
	return true
}
