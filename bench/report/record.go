package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/load"
)

// Record is a run with everything that is needed to judge it and to do it again. Times whose names end in _ns are
// nanoseconds.
type Record struct {
	Kind    string    `json:"kind"`    // "siege", "load" or "attack": what the result is of
	Command []string  `json:"command"` // the arguments, the program's name left out
	Seed    uint64    `json:"seed"`
	Time    time.Time `json:"time"`             // when the run ended
	Commit  string    `json:"commit,omitempty"` // of the bench, when it was built from a checkout; "+" when changed since
	Go      string    `json:"go"`
	Machine Machine   `json:"machine"`
	Failure string    `json:"failure,omitempty"` // why the run counts as failed
	// Scenario is what a siege ran as the text of a file for bench siege -scenario, what the command line said included.
	Scenario string `json:"scenario,omitempty"`
	Result   any    `json:"result"` // a bench.Outcome, load.Result or attack.Result
}

// Machine is what the run ran on. What cannot be read is left empty.
type Machine struct {
	Kernel      string `json:"kernel"`
	Arch        string `json:"arch"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes int64  `json:"memory_bytes"`
	OpenFiles   uint64 `json:"open_files_limit"`
	MaxProcs    int    `json:"max_procs"` // how many goroutines of the bench ran at once, at most

	// Settings are those of the kernel that decide what a flood meets before the server does, by their sysctl names.
	Settings map[string]string `json:"settings,omitempty"`
}

// settings are the names of the kernel's that a record holds.
var settings = []string{
	"net.core.somaxconn", "net.core.netdev_max_backlog", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies",
	"net.ipv4.tcp_abort_on_overflow", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_tw_reuse",
}

// NewRecord returns a record of a result of now, on this machine, by this build.
func NewRecord(command []string, seed uint64, result any, failure error) Record {
	r := Record{Kind: kind(result), Command: command, Seed: seed, Time: time.Now().UTC().Truncate(time.Second), Commit: commit(),
		Go: runtime.Version(), Machine: thisMachine(), Result: result}
	if failure != nil {
		r.Failure = failure.Error()
	}
	return r
}

// kind names what a result is of; empty for anything else.
func kind(result any) string {
	switch result.(type) {
	case bench.Outcome:
		return "siege"
	case load.Result:
		return "load"
	case attack.Result:
		return "attack"
	}
	return ""
}

// maxRecordBytes bounds a record that is read: one of ten minutes has less than 3 MB.
const maxRecordBytes = 64 << 20

// Parse reads a record's JSON; Result is then a value of the type that Kind names. More phases, attacks, slices or samples
// than any siege has are an error. What a stranger wrote is an error
// or is shown as it stands, and never runs.
func Parse(b []byte) (Record, error) {
	var raw json.RawMessage
	r := Record{Result: &raw}
	if err := json.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("read record: no record of bench, as -json writes them: %w", err)
	}
	var err error
	switch r.Kind {
	case "siege":
		var o bench.Outcome
		o, err = siege(raw)
		r.Result, err = o, cmp.Or(err, bounded(o))
	case "load":
		var l load.Result
		l, err = result[load.Result](raw)
		r.Result, err = l, cmp.Or(err, bounded(bench.Outcome{Good: l}))
	case "attack":
		r.Result, err = result[attack.Result](raw)
	default:
		err = fmt.Errorf("no record of bench, as -json writes them: kind %.40q: want siege, load or attack", r.Kind)
	}
	if err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	return r, nil
}

// siege reads the outcome of a siege. Earlier records knew three phases, attacks in the second one only, and one cost.
func siege(raw json.RawMessage) (bench.Outcome, error) {
	var v struct {
		bench.Outcome
		Cost *bench.Cost `json:"cost"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		return bench.Outcome{}, err
	}
	if v.Cost != nil && len(v.Costs) == 0 {
		v.Costs = []bench.Cost{*v.Cost}
	}
	for i := range v.Costs {
		v.Costs[i].Phase = cmp.Or(v.Costs[i].Phase, bench.During)
	}
	for i := range v.Attacks {
		v.Attacks[i].Phase = cmp.Or(v.Attacks[i].Phase, bench.During)
	}
	return v.Outcome, nil
}

func result[T any](raw json.RawMessage) (v T, err error) { return v, json.Unmarshal(raw, &v) }

// Read reads the record in a file.
func Read(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRecordBytes+1))
	if err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	if len(b) > maxRecordBytes {
		return Record{}, fmt.Errorf("read record %s: more than %d MiB", path, maxRecordBytes>>20)
	}
	r, err := Parse(b)
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return r, err
}

// JSON returns the record as it stands in a file.
func (r Record) JSON() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write record: %w", err)
	}
	return append(b, '\n'), nil
}

// Write writes the record to a file, which it creates or replaces, whole or not at all; see [Put].
func (r Record) Write(path string) error {
	b, err := r.JSON()
	if err != nil {
		return err
	}
	if err := Put(path, b); err != nil {
		return fmt.Errorf("write record: %w", err)
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
	m := Machine{Arch: runtime.GOARCH, Cores: runtime.NumCPU(), MaxProcs: runtime.GOMAXPROCS(0)}
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
	for _, name := range settings {
		b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
		if err != nil {
			continue // another kernel, or a container that hides it
		}
		if m.Settings == nil {
			m.Settings = make(map[string]string)
		}
		m.Settings[name] = strings.Join(strings.Fields(string(b)), " ")
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
