package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/internal/scheme"
)

// From these on a rate holds nobody: no source sends more, with or without the limit. -profile bench sets higher ones.
const (
	liftedRate      = 1_000_000 // connections, handshakes or frames a second
	liftedBytesRate = 4 << 30   // bytes a second
)

// deadline is one of R3, which is on with a listener when it has a value.
type deadline struct {
	flag, without string // what happens without it
	isSet         func(*listener) bool
	matters       func(*listener) bool // nil: everywhere
}

var allDeadlines = []deadline{
	{"proxy-timeout", "a proxy may never send its header", func(l *listener) bool { return l.limits.ProxyTimeout > 0 },
		func(l *listener) bool { return len(l.proxies()) > 0 }},
	{"handshake-timeout", "a TLS handshake may never end", func(l *listener) bool { return l.limits.HandshakeTimeout > 0 },
		(*listener).isTLS},
	{"first-frame-timeout", "a connection may never say anything", func(l *listener) bool { return l.limits.FirstFrameTimeout > 0 }, nil},
	{"auth-timeout", "a login may never end", func(l *listener) bool { return l.limits.AuthTimeout > 0 },
		func(l *listener) bool { return l.asks() && !l.can(scheme.HTTP) }},
	{"frame-timeout", "a frame or head may never be complete", func(l *listener) bool { return l.limits.FrameTimeout > 0 }, nil},
	{"idle-timeout", "a connection may be idle for ever", func(l *listener) bool { return l.limits.IdleTimeout > 0 }, nil},
	{"half-close-timeout", "a relayed connection may stay half open for ever", func(l *listener) bool { return l.limits.HalfCloseTimeout > 0 },
		func(l *listener) bool { return l.relays() && !l.relaysHTTP() }},
	{"upstream-timeout", "a request may wait for a server behind for ever", func(l *listener) bool { return l.limits.relay.silence > 0 },
		(*listener).relaysHTTP},
	{"write-timeout", "a peer may never take what it is owed", func(l *listener) bool { return l.limits.WriteTimeout > 0 }, nil},
	{"min-rate", "bodies may drip, and answers be read in drips", func(l *listener) bool { return l.limits.MinRate > 0 }, nil},
}

// deadlines is R3.
func deadlines() practice {
	var names []string
	var rules []rule
	matters := func(d deadline, l *listener) bool { return d.matters == nil || d.matters(l) }
	allOff := func(l *listener) bool {
		return !slices.ContainsFunc(allDeadlines, func(d deadline) bool { return matters(d, l) && d.isSet(l) })
	}
	for _, d := range allDeadlines {
		names = append(names, d.flag)
		rules = append(rules, rule{
			state: stateWeak, when: "`" + d.flag + "` is 0, where it matters", change: "-" + d.flag,
			listener: func(_ *posture, l *listener) string {
				if d.isSet(l) || !matters(d, l) || allOff(l) {
					return ""
				}
				return d.without
			},
		})
	}
	return practice{
		row: "R3", name: "nothing hangs",
		on: func(p *posture) string {
			return p.inForce("first-frame-timeout", "frame-timeout", "idle-timeout", "write-timeout", "min-rate")
		},
		rules: append(rules, rule{
			state: stateOff, when: "all deadlines are 0", change: "-" + strings.Join(names, " -"),
			listener: func(_ *posture, l *listener) string {
				if !allOff(l) {
					return ""
				}
				return "there is no deadline: whoever connects may stay for ever"
			},
		}),
	}
}

// places is how many connections one source could have at a listener without a limit of its own.
func (p *posture) places(l *listener) int {
	if l.limits.MaxConns > 0 {
		return min(l.limits.MaxConns, p.s.engine.Guard.MaxConns)
	}
	return p.s.engine.Guard.MaxConns
}

// perSource makes a rule about a limit of sources: peers on a unix socket are none.
func perSource(when, flag, why string, lifted func(*posture, *listener) bool) rule {
	return rule{
		state: stateWeak, when: when, change: "-" + flag,
		listener: func(p *posture, l *listener) string {
			if l.network == "unix" || !rowNamed(flag).fits(l.scheme) || !lifted(p, l) {
				return ""
			}
			return why
		},
	}
}

// noneRule makes a rule about listeners without any limit of a source.
func noneRule(when, change, why string, without func(*listener) bool) rule {
	return rule{
		state: stateOff, when: when, change: change,
		listener: func(_ *posture, l *listener) string {
			if l.network == "unix" || !without(l) {
				return ""
			}
			return why
		},
	}
}

// lifted reports whether a rate holds nobody.
func lifted[T int | int64](rate, from T) bool { return rate == 0 || rate >= from }

// everyone is the network of all, if it is among list.
func everyone(list []netip.Prefix) (netip.Prefix, bool) {
	i := slices.IndexFunc(list, func(n netip.Prefix) bool { return n.Bits() == 0 })
	if i < 0 {
		return netip.Prefix{}, false
	}
	return list[i], true
}

func exemptRule() rule {
	return rule{
		state: stateWeak, when: "`exempt` has 0.0.0.0/0 or ::/0", change: "-exempt",
		process: func(p *posture) string {
			all, ok := everyone(p.s.engine.Guard.Exempt)
			if !ok {
				return ""
			}
			return fmt.Sprintf("limits of a source hold nobody in %s", all)
		},
	}
}

// connections is R4.
func connections() practice {
	without := func(l *listener) bool {
		return l.limits.SourceConns == 0 && l.limits.SourceConnRate == 0 && l.limits.SourceUnproven == 0
	}
	return practice{
		row: "R4", name: "connection limits",
		on: func(p *posture) string {
			return p.inForce("max-conns", "max-unproven", "source-conns", "source-conn-rate", "source-unproven")
		},
		rules: []rule{
			perSource("`source-conns` is 0, or not below `max-conns`", "source-conns", "one source may take all places",
				func(p *posture, l *listener) bool { return lifted(l.limits.SourceConns, p.places(l)) && !without(l) }),
			perSource("`source-conn-rate` is 0, or 1,000,000 or more", "source-conn-rate", "one source may connect as fast as it can",
				func(_ *posture, l *listener) bool { return lifted(l.limits.SourceConnRate, liftedRate) && !without(l) }),
			perSource("`source-unproven` is 0, or not below `max-unproven`", "source-unproven", "one source may fill the places of connections that say nothing",
				func(p *posture, l *listener) bool {
					return lifted(l.limits.SourceUnproven, max(p.s.engine.Guard.MaxUnproven, leastUnproven+1)) && !without(l)
				}),
			{
				state: stateWeak, when: "`max-unproven` is not below `max-conns`, but for its least default", change: "-max-unproven",
				process: func(p *posture) string {
					if n := p.s.engine.Guard.MaxUnproven; n < p.s.engine.Guard.MaxConns || n <= leastUnproven {
						return ""
					}
					return "connections that say nothing may take all places"
				},
			},
			exemptRule(),
			noneRule("`source-conns`, `source-conn-rate` and `source-unproven` are 0", "-source-conns -source-conn-rate -source-unproven",
				"there is no limit of a source", without),
		},
	}
}

// rates is R7.
func rates() practice {
	without := func(l *listener) bool { return l.limits.SourceFrameRate == 0 && l.limits.SourceByteRate == 0 }
	return practice{
		row: "R7", name: "rate limits",
		on: func(p *posture) string {
			return p.inForce("source-frame-rate", "source-byte-rate", "conn-byte-rate", "source-handshake-rate")
		},
		rules: []rule{
			perSource("`source-frame-rate` is 0, or 1,000,000 or more", "source-frame-rate", "one source may send as many frames as it can",
				func(_ *posture, l *listener) bool {
					return l.can(scheme.Counted) && lifted(l.limits.SourceFrameRate, liftedRate) && !without(l)
				}),
			perSource("`source-byte-rate` is 0, or 4 GiB or more", "source-byte-rate", "one source may send as many bytes as it can",
				func(_ *posture, l *listener) bool {
					return lifted(l.limits.SourceByteRate, liftedBytesRate) && !without(l)
				}),
			perSource("`source-handshake-rate` is 0, or 1,000,000 or more", "source-handshake-rate", "one source may have as many keys computed as it can",
				func(_ *posture, l *listener) bool {
					return l.isTLS() && lifted(l.limits.SourceHandshakeRate, liftedRate)
				}),
			exemptRule(),
			noneRule("`source-frame-rate` and `source-byte-rate` are 0", "-source-frame-rate -source-byte-rate", "there is no rate limit of a source", without),
		},
	}
}
