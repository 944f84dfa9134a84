package main

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/engine/certs"
	"weir/internal/events"
	"weir/internal/say"
)

// warning is something that can be served and is probably not meant. It is told at start, and by -check.
type warning struct {
	event  string
	text   string // says it all, in one line
	fields []zap.Field
}

func (w warning) log(log *zap.Logger) {
	log.Warn(w.text, append([]zap.Field{zap.String("event", w.event)}, w.fields...)...)
}

// warnings are those about s with the certificates that it serves.
func (s *settings) warnings(served []certs.Info) (list []warning) {
	for i := range s.listeners {
		l := &s.listeners[i]
		for _, p := range l.proxies() {
			if p.Bits() == 0 {
				list = append(list, proxyWarning(l.name, p))
			}
		}
		if l.relays() && l.limits.relay.tls.insecure {
			list = append(list, warning{events.UpstreamInsecure,
				"-to-insecure at " + l.name + ": no certificate of a server is checked: anybody on the way can read and change what is relayed: name the CA with to-ca",
				[]zap.Field{zap.String("listener", l.name)}})
		}
	}
	for _, k := range s.keyFiles() {
		if fi, err := os.Stat(k.path); err == nil && fi.Mode().Perm()&0o007 != 0 {
			list = append(list, keyWarning(k.flag, k.path, fi.Mode().Perm()))
		}
	}
	for _, c := range served {
		if len(c.Names) == 0 {
			list = append(list, namelessWarning(c))
		}
	}
	if len(s.acme.Domains) > 0 && !slices.ContainsFunc(s.listeners, func(l listener) bool { return l.isTLS() && l.limits.clientAuth != "required" }) {
		list = append(list, warning{events.ACMEClientAuth,
			"-acme-domain: every TLS listener requires client certificates, and the CA has none to show: nothing can be obtained unless the listener that it reaches has tls-client-auth optional or off", nil})
	}
	return list
}

func proxyWarning(listener string, p netip.Prefix) warning {
	return warning{events.ProxyExposed,
		fmt.Sprintf("-proxy-from %s at %s: whoever connects may claim any address, so limits of a source hold nobody: name your balancers only", p, listener),
		[]zap.Field{zap.String("listener", listener), zap.String("network", p.String())}}
}

// keyFile is a private key that a flag names.
type keyFile struct{ flag, path string }

func (s *settings) keyFiles() (all []keyFile) {
	for _, path := range s.keys {
		all = append(all, keyFile{"-key", path})
	}
	for i := range s.listeners {
		if r := &s.listeners[i].limits.relay; s.listeners[i].relays() && r.tls.key != "" && !slices.Contains(all, keyFile{"-to-key", r.tls.key}) {
			all = append(all, keyFile{"-to-key", r.tls.key})
		}
	}
	return all
}

// keyWarning is about a key that everybody may read or write. Its group may: many share keys that way. It is not refused, as
// files of weir's own are, because keys come from other programs, with modes of theirs.
func keyWarning(flag, path string, mode os.FileMode) warning {
	return warning{events.KeyReadable,
		fmt.Sprintf("%s %s: every user of this machine may read or write it (mode %04o): chmod 600 it", flag, say.Shown(path), mode),
		[]zap.Field{zap.String("path", path)}}
}

func namelessWarning(c certs.Info) warning {
	source := events.Clean(c.Source, 200)
	return warning{events.CertificateNameless,
		fmt.Sprintf("the certificate in %s has no name in its subjectAltName: browsers and most other clients refuse it: have it issued with one", source),
		[]zap.Field{zap.String("source", c.Source), zap.String("fingerprint", c.Fingerprint)}}
}

// overText says of certificates that nobody takes now, for -check; a server that runs has the alarm
// certificate_expires.
func overText(what string, c certs.Info, now time.Time) (text string, over bool) {
	name := say.Names(c.Names)
	if len(c.Names) == 0 {
		name = events.Clean(c.Source, 200)
	}
	switch name = what + name; {
	case now.After(c.NotAfter):
		return name + " expired on " + c.NotAfter.UTC().Format(time.DateOnly), true
	case now.Before(c.NotBefore):
		return name + " is not good before " + c.NotBefore.UTC().Format(time.DateOnly), true
	}
	return "", false
}

// checkWarnings are the warnings of -check at now, with found as checkCertificates returns it.
func (s *settings) checkWarnings(found []watched, now time.Time) (texts []string) {
	var served []certs.Info
	for _, c := range found {
		if !c.clientCA {
			served = append(served, c.Info)
		}
	}
	for _, w := range s.warnings(served) {
		texts = append(texts, w.text)
	}
	for _, c := range found {
		what := ""
		if c.clientCA {
			what = "client CA "
		}
		if text, over := overText(what, c.Info, now); over {
			texts = append(texts, text)
		}
	}
	return texts
}
