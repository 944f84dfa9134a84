package sock

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// OwnThread gives the calling goroutine an operating system thread of its own until it ends, and lowers its
// priority by nice, 0 to 19. The thread ends with the goroutine, so a priority never leaks.
//
// On a machine shared with the server, an attacker that runs to the full would take the CPU that the server and
// the good client need, which one on a machine of its own could not; a nice value is the nearest thing to that machine.
func OwnThread(nice int) {
	runtime.LockOSThread()
	if nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), nice)
	}
}

// ThreadCPU returns the CPU time, user and system, that the calling thread used so far. Of meaning after
// [OwnThread] only.
func ThreadCPU() time.Duration { return usage(unix.RUSAGE_THREAD) }

// ProcessCPU returns the CPU time that this process used so far.
func ProcessCPU() time.Duration { return usage(unix.RUSAGE_SELF) }

func usage(who int) time.Duration {
	var u unix.Rusage
	if unix.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(unix.TimevalToNsec(u.Utime) + unix.TimevalToNsec(u.Stime))
}

// ResidentMost returns the most memory that this process had resident so far, in bytes; 0 when it cannot be read. Not
// from getrusage, which counts that of the process that started this one, too.
func ResidentMost() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		return 0
	}
	return kb << 10
}
