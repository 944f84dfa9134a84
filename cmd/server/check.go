package main

import (
	"fmt"
	"io"
	"time"

	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/internal/admin"
	"weir/internal/posture"
	"weir/internal/say"
)

// check is -check. Its exit code is 1 when something is weak that others can reach.
func check(s *settings, stdout, stderr io.Writer) int {
	in, err := look(s)
	if err != nil {
		return complain(stderr, err)
	}
	r := in.toJudge(s).Judge()
	if s.checkFormat == "json" {
		r.PrintJSON(stdout)
	} else {
		r.Print(stdout)
	}
	if r.Fails {
		return exitFailed
	}
	return exitOK
}

// looked is what the check knows beside the settings.
type looked struct {
	certs []watched     // that are served, and the client CA
	users *accounts.Set // nil for none
	build build
	now   time.Time
}

// look reads the files that s names and opens its directories; it makes nothing and asks nobody. Its error is one line for the operator.
func look(s *settings) (*looked, error) {
	in := &looked{build: thisBuild(), now: time.Now()}
	for _, reads := range []func(*settings) error{checkSites, checkOutput, checkPools} {
		if err := reads(s); err != nil {
			return nil, err
		}
	}
	var err error
	if in.certs, err = checkCertificates(s); err != nil {
		return nil, err
	}
	if s.users != "" {
		if in.users, err = accounts.ReadFile(s.users); err != nil {
			return nil, fmt.Errorf("-users: %w", err)
		}
	}
	if _, err := s.alerts.config(); err != nil {
		return nil, err
	}
	return in, nil
}

// toJudge is what package posture is given to judge.
func (in *looked) toJudge(s *settings) *posture.Server {
	p := &posture.Server{
		Flags:    s.inForceWords(),
		MaxConns: s.engine.Guard.MaxConns, MaxUnproven: s.engine.Guard.MaxUnproven, LeastUnproven: leastUnproven, Exempt: s.engine.Guard.Exempt,
		MaxBuffered: s.engine.MaxBuffered, Memory: s.machine.memory,
		FDReserve: s.engine.FDReserve, FDNeed: s.descriptorsNeeded(len(s.listeners), s.hasFiles(), s.hasUploads()), DrainTimeout: s.engine.DrainTimeout,
		SelfSigned: s.selfSigned, ACMEDomains: s.acme.Domains,
		Users: in.users, FailsPerAccount: perMinute(s.attempts.Account), FailsPerPair: perMinute(s.attempts.Pair),
		Admin: s.admin, AdminOutside: s.admin != "off" && admin.Exposed(s.admin), LogLevel: s.logLevel, AlertURLs: s.alerts.urls,
		Build: posture.Build{Text: in.build.String(), Version: in.build.version, Revision: in.build.revision, At: in.build.at, Modules: in.build.modules},
		Now:   in.now, Warnings: s.checkWarnings(in.certs, in.now), Accept: s.checkAccept,
	}
	for _, t := range engineTerms(s) { // the guard's tables, which are there from the start, are not in it
		p.MemoryAtWorst += t.bytes
	}
	for _, c := range in.certs {
		p.Certificates = append(p.Certificates, c.toJudge(in.now))
	}
	for i, wired := range wire(s, nil, nil, nil, nil, nil).Listeners {
		l := s.listeners[i].toJudge()
		l.Holds = int64(wired.MaxIn) + int64(wired.MaxOut)
		p.Listeners = append(p.Listeners, l)
	}
	return p
}

func (l *listener) toJudge() posture.Listener {
	auth, relay := &l.limits.auth, &l.limits.relay
	p := posture.Listener{
		Name: l.name, URL: l.boundURL(l.address), Scheme: l.scheme, Outside: l.outside(), Unix: l.network == "unix", Flags: l.inForceWords(),
		Limits: l.limits.Limits, MaxHeader: l.limits.maxHeader, MaxBody: l.limits.maxBody, MaxFrame: l.limits.maxFrame, MaxLine: l.limits.maxLine,
		ProxyFrom: l.proxies(), ClientCert: "off",
	}
	if l.isTLS() {
		p.ClientCert = l.limits.clientAuth
	}
	if l.asks() {
		p.Auth = posture.Auth{
			Asks: true, AsksForAll: l.asksFor(""), AsksToPut: l.asksFor("PUT"),
			Who: auth.who, Scope: auth.scope, Sign: auth.sign, Bind: auth.bind, Plain: auth.plain,
		}
	}
	if l.relays() {
		p.Relay = posture.Relay{To: relay.to, TLS: relay.tls.on, Insecure: relay.tls.insecure, SNIPrivate: relay.sniPrivate, Silence: relay.silence}
	}
	if l.speaksFiles() {
		up := &l.limits.up
		p.Files, p.DotFiles = l.limits.files, l.limits.dotFiles
		p.Uploads = posture.Uploads{Dir: up.dir, Max: up.max, Quota: up.quota, Floor: up.floor, Rate: up.rate}
	}
	return p
}

func (c watched) toJudge(now time.Time) posture.Certificate {
	left, soon := c.Expires(now)
	p := posture.Certificate{
		Name: say.Names(c.Names), Until: untilText(c.Info, now), Soon: soon && left >= 0, Nameless: len(c.Names) == 0, ClientCA: c.clientCA,
	}
	if p.Nameless {
		p.Name = say.Shown(c.Source)
	}
	what := ""
	if c.clientCA {
		what = "client CA "
	}
	p.Name = what + p.Name
	p.Over, _ = overText(what, c.Info, now)
	return p
}

// inForceWords is what the flags of the process are set to, but for secrets.
func (s *settings) inForceWords() map[string]string {
	words := map[string]string{}
	eachRow(func(r *row) {
		if r.setting != nil && !r.secret {
			words[r.name] = r.inWords(r.setting(s))
		}
	})
	return words
}

// inForceWords is what the flags of a listener are set to that are for its scheme.
func (l *listener) inForceWords() map[string]string {
	words := map[string]string{}
	eachRow(func(r *row) {
		if r.setting == nil && r.fits(l.scheme) {
			words[r.name] = r.inWords(r.limit(&l.limits))
		}
	})
	return words
}

// perMinute is how many attempts a rate is in a minute.
func perMinute(r attempts.Rate) int {
	return int(int64(r.Tokens) * int64(time.Minute) / int64(max(r.Per, 1)))
}
