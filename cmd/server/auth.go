package main

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/engine/auth/gate"
	"weir/engine/auth/sasl"
	"weir/engine/service"
	"weir/guard/mono"
	"weir/internal/events"
	"weir/internal/say"
	"weir/internal/scheme"
)

// proving is what a listener asks of those who come.
type proving struct {
	who         string   // off, optional or required
	scope       []string // rules
	sign        string   // off, optional or required
	bind, plain bool
}

// asks reports whether a listener asks who somebody is.
func (l *listener) asks() bool {
	if !l.can(scheme.Asks) {
		return false
	}
	who := l.limits.auth.who
	return who == "required" || who == "optional" && l.can(scheme.HTTP)
}

// asksFor reports whether a listener asks who somebody is before whatever has this method; "" is all methods.
func (l *listener) asksFor(method string) bool {
	return l.asks() && (l.limits.auth.who == "required" || slices.ContainsFunc(l.limits.auth.scope, func(text string) bool {
		r, err := gate.ParseRule(text)
		return err == nil && (r.Prefix == "" || r.Prefix == "/") && (r.Method == "" || r.Method == method)
	}))
}

// hasAuth reports whether any listener asks who somebody is.
func (s *settings) hasAuth() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.asks() })
}

// outside reports whether a listener can be reached from other machines.
func (l *listener) outside() bool {
	if l.network == "unix" {
		return false
	}
	addr, err := netip.ParseAddrPort(l.address)
	return err != nil || !addr.Addr().IsLoopback()
}

// checkRule takes what can be a rule of scope.
func checkRule(text string) error {
	_, err := gate.ParseRule(text)
	return err
}

// checkAuth refuses what cannot work.
func (l *listener) checkAuth(s *settings) string {
	a := &l.limits.auth
	if !l.asks() {
		if a.who == "optional" && s.limits.auth.who != "optional" {
			return "auth=optional is for http and https: on frames and lines nobody would know whether a login comes"
		}
		return "" // what would have no effect is checkEffects's
	}
	web := l.can(scheme.HTTP)
	switch {
	case s.users == "":
		return "auth needs a file of accounts: add -users FILE"
	case web && !l.isTLS() && l.outside() && !a.plain:
		return "auth over http from other machines would send passwords and tokens in the clear: use https, or add auth-plain=true where something in front does TLS"
	case l.limits.files != "" && !web && a.sign != "off":
		return "files over frames cannot be signed: add sign=off"
	}
	if !web {
		for _, text := range a.scope {
			if r, err := gate.ParseRule(text); err == nil && (r.Prefix != "" || r.Method != "") {
				return "scope " + say.Shown(text) + ": paths and methods are HTTP's"
			}
		}
		if len(a.scope) > 1 {
			return "scope can be one only, but on http and https"
		}
	}
	return ""
}

// doors let those in who have proved who they are. A nil *doors is for listeners that do not ask.
type doors struct {
	store   *accounts.Store
	limiter *attempts.Limiter
	hasher  *gate.Hasher
	stop    chan struct{}
}

// openDoors reads the accounts, and watches them. Its error is one line for the operator.
func openDoors(s *settings, log *zap.Logger) (*doors, error) {
	if s.users == "" {
		return nil, nil
	}
	store, err := accounts.Open(accounts.Config{Path: s.users, Tell: func(set *accounts.Set, err error) {
		if err != nil {
			log.Error("the accounts were not reloaded: the old ones stay", zap.String("event", events.AccountsReloadFailed), zap.Error(err))
			return
		}
		log.Info("the accounts were reloaded", zap.String("event", events.AccountsReloaded), zap.Int("accounts", len(set.Accounts())), zap.Int("tokens", len(set.Tokens())))
	}})
	if err != nil {
		return nil, fmt.Errorf("-users: %w", err)
	}
	d := &doors{store: store, limiter: attempts.New(s.attempts), hasher: new(gate.Hasher), stop: make(chan struct{})}
	go d.sweep()
	return d, nil
}

// sweep has the limits forget what has passed.
func (d *doors) sweep() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			d.limiter.Sweep(mono.Now())
		case <-d.stop:
			return
		}
	}
}

func (d *doors) close() {
	if d != nil {
		close(d.stop)
		d.store.Close()
	}
}

// guard stands in front of what answers at a listener, if that asks who somebody is.
func (d *doors) guard(l *listener, answers service.Service) service.Service {
	if !l.asks() || d == nil { // without d the configuration is only looked at
		return answers
	}
	a := &l.limits.auth
	if l.can(scheme.HTTP) {
		web := gate.Web{
			Accounts: d.store.Set, Limiter: d.limiter, Hasher: d.hasher,
			Optional: a.who == "optional", MaxHeader: int(l.limits.maxHeader),
		}
		for _, text := range a.scope {
			r, _ := gate.ParseRule(text) // checkRule has taken it
			web.Rules = append(web.Rules, r)
		}
		return gate.HTTP(answers, web)
	}
	cfg := sasl.Config{Accounts: d.store.Set, RequireBinding: a.bind, PlainTokens: l.network == "unix" || a.plain}
	cfg.Signing = sasl.SigningOff
	if l.can(scheme.Signs) {
		cfg.Signing = map[string]sasl.Policy{"off": sasl.SigningOff, "optional": sasl.SigningOptional, "required": sasl.SigningRequired}[a.sign]
	}
	logins, err := sasl.NewServer(cfg)
	if err != nil {
		panic(err) // all fields are set
	}
	text := gate.Logins{Server: logins, Limiter: d.limiter, MaxSigned: min(64<<10, l.limits.MaxOut/2)}
	if len(a.scope) > 0 {
		text.Scope = a.scope[0]
	}
	if l.can(scheme.Lines) {
		return gate.Lines(answers, text)
	}
	return gate.Frames(answers, text)
}
