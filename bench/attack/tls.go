package attack

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/tunnel"
)

// inTLS makes every connection of this loop speak TLS when the target does: stood is told after the handshake, read
// gives what was inside, write puts it there. Before the first dial. version is as for tunnel.Options.
func (r *run) inTLS(version string) (err error) {
	if !r.target.TLS {
		return nil
	}
	if r.secure, err = tlsOptions(r.opts, version).Config(r.target); err != nil {
		return err
	}
	r.tunnels = make([]*tunnel.Conn, len(r.conns))
	r.plain = make([]byte, 16<<10)
	return nil
}

// tlsOptions never resumes: the price of an attack is that of full handshakes.
func tlsOptions(o Options, version string) tunnel.Options {
	return tunnel.Options{Version: version, Name: o.Name}
}

// checkTLS is for attacks that speak TLS when the target does.
func checkTLS(o Options, t target.Target) error {
	_, err := tlsOptions(o, o.Version).Config(t)
	return err
}

// onlyTLS is for those that speak nothing else.
func onlyTLS(o Options, t target.Target) error {
	if !t.TLS {
		return errors.New("needs a target that speaks TLS: https, frames+tls or line+tls")
	}
	return checkTLS(o, t)
}

func (r *run) beginShake(i int32) {
	t := tunnel.New(r.secure)
	r.tunnels[i] = t
	if r.preface != nil {
		t.Preface(r.preface())
	}
	// Cannot fail before anything came.
	_, _ = t.Step(nil)
	r.flush(i)
}

// shake goes on with a handshake. It reads all there is: its length is bounded by crypto/tls.
func (r *run) shake(i int32, w wants) {
	c, t := &r.conns[i], r.tunnels[i]
	for {
		n, err := sock.Read(int(c.fd), r.in)
		switch {
		case err == unix.EAGAIN:
			return
		case err != nil:
			r.end(i, byReset)
			return
		case n == 0:
			r.end(i, byClose)
			return
		}
		done, err := t.Step(r.in[:n])
		r.flush(i)
		switch {
		case err != nil:
			r.refused(i, err)
			return
		case done:
			r.shaken(i, w)
			return
		}
	}
}

func (r *run) shaken(i int32, w wants) {
	c := &r.conns[i]
	c.ready = true
	r.counts.handshakes.Add(1)
	r.handshake.Add(r.now() - c.since)
	generation := c.generation
	w.stood(i)
	if c.fd >= 0 && c.generation == generation {
		w.readable(i) // what came with the handshake, and what the socket holds
	}
}

// refused ends a connection whose TLS failed. An alert is the server's last word even before it closes.
func (r *run) refused(i int32, err error) {
	if tunnel.Alert(err) {
		r.counts.alerts.Add(1)
		r.conns[i].answered = true
		r.end(i, byClose)
		return
	}
	r.counts.odd.Add(1)
	r.end(i, byUs)
}

// open passes on what the bytes received hold and reports whether the connection lives on.
func (r *run) open(i int32, use func([]byte) bool) bool {
	c, t := &r.conns[i], r.tunnels[i]
	for {
		n, err := t.Read(r.plain)
		if n > 0 {
			if !use(r.plain[:n]) {
				r.end(i, byUs)
				return false
			}
			c.answered = true
		}
		switch err {
		case nil:
		case tunnel.ErrMore:
			r.flush(i)
			return true
		case io.EOF:
			r.end(i, byClose)
			return false
		default:
			r.refused(i, err)
			return false
		}
	}
}

// flush sends what TLS has ready and reports whether all of it is gone. A connection that broke over it has its end to
// be read.
func (r *run) flush(i int32) bool {
	if r.secure == nil {
		return true
	}
	c := &r.conns[i]
	err := r.tunnels[i].Flush(int(c.fd))
	if err != nil && err != unix.EAGAIN {
		c.broke = true
	}
	return err == nil
}

// write writes what there is room for, as sock.Write does. Inside TLS it takes all of b when what it took before is
// gone, and nothing otherwise.
func (r *run) write(i int32, b []byte) (n int, err error) {
	fd := int(r.conns[i].fd)
	if r.secure == nil {
		return sock.Write(fd, b)
	}
	t := r.tunnels[i]
	if err := t.Flush(fd); err != nil {
		return 0, err
	}
	if err := t.Write(b); err != nil {
		return 0, err
	}
	if err := t.Flush(fd); err != nil && err != unix.EAGAIN {
		return 0, err
	}
	return len(b), nil
}
