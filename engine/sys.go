package engine

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are on descriptors that never block, so they go to the kernel without telling
// Go's scheduler: that saves its hand-over, about 50 ns a call and, under load, the migration of
// the loop to another thread.

// read fills p from fd. n = 0 with errno 0 is the end of the stream.
func read(fd int, p []byte) (n int, errno unix.Errno) {
	for {
		r, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// write sends p, which must not be empty, or as much of it as the kernel takes.
func write(fd int, p []byte) (n int, errno unix.Errno) { return send(fd, p, 0) }

// send is write with flags.
func send(fd int, p []byte, flags int) (n int, errno unix.Errno) {
	for {
		// MSG_NOSIGNAL: a peer that is gone is an error, not a SIGPIPE.
		r, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), uintptr(unix.MSG_NOSIGNAL|flags), 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// sendFile sends n bytes of a regular file from offset on, or as many as the kernel takes; 0 without
// an error means that the file ends there. The page cache should have them: the loop waits for the
// disk otherwise.
func sendFile(fd, from int, offset int64, n int) (sent int, errno unix.Errno) {
	for {
		r, _, e := unix.RawSyscall6(unix.SYS_SENDFILE, uintptr(fd), uintptr(from), uintptr(unsafe.Pointer(&offset)), uintptr(n), 0, 0)
		if e == 0 {
			return int(r), 0
		}
		if e != unix.EINTR {
			return 0, e
		}
	}
}

// accept takes one connection from the listening socket fd. It allocates nothing: rsa is the
// loop's, and valid until the next call.
func accept(fd int, rsa *unix.RawSockaddrAny) (nfd int, errno unix.Errno) {
	size := uint32(unix.SizeofSockaddrAny)
	r, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(rsa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(r), 0
}

// addrPort is the peer in rsa; the zero AddrPort for families other than IPv4 and IPv6. Zones are
// left out: nothing counts by them.
func addrPort(rsa *unix.RawSockaddrAny) netip.AddrPort {
	switch rsa.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(rsa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), netPort(sa.Port))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(rsa))
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), netPort(sa.Port))
	}
	return netip.AddrPort{}
}

// netPort is a port as the kernel writes it: big endian whatever the machine.
func netPort(p uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&p))[:])
}

// closeSocket closes a connection's descriptor. With no linger time set it does not wait.
func closeSocket(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// reset closes fd with a reset instead of a FIN: what is queued is dropped and the kernel keeps
// nothing of the connection.
func reset(fd int) {
	linger := unix.Linger{Onoff: 1}
	_, _, _ = unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
	closeSocket(fd)
}

// unsent is the number of bytes that the peer's kernel has not acknowledged yet (SIOCOUTQ).
func unsent(fd int) int {
	var n int32
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0
	}
	return int(n)
}

// waiting is the number of bytes that have arrived and are not read (FIONREAD).
func waiting(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// silent reports whether nothing has arrived at a socket, not even the end.
func silent(fd int) bool {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// errnoName is the name of e in the manual pages, "E123" for one without.
func errnoName(e unix.Errno) string {
	if s := unix.ErrnoName(e); s != "" {
		return s
	}
	return "E" + strconv.Itoa(int(e))
}
