package relay

import (
	"bytes"
	"time"

	"weir/engine/service"
)

// bench is a loop's connections to one server that nobody needs now, the one that was used last at the
// end: it is taken first, so that those that are not needed become old. On the loop's goroutine only.
type bench struct {
	o   *httpOpener
	srv *server
	// kept are closed by the engine after HTTPConfig.Idle at the latest, or when their servers end them. In
	// the engine's list of deadlines all of a listener wait for the same time, so what a server says of its
	// own is looked at when one is taken.
	kept []kept
}

type kept struct {
	u     service.Upstream
	until time.Duration // on the loop's clock; not taken after that
}

var _ service.UpstreamHandler = (*bench)(nil)

// park keeps a connection for requests that come before until, and reports whether it does.
func (o *httpOpener) park(srv *server, u service.Upstream, until time.Duration) bool {
	if o.cfg.MaxIdle <= 0 {
		return false
	}
	b := o.idle[srv]
	if b == nil {
		b = &bench{o: o, srv: srv}
	}
	if len(b.kept) >= o.cfg.MaxIdle || !u.Park(b, o.cfg.Idle) {
		return false
	}
	o.idle[srv] = b
	b.kept = append(b.kept, kept{u, until})
	return true
}

// lasting reads a server's Keep-Alive field, such as "timeout=5, max=1000" (RFC 2068 19.7.1.1): how long a
// connection to it is of use, 0 when it does not say; and whether it may be kept at all. A second is taken off for
// the request's way, or half of it when there is no more: a POST that meets the end cannot be sent again.
func lasting(v []byte) (d time.Duration, keep bool) {
	for len(v) > 0 {
		var option []byte
		option, v, _ = bytes.Cut(v, []byte{','})
		name, value, _ := bytes.Cut(option, []byte{'='})
		if !is(bytes.TrimSpace(name), "timeout") {
			continue
		}
		n, ok := number(bytes.TrimSpace(value))
		if !ok {
			return 0, true
		}
		d = time.Duration(n) * time.Second
		return d - min(d/2, time.Second), n > 0
	}
	return 0, true
}

// remove forgets a connection. A server's bench goes with its last one: servers come and go.
func (b *bench) remove(u service.Upstream) {
	for i := len(b.kept) - 1; i >= 0; i-- {
		if b.kept[i].u != u {
			continue
		}
		copy(b.kept[i:], b.kept[i+1:])
		b.kept[len(b.kept)-1] = kept{}
		b.kept = b.kept[:len(b.kept)-1]
		break
	}
	if len(b.kept) == 0 && !b.listed() {
		delete(b.o.idle, b.srv)
	}
}

// listed reports whether the server is still one of the pool's.
func (b *bench) listed() bool { return contains(*b.o.pool.servers.Load(), b.srv) }

// Ended is told of connections that nobody has used any more.
func (b *bench) Ended(u service.Upstream, _ service.Ending) { b.remove(u) }

// Connected, Received and Drained are not told of parked connections.

func (b *bench) Connected(service.Upstream)                {}
func (b *bench) Received(_ service.Upstream, p []byte) int { return len(p) }
func (b *bench) Drained(service.Upstream)                  {}
