package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"weir/engine"
	"weir/internal/say"
	"weir/internal/scheme"
)

// telling is R13.
func telling() practice {
	hidden := func(p *posture) bool { return p.s.logLevel == "error" }
	silent := func(p *posture) bool { return hidden(p) && p.s.admin == "off" && len(p.s.alerts.urls) == 0 }
	return practice{
		row: "R13", name: "events and alerts",
		on: func(p *posture) string {
			return p.inForce("log-level", "log-to") + "; metrics at " + p.s.admin + "; " + say.Several(len(p.s.alerts.urls), "receiver") + " of alerts"
		},
		rules: []rule{
			{
				state: stateOff, when: "`log-level` is error, `admin` off and no `alert-url` given", change: "-log-level -admin -alert-url", advice: true,
				process: func(p *posture) string {
					if !silent(p) {
						return ""
					}
					return "nothing tells of an attack: the log leaves warnings out, there are no metrics and no alerts"
				},
			},
			{
				state: stateWeak, when: "`log-level` is error", change: "-log-level", advice: true,
				process: func(p *posture) string {
					if !hidden(p) || silent(p) {
						return ""
					}
					return "the log leaves out warnings, and what is refused is a warning"
				},
			},
			{
				state: stateWeak, when: "`admin` is off", change: "-admin", advice: true,
				process: func(p *posture) string {
					if p.s.admin != "off" || silent(p) {
						return ""
					}
					return "there are no metrics"
				},
			},
			{
				state: stateWeak, when: "no `alert-url` is given", change: "-alert-url", advice: true,
				process: func(p *posture) string {
					if len(p.s.alerts.urls) > 0 || silent(p) {
						return ""
					}
					return "nobody is told at once, unless something watches the metrics"
				},
			},
			{
				state: stateWeak, when: "an `alert-url` has no TLS and is not on loopback", change: "-alert-url", advice: true,
				process: func(p *posture) string {
					for _, text := range p.s.alerts.urls {
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
func endurance() practice {
	return practice{
		row: "R14", name: "trouble is survived",
		on: func(p *posture) string {
			return p.inForce("fd-reserve", "drain-timeout") + "; what fails ends its own connection, with its protocol's answer"
		},
		rules: []rule{
			{
				state: stateWeak, when: "`fd-reserve` is below its default", change: "-fd-reserve",
				process: func(p *posture) string {
					need := engine.DefaultFDReserve(p.s.engine.Loops, len(p.s.listeners))
					if p.s.hasFiles() {
						need += p.s.maxOpenFiles
					}
					if p.s.hasUploads() {
						need += descriptorsPerUpload * p.s.maxUploads
					}
					if p.s.engine.FDReserve >= need {
						return ""
					}
					return fmt.Sprintf("%d descriptors are kept for everything but clients, which may need %d", p.s.engine.FDReserve, need)
				},
			},
			{
				state: stateWeak, when: "`drain-timeout` is 0", change: "-drain-timeout", advice: true,
				process: func(p *posture) string {
					if p.s.engine.DrainTimeout != 0 {
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
func dependencies() practice {
	return practice{
		row: "R15", name: "dependencies",
		on: func(p *posture) string {
			text := fmt.Sprintf("%s, %d modules", p.build, p.build.modules)
			if !p.build.at.IsZero() {
				text += ", of " + p.build.at.UTC().Format(time.DateOnly)
			}
			return text + "; make audit asks for what is known of them"
		},
		rules: []rule{
			{
				state: stateOff, when: "the binary does not know what it was built from", change: "make build, in a checkout", advice: true,
				process: func(p *posture) string {
					if p.build.version != "devel" || p.build.revision != "" {
						return ""
					}
					return "nobody can tell which source this was built from, nor how old it is"
				},
			},
			{
				state: stateWeak, when: "it was built from files that differ from the revision", change: "commit, make build", advice: true,
				process: func(p *posture) string {
					if !strings.HasSuffix(p.build.revision, "+changes") {
						return ""
					}
					return "built from " + p.build.revision + ": files differed from the revision"
				},
			},
			{
				state: stateWeak, when: fmt.Sprintf("its source is more than %d days old", oldBuild/(24*time.Hour)), change: "make audit, make build", advice: true,
				process: func(p *posture) string {
					age := p.now.Sub(p.build.at)
					if p.build.at.IsZero() || age < oldBuild {
						return ""
					}
					return fmt.Sprintf("its source is of %s, %d days ago: Go and modules have had fixes since", p.build.at.UTC().Format(time.DateOnly), age/(24*time.Hour))
				},
			},
		},
	}
}

// depth is R17: what would be left if one layer failed, and what opens a way around all of them.
func depth() practice {
	return practice{
		row: "R17", name: "defence in depth",
		on: layers,
		rules: []rule{
			{
				state: stateWeak, when: "`admin` is not on loopback", change: "-admin",
				process: func(p *posture) string {
					if !p.isAdminOutside() {
						return ""
					}
					return "the admin page is reached from outside, without a password: whoever reaches it can read memory through a profile"
				},
			},
			{
				state: stateWeak, when: "`proxy-from` has 0.0.0.0/0 or ::/0", change: "-proxy-from",
				listener: func(_ *posture, l *listener) string {
					all, ok := everyone(l.proxies())
					if !ok {
						return ""
					}
					return fmt.Sprintf("whoever connects from %s may claim any address: limits of a source hold nobody", all)
				},
			},
			insecureRule(),
			{
				state: stateWeak, when: "`sni-private` is true, and `to` has sni", change: "-sni-private",
				listener: func(_ *posture, l *listener) string {
					if !l.can(scheme.ByName) || !l.limits.relay.sniPrivate {
						return ""
					}
					return "whoever controls what a name is found to be reaches this network"
				},
			},
		},
	}
}

// layers says which layers there are.
func layers(p *posture) string {
	count := func(is func(*listener) bool) (n int) {
		for i := range p.s.listeners {
			if is(&p.s.listeners[i]) {
				n++
			}
		}
		return n
	}
	of := func(n int) string { return fmt.Sprintf("at %d of %d", n, len(p.s.listeners)) }
	list := []string{
		"network: limits of sources " + of(count(func(l *listener) bool { return l.limits.SourceConns > 0 && l.limits.SourceConnRate > 0 })),
		"transport: TLS " + of(count((*listener).isTLS)),
		"application: parsed " + of(count(func(l *listener) bool { return l.can(scheme.Parsed) })),
		"logins " + of(count((*listener).asks)),
		"monitoring: log",
	}
	if p.s.users != "" {
		list = append(list[:4], "data: hashes of secrets", list[4])
	}
	if p.s.admin != "off" {
		list[len(list)-1] += ", metrics"
	}
	if len(p.s.alerts.urls) > 0 {
		list[len(list)-1] += ", alerts"
	}
	return strings.Join(list, "; ")
}
