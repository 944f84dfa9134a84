package attack

import (
	"golang.org/x/sys/unix"

	"weir/bench/sock"
	"weir/bench/tunnel"
)

// The types of TLS records that may answer a ClientHello (RFC 8446, 5.1). The first message in a handshake record is
// then a ServerHello.
const (
	alertRecord     = 21
	handshakeRecord = 22
)

// hellos sends one ClientHello on each connection and makes nothing of the answer but its kind: no key, no secret, no
// signature to check. It speaks TLS by hand, so the run is not in TLS.
type hellos struct {
	flood
	hello *tunnel.Hello
	// served is called when a ServerHello came, and may end the connection; nil: nobody cares.
	served func(i int32)
}

func newHellos(r *run) (*hellos, error) {
	h, err := newHello(r)
	return &hellos{flood: flood{run: r}, hello: h}, err
}

// newHello makes the ClientHello that this loop's connections send.
func newHello(r *run) (*tunnel.Hello, error) {
	cfg, err := tlsOptions(r.opts, r.opts.Version).Config(r.target)
	if err != nil {
		return nil, err
	}
	return tunnel.NewHello(cfg)
}

// greet sends a ClientHello. A connection that is new has room for it.
func (h *hellos) greet(i int32) {
	n, err := sock.Write(int(h.conns[i].fd), h.hello.Next())
	h.counts.bytes.Add(int64(n))
	if err != nil && err != unix.EAGAIN {
		h.conns[i].broke = true // its end is there to be read
	}
}

func (h *hellos) readable(i int32) {
	c := &h.conns[i]
	served := false
	h.read(i, func(b []byte) bool {
		served = h.tally(i, b) || served
		return true
	})
	if served && c.fd >= 0 && h.served != nil {
		h.served(i)
	}
}

func (h *hellos) writable(int32) {}

// tally counts what kind of answer to a ClientHello b begins, if it is the first that came on its connection, and
// reports whether that was a ServerHello.
func (r *run) tally(i int32, b []byte) bool {
	if r.conns[i].answered {
		return false
	}
	switch b[0] {
	case handshakeRecord:
		r.counts.serverHellos.Add(1)
		return true
	case alertRecord:
		r.counts.alerts.Add(1)
	default:
		r.counts.odd.Add(1)
	}
	return false
}
