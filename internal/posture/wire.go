package posture

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"weir/internal/say"
	"weir/internal/scheme"
)

// certRule makes a rule about the certificates of TLS listeners.
func certRule(when, change string, advice bool, why func(Certificate) string) Rule {
	return Rule{
		State: Weak, When: when, Change: change, Advice: advice,
		listener: func(s *Server, l *Listener) string {
			if !l.isTLS() {
				return ""
			}
			var all []string
			for _, c := range s.Certificates {
				if text := why(c); text != "" && !(c.ClientCA && l.ClientCert == "off") {
					all = append(all, text)
				}
			}
			return strings.Join(all, "; ")
		},
	}
}

func selfSignedRule() Rule {
	return Rule{
		State: Weak, When: "`tls-self-signed` is given", Change: "-cert",
		listener: func(s *Server, l *Listener) string {
			if !l.isTLS() || !s.SelfSigned {
				return ""
			}
			return "the certificate is made at each start and by nobody that clients trust"
		},
	}
}

// encryption is R10.
func encryption() Row {
	return Row{
		Name: "R10", Practice: "TLS", None: "what is plain is on loopback or a unix socket, or passed on as its clients encrypted it",
		among: func(l *Listener) bool { return l.isTLS() || l.isPlain() },
		on: func(s *Server) string {
			text := s.inForce("tls-min", "tls-client-auth")
			for _, c := range s.Certificates {
				text += "; " + c.Name + " " + c.Until
			}
			for _, d := range s.ACMEDomains {
				text += "; " + d + " by ACME"
			}
			return text
		},
		Rules: []Rule{
			{
				State: Off, When: "a listener is not on loopback, and its scheme has no TLS", Change: "-listen",
				listener: func(_ *Server, l *Listener) string {
					if !l.isPlain() {
						return ""
					}
					return "not encrypted, and reached from outside: use https or +tls"
				},
			},
			selfSignedRule(),
			certRule("a certificate, or a root of the client CA, has expired or is not good yet", "-cert -tls-client-ca", false, func(c Certificate) string {
				return c.Over
			}),
			certRule("a certificate has no names", "-cert", false, func(c Certificate) string {
				if c.ClientCA || !c.Nameless {
					return ""
				}
				return "the certificate in " + c.Name + " has no name in its subjectAltName: clients refuse it"
			}),
			certRule("a certificate, or a root of the client CA, is close to its end", "-cert -tls-client-ca", true, func(c Certificate) string {
				if !c.Soon {
					return ""
				}
				return c.Name + " " + c.Until
			}),
		},
	}
}

// insecureRule is about servers behind whose certificates nobody checks.
func insecureRule() Rule {
	return Rule{
		State: Weak, When: "`to-insecure` is true", Change: "-to-insecure",
		listener: func(_ *Server, l *Listener) string {
			if !l.relays() || !l.Relay.Insecure {
				return ""
			}
			return "no certificate of a server behind is checked: anybody on the way can stand in for it"
		},
	}
}

// eavesdropping is R12.
func eavesdropping() Row {
	return Row{
		Name: "R12", Practice: "no eavesdropping", None: "nothing leaves this machine",
		among: func(l *Listener) bool { return l.isTLS() || l.Outside || l.relays() },
		on: func(*Server) string {
			return "what leaves this machine is encrypted, and its ends are known by certificates"
		},
		Rules: []Rule{
			{
				State: Off, When: "a listener is not on loopback, and its scheme has no TLS", Change: "-listen",
				listener: func(_ *Server, l *Listener) string {
					if !l.isPlain() {
						return ""
					}
					return "whoever is on the way reads and changes what is said"
				},
			},
			selfSignedRule(),
			insecureRule(),
			{
				State: Weak, When: "a listener of frames or lines with `auth` has TLS, and `auth-bind` is false", Change: "-auth-bind", Advice: true,
				listener: func(_ *Server, l *Listener) string {
					if !l.asks() || !l.isTLS() || l.can(scheme.HTTP) || l.Auth.Bind {
						return ""
					}
					return "a login that is not bound to its TLS can be relayed by who has a certificate that the client takes"
				},
			},
			{
				State: Weak, When: "a server behind is not on loopback, and `to-tls` is false", Change: "-to-tls", Advice: true,
				listener: func(_ *Server, l *Listener) string {
					if !l.relays() || l.can(scheme.ByName) || l.Relay.TLS {
						return ""
					}
					i := slices.IndexFunc(l.Relay.To, func(to string) bool { return !strings.HasPrefix(to, "unix:") && !isLoopback(to) })
					if i < 0 {
						return ""
					}
					return fmt.Sprintf("what is relayed goes to %s unencrypted", say.Shown(l.Relay.To[i]))
				},
			},
		},
	}
}

// isLoopback reports whether HOST:PORT is on this machine for certain: a name could be anywhere.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
