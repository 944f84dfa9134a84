package main

import (
	"fmt"
	"slices"
	"strings"

	"weir/internal/say"
	"weir/internal/scheme"
)

// isPlain reports whether others on the way can read what a listener and its clients say.
func (l *listener) isPlain() bool { return l.outside() && !l.isTLS() && !l.can(scheme.ByName) }

// certRule makes a rule about the certificates of TLS listeners.
func certRule(when, change string, advice bool, why func(*posture, watched) string) rule {
	return rule{
		state: stateWeak, when: when, change: change, advice: advice,
		listener: func(p *posture, l *listener) string {
			if !l.isTLS() {
				return ""
			}
			var all []string
			for _, c := range p.certs {
				if text := why(p, c); text != "" && !(c.clientCA && l.limits.clientAuth == "off") {
					all = append(all, text)
				}
			}
			return strings.Join(all, "; ")
		},
	}
}

func selfSignedRule() rule {
	return rule{
		state: stateWeak, when: "`tls-self-signed` is given", change: "-cert",
		listener: func(p *posture, l *listener) string {
			if !l.isTLS() || !p.s.selfSigned {
				return ""
			}
			return "the certificate is made at each start and by nobody that clients trust"
		},
	}
}

// nameOf is how a certificate is told of.
func nameOf(c watched) string {
	name := namesText(c.Names)
	if len(c.Names) == 0 {
		name = say.Shown(c.Source)
	}
	if c.clientCA {
		return "client CA " + name
	}
	return name
}

// encryption is R10.
func encryption() practice {
	return practice{
		row: "R10", name: "TLS", none: "what is plain is on loopback or a unix socket, or passed on as its clients encrypted it",
		among: func(l *listener) bool { return l.isTLS() || l.isPlain() },
		on: func(p *posture) string {
			text := p.inForce("tls-min", "tls-client-auth")
			for _, c := range p.certs {
				text += "; " + nameOf(c) + " " + untilText(c.Info, p.now)
			}
			for _, d := range p.s.acme.Domains {
				text += "; " + d + " by ACME"
			}
			return text
		},
		rules: []rule{
			{
				state: stateOff, when: "a listener is not on loopback, and its scheme has no TLS", change: "-listen",
				listener: func(_ *posture, l *listener) string {
					if !l.isPlain() {
						return ""
					}
					return "not encrypted, and reached from outside: use https or +tls"
				},
			},
			selfSignedRule(),
			certRule("a certificate, or a root of the client CA, has expired or is not good yet", "-cert -tls-client-ca", false, func(p *posture, c watched) string {
				what := ""
				if c.clientCA {
					what = "client CA "
				}
				text, _ := overText(what, c.Info, p.now)
				return text
			}),
			certRule("a certificate has no names", "-cert", false, func(p *posture, c watched) string {
				if c.clientCA || len(c.Names) > 0 {
					return ""
				}
				return "the certificate in " + say.Shown(c.Source) + " has no name in its subjectAltName: clients refuse it"
			}),
			certRule("a certificate, or a root of the client CA, is close to its end", "-cert -tls-client-ca", true, func(p *posture, c watched) string {
				if left, soon := c.Expires(p.now); !soon || left < 0 {
					return ""
				}
				return nameOf(c) + " " + untilText(c.Info, p.now)
			}),
		},
	}
}

// insecureRule is about servers behind whose certificates nobody checks.
func insecureRule() rule {
	return rule{
		state: stateWeak, when: "`to-insecure` is true", change: "-to-insecure",
		listener: func(_ *posture, l *listener) string {
			if !l.relays() || !l.limits.relay.tls.insecure {
				return ""
			}
			return "no certificate of a server behind is checked: anybody on the way can stand in for it"
		},
	}
}

// eavesdropping is R12.
func eavesdropping() practice {
	return practice{
		row: "R12", name: "no eavesdropping", none: "nothing leaves this machine",
		among: func(l *listener) bool { return l.isTLS() || l.outside() || l.relays() },
		on: func(*posture) string {
			return "what leaves this machine is encrypted, and its ends are known by certificates"
		},
		rules: []rule{
			{
				state: stateOff, when: "a listener is not on loopback, and its scheme has no TLS", change: "-listen",
				listener: func(_ *posture, l *listener) string {
					if !l.isPlain() {
						return ""
					}
					return "whoever is on the way reads and changes what is said"
				},
			},
			selfSignedRule(),
			insecureRule(),
			{
				state: stateWeak, when: "a listener of frames or lines with `auth` has TLS, and `auth-bind` is false", change: "-auth-bind", advice: true,
				listener: func(_ *posture, l *listener) string {
					if !l.asks() || !l.isTLS() || l.can(scheme.HTTP) || l.limits.auth.bind {
						return ""
					}
					return "a login that is not bound to its TLS can be relayed by who has a certificate that the client takes"
				},
			},
			{
				state: stateWeak, when: "a server behind is not on loopback, and `to-tls` is false", change: "-to-tls", advice: true,
				listener: func(_ *posture, l *listener) string {
					if !l.relays() || l.can(scheme.ByName) || l.limits.relay.tls.on {
						return ""
					}
					i := slices.IndexFunc(l.limits.relay.to, func(to string) bool { return !strings.HasPrefix(to, "unix:") && !isLoopback(to) })
					if i < 0 {
						return ""
					}
					return fmt.Sprintf("what is relayed goes to %s unencrypted", say.Shown(l.limits.relay.to[i]))
				},
			},
		},
	}
}
