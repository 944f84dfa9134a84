package relay

import "weir/engine/service"

// bench is a loop's connections to one server that nobody needs now, the one that was used last at the
// end: it is taken first, so that those that are not needed become old. On the loop's goroutine only.
type bench struct {
	o   *httpOpener
	srv *server
	ups []service.Upstream
}

var _ service.UpstreamHandler = (*bench)(nil)

// park keeps a connection for later requests and reports whether it does.
func (o *httpOpener) park(srv *server, u service.Upstream) bool {
	if o.cfg.MaxIdle <= 0 {
		return false
	}
	b := o.idle[srv]
	if b == nil {
		b = &bench{o: o, srv: srv}
	}
	if len(b.ups) >= o.cfg.MaxIdle || !u.Park(b, o.cfg.Idle) {
		return false
	}
	o.idle[srv] = b
	b.ups = append(b.ups, u)
	return true
}

func (b *bench) last() service.Upstream {
	if n := len(b.ups); n > 0 {
		return b.ups[n-1]
	}
	return nil
}

// remove forgets a connection. A server's bench goes with its last one: servers come and go.
func (b *bench) remove(u service.Upstream) {
	for i := len(b.ups) - 1; i >= 0; i-- {
		if b.ups[i] != u {
			continue
		}
		copy(b.ups[i:], b.ups[i+1:])
		b.ups[len(b.ups)-1] = nil
		b.ups = b.ups[:len(b.ups)-1]
		break
	}
	if len(b.ups) == 0 && !b.listed() {
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
