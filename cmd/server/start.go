package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/internal/admin"
	"weir/internal/events"
)

// tellStart says what listens where, which limits are on and what that can cost, and warns of what
// the flags alone do not show.
func (p *process) tellStart() {
	s, id, log := p.settings, p.id, p.log
	sum := &summary{build: thisBuild(), settings: s, memory: memoryTerms(s, p.engine.Guard()), admin: "off",
		certificates: id.certificates(), awaited: id.awaited(), now: time.Now()}
	if ca, ok := id.clientCA(); ok {
		sum.clientCA = &ca
	}
	for i, l := range p.engine.Snapshot().Listeners {
		service := l.Service
		if site := p.sites[l.Name]; site != nil {
			service += ofDirectories(site)
		}
		sum.listeners = append(sum.listeners, served{name: l.Name, url: s.listeners[i].boundURL(l.Address), service: service})
	}
	if p.admin != nil {
		sum.admin = "http://" + p.admin.Addr().String()
	}
	if s.logFormat == "json" || s.logTo != "stderr" {
		sum.log(log)
	} else {
		var block bytes.Buffer
		sum.print(&block)
		_, _ = p.sink.Write(block.Bytes())
	}
	if p.admin != nil && admin.Exposed(s.admin) {
		log.Warn("-admin can be reached from other machines: whoever reaches it can profile the process",
			zap.String("event", events.AdminExposed), zap.String("address", sum.admin))
	}
	for _, w := range s.warnings(sum.certificates) {
		w.log(log)
	}
	if len(s.acme.Domains) > 0 && !slices.ContainsFunc(s.listeners, func(l listener) bool { return l.isTLS() && strings.HasSuffix(l.address, ":443") }) {
		log.Info("ACME: the CA connects to port 443 of each domain, and no TLS listener is there: something must forward it to one",
			zap.String("event", events.ACMEPort))
	}
	for _, name := range strayEnv(os.Environ()) {
		log.Warn("an environment variable that begins with WEIR_ is no flag and was not read",
			zap.String("event", events.UnknownVariable), zap.String("variable", name))
	}
}
