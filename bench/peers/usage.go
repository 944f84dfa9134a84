package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weir/bench/watch"
)

// descendants returns pid and the processes below it, parents before children.
func descendants(pid int) []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		// The name in brackets may hold anything: fields are counted from its end.
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		children[parent] = append(children[parent], id)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
}

// cpu returns the CPU time of the server's processes so far, by the scheduler's count.
func (s *server) cpu() (time.Duration, error) {
	u, err := watch.Processes(s.pids())
	return u.CPU, err
}

// memory returns the resident bytes of the server's processes. What they share counts once: each has its part of it,
// see PSS in proc_pid_smaps(5).
func (s *server) memory() (int64, error) {
	var sum int64
	for _, pid := range s.pids() {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, fmt.Errorf("read memory: %w", err)
		}
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
				var kb int64
				if _, err := fmt.Sscan(rest, &kb); err != nil {
					return 0, fmt.Errorf("read memory: %w", err)
				}
				sum += kb << 10
			}
		}
	}
	return sum, nil
}
