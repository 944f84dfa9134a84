package sock

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many events one wait returns at most.
const batch = 512

// Event is news about one descriptor.
type Event struct {
	Token    uint64 // as given to Add
	Readable bool   // bytes, the end of the stream or an error can be read
	Writable bool   // connected, or room again
	Ending   bool   // the peer sends no more: read on to the end, whatever a read before it returns
	Broken   bool   // an error or a full close: Problem or Read tells which
}

// Poller waits for many descriptors, edge by edge: each change is told once. Not for concurrent use. The zero value is
// not usable: use [NewPoller].
type Poller struct {
	fd     int
	raw    [batch]unix.EpollEvent
	events [batch]Event
}

// NewPoller returns a poller, which takes one descriptor until it is closed.
func NewPoller() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &Poller{fd: fd}, nil
}

// Add tells of fd from now on, with the given token. One that carries a generation guards against an event
// that was fetched before its descriptor was closed and its number taken again. Closing fd ends it.
func (p *Poller) Add(fd int, token uint64) error {
	ev := unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     int32(uint32(token)), Pad: int32(uint32(token >> 32)),
	}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &ev)
}

// Wait returns what happened, waiting for up to the given time when nothing did; at or below 0 it does not wait. What
// it returns is good until the next call.
func (p *Poller) Wait(timeout time.Duration) []Event {
	n := p.wait(max(timeout, 0))
	for i, ev := range p.raw[:n] {
		p.events[i] = Event{
			Token:    uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32,
			Readable: ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Writable: ev.Events&unix.EPOLLOUT != 0,
			Ending:   ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0,
			Broken:   ev.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0,
		}
	}
	return p.events[:n]
}

// wait uses epoll_pwait2 for its nanoseconds: epoll_wait's milliseconds would add up to one to each latency that
// an open-loop client measures. Kernels before 5.11 do not have it and get the milliseconds.
func (p *Poller) wait(timeout time.Duration) int {
	if timeout > 0 {
		ts := unix.NsecToTimespec(int64(timeout))
		n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(&p.raw[0])),
			batch, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if errno == 0 {
			return int(n)
		}
		if errno != unix.ENOSYS {
			return 0 // EINTR: the caller comes again
		}
	}
	n, err := unix.EpollWait(p.fd, p.raw[:], int((timeout+time.Millisecond-1)/time.Millisecond))
	if err != nil {
		return 0
	}
	return n
}

// Close frees the poller's descriptor.
func (p *Poller) Close() { _ = unix.Close(p.fd) }
