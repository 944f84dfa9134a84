package watch

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxCommandBytes bounds what is kept of a command line.
const maxCommandBytes = 16 << 10

// Program says what a server's process runs, so that it can be started again. What cannot be read is left empty.
type Program struct {
	PID     int      `json:"pid"`
	Command []string `json:"command,omitempty"` // the program's name included
	Go      string   `json:"go,omitempty"`      // the version that built it, when it is a Go program
	Commit  string   `json:"commit,omitempty"`  // it was built from; "+" when changed since
}

// Programs describes the processes with the given ids. Command lines are kept as they are: what is secret does not
// belong there, since everybody on the machine can read them.
func Programs(pids []int) []Program {
	var out []Program
	for _, pid := range pids {
		p := Program{PID: pid}
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		if b, err := os.ReadFile(filepath.Join(dir, "cmdline")); err == nil && len(b) > 0 {
			text := string(b[:min(len(b), maxCommandBytes)])
			p.Command = strings.Split(strings.TrimSuffix(text, "\x00"), "\x00")
		}
		if info, err := buildinfo.ReadFile(filepath.Join(dir, "exe")); err == nil {
			p.Go = info.GoVersion
			var changed string
			for _, s := range info.Settings {
				switch {
				case s.Key == "vcs.revision":
					p.Commit = s.Value
				case s.Key == "vcs.modified" && s.Value == "true":
					changed = "+"
				}
			}
			if p.Commit != "" {
				p.Commit += changed
			}
		}
		out = append(out, p)
	}
	return out
}
