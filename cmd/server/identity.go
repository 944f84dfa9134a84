package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"weir/engine/certs"
	"weir/internal/acme"
	"weir/internal/events"
	"weir/internal/metrics"
	"weir/internal/say"
)

// identity is what the server shows of itself to clients that speak TLS: certificates from files,
// from memory and from ACME. Any goroutine. A nil one is that of a server without TLS.
type identity struct {
	store  *certs.Store
	keeper *acme.Keeper // nil without -acme-domain
	tls    map[string]func() *tls.Config
}

// hooks are told what happens to certificates. Fields may be nil.
type hooks struct {
	changed func(certs.Change)
	acme    func(acme.Event)
	steps   *slog.Logger // of ACME
}

// openIdentity reads the files and the ACME cache that s names, nil when no listener speaks TLS. Its
// error is one line for the operator.
func openIdentity(s *settings, h hooks) (*identity, error) {
	if !s.hasTLS() {
		return nil, nil
	}
	id := &identity{tls: map[string]func() *tls.Config{}}
	cfg, err := s.certsConfig()
	if err != nil {
		return nil, err
	}
	cfg.Tell = h.changed
	if len(s.acme.Domains) > 0 {
		a := s.acme
		a.Tell, a.Log, a.UserAgent = h.acme, h.steps, "weir/"+thisBuild().version
		if id.keeper, err = acme.Open(a); err != nil {
			return nil, fileAdvice(err)
		}
		cfg.More, cfg.Challenge = id.keeper.Certificate, id.keeper.Challenge
	}
	if id.store, err = certs.Open(cfg); err != nil {
		id.close()
		return nil, fileAdvice(err)
	}
	for i := range s.listeners {
		if l := &s.listeners[i]; l.isTLS() {
			if id.tls[l.name], err = id.store.TLS(l.policy()); err != nil {
				id.close()
				return nil, fmt.Errorf("-listen %s: %w", say.Shown(l.text), err)
			}
		}
	}
	return id, nil
}

// checkCertificates reads the certificates and keys that s names, for -check: nothing is obtained, and nobody is asked.
// It returns those whose end matters.
func checkCertificates(s *settings) ([]watched, error) {
	if !s.hasTLS() {
		return nil, nil
	}
	cfg, err := s.certsConfig()
	if err != nil {
		return nil, err
	}
	if len(s.acme.Domains) > 0 {
		if err := s.acme.Check(); err != nil {
			return nil, fileAdvice(err)
		}
		cfg.More = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
	}
	cfg.Every = -1
	id := &identity{}
	if id.store, err = certs.Open(cfg); err != nil {
		return nil, fileAdvice(err)
	}
	defer id.close()
	return id.watched(), nil
}

// certsConfig is what the flags say about certificates, but for ACME.
func (s *settings) certsConfig() (certs.Config, error) {
	cfg := certs.Config{ClientCA: s.clientCA, StrictSNI: s.sniStrict}
	for i := range s.certs {
		cfg.Pairs = append(cfg.Pairs, certs.Pair{Cert: s.certs[i], Key: s.keys[i]})
	}
	if s.selfSigned {
		own, _, err := certs.SelfSigned()
		if err != nil {
			return cfg, fmt.Errorf("-tls-self-signed: %w", err)
		}
		cfg.Own = append(cfg.Own, own)
	}
	return cfg, nil
}

// fileAdvice names the flag behind a file that cannot be used.
func fileAdvice(err error) error {
	var file *certs.FileError
	if errors.As(err, &file) {
		flag := map[string]string{certs.RoleCert: "-cert", certs.RoleKey: "-key", certs.RoleClientCA: "-tls-client-ca"}[file.Role]
		return fmt.Errorf("%s %s: %w", flag, say.Shown(file.Path), file.Err)
	}
	var setting *acme.SettingError
	if errors.As(err, &setting) {
		return fmt.Errorf("-acme-%s %s: %w", setting.Setting, say.Shown(setting.Path), setting.Err)
	}
	return err
}

// config is what gives the TLS configurations of a listener: an engine.Listener's TLS, nil without TLS.
func (id *identity) config(listener string) func() *tls.Config {
	if id == nil {
		return nil
	}
	return id.tls[listener]
}

// start begins to obtain and renew. The listeners must be there: the CA connects to them.
func (id *identity) start() {
	if id != nil && id.keeper != nil {
		id.keeper.Start()
	}
}

// close stops what runs in the background. What is served stays.
func (id *identity) close() {
	if id == nil {
		return
	}
	if id.keeper != nil {
		id.keeper.Close()
	}
	if id.store != nil {
		id.store.Close()
	}
}

// certificates lists what is served: the files', the one in memory, and those that ACME has. Where none
// comes from a file, Source says where else it comes from.
func (id *identity) certificates() (list []certs.Info) {
	if id == nil {
		return nil
	}
	for _, i := range id.store.Info() {
		if i.Source == "" {
			i.Source = "self-signed"
		}
		list = append(list, i)
	}
	if id.keeper == nil {
		return list
	}
	for _, s := range id.keeper.States() {
		if s.Leaf != nil {
			list = append(list, certs.InfoOf(s.Leaf, fromACME, s.Loaded))
		}
	}
	return list
}

// fromACME is the source of certificates that ACME has obtained.
const fromACME = "ACME"

// awaited are the domains for which ACME has no certificate yet.
func (id *identity) awaited() (domains []string) {
	if id == nil || id.keeper == nil {
		return nil
	}
	for _, s := range id.keeper.States() {
		if s.Leaf == nil {
			domains = append(domains, s.Domain)
		}
	}
	return domains
}

// clientCA tells about the client CA, false for none.
func (id *identity) clientCA() (certs.Info, bool) {
	if id == nil {
		return certs.Info{}, false
	}
	return id.store.ClientCA()
}

// watched is a certificate whose end matters: one that is served, or of the roots of client certificates
// the one that ends first.
type watched struct {
	certs.Info
	clientCA bool
}

func (id *identity) watched() (list []watched) {
	for _, c := range id.certificates() {
		list = append(list, watched{c, false})
	}
	if ca, ok := id.clientCA(); ok {
		list = append(list, watched{ca, true})
	}
	return list
}

// clientCAName is what the metrics call the client CA: none of its own names, so that an alert on it
// outlives the root that ends first.
const clientCAName = "client CA"

// expiries is what is watched for the metrics, under the first of its names, or what stands for it.
func (id *identity) expiries() (list []metrics.Certificate) {
	for _, c := range id.watched() {
		name := c.Source
		switch {
		case c.clientCA:
			name = clientCAName
		case len(c.Names) > 0:
			name = c.Names[0]
		}
		list = append(list, metrics.Certificate{Name: events.Clean(name, 253), NotAfter: c.NotAfter})
	}
	return list
}

// untilText is for how long a certificate is good, in words.
func untilText(i certs.Info, now time.Time) string {
	day := i.NotAfter.UTC().Format(time.DateOnly)
	switch left, soon := i.Expires(now); {
	case left < 0:
		return "EXPIRED on " + day
	case now.Before(i.NotBefore):
		return "not before " + i.NotBefore.UTC().Format(time.DateOnly)
	case soon:
		return "until " + day + ", soon"
	default:
		return "until " + day
	}
}
