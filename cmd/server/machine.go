package main

import (
	"runtime"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"golang.org/x/sys/unix"
)

// machine is what the defaults depend on.
type machine struct {
	descriptors int   // the limit on open files
	memory      int64 // bytes that the process may use
	cpus        int   // that the process may use at once
}

// thisMachine measures. Go has raised the soft limit on open files to the hard one before main
// runs (package syscall does so at start), and GOMAXPROCS follows the CPU quota and the affinity
// mask. Memory is the smaller of the cgroup's limit and what the machine has.
func thisMachine() machine {
	m := machine{descriptors: 1024, memory: 1 << 30, cpus: runtime.GOMAXPROCS(0)}
	var lim unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) == nil {
		m.descriptors = int(min(lim.Cur, 1<<30))
	}
	if total, err := memlimit.FromSystem(); err == nil && total > 0 {
		m.memory = int64(min(total, 1<<62))
	}
	if limit, err := memlimit.FromCgroup(); err == nil && limit > 0 && limit < uint64(m.memory) {
		m.memory = int64(limit)
	}
	return m
}

// setProcs sets GOMAXPROCS to one more than the loops: a loop that sits in epoll_wait holds its P,
// and with as many Ps as loops the workers, the admin server and the collector waited for one; timers
// were late by 4 to 10 ms in 3 of 8 runs, with one P more in none of 8. Not more than that: the
// poller yields after each batch, and the runtime then wakes a thread for every P that is idle,
// which showed as a quarter of the CPU of refusing connections. GOMAXPROCS in the environment wins.
func setProcs(loops int, fromEnv string) {
	if fromEnv == "" {
		runtime.GOMAXPROCS(loops + 1)
	}
}

// openFiles estimates how many descriptors are open without reading a directory that may have a
// million entries: newer kernels (6.2) tell the number as the size of /proc/self/fd; on older ones
// it is base plus conns.
func openFiles(base int, conns int64) int {
	var st unix.Stat_t
	if unix.Stat("/proc/self/fd", &st) == nil && st.Size > 0 {
		return int(st.Size)
	}
	return base + int(conns)
}
