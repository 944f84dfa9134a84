package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/say"
	"weir/internal/scheme"
)

// validation is R1. What is relayed as bytes is not looked at: the server behind has to.
func validation() practice {
	return practice{
		row: "R1", name: "input is validated",
		on: func(p *posture) string {
			var parsed []string
			for i := range p.s.listeners {
				if l := &p.s.listeners[i]; l.can(scheme.Parsed) && !slices.Contains(parsed, l.scheme.Protocol) {
					parsed = append(parsed, l.scheme.Protocol)
				}
			}
			return "lengths are checked before anything is held, what is malformed is refused: " + strings.Join(parsed, ", ")
		},
		rules: []rule{{
			state: stateOff, when: "a listener is `tcp://` or `tcp+tls://`", change: "-listen", advice: true,
			listener: func(_ *posture, l *listener) string {
				if l.can(scheme.Parsed) {
					return ""
				}
				return "bytes are relayed unread, what they mean is left to the server behind: frames, line, resp and mqtt are checked"
			},
		}},
	}
}

// fill is how many connections must be needed to fill -max-buffered; fewer is weak.
const fill = 8

// buffers is R2.
func buffers() practice {
	return practice{
		row: "R2", name: "buffers are bounded",
		on: func(p *posture) string {
			return p.inForce("max-buffered", "max-out") + fmt.Sprintf("; %s of memory at worst, of %s", say.SizeAbout(p.worst()), say.SizeAbout(p.s.machine.memory))
		},
		rules: []rule{
			{
				state: stateWeak, when: "`max-buffered` is 0", change: "-max-buffered",
				process: func(p *posture) string {
					if p.s.engine.MaxBuffered != 0 {
						return ""
					}
					return "what all connections hold together has no bound"
				},
			},
			{
				state: stateWeak, when: "`max-buffered` is above the memory that the process may use", change: "-max-buffered",
				process: func(p *posture) string {
					if p.s.engine.MaxBuffered <= p.s.machine.memory {
						return ""
					}
					return fmt.Sprintf("all connections may hold %s, and the process may use %s", say.SizeAbout(p.s.engine.MaxBuffered), say.SizeAbout(p.s.machine.memory))
				},
			},
			{
				state: stateWeak, when: "the worst case in memory, without the tables of sources, is above what the process may use", change: "-max-conns",
				process: func(p *posture) string {
					if b := p.s.engine.MaxBuffered; b == 0 || b > p.s.machine.memory || p.worst() <= p.s.machine.memory {
						return ""
					}
					return fmt.Sprintf("%s connections may take %s at worst, and the process may use %s",
						say.Grouped(int64(p.s.engine.Guard.MaxConns)), say.SizeAbout(p.worst()), say.SizeAbout(p.s.machine.memory))
				},
			},
			{
				state: stateWeak, when: fmt.Sprintf("%d connections can fill `max-buffered`", fill), change: "-max-out",
				listener: func(p *posture, l *listener) string {
					if b := p.s.engine.MaxBuffered; b == 0 || p.holds(l) <= b/fill {
						return ""
					}
					return fmt.Sprintf("one connection may hold %s, so that few fill max-buffered %s", say.SizeAbout(p.holds(l)), say.Size(p.s.engine.MaxBuffered))
				},
			},
		},
	}
}

// worst is the most memory that connections and what serves them can take; the guard's tables, which are
// there from the start, are not in it.
func (p *posture) worst() (sum int64) {
	for _, t := range engineTerms(p.s) {
		sum += t.bytes
	}
	return sum
}

// holds is the most that one connection of a listener can make the server hold.
func (p *posture) holds(l *listener) int64 {
	for _, w := range wire(p.s, nil, nil, nil, nil, nil).Listeners {
		if w.Name == l.name {
			return int64(w.MaxIn) + int64(w.MaxOut)
		}
	}
	return 0
}

// sizes is R5.
func sizes() practice {
	most := func(flag string, is func(*listener) bool, why string) rule {
		return rule{
			state: stateWeak, when: "`" + flag + "` is 0, or the most there can be", change: "-" + flag,
			listener: func(_ *posture, l *listener) string {
				if !rowNamed(flag).fits(l.scheme) || !is(l) {
					return ""
				}
				return why
			},
		}
	}
	return practice{
		row: "R5", name: "sizes are bounded",
		on: func(p *posture) string {
			names := []string{"max-header", "max-body", "max-frame", "max-line", "max-out"}
			if p.s.hasUploads() {
				names = append(names, "max-upload", "upload-quota", "upload-floor")
			}
			return p.inForce(names...)
		},
		rules: []rule{
			most("max-header", func(l *listener) bool { return l.limits.maxHeader >= maxHeadSize }, "a request head may have 1 MiB"),
			most("max-body", func(l *listener) bool { return l.limits.maxBody == 0 }, "a body may be endless"),
			most("max-frame", func(l *listener) bool { return l.limits.maxFrame >= maxHeld }, "a frame may have 1 GiB"),
			most("max-line", func(l *listener) bool { return l.limits.maxLine >= maxHeld }, "a line may have 1 GiB"),
			most("max-out", func(l *listener) bool { return int64(l.limits.MaxOut) >= maxHeld }, "1 GiB of output may wait for one connection"),
			most("max-upload", func(l *listener) bool { return l.takesUploads() && l.limits.up.max == 0 }, "an upload may be endless"),
			most("upload-quota", func(l *listener) bool { return l.takesUploads() && l.limits.up.quota == 0 && l.limits.up.floor == 0 }, "uploads may fill the disk: upload-floor is 0, too"),
			most("source-upload-rate", func(l *listener) bool { return l.takesUploads() && lifted(l.limits.up.rate, liftedBytesRate) }, "one source may use the whole quota up"),
			{
				state: stateWeak, when: "a listener takes uploads from other machines and has no `auth`, or an optional one and no rule of `scope` for PUT everywhere", change: "-auth -scope",
				listener: func(_ *posture, l *listener) string {
					if !l.takesUploads() || l.asksFor("PUT") || !l.outside() || l.limits.clientAuth == "required" {
						return ""
					}
					return "strangers may store files"
				},
			},
		},
	}
}

// roots is R6. Files are always opened through os.Root; what can be weak is what the root has in it.
func roots() practice {
	return practice{
		row: "R6", name: "no way out of a root", none: "no listener serves files",
		among: func(l *listener) bool { return l.servesFiles() },
		on: func(*posture) string {
			return "files are opened through os.Root: no path, link or race leads out; names that begin with a dot are hidden"
		},
		rules: []rule{
			{
				state: stateWeak, when: "`files` or `uploads` is `/`", change: "-files -uploads",
				listener: func(_ *posture, l *listener) string {
					isTop := func(dir string) bool {
						abs, err := filepath.Abs(dir)
						return dir != "" && err == nil && abs == "/"
					}
					if !isTop(l.limits.files) && !isTop(l.limits.up.dir) {
						return ""
					}
					return "the root is /: what others reach is all that the process may read or write"
				},
			},
			{
				state: stateWeak, when: "`dotfiles` is true", change: "-dotfiles",
				listener: func(_ *posture, l *listener) string {
					if !l.limits.dotFiles {
						return ""
					}
					return "names that begin with a dot are served: .git, .env and .htaccess too"
				},
			},
		},
	}
}
