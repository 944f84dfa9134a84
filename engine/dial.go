package engine

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/engine/service"
	"weir/guard/mono"
)

// Dial is service.Conn's.
func (c *conn) Dial(t service.Target, h service.UpstreamHandler) (service.Upstream, service.Ending) {
	l := c.loop
	if c.up != nil {
		panic("engine: Dial on a connection that has an upstream")
	}
	if c.state&(gone|closing|lingering) != 0 {
		return nil, service.EndUnreachable
	}
	l.count.upDialled++
	fd, why := l.connect(t)
	if why == service.EndNone {
		if err := l.p.Add(fd, epoll.In|epoll.Out); err != nil {
			closeSocket(fd)
			why = service.EndDescriptors // the kernel is out of memory for its watch list
		}
	}
	if why != service.EndNone {
		l.count.upEnds[why]++
		return nil, why
	}
	s := &l.upstreams
	u := &upstream{}
	if n := len(s.spare); n > 0 {
		u = s.spare[n-1]
		s.spare = s.spare[:n-1]
	}
	*u = upstream{loop: l, c: c, ln: c.ln, h: h, fd: fd, gen: u.gen, local: t.Path != "", wants: wantRead | wantWrite, moved: l.g.Now()}
	if t.First != "" {
		u.out = borrow(len(t.First))
		u.out.B = append(u.out.B, t.First...)
	}
	if t.TLS != nil {
		u.tls = newUpSecure(t.TLS, u.out)
		u.out = nil
	}
	for fd >= len(s.byFD) {
		s.byFD = append(s.byFD, nil)
	}
	s.byFD[fd] = u
	s.open++
	c.up = u
	l.deadline(u, &s.connecting, mono.Time(t.Timeout))
	c.state |= choked
	if c.state&paused == 0 { // the peer is charged no time for our connecting
		c.state |= paused
		l.g.Pause(c.id)
	}
	return u, service.EndNone
}

// connect begins to connect a socket. Parked upstreams give way to it when descriptors run out.
func (l *loop) connect(t service.Target) (fd int, why service.Ending) {
	for {
		fd, errno := dialSocket(t)
		switch {
		case errno == unix.EMFILE || errno == unix.ENFILE:
		case errno != 0:
			return -1, endOf(errno)
		case fd < l.e.fdCap:
			return fd, service.EndNone
		default:
			closeSocket(fd)
		}
		if !l.freeParked() {
			return -1, service.EndDescriptors
		}
	}
}

// endOf says what an errno of connecting means.
func endOf(errno unix.Errno) service.Ending {
	switch errno {
	case unix.ECONNREFUSED, unix.ENOENT, unix.EAGAIN: // of a unix socket: nobody there, or its queue is full
		return service.EndRefused
	case unix.ETIMEDOUT:
		return service.EndTimeout
	case unix.EADDRNOTAVAIL:
		return service.EndPorts
	}
	return service.EndUnreachable
}

// connecting looks what has become of connecting.
func (l *loop) connecting(u *upstream) {
	if u.tls != nil && u.tls.begun {
		l.shakeUpMore(u)
		return
	}
	switch errno := connectedOrNot(u.fd); {
	case errno == unix.EINPROGRESS:
		return
	case errno != 0:
		l.lost(u, endOf(errno))
		return
	}
	if u.tls != nil {
		l.beginShakeUp(u)
		return
	}
	l.connected(u)
}

// connected goes on with an upstream that is ready for use.
func (l *loop) connected(u *upstream) {
	gen := u.gen
	l.count.upMade++
	u.connected = true
	u.noDeadline()
	if u.tls != nil && u.out != nil { // written before, and not encrypted yet
		early := u.out
		u.out = nil
		l.queueUpstream(u, early.B)
		giveBack(early)
	}
	u.h.Connected(u)
	if u.gen != gen || u.c == nil {
		return
	}
	if u.out != nil { // written before
		if l.upstreamWritable(u); u.gen != gen {
			return
		}
	}
	if u.out != nil {
		l.owesProgress(u)
	} else {
		l.awaits(u)
	}
	l.unchoke(u)
}

// dialSocket makes a socket that does not block and begins to connect it.
func dialSocket(t service.Target) (fd int, errno unix.Errno) {
	var sa unix.RawSockaddrAny
	family, size := sockaddr(&sa, t)
	if family == unix.AF_UNSPEC {
		return -1, unix.EAFNOSUPPORT
	}
	r, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return -1, errno
	}
	fd = int(r)
	if family != unix.AF_UNIX {
		// What one side sends in small pieces must not wait for the other's acknowledgements.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	for {
		_, _, errno = unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), size)
		switch errno {
		case unix.EINTR:
			continue
		case 0, unix.EINPROGRESS:
			return fd, 0
		}
		closeSocket(fd)
		return -1, errno
	}
}

// sockaddr writes a target as the kernel reads it; AF_UNSPEC for none.
func sockaddr(rsa *unix.RawSockaddrAny, t service.Target) (family int, size uintptr) {
	addr := t.Addr.Addr().Unmap()
	switch {
	case addr.Is4():
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(rsa))
		sa.Family, sa.Addr = unix.AF_INET, addr.As4()
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], t.Addr.Port())
		return unix.AF_INET, unix.SizeofSockaddrInet4
	case addr.Is6():
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(rsa))
		sa.Family, sa.Addr = unix.AF_INET6, addr.As16()
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], t.Addr.Port())
		return unix.AF_INET6, unix.SizeofSockaddrInet6
	case t.Path != "":
		sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(rsa))
		if len(t.Path) >= len(sa.Path) {
			return unix.AF_UNSPEC, 0
		}
		sa.Family = unix.AF_UNIX
		for i := range len(t.Path) {
			sa.Path[i] = int8(t.Path[i])
		}
		return unix.AF_UNIX, unsafe.Offsetof(sa.Path) + uintptr(len(t.Path)) + 1
	}
	return unix.AF_UNSPEC, 0
}

// connectedOrNot says what has become of a socket that is being connected: 0 when it is, EINPROGRESS
// when it is not known yet, else why not. It asks the socket, since events may be stale. A socket
// that has met itself, which happens when the port of a server that is down is given out as the
// local one, is refused.
func connectedOrNot(fd int) unix.Errno {
	var peer, local unix.RawSockaddrAny
	if e := peerName(fd, &peer); e != 0 {
		if e := socketError(fd); e != 0 {
			return e
		}
		return unix.EINPROGRESS
	}
	if p := addrPort(&peer); p.IsValid() && sockName(fd, &local) == 0 && addrPort(&local) == p {
		return unix.ECONNREFUSED
	}
	return 0
}

// Local is service.Conn's.
func (c *conn) Local() netip.AddrPort {
	var rsa unix.RawSockaddrAny
	if c.ln.Network == "unix" || sockName(c.fd, &rsa) != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&rsa)
}

func peerName(fd int, rsa *unix.RawSockaddrAny) unix.Errno {
	return nameOf(unix.SYS_GETPEERNAME, fd, rsa)
}

func sockName(fd int, rsa *unix.RawSockaddrAny) unix.Errno {
	return nameOf(unix.SYS_GETSOCKNAME, fd, rsa)
}

func nameOf(call uintptr, fd int, rsa *unix.RawSockaddrAny) unix.Errno {
	size := uint32(unix.SizeofSockaddrAny)
	_, _, e := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(rsa)), uintptr(unsafe.Pointer(&size)))
	return e
}

// socketError takes the error that waits on a socket (SO_ERROR), 0 for none.
func socketError(fd int) unix.Errno {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return unix.EIO
	}
	return unix.Errno(n)
}
