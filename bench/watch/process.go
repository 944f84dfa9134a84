package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what the kernel accounts to a server at one instant.
type Usage struct {
	CPU      time.Duration // user and system since its start, all its threads
	RSSBytes int64         // memory resident now
}

// clockTick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// Processes reads the usage of the processes with the given ids, added up: a server with workers is the sum of
// them. On loopback the kernel runs the receiving side of a packet on the time of whoever sent it, so part of what
// the server costs is accounted to its clients, and the other way round.
func Processes(pids []int) (Usage, error) {
	var sum Usage
	for _, pid := range pids {
		u, err := process(filepath.Join("/proc", strconv.Itoa(pid)))
		if err != nil {
			return Usage{}, fmt.Errorf("read process %d: %w", pid, err)
		}
		sum.CPU += u.CPU
		sum.RSSBytes += u.RSSBytes
	}
	return sum, nil
}

func process(dir string) (Usage, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}, err
	}
	ticks, err := parseStat(string(stat))
	if err != nil {
		return Usage{}, err
	}
	u := Usage{CPU: time.Duration(ticks) * clockTick}
	// The scheduler's own count is in nanoseconds, but only of the threads that still live; a thread that ended
	// is in stat only. Whichever is more is nearer.
	if exact := threads(dir); exact > u.CPU-clockTick {
		u.CPU = exact
	}
	statm, err := os.ReadFile(filepath.Join(dir, "statm"))
	if err != nil {
		return Usage{}, err
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		return Usage{}, fmt.Errorf("statm: %w", err)
	}
	u.RSSBytes = resident * int64(os.Getpagesize())
	return u, nil
}

// parseStat returns user and system ticks. The name in brackets may hold blanks and brackets of its own, so fields
// are counted from the last closing one.
func parseStat(stat string) (ticks int64, err error) {
	i := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[i+1:])
	if i < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("stat has too few fields")
	}
	for _, f := range fields[11:13] { // utime and stime, fields 14 and 15 of proc(5)
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("stat: %w", err)
		}
		ticks += n
	}
	return ticks, nil
}

// threads adds up what /proc/PID/task/*/schedstat says; 0 where the kernel does not keep it.
func threads(dir string) time.Duration {
	files, _ := filepath.Glob(filepath.Join(dir, "task", "*", "schedstat"))
	var sum time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // ended meanwhile
		}
		ns, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		sum += time.Duration(n)
	}
	return sum
}
