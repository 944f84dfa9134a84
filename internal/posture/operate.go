package posture

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"weir/internal/say"
	"weir/internal/scheme"
)

// telling is R13.
func telling() Row {
	hidden := func(s *Server) bool { return s.LogLevel == "error" }
	silent := func(s *Server) bool { return hidden(s) && s.Admin == "off" && len(s.AlertURLs) == 0 }
	return Row{
		Name: "R13", Practice: "events and alerts",
		on: func(s *Server) string {
			return s.inForce("log-level", "log-to") + "; metrics at " + s.Admin + "; " + say.Several(len(s.AlertURLs), "receiver") + " of alerts"
		},
		Rules: []Rule{
			{
				State: Off, When: "`log-level` is error, `admin` off and no `alert-url` given", Change: "-log-level -admin -alert-url", Advice: true,
				process: func(s *Server) string {
					if !silent(s) {
						return ""
					}
					return "nothing tells of an attack: the log leaves warnings out, there are no metrics and no alerts"
				},
			},
			{
				State: Weak, When: "`log-level` is error", Change: "-log-level", Advice: true,
				process: func(s *Server) string {
					if !hidden(s) || silent(s) {
						return ""
					}
					return "the log leaves out warnings, and what is refused is a warning"
				},
			},
			{
				State: Weak, When: "`admin` is off", Change: "-admin", Advice: true,
				process: func(s *Server) string {
					if s.Admin != "off" || silent(s) {
						return ""
					}
					return "there are no metrics"
				},
			},
			{
				State: Weak, When: "no `alert-url` is given", Change: "-alert-url", Advice: true,
				process: func(s *Server) string {
					if len(s.AlertURLs) > 0 || silent(s) {
						return ""
					}
					return "nobody is told at once, unless something watches the metrics"
				},
			},
			{
				State: Weak, When: "an `alert-url` has no TLS and is not on loopback", Change: "-alert-url", Advice: true,
				process: func(s *Server) string {
					for _, text := range s.AlertURLs {
						u, err := url.Parse(text)
						if err == nil && strings.HasSuffix(u.Scheme, "http") && !isLoopback(net.JoinHostPort(u.Hostname(), "0")) {
							return "alerts to " + say.Shown(u.Hostname()) + " are not encrypted"
						}
					}
					return ""
				},
			},
		},
	}
}

// endurance is R14. What a bad peer, a full disk or a panic does is the same with all settings.
func endurance() Row {
	return Row{
		Name: "R14", Practice: "trouble is survived",
		on: func(s *Server) string {
			return s.inForce("fd-reserve", "drain-timeout") + "; what fails ends its own connection, with its protocol's answer"
		},
		Rules: []Rule{
			{
				State: Weak, When: "`fd-reserve` is below its default", Change: "-fd-reserve",
				process: func(s *Server) string {
					if s.FDReserve >= s.FDNeed {
						return ""
					}
					return fmt.Sprintf("%d descriptors are kept for everything but clients, which may need %d", s.FDReserve, s.FDNeed)
				},
			},
			{
				State: Weak, When: "`drain-timeout` is 0", Change: "-drain-timeout", Advice: true,
				process: func(s *Server) string {
					if s.DrainTimeout != 0 {
						return ""
					}
					return "a stop cuts what is under way"
				},
			},
		},
	}
}

// oldBuild is the age of a build from which on its dependencies are probably not those that they should be.
const oldBuild = 180 * 24 * time.Hour

// dependencies is R15: what the binary knows of itself. Whether a module of it is known to be vulnerable is for
// make audit, which asks a database.
func dependencies() Row {
	return Row{
		Name: "R15", Practice: "dependencies",
		on: func(s *Server) string {
			text := fmt.Sprintf("%s, %d modules", s.Build.Text, s.Build.Modules)
			if !s.Build.At.IsZero() {
				text += ", of " + s.Build.At.UTC().Format(time.DateOnly)
			}
			return text + "; make audit asks for what is known of them"
		},
		Rules: []Rule{
			{
				State: Off, When: "the binary does not know what it was built from", Change: "make build, in a checkout", Advice: true,
				process: func(s *Server) string {
					if s.Build.Version != "devel" || s.Build.Revision != "" {
						return ""
					}
					return "nobody can tell which source this was built from, nor how old it is"
				},
			},
			{
				State: Weak, When: "it was built from files that differ from the revision", Change: "commit, make build", Advice: true,
				process: func(s *Server) string {
					if !strings.HasSuffix(s.Build.Revision, "+changes") {
						return ""
					}
					return "built from " + s.Build.Revision + ": files differed from the revision"
				},
			},
			{
				State: Weak, When: fmt.Sprintf("its source is more than %d days old", oldBuild/(24*time.Hour)), Change: "make audit, make build", Advice: true,
				process: func(s *Server) string {
					age := s.Now.Sub(s.Build.At)
					if s.Build.At.IsZero() || age < oldBuild {
						return ""
					}
					return fmt.Sprintf("its source is of %s, %d days ago: Go and modules have had fixes since", s.Build.At.UTC().Format(time.DateOnly), age/(24*time.Hour))
				},
			},
		},
	}
}

// depth is R17: what would be left if one layer failed, and what opens a way around all of them.
func depth() Row {
	return Row{
		Name: "R17", Practice: "defence in depth",
		on: layers,
		Rules: []Rule{
			{
				State: Weak, When: "`admin` is not on loopback", Change: "-admin",
				process: func(s *Server) string {
					if !s.AdminOutside {
						return ""
					}
					return "the admin page is reached from outside, without a password: whoever reaches it can read memory through a profile"
				},
			},
			{
				State: Weak, When: "`proxy-from` has 0.0.0.0/0 or ::/0", Change: "-proxy-from",
				listener: func(_ *Server, l *Listener) string {
					all, ok := everyone(l.ProxyFrom)
					if !ok {
						return ""
					}
					return fmt.Sprintf("whoever connects from %s may claim any address: limits of a source hold nobody", all)
				},
			},
			insecureRule(),
			{
				State: Weak, When: "`sni-private` is true, and `to` has sni", Change: "-sni-private",
				listener: func(_ *Server, l *Listener) string {
					if !l.can(scheme.ByName) || !l.Relay.SNIPrivate {
						return ""
					}
					return "whoever controls what a name is found to be reaches this network"
				},
			},
		},
	}
}

// layers says which layers there are.
func layers(s *Server) string {
	of := func(n int) string { return fmt.Sprintf("at %d of %d", n, len(s.Listeners)) }
	list := []string{
		"network: limits of sources " + of(s.count(func(l *Listener) bool { return l.SourceConns > 0 && l.SourceConnRate > 0 })),
		"transport: TLS " + of(s.count((*Listener).isTLS)),
		"application: parsed " + of(s.count(func(l *Listener) bool { return l.can(scheme.Parsed) })),
		"logins " + of(s.count((*Listener).asks)),
		"monitoring: log",
	}
	if s.Users != nil {
		list = append(list[:4], "data: hashes of secrets", list[4])
	}
	if s.Admin != "off" {
		list[len(list)-1] += ", metrics"
	}
	if len(s.AlertURLs) > 0 {
		list[len(list)-1] += ", alerts"
	}
	return strings.Join(list, "; ")
}
