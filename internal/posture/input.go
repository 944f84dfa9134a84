package posture

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"weir/internal/say"
	"weir/internal/scheme"
)

// validation is R1. What is relayed as bytes is not looked at: the server behind has to.
func validation() Row {
	return Row{
		Name: "R1", Practice: "input is validated",
		on: func(s *Server) string {
			var parsed []string
			for i := range s.Listeners {
				if l := &s.Listeners[i]; l.can(scheme.Parsed) && !slices.Contains(parsed, l.Scheme.Protocol) {
					parsed = append(parsed, l.Scheme.Protocol)
				}
			}
			return "lengths are checked before anything is held, what is malformed is refused: " + strings.Join(parsed, ", ")
		},
		Rules: []Rule{{
			State: Off, When: "a listener is `tcp://` or `tcp+tls://`", Change: "-listen", Advice: true,
			listener: func(_ *Server, l *Listener) string {
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
func buffers() Row {
	return Row{
		Name: "R2", Practice: "buffers are bounded",
		on: func(s *Server) string {
			return s.inForce("max-buffered", "max-out") + fmt.Sprintf("; %s of memory at worst, of %s", say.SizeAbout(s.MemoryAtWorst), say.SizeAbout(s.Memory))
		},
		Rules: []Rule{
			{
				State: Weak, When: "`max-buffered` is 0", Change: "-max-buffered",
				process: func(s *Server) string {
					if s.MaxBuffered != 0 {
						return ""
					}
					return "what all connections hold together has no bound"
				},
			},
			{
				State: Weak, When: "`max-buffered` is above the memory that the process may use", Change: "-max-buffered",
				process: func(s *Server) string {
					if s.MaxBuffered <= s.Memory {
						return ""
					}
					return fmt.Sprintf("all connections may hold %s, and the process may use %s", say.SizeAbout(s.MaxBuffered), say.SizeAbout(s.Memory))
				},
			},
			{
				State: Weak, When: "the worst case in memory, without the tables of sources, is above what the process may use", Change: "-max-conns",
				process: func(s *Server) string {
					if b := s.MaxBuffered; b == 0 || b > s.Memory || s.MemoryAtWorst <= s.Memory {
						return ""
					}
					return fmt.Sprintf("%s connections may take %s at worst, and the process may use %s",
						say.Grouped(int64(s.MaxConns)), say.SizeAbout(s.MemoryAtWorst), say.SizeAbout(s.Memory))
				},
			},
			{
				State: Weak, When: fmt.Sprintf("%d connections can fill `max-buffered`", fill), Change: "-max-out",
				listener: func(s *Server, l *Listener) string {
					if b := s.MaxBuffered; b == 0 || l.Holds <= b/fill {
						return ""
					}
					return fmt.Sprintf("one connection may hold %s, so that few fill max-buffered %s", say.SizeAbout(l.Holds), say.Size(s.MaxBuffered))
				},
			},
		},
	}
}

// The most that a request's head, and that a frame, a line or a connection's output can be allowed, in bytes.
const (
	mostHead = 1 << 20
	mostHeld = 1 << 30
)

// sizes is R5.
func sizes() Row {
	most := func(flag string, is func(*Listener) bool, why string) Rule {
		return Rule{
			State: Weak, When: "`" + flag + "` is 0, or the most there can be", Change: "-" + flag,
			listener: func(_ *Server, l *Listener) string {
				if !l.has(flag) || !is(l) {
					return ""
				}
				return why
			},
		}
	}
	return Row{
		Name: "R5", Practice: "sizes are bounded",
		on: func(s *Server) string {
			names := []string{"max-header", "max-body", "max-frame", "max-line", "max-out"}
			if s.any((*Listener).takesUploads) {
				names = append(names, "max-upload", "upload-quota", "upload-floor")
			}
			return s.inForce(names...)
		},
		Rules: []Rule{
			most("max-header", func(l *Listener) bool { return l.MaxHeader >= mostHead }, "a request head may have 1 MiB"),
			most("max-body", func(l *Listener) bool { return l.MaxBody == 0 }, "a body may be endless"),
			most("max-frame", func(l *Listener) bool { return l.MaxFrame >= mostHeld }, "a frame may have 1 GiB"),
			most("max-line", func(l *Listener) bool { return l.MaxLine >= mostHeld }, "a line may have 1 GiB"),
			most("max-out", func(l *Listener) bool { return int64(l.MaxOut) >= mostHeld }, "1 GiB of output may wait for one connection"),
			most("max-upload", func(l *Listener) bool { return l.takesUploads() && l.Uploads.Max == 0 }, "an upload may be endless"),
			most("upload-quota", func(l *Listener) bool { return l.takesUploads() && l.Uploads.Quota == 0 && l.Uploads.Floor == 0 }, "uploads may fill the disk: upload-floor is 0, too"),
			most("source-upload-rate", func(l *Listener) bool { return l.takesUploads() && lifted(l.Uploads.Rate, liftedBytesRate) }, "one source may use the whole quota up"),
			{
				State: Weak, When: "a listener takes uploads from other machines and has no `auth`, or an optional one and no rule of `scope` for PUT everywhere", Change: "-auth -scope",
				listener: func(_ *Server, l *Listener) string {
					if !l.takesUploads() || l.Auth.AsksToPut || !l.Outside || l.ClientCert == "required" {
						return ""
					}
					return "strangers may store files"
				},
			},
		},
	}
}

// roots is R6. Files are always opened through os.Root; what can be weak is what the root has in it.
func roots() Row {
	return Row{
		Name: "R6", Practice: "no way out of a root", None: "no listener serves files",
		among: func(l *Listener) bool { return l.servesFiles() },
		on: func(*Server) string {
			return "files are opened through os.Root: no path, link or race leads out; names that begin with a dot are hidden"
		},
		Rules: []Rule{
			{
				State: Weak, When: "`files` or `uploads` is `/`", Change: "-files -uploads",
				listener: func(_ *Server, l *Listener) string {
					isTop := func(dir string) bool {
						abs, err := filepath.Abs(dir)
						return dir != "" && err == nil && abs == "/"
					}
					if !isTop(l.Files) && !isTop(l.Uploads.Dir) {
						return ""
					}
					return "the root is /: what others reach is all that the process may read or write"
				},
			},
			{
				State: Weak, When: "`dotfiles` is true", Change: "-dotfiles",
				listener: func(_ *Server, l *Listener) string {
					if !l.DotFiles {
						return ""
					}
					return "names that begin with a dot are served: .git, .env and .htaccess too"
				},
			},
		},
	}
}
