package posture

import (
	"fmt"
	"strings"

	"weir/engine/auth/accounts"
	"weir/internal/say"
	"weir/internal/scheme"
)

// unasked is the rule of practices that no listener asks for. It is Advice: whether peers must say who they are is a choice.
func unasked() Rule {
	return Rule{
		State: Off, When: "no listener has `auth`", Change: "-auth -users", Advice: true,
		process: func(s *Server) string {
			if s.any((*Listener).asks) || s.Users != nil {
				return ""
			}
			return "not asked for on any listener"
		},
	}
}

// fastGuesses is from how many attempts a minute on at one account guessing is worth it: a million in a day.
const fastGuesses = 700

// passwords is R8.
func passwords() Row {
	return Row{
		Name: "R8", Practice: "passwords",
		on: func(s *Server) string {
			n := 0
			if s.Users != nil {
				n = len(s.Users.Accounts())
			}
			return fmt.Sprintf("%s, kept as SCRAM-SHA-256 verifiers; at one account %d may fail a minute", say.Several(n, "account"), s.FailsPerAccount)
		},
		Rules: []Rule{
			unasked(),
			{
				State: Off, When: "`users` is given, and no listener has `auth`", Change: "-auth",
				process: func(s *Server) string {
					if s.any((*Listener).asks) || s.Users == nil {
						return ""
					}
					return "there are accounts, and no listener asks for them"
				},
			},
			{
				State: Weak, When: "a listener with `auth` is not on loopback, and its scheme has no TLS", Change: "-listen",
				listener: func(_ *Server, l *Listener) string {
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
				State: Weak, When: fmt.Sprintf("`auth-account-rate` or `auth-pair-rate` is %d or more", fastGuesses), Change: "-auth-account-rate -auth-pair-rate",
				process: func(s *Server) string {
					if n := max(s.FailsPerAccount, s.FailsPerPair); s.any((*Listener).asks) && n >= fastGuesses {
						return fmt.Sprintf("%s guesses a minute at one account are a million a day", say.Grouped(int64(n)))
					}
					return ""
				},
			},
			{
				State: Weak, When: fmt.Sprintf("an account's password has fewer than %s iterations", say.Grouped(accounts.Iterations)), Change: "weir user passwd", Advice: true,
				process: func(s *Server) string {
					var weak []string
					if s.Users != nil && s.any((*Listener).asks) {
						for _, a := range s.Users.Accounts() {
							if a.Verifier.Iterations < accounts.Iterations && !a.Disabled {
								weak = append(weak, a.Name)
							}
						}
					}
					if len(weak) == 0 {
						return ""
					}
					return "who steals the file guesses faster at " + say.Names(weak)
				},
			},
		},
	}
}

// tokens is R9.
func tokens() Row {
	return Row{
		Name: "R9", Practice: "tokens that expire",
		on: func(s *Server) string {
			n := 0
			if s.Users != nil {
				n = len(s.Users.Tokens())
			}
			if n == 0 {
				return "none was issued"
			}
			return say.Several(n, "token") + ", random, kept as hashes, with an end each"
		},
		Rules: []Rule{
			unasked(),
			{
				State: Weak, When: "a token never expires", Change: "weir token issue", Advice: true,
				process: func(s *Server) string {
					var never []string
					if s.Users != nil && s.any((*Listener).asks) {
						for _, t := range s.Users.Tokens() {
							if t.Expires.IsZero() {
								never = append(never, t.Account+" "+t.Label)
							}
						}
					}
					if len(never) == 0 {
						return ""
					}
					return "tokens without an end: " + say.Names(never)
				},
			},
			{
				State: Weak, When: "`auth-plain` is true at a listener with `auth` that is not on loopback", Change: "-auth-plain",
				listener: func(_ *Server, l *Listener) string {
					if !l.inTheClear() || !l.Auth.Plain {
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
func replays() Row {
	signs := func(l *Listener) string {
		if !l.can(scheme.Signs) {
			return "off" // there is no form for it
		}
		return l.Auth.Sign
	}
	said := func(when, state, change, sign, why string, plain bool) Rule {
		return Rule{
			State: state, When: when, Change: change, Advice: !plain,
			listener: func(_ *Server, l *Listener) string {
				if l.inTheClear() != plain || signs(l) != sign && !(plain && sign == "" && signs(l) != "required") {
					return ""
				}
				return why
			},
		}
	}
	return Row{
		Name: "R11", Practice: "no replay", None: "no listener has logins on frames or lines",
		among: func(l *Listener) bool { return l.asks() && !l.can(scheme.HTTP) },
		on: func(*Server) string {
			return "frames are numbered and signed after a login, which no recording can repeat"
		},
		Rules: []Rule{
			said("frames or lines with `auth` are not on loopback and without TLS, and `sign` is not required", Weak, "-sign -listen", "",
				"what follows a login can be recorded and sent again: use +tls, or frames with sign=required", true),
			said("`sign` is off, or the scheme lines", Off, "-sign", "off", "frames are not signed: whoever is inside of TLS can repeat them", false),
			said("`sign` is optional", Weak, "-sign", "optional", "only clients that ask for it sign their frames", false),
		},
	}
}

// authorisation is R16. A client certificate that is required lets in only those who have one; scope says who may what.
func authorisation() Row {
	certified := func(l *Listener) bool { return l.ClientCert == "required" }
	return Row{
		Name: "R16", Practice: "authorisation",
		on: func(s *Server) string {
			var rules []string
			for i := range s.Listeners {
				if l := &s.Listeners[i]; l.asks() {
					rules = append(rules, l.Auth.Scope...)
				}
			}
			text := "nobody is served who has not proved who it is"
			if len(rules) > 0 {
				text += "; scope " + say.Shown(strings.Join(rules, ","))
			}
			return text
		},
		Rules: []Rule{
			{
				State: Off, When: "a listener has neither `auth`, nor requires client certificates", Change: "-auth -tls-client-auth", Advice: true,
				listener: func(_ *Server, l *Listener) string {
					if l.asks() || certified(l) {
						return ""
					}
					return "whoever connects is served: nobody is asked who it is"
				},
			},
			{
				State: Off, When: "`auth` is optional, and `scope` has no rule", Change: "-scope",
				listener: func(_ *Server, l *Listener) string {
					if !l.asks() || l.Auth.Who != "optional" || len(l.Auth.Scope) > 0 || certified(l) {
						return ""
					}
					return "auth is optional and scope has no rule: nobody is ever asked"
				},
			},
			{
				State: Weak, When: "`auth` is optional, and no rule of `scope` is for everything", Change: "-auth -scope", Advice: true,
				listener: func(_ *Server, l *Listener) string {
					if len(l.Auth.Scope) == 0 || l.Auth.AsksForAll || certified(l) {
						return ""
					}
					return "auth is optional: where scope has no rule everybody is served"
				},
			},
			{
				State: Weak, When: "`auth` is required, and `scope` has no rule", Change: "-scope", Advice: true,
				listener: func(_ *Server, l *Listener) string {
					if !l.asks() || l.Auth.Who != "required" || len(l.Auth.Scope) > 0 {
						return ""
					}
					return "every account may do everything"
				},
			},
		},
	}
}
