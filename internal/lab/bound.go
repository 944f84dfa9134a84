package lab

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// Bound is a TCP socket with an address on 127.0.0.1 that is nobody else's until the test ends. It does not
// listen: who connects is refused.
func Bound(t testing.TB) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	host := [4]byte{127, 0, 0, 1}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: host}); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, netip.AddrPortFrom(netip.AddrFrom4(host), uint16(sa.(*unix.SockaddrInet4).Port))
}
