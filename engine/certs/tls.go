package certs

import (
	"crypto/tls"
	"slices"
	"strings"
	"sync/atomic"
)

// served is a policy with the configuration that is in force for it.
type served struct {
	policy  Policy
	current atomic.Pointer[tls.Config]
}

// TLS returns what gives the configuration in force for a policy, one call a handshake: an
// engine.Listener's TLS. The configurations must not be changed; the same one is returned until the
// client CA changes, so that tickets stay good. Each call of TLS makes configurations of its own, and
// so keys for tickets of its own: call it once for each listener. Its error is a policy that checks
// nothing. Any goroutine, as is what it returns.
func (s *Store) TLS(p Policy) (func() *tls.Config, error) {
	if err := p.validate(s.cfg.ClientCA != ""); err != nil {
		return nil, err
	}
	p.ALPN = slices.Clone(p.ALPN)
	v := &served{policy: p}
	s.mu.Lock()
	defer s.mu.Unlock()
	v.current.Store(s.build(p))
	s.served = append(s.served, v)
	return v.current.Load, nil
}

// build makes the configuration for a policy, with the client CA of now. The caller holds mu.
func (s *Store) build(p Policy) *tls.Config {
	base := tls.Config{
		MinVersion:       max(p.MinVersion, tls.VersionTLS12),
		MaxVersion:       tls.VersionTLS13,
		CipherSuites:     suites12,
		CurvePreferences: exchanges,
		Time:             s.cfg.now,
	}
	if p.ClientAuth != tls.NoClientCert {
		base.ClientAuth = tls.RequestClientCert
		if p.ClientAuth == tls.RequireAndVerifyClientCert {
			base.ClientAuth = tls.RequireAnyClientCert
		}
		base.ClientCAs = s.ca.pool // tells clients which certificates are wanted
		base.VerifyConnection = s.ca.verifier(s.cfg.now)
	}
	cfg := base.Clone()
	cfg.NextProtos = p.ALPN
	cfg.GetCertificate = s.certificate

	// Two kinds of clients need to be told apart before tickets are looked at.
	nothing := base.Clone() // has no certificate: the alert is unrecognized_name
	nothing.SessionTicketsDisabled = true
	proof := nothing.Clone()
	proof.NextProtos = []string{ChallengeProtocol}
	proof.GetCertificate = s.cfg.Challenge
	if s.cfg.Challenge == nil && !s.cfg.StrictSNI {
		return cfg
	}
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.cfg.Challenge != nil && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == ChallengeProtocol {
			return proof, nil
		}
		if s.cfg.StrictSNI {
			// Asked here too because a resumed session of TLS 1.3 asks for no certificate.
			if c, err := s.certificate(hello); c == nil && err == nil {
				return nothing, nil
			}
		}
		return nil, nil // go on with cfg
	}
	return cfg
}

// certificate picks the certificate for a handshake: crypto/tls's GetCertificate. nil without an error
// becomes the alert unrecognized_name.
func (s *Store) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	t := s.table.Load()
	now := s.cfg.now()
	if name := strings.ToLower(hello.ServerName); name != "" {
		if c := choose(t.exact[name], hello, now); c != nil {
			return c, nil
		}
		if s.cfg.More != nil {
			if c, err := s.cfg.More(hello); c != nil || err != nil {
				return c, err
			}
		}
		if c := choose(t.wildcard(name), hello, now); c != nil {
			return c, nil
		}
	}
	if s.cfg.StrictSNI {
		return nil, nil
	}
	return choose(t.first, hello, now), nil
}
