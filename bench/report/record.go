package report

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Record is a run with everything that is needed to judge it and to do it again. Times whose names end in _ns are
// nanoseconds.
type Record struct {
	Command []string  `json:"command"` // the arguments, the program's name left out
	Seed    uint64    `json:"seed"`
	Time    time.Time `json:"time"`
	Commit  string    `json:"commit,omitempty"` // of the bench, when it was built from a checkout; "+" when changed since
	Go      string    `json:"go"`
	Machine Machine   `json:"machine"`
	Failure string    `json:"failure,omitempty"` // why the run counts as failed
	Result  any       `json:"result"`            // a bench.Outcome, load.Result or attack.Result
}

// Machine is what the run ran on. What cannot be read is left empty.
type Machine struct {
	Kernel      string `json:"kernel"`
	Arch        string `json:"arch"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	OpenFiles   uint64 `json:"open_files_limit"`
}

// NewRecord returns a record of a result of now, on this machine, by this build.
func NewRecord(command []string, seed uint64, result any, failure error) Record {
	r := Record{Command: command, Seed: seed, Time: time.Now().UTC().Truncate(time.Second), Commit: commit(),
		Go: runtime.Version(), Machine: thisMachine(), Result: result}
	if failure != nil {
		r.Failure = failure.Error()
	}
	return r
}

// Write writes the record to a file, which it creates or replaces.
func (r Record) Write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

func thisMachine() Machine {
	m := Machine{Arch: runtime.GOARCH, Cores: runtime.NumCPU()}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	m.CPU = field("/proc/cpuinfo", "model name")
	var kb int64
	if _, err := fmt.Sscan(field("/proc/meminfo", "MemTotal"), &kb); err == nil {
		m.MemoryBytes = kb << 10
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		m.OpenFiles = limit.Cur
	}
	return m
}

// field returns the value of the first "name : value" line of a file.
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
