package sock

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Reserve is how many descriptors a run leaves alone: for pollers, metrics, files and the runtime.
const Reserve = 64

// Room counts out descriptors, so that an attack ends at the limit of this process instead of taking the good
// client's away. Any goroutine. The zero value has no room.
type Room struct {
	left atomic.Int64
	size int
}

// NewRoom returns what is left of RLIMIT_NOFILE after the descriptors open now and [Reserve].
func NewRoom() *Room {
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
		lim.Cur = 1024
	}
	open := 16
	if list, err := os.ReadDir("/proc/self/fd"); err == nil {
		open = len(list)
	}
	return RoomFor(int(min(lim.Cur, 1<<30)) - open - Reserve)
}

// RoomFor returns room for n descriptors; below 1 there is none.
func RoomFor(n int) *Room {
	r := &Room{size: max(n, 0)}
	r.left.Store(int64(r.size))
	return r
}

// Size returns how many there were in all.
func (r *Room) Size() int { return r.size }

// Take takes one and reports whether there was one left.
func (r *Room) Take() bool {
	if r.left.Add(-1) >= 0 {
		return true
	}
	r.left.Add(1)
	return false
}

// Return gives one back. One for each Take that was granted.
func (r *Room) Return() { r.left.Add(1) }
