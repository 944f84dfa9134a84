package main

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"

	"weir/engine/certs"
	"weir/internal/say"
	"weir/internal/scheme"
)

// hasTLS reports whether any listener speaks TLS.
func (s *settings) hasTLS() bool { return slices.ContainsFunc(s.listeners, isTLS) }

func isTLS(l listener) bool { return l.isTLS() }

// hasProxy reports whether any listener takes PROXY headers.
func (s *settings) hasProxy() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return len(l.proxies()) > 0 })
}

// proxies are the networks whose connections begin with a PROXY header. Peers on a unix socket have no
// address that could be in one.
func (l *listener) proxies() []netip.Prefix {
	if l.network == "unix" {
		return nil
	}
	return slices.Clone(l.limits.proxyFrom)
}

// policy is what a TLS listener asks of its clients.
func (l *listener) policy() certs.Policy {
	p := certs.Policy{MinVersion: tls.VersionTLS12}
	if l.limits.tlsMin == "1.3" {
		p.MinVersion = tls.VersionTLS13
	}
	switch l.limits.clientAuth {
	case "optional":
		p.ClientAuth = tls.VerifyClientCertIfGiven
	case "required":
		p.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if l.can(scheme.HTTP) {
		p.ALPN = []string{"http/1.1"} // the others have no registered name: whatever is offered is ignored
	}
	return p
}

// checkTLS checks what certificates and listeners need of each other. Files are looked at later.
func (s *settings) checkTLS(g given) error {
	if c, k := len(s.certs), len(s.keys); c != k {
		return say.Usage(fmt.Sprintf("%s is given %s and -key %s: give a -key for each -cert, in the same order", g.where("cert"), times(c), times(k)))
	}
	for i, d := range s.acme.Domains {
		if slices.Contains(s.acme.Domains[:i], d) {
			return say.Wrong(g.where("acme-domain"), d, "is given twice")
		}
	}
	for i := range s.listeners {
		l := &s.listeners[i]
		switch {
		case !l.isTLS():
		case len(s.certs) == 0 && len(s.acme.Domains) == 0 && !s.selfSigned:
			return say.Wrong(g.where("listen"), l.text, "needs a certificate: give -cert and -key, -acme-domain or -tls-self-signed")
		case l.limits.clientAuth != "off" && s.clientCA == "":
			if l.limits.clientAuth == s.limits.clientAuth {
				return say.Wrong(g.where("tls-client-auth"), l.limits.clientAuth, "needs -tls-client-ca: nothing else says which certificates are good")
			}
			return say.Wrong(g.where("listen"), l.text, "tls-client-auth needs -tls-client-ca: nothing else says which certificates are good")
		}
	}
	return nil
}

// times is how often something is given, in words.
func times(n int) string {
	if n == 1 {
		return "1 time"
	}
	return fmt.Sprintf("%d times", n)
}
