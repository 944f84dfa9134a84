package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/guard/mono"
)

// mostUnknown is what work counts as at most whose processor time is not known.
const mostUnknown = 25 * time.Millisecond

// stopwatch measures the processor time of a piece of work on its goroutine, without binding that to a thread,
// which iter.Pull would not bear. The clock on the wall will not do for what a peer is charged with: on a busy
// machine a worker may stand still for a second. Work that ends on another thread than it began on, because the
// scheduler had taken its turn, counts as the time that has passed, up to mostUnknown.
type stopwatch struct {
	thread int
	cpu    time.Duration
	wall   mono.Time
}

// begin starts one.
func begin() stopwatch {
	return stopwatch{thread: unix.Gettid(), cpu: threadTime(), wall: mono.Now()}
}

// spent is what was spent since.
func (s stopwatch) spent() time.Duration {
	passed, cpu := mono.Now().Sub(s.wall), threadTime()
	if unix.Gettid() != s.thread {
		return min(passed, mostUnknown)
	}
	return min(passed, cpu-s.cpu)
}

// threadTime is the processor time of the calling thread.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // it cannot fail with this clock
	return time.Duration(t.Nano())
}
