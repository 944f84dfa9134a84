package tunnel

import (
	"net"
	"net/netip"
	"time"

	"weir/bench/sock"
)

// keptBytes is the largest buffer for bytes to be sent that a connection keeps when they are.
const keptBytes = 32 << 10

// pipe is the connection that crypto/tls believes in.
type pipe struct {
	in   []byte              // from the socket, not yet read; the caller's
	out  []byte              // for the socket
	park func(struct{}) bool // waits for more in; nil outside a handshake
}

func (p *pipe) Read(b []byte) (int, error) {
	for len(p.in) == 0 {
		if p.park == nil {
			return 0, ErrMore
		}
		if !p.park(struct{}{}) {
			return 0, net.ErrClosed
		}
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}

func (p *pipe) Write(b []byte) (int, error) {
	p.out = append(p.out, b...)
	return len(b), nil
}

// address stands for the server: crypto/tls finds a session by it when there is no server name, and a cache is used
// for one target only.
var address = net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv6Loopback(), 1))

func (p *pipe) Close() error                     { return nil }
func (p *pipe) LocalAddr() net.Addr              { return address }
func (p *pipe) RemoteAddr() net.Addr             { return address }
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }

// Pending reports whether there is something to flush.
func (c *Conn) Pending() bool { return c.sent < len(c.pipe.out) }

// Flush writes what is to be sent to a socket. Errors are those of sock.Write; EAGAIN means that some is left for
// when there is room.
func (c *Conn) Flush(fd int) error {
	for c.sent < len(c.pipe.out) {
		n, err := sock.Write(fd, c.pipe.out[c.sent:])
		if err != nil {
			return err
		}
		c.sent += n
	}
	c.pipe.out, c.sent = c.pipe.out[:0], 0
	if cap(c.pipe.out) > keptBytes {
		c.pipe.out = nil
	}
	return nil
}
