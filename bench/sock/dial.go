package sock

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"weir/bench/target"
)

// Dial begins a connection from the source address to a target and returns its non-blocking descriptor, which the
// caller must close. The connection may not stand yet: wait until it is writable, then ask [Problem]. An invalid
// source leaves the choice to the kernel. Errors: target.ErrNotLoopback for a target that may not be dialed; else the
// bare errno of the call that failed, EMFILE and EADDRNOTAVAIL being those to expect.
func Dial(to netip.AddrPort, from netip.Addr) (fd int, err error) { return DialReceiving(to, from, 0) }

// DialReceiving is [Dial] with a receive buffer of so many bytes, 0 for the kernel's choice: the window that the server
// sees is no larger. The kernel rounds up to its own least, about 2 KB.
func DialReceiving(to netip.AddrPort, from netip.Addr, buffer int) (fd int, err error) {
	// Checked here once more, on the address that is about to be dialed: nothing between the command line and
	// this line is trusted to have done it.
	if err := target.CheckLoopback(to.Addr()); err != nil {
		return -1, err
	}
	family := unix.AF_INET
	if to.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if buffer > 0 {
		// Before the connect: the window's scale is settled in the handshake.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
	}
	if from.IsValid() {
		if from.Is4() != to.Addr().Is4() {
			unix.Close(fd)
			return -1, fmt.Errorf("source %s and target %s are of different families", from, to)
		}
		if target.Documentation.Contains(from) {
			// It is routed to this machine, see there, and no address of an interface.
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1)
		}
		// Without it bind takes a port of its own that no other target may share, and searches for it.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		if err := unix.Bind(fd, address(netip.AddrPortFrom(from, 0))); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	if err := unix.Connect(fd, address(to)); err != nil && err != unix.EINPROGRESS {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// NoDelay turns Nagle's algorithm off: small requests leave at once.
func NoDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// Problem returns the error that is pending on a descriptor, or nil: what became of a connect.
func Problem(fd int) error {
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if errno != 0 {
		return unix.Errno(errno)
	}
	return nil
}

// Fate is what became of a connection of which nothing is read.
type Fate uint8

// The fates: Alive covers a connection whose peer still may send.
const (
	Alive Fate = iota
	Closed
	Reset
)

// FateOf returns what became of a connection that stood, whatever lies unread before its end, and whether the peer
// ever sent a byte.
func FateOf(fd int) (fate Fate, heard bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Reset, false
	}
	heard = info.Bytes_received > 0
	switch info.State {
	case unix.BPF_TCP_CLOSE:
		return Reset, heard
	case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
		return Closed, heard
	}
	return Alive, heard
}

// EndWrites says that no more comes from this side; the peer may go on.
func EndWrites(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// Close closes a descriptor in the orderly way.
func Close(fd int) { _ = unix.Close(fd) }

// Abort closes a descriptor with a reset, so that its port is free at once: thousands of attackers' ports in TIME_WAIT
// would starve the run that comes next.
func Abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
	_ = unix.Close(fd)
}

// Read reads what is there: n > 0 bytes, or n = 0 at the end of the stream, or EAGAIN, or what broke the
// connection. b must not be empty.
//
// Read and Write are raw system calls: the descriptors never block, so the scheduler need not be told that this thread
// may be away, which costs a tenth of a small request. It waits for them as it does for any other code.
func Read(fd int, b []byte) (n int, err error) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, known(errno)
		}
	}
}

// Write writes what there is room for; errors as for [Read], EPIPE included, which raises no signal.
func Write(fd int, b []byte) (n int, err error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, known(errno)
		}
	}
}

// eagain and epipe are made once: an errno that becomes an error is allocated each time.
var eagain, epipe error = unix.EAGAIN, unix.EPIPE

func known(errno unix.Errno) error {
	switch errno {
	case unix.EAGAIN:
		return eagain
	case unix.EPIPE:
		return epipe
	}
	return errno
}

func address(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
