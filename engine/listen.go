package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"
)

// notSentBytes bounds what the kernel holds for a peer beyond what is on its way
// (TCP_NOTSENT_LOWAT): a slow reader costs this and not the whole of tcp_wmem, and what it reads
// shows early.
const notSentBytes = 128 << 10

// bind makes the listening sockets of one Listener, one for each of n loops, all on one address.
// TCP sockets are plain TCP (no MPTCP, to which socket filters cannot be attached), share the
// address by SO_REUSEPORT, and pass their options on to what they accept.
func bind(ln *Listener, n int) (fds []int, addr net.Addr, err error) {
	if ln.Network == "unix" {
		return bindUnix(ln, n)
	}
	if err := vacant(ln.Address); err != nil {
		return nil, nil, explain(ln, err)
	}
	at := ln.Address
	for range n {
		fd, _, err := socket.TCPSocket("tcp", at, true, []socket.Option[int]{
			{SetSockOpt: socket.SetReuseAddr, Opt: 1},
			{SetSockOpt: socket.SetReuseport, Opt: 1},
			{SetSockOpt: socket.SetNoDelay, Opt: 1},
			{SetSockOpt: keepAlive, Opt: 60},
			{SetSockOpt: tcpOption(unix.TCP_NOTSENT_LOWAT), Opt: notSentBytes},
			{SetSockOpt: tcpOption(unix.TCP_DEFER_ACCEPT), Opt: int(ln.DeferAccept / time.Second)},
		}, nil)
		if err == nil {
			fds = append(fds, fd)
			if addr, err = localAddr(fd); err == nil {
				at = addr.String() // the port that the kernel chose, when 0 was asked for
				continue
			}
		}
		closeAll(fds)
		return nil, nil, explain(ln, err)
	}
	return fds, addr, nil
}

// vacant reports an error when another process listens on a TCP address: SO_REUSEPORT would
// silently share its connections.
func vacant(addr string) error {
	fd, _, err := socket.TCPSocket("tcp", addr, true, []socket.Option[int]{{SetSockOpt: socket.SetReuseAddr, Opt: 1}}, nil)
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// bindUnix makes one listening socket that all loops accept from.
func bindUnix(ln *Listener, n int) (fds []int, addr net.Addr, err error) {
	if st, err := os.Lstat(ln.Address); err == nil && st.Mode()&os.ModeSocket != 0 {
		if c, err := net.Dial("unix", ln.Address); err == nil {
			_ = c.Close()
			return nil, nil, explain(ln, unix.EADDRINUSE)
		}
		_ = os.Remove(ln.Address) // left behind by a process that was killed
	}
	fd, addr, err := socket.UnixSocket("unix", ln.Address, true, nil, nil)
	if err != nil {
		return nil, nil, explain(ln, err)
	}
	fds = append(fds, fd)
	for len(fds) < n { // a descriptor of its own for each loop, all of one socket
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			closeAll(fds)
			return nil, nil, explain(ln, os.NewSyscallError("fcntl", err))
		}
		fds = append(fds, dup)
	}
	return fds, addr, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

func keepAlive(fd, seconds int) error {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds/4)
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds))
}

// tcpOption sets opt, unless its value is 0: the kernel's default.
func tcpOption(opt int) func(fd, value int) error {
	return func(fd, value int) error {
		if value == 0 {
			return nil
		}
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, opt, value))
	}
}

func localAddr(fd int) (*net.TCPAddr, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}, nil
	case *unix.SockaddrInet6:
		zone := ""
		if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
			zone = i.Name
		}
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port, Zone: zone}, nil
	}
	return nil, fmt.Errorf("unexpected address %v", sa)
}

// explain turns the error of a bind into one line that says what to do.
func explain(ln *Listener, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = ": another process listens there; stop it or choose another address"
	case errors.Is(err, unix.EACCES):
		hint = ": ports below 1024 and some paths need a privilege; choose another or grant CAP_NET_BIND_SERVICE"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		hint = ": this machine has no such address"
	case errors.Is(err, unix.ENOENT):
		hint = ": the folder does not exist"
	}
	return fmt.Errorf("listen on %s: %w%s", ln.Name, err, hint)
}
