package engine

import (
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/engine/service"
	"weir/guard"
)

// Back-off of a listener whose accept fails: net/http and NATS use the same figures.
const (
	backoffMin = 5 * time.Millisecond
	backoffMax = time.Second
)

// listener is one loop's part of a Listener: its own socket, its own counters.
type listener struct {
	*Listener
	addr    net.Addr // as bound
	fd      int
	open    service.Opener
	policy  *guard.Policy
	backoff time.Duration

	conns                     int64
	accepted, refused, frames uint64
	answers                   [6]uint64 // of HTTP, by class
}

// accepts takes up to turnAccepts connections and returns to the loop. No error ends the listener: out of
// descriptors or memory it is left alone for a while, with the queue emptied by resets.
func (l *loop) accepts(ln *listener) {
	failed, refused := 0, ln.refused
	for range turnAccepts {
		fd, errno := accept(ln.fd, &l.rsa)
		switch errno {
		case 0:
			ln.backoff = 0
			l.admit(ln, fd)
			continue
		case unix.EAGAIN:
			if ln.refused-refused >= gatherAfter {
				l.gather(ln)
			}
			return
		case unix.EINTR:
			continue
		}
		l.count.acceptErrors[errno]++
		switch errno {
		case unix.EMFILE, unix.ENFILE:
			l.relieve(ln)
			l.rest(ln)
			return
		case unix.ECONNABORTED, unix.EPROTO, unix.EPERM, unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN,
			unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.ETIMEDOUT:
			// Errors of one connection, or of a firewall's verdict on it (accept(2)): the next
			// may be well. A run of them is treated as trouble of our own.
			failed++
		default: // ENOBUFS, ENOMEM and whatever else the kernel comes up with
			l.rest(ln)
			return
		}
	}
	if failed == turnAccepts {
		l.rest(ln)
	}
}

// Under a flood most of what a refusal costs is waking up for it. Once a turn has refused as many as
// gatherAfter and emptied the queue, the listener is left alone for gatherFor, so that the next turn
// finds a batch. New connections wait that much longer, open ones notice nothing, and the queue
// (net.core.somaxconn, 4,096) has room for what four million a second could bring. A turn that does not empty the queue goes on
// at once.
const (
	gatherAfter = 4
	gatherFor   = time.Millisecond
)

func (l *loop) gather(ln *listener) {
	if !l.draining && !l.resting(ln) {
		_ = l.p.Remove(ln.fd)
		l.timers.push(timer{at: l.g.Now().Add(gatherFor), ln: ln})
	}
}

// admit asks the guard and, if it agrees, makes the connection.
func (l *loop) admit(ln *listener, fd int) {
	peer := addrPort(&l.rsa)
	// The kernel hands out the lowest free number, so a number inside the reserve means that all
	// descriptors below are in use, whoever uses them.
	if fd >= l.e.fdCap {
		l.turnAway(ln, fd, peer, guard.ShedDescriptors)
		return
	}
	if l.draining {
		l.turnAway(ln, fd, peer, guard.ShedStopping)
		return
	}
	first := ln.firstOpening(peer)
	var id guard.ID
	var r guard.Reason
	if first == awaitProxy {
		id, r = l.g.AdmitProxy(ln.policy)
	} else {
		id, r = l.g.Admit(ln.policy, peer.Addr())
	}
	if r != guard.OK {
		l.turnAway(ln, fd, peer, r)
		return
	}
	c := l.newConn()
	gen := c.gen
	*c = conn{loop: l, gen: gen, ln: ln, fd: fd, id: id, peer: peer, lowat: 1, wants: wantRead}
	if err := l.p.Add(fd, epoll.In); err != nil {
		l.g.Gone(id)
		*c = conn{loop: l, gen: gen, state: gone}
		l.spareConn = append(l.spareConn, c)
		l.turnAway(ln, fd, peer, guard.ShedMemory)
		return
	}
	for fd >= len(l.byFD) {
		l.byFD = append(l.byFD, nil)
	}
	for int(id) >= len(l.byID) {
		l.byID = append(l.byID, nil)
	}
	l.byFD[fd], l.byID[id] = c, c
	ln.accepted++
	ln.conns++
	l.conns++
	l.enter(c)
	defer l.leave(c, gen)
	if ln.TLS != nil && first != awaitProxy {
		l.g.Phase(id, guard.Handshake)
	}
	l.openAt(c, first)
}

// newConn takes a struct from those that wait for reuse.
func (l *loop) newConn() *conn {
	if n := len(l.spareConn); n > 0 {
		c := l.spareConn[n-1]
		l.spareConn = l.spareConn[:n-1]
		return c
	}
	return &conn{loop: l}
}

// turnAway resets a connection that is not admitted, before anything is allocated for it.
func (l *loop) turnAway(ln *listener, fd int, peer netip.AddrPort, r guard.Reason) {
	reset(fd)
	ln.refused++
	l.count.shed[r]++
	l.tell(r, peer.Addr(), ln, "", nil)
}

// relieve resets what waits in the queue of a listener when no descriptor is left, by way of the
// spare one: peers learn at once instead of hanging until they time out.
func (l *loop) relieve(ln *listener) {
	if l.spareFD < 0 {
		return
	}
	for range turnAccepts {
		_ = unix.Close(l.spareFD)
		fd, errno := accept(ln.fd, &l.rsa)
		if errno == 0 {
			l.turnAway(ln, fd, addrPort(&l.rsa), guard.ShedDescriptors)
		}
		l.openSpare()
		if errno != 0 || l.spareFD < 0 {
			return
		}
	}
}

// openSpare takes the spare descriptor; another part of the process may be faster, so it may fail
// and is tried again with the next back-off.
func (l *loop) openSpare() {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	l.spareFD = fd
}

// rest leaves a listener alone for a while, twice as long each time in a row.
func (l *loop) rest(ln *listener) {
	if ln.backoff > 0 && l.resting(ln) {
		return
	}
	ln.backoff = min(max(2*ln.backoff, backoffMin), backoffMax)
	_ = l.p.Remove(ln.fd)
	l.timers.push(timer{at: l.g.Now().Add(ln.backoff), ln: ln})
}

func (l *loop) resting(ln *listener) bool {
	for i := range l.timers {
		if l.timers[i].ln == ln {
			return true
		}
	}
	return false
}

// listen has the loop accept from a listener (again).
func (l *loop) listen(ln *listener) {
	if l.draining || ln.fd < 0 {
		return
	}
	if l.spareFD < 0 {
		l.openSpare()
	}
	if err := l.p.Add(ln.fd, epoll.In); err != nil {
		l.rest(ln)
	}
}

// close stops listening.
func (ln *listener) close(l *loop) {
	if ln.fd < 0 {
		return
	}
	_ = l.p.Remove(ln.fd)
	_ = unix.Close(ln.fd)
	ln.fd = -1
}
