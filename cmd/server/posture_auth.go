package main

import (
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/internal/say"
	"weir/internal/scheme"
)

// inTheClear reports whether others on the way can read a login at a listener.
func (l *listener) inTheClear() bool { return l.asks() && l.isPlain() }

// unasked is the rule of practices that no listener asks for. It is advice: whether peers must say who they are is a choice.
func unasked() rule {
	return rule{
		state: stateOff, when: "no listener has `auth`", change: "-auth -users", advice: true,
		process: func(p *posture) string {
			if p.s.hasAuth() || p.s.users != "" {
				return ""
			}
			return "not asked for on any listener"
		},
	}
}

// fastGuesses is from how many attempts a minute on at one account guessing is worth it: a million in a day.
const fastGuesses = 700

func perMinute(r attempts.Rate) int {
	return int(int64(r.Tokens) * int64(time.Minute) / int64(max(r.Per, 1)))
}

// passwords is R8.
func passwords() practice {
	return practice{
		row: "R8", name: "passwords",
		on: func(p *posture) string {
			n := 0
			if p.users != nil {
				n = len(p.users.Accounts())
			}
			return fmt.Sprintf("%s, kept as SCRAM-SHA-256 verifiers; at one account %d may fail a minute", say.Several(n, "account"), perMinute(p.s.attempts.Account))
		},
		rules: []rule{
			unasked(),
			{
				state: stateOff, when: "`users` is given, and no listener has `auth`", change: "-auth",
				process: func(p *posture) string {
					if p.s.hasAuth() || p.s.users == "" {
						return ""
					}
					return "there are accounts, and no listener asks for them"
				},
			},
			{
				state: stateWeak, when: "a listener with `auth` is not on loopback, and its scheme has no TLS", change: "-listen",
				listener: func(_ *posture, l *listener) string {
					switch {
					case !l.inTheClear():
						return ""
					case l.can(scheme.HTTP):
						return "passwords come in the clear, unless something in front does TLS: use https"
					}
					return "logins come without TLS: who records one can guess its password elsewhere, without limit: use +tls"
				},
			},
			{
				state: stateWeak, when: fmt.Sprintf("`auth-account-rate` or `auth-pair-rate` is %d or more", fastGuesses), change: "-auth-account-rate -auth-pair-rate",
				process: func(p *posture) string {
					if n := max(perMinute(p.s.attempts.Account), perMinute(p.s.attempts.Pair)); p.s.hasAuth() && n >= fastGuesses {
						return fmt.Sprintf("%s guesses a minute at one account are a million a day", say.Grouped(int64(n)))
					}
					return ""
				},
			},
			{
				state: stateWeak, when: fmt.Sprintf("an account's password has fewer than %s iterations", say.Grouped(accounts.Iterations)), change: "weir user passwd", advice: true,
				process: func(p *posture) string {
					var weak []string
					if p.users != nil && p.s.hasAuth() {
						for _, a := range p.users.Accounts() {
							if a.Verifier.Iterations < accounts.Iterations && !a.Disabled {
								weak = append(weak, a.Name)
							}
						}
					}
					if len(weak) == 0 {
						return ""
					}
					return "who steals the file guesses faster at " + namesText(weak)
				},
			},
		},
	}
}

// tokens is R9.
func tokens() practice {
	return practice{
		row: "R9", name: "tokens that expire",
		on: func(p *posture) string {
			n := 0
			if p.users != nil {
				n = len(p.users.Tokens())
			}
			if n == 0 {
				return "none was issued"
			}
			return say.Several(n, "token") + ", random, kept as hashes, with an end each"
		},
		rules: []rule{
			unasked(),
			{
				state: stateWeak, when: "a token never expires", change: "weir token issue", advice: true,
				process: func(p *posture) string {
					var never []string
					if p.users != nil && p.s.hasAuth() {
						for _, t := range p.users.Tokens() {
							if t.Expires.IsZero() {
								never = append(never, t.Account+" "+t.Label)
							}
						}
					}
					if len(never) == 0 {
						return ""
					}
					return "tokens without an end: " + namesText(never)
				},
			},
			{
				state: stateWeak, when: "`auth-plain` is true at a listener with `auth` that is not on loopback", change: "-auth-plain",
				listener: func(_ *posture, l *listener) string {
					if !l.inTheClear() || !l.limits.auth.plain {
						return ""
					}
					return "tokens come in the clear, unless something in front does TLS: who sees one has it"
				},
			},
		},
	}
}

// replays is R11: logins have fresh nonces always; what comes after them is signed when it is asked for. TLS refuses recorded
// records by itself.
func replays() practice {
	signs := func(l *listener) string {
		if !l.can(scheme.Signs) {
			return "off" // there is no form for it
		}
		return l.limits.auth.sign
	}
	said := func(when, state, change, sign, why string, plain bool) rule {
		return rule{
			state: state, when: when, change: change, advice: !plain,
			listener: func(_ *posture, l *listener) string {
				if l.inTheClear() != plain || signs(l) != sign && !(plain && sign == "" && signs(l) != "required") {
					return ""
				}
				return why
			},
		}
	}
	return practice{
		row: "R11", name: "no replay", none: "no listener has logins on frames or lines",
		among: func(l *listener) bool { return l.asks() && !l.can(scheme.HTTP) },
		on: func(*posture) string {
			return "frames are numbered and signed after a login, which no recording can repeat"
		},
		rules: []rule{
			said("frames or lines with `auth` are not on loopback and without TLS, and `sign` is not required", stateWeak, "-sign -listen", "",
				"what follows a login can be recorded and sent again: use +tls, or frames with sign=required", true),
			said("`sign` is off, or the scheme lines", stateOff, "-sign", "off", "frames are not signed: whoever is inside of TLS can repeat them", false),
			said("`sign` is optional", stateWeak, "-sign", "optional", "only clients that ask for it sign their frames", false),
		},
	}
}

// authorisation is R16. A client certificate that is required lets in only those who have one; scope says who may what.
func authorisation() practice {
	certified := func(l *listener) bool { return l.isTLS() && l.policy().ClientAuth == tls.RequireAndVerifyClientCert }
	return practice{
		row: "R16", name: "authorisation",
		on: func(p *posture) string {
			var rules []string
			for i := range p.s.listeners {
				if l := &p.s.listeners[i]; l.asks() {
					rules = append(rules, l.limits.auth.scope...)
				}
			}
			text := "nobody is served who has not proved who it is"
			if len(rules) > 0 {
				text += "; scope " + say.Shown(strings.Join(rules, ","))
			}
			return text
		},
		rules: []rule{
			{
				state: stateOff, when: "a listener has neither `auth`, nor requires client certificates", change: "-auth -tls-client-auth", advice: true,
				listener: func(_ *posture, l *listener) string {
					if l.asks() || certified(l) {
						return ""
					}
					return "whoever connects is served: nobody is asked who it is"
				},
			},
			{
				state: stateOff, when: "`auth` is optional, and `scope` has no rule", change: "-scope",
				listener: func(_ *posture, l *listener) string {
					if !l.asks() || l.limits.auth.who != "optional" || len(l.limits.auth.scope) > 0 || certified(l) {
						return ""
					}
					return "auth is optional and scope has no rule: nobody is ever asked"
				},
			},
			{
				state: stateWeak, when: "`auth` is optional, and no rule of `scope` is for everything", change: "-auth -scope", advice: true,
				listener: func(_ *posture, l *listener) string {
					if len(l.limits.auth.scope) == 0 || l.asksFor("") || certified(l) {
						return ""
					}
					return "auth is optional: where scope has no rule everybody is served"
				},
			},
			{
				state: stateWeak, when: "`auth` is required, and `scope` has no rule", change: "-scope", advice: true,
				listener: func(_ *posture, l *listener) string {
					if !l.asks() || l.limits.auth.who != "required" || len(l.limits.auth.scope) > 0 {
						return ""
					}
					return "every account may do everything"
				},
			},
		},
	}
}
