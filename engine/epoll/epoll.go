// Package epoll is the kernel's readiness notification for one event loop (epoll(7)), and a way to wake it
// from other goroutines (eventfd(2)). Decision 0022 says why it is our own.
package epoll

import (
	"encoding/binary"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Events are what Wait reports and Watch asks for. Err and Hup are always reported.
const (
	In   = uint32(unix.EPOLLIN)
	Out  = uint32(unix.EPOLLOUT)
	Err  = uint32(unix.EPOLLERR)
	Hup  = uint32(unix.EPOLLHUP)
	Edge = uint32(unix.EPOLLET) // Watch: report what changes, not what is
)

// most is how many events one Wait reports: what a loop does before it looks at the clock again.
const most = 64

// Poller watches descriptors for one loop. Its zero value is of no use, see Open. All methods are for the
// loop's goroutine, but Do, which any may call. Close only when no Do can follow.
type Poller struct {
	fd, wakeFD int
	events     [most]unix.EpollEvent

	mu    sync.Mutex
	tasks []func() // to be run; wakeFD is readable when there are some
	spare []func() // the other array of tasks
}

// Open makes a Poller, of two descriptors. The error is the system call's.
func Open() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &Poller{fd: fd}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err = p.Add(p.wakeFD, In|Edge); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// Close closes the descriptors. What Do was given and did not run is forgotten.
func (p *Poller) Close() error {
	_ = unix.Close(p.wakeFD)
	return unix.Close(p.fd)
}

// Add begins to watch fd for events. ENOMEM and ENOSPC say that the kernel cannot watch any more.
func (p *Poller) Add(fd int, events uint32) error { return p.control(unix.EPOLL_CTL_ADD, fd, events) }

// Modify changes what fd, which is watched, is watched for. With no events but Edge a reset is still told,
// once.
func (p *Poller) Modify(fd int, events uint32) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, events)
}

// Remove ends the watching of fd. To close fd ends it, too, unless it was duplicated.
func (p *Poller) Remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *Poller) control(op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// Wait blocks until something happens and reports how much: At has it, until the next Wait. The goroutine
// is in a system call meanwhile, from where Go's scheduler takes its processor when others have use for it. A signal is
// no event.
func (p *Poller) Wait() (n int, err error) {
	for {
		if n, err = unix.EpollWait(p.fd, p.events[:], -1); err != unix.EINTR {
			return n, os.NewSyscallError("epoll_wait", err)
		}
	}
}

// At is the i-th event of the last Wait. fd is -1 for a wake by Do: Tasks has what is to be done. A descriptor
// that is closed while these events are handled may be among the rest of them, and its number be another's by then.
func (p *Poller) At(i int) (fd int, events uint32) {
	e := &p.events[i]
	if fd = int(e.Fd); fd == p.wakeFD {
		return -1, 0
	}
	return fd, e.Events
}

// one is what a write adds to the count of an eventfd.
var one = func() (b [8]byte) {
	binary.NativeEndian.PutUint64(b[:], 1)
	return b
}()

// Do has f among the next Tasks. Any goroutine.
func (p *Poller) Do(f func()) {
	p.mu.Lock()
	first := len(p.tasks) == 0
	p.tasks = append(p.tasks, f)
	p.mu.Unlock()
	if first {
		// It does not wait, so no signal interrupts it, and the count, which nobody reads, has room for 2^64-2 wakes.
		_, _ = unix.Write(p.wakeFD, one[:])
	}
}

// Tasks runs what Do was given before. What comes meanwhile is for the next wake: sockets that are ready
// have their turn before it.
func (p *Poller) Tasks(run func(func())) {
	p.mu.Lock()
	list := p.tasks
	p.tasks = p.spare[:0]
	p.mu.Unlock()
	for i, f := range list {
		list[i] = nil
		run(f)
	}
	p.spare = list
}
