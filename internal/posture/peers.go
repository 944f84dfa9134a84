package posture

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
	isSet         func(*Listener) bool
	matters       func(*Listener) bool // nil: everywhere
}

var allDeadlines = []deadline{
	{"proxy-timeout", "a proxy may never send its header", func(l *Listener) bool { return l.ProxyTimeout > 0 },
		func(l *Listener) bool { return len(l.ProxyFrom) > 0 }},
	{"handshake-timeout", "a TLS handshake may never end", func(l *Listener) bool { return l.HandshakeTimeout > 0 },
		(*Listener).isTLS},
	{"first-frame-timeout", "a connection may never say anything", func(l *Listener) bool { return l.FirstFrameTimeout > 0 }, nil},
	{"auth-timeout", "a login may never end", func(l *Listener) bool { return l.AuthTimeout > 0 },
		func(l *Listener) bool { return l.asks() && !l.can(scheme.HTTP) }},
	{"frame-timeout", "a frame or head may never be complete", func(l *Listener) bool { return l.FrameTimeout > 0 }, nil},
	{"idle-timeout", "a connection may be idle for ever", func(l *Listener) bool { return l.IdleTimeout > 0 }, nil},
	{"half-close-timeout", "a relayed connection may stay half open for ever", func(l *Listener) bool { return l.HalfCloseTimeout > 0 },
		func(l *Listener) bool { return l.relays() && !l.relaysHTTP() }},
	{"upstream-timeout", "a request may wait for a server behind for ever", func(l *Listener) bool { return l.Relay.Silence > 0 },
		(*Listener).relaysHTTP},
	{"write-timeout", "a peer may never take what it is owed", func(l *Listener) bool { return l.WriteTimeout > 0 }, nil},
	{"min-rate", "bodies may drip, and answers be read in drips", func(l *Listener) bool { return l.MinRate > 0 }, nil},
}

// deadlines is R3.
func deadlines() Row {
	var names []string
	var rules []Rule
	matters := func(d deadline, l *Listener) bool { return d.matters == nil || d.matters(l) }
	allOff := func(l *Listener) bool {
		return !slices.ContainsFunc(allDeadlines, func(d deadline) bool { return matters(d, l) && d.isSet(l) })
	}
	for _, d := range allDeadlines {
		names = append(names, d.flag)
		rules = append(rules, Rule{
			State: Weak, When: "`" + d.flag + "` is 0, where it matters", Change: "-" + d.flag,
			listener: func(_ *Server, l *Listener) string {
				if d.isSet(l) || !matters(d, l) || allOff(l) {
					return ""
				}
				return d.without
			},
		})
	}
	return Row{
		Name: "R3", Practice: "nothing hangs",
		on: func(s *Server) string {
			return s.inForce("first-frame-timeout", "frame-timeout", "idle-timeout", "write-timeout", "min-rate")
		},
		Rules: append(rules, Rule{
			State: Off, When: "all deadlines are 0", Change: "-" + strings.Join(names, " -"),
			listener: func(_ *Server, l *Listener) string {
				if !allOff(l) {
					return ""
				}
				return "there is no deadline: whoever connects may stay for ever"
			},
		}),
	}
}

// places is how many connections one source could have at a listener without a limit of its own.
func (s *Server) places(l *Listener) int {
	if l.MaxConns > 0 {
		return min(l.MaxConns, s.MaxConns)
	}
	return s.MaxConns
}

// perSource makes a rule about a limit of sources: peers on a unix socket are none.
func perSource(when, flag, why string, lifted func(*Server, *Listener) bool) Rule {
	return Rule{
		State: Weak, When: when, Change: "-" + flag,
		listener: func(s *Server, l *Listener) string {
			if l.Unix || !l.has(flag) || !lifted(s, l) {
				return ""
			}
			return why
		},
	}
}

// noneRule makes a rule about listeners without any limit of a source.
func noneRule(when, change, why string, without func(*Listener) bool) Rule {
	return Rule{
		State: Off, When: when, Change: change,
		listener: func(_ *Server, l *Listener) string {
			if l.Unix || !without(l) {
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

func exemptRule() Rule {
	return Rule{
		State: Weak, When: "`exempt` has 0.0.0.0/0 or ::/0", Change: "-exempt",
		process: func(s *Server) string {
			all, ok := everyone(s.Exempt)
			if !ok {
				return ""
			}
			return fmt.Sprintf("limits of a source hold nobody in %s", all)
		},
	}
}

// connections is R4.
func connections() Row {
	without := func(l *Listener) bool {
		return l.SourceConns == 0 && l.SourceConnRate == 0 && l.SourceUnproven == 0
	}
	return Row{
		Name: "R4", Practice: "connection limits",
		on: func(s *Server) string {
			return s.inForce("max-conns", "max-unproven", "source-conns", "source-conn-rate", "source-unproven")
		},
		Rules: []Rule{
			perSource("`source-conns` is 0, or not below `max-conns`", "source-conns", "one source may take all places",
				func(s *Server, l *Listener) bool { return lifted(l.SourceConns, s.places(l)) && !without(l) }),
			perSource("`source-conn-rate` is 0, or 1,000,000 or more", "source-conn-rate", "one source may connect as fast as it can",
				func(_ *Server, l *Listener) bool { return lifted(l.SourceConnRate, liftedRate) && !without(l) }),
			perSource("`source-unproven` is 0, or not below `max-unproven`", "source-unproven", "one source may fill the places of connections that say nothing",
				func(s *Server, l *Listener) bool {
					return lifted(l.SourceUnproven, max(s.MaxUnproven, s.LeastUnproven+1)) && !without(l)
				}),
			{
				State: Weak, When: "`max-unproven` is not below `max-conns`, but for its least default", Change: "-max-unproven",
				process: func(s *Server) string {
					if n := s.MaxUnproven; n < s.MaxConns || n <= s.LeastUnproven {
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
func rates() Row {
	without := func(l *Listener) bool { return l.SourceFrameRate == 0 && l.SourceByteRate == 0 }
	return Row{
		Name: "R7", Practice: "rate limits",
		on: func(s *Server) string {
			return s.inForce("source-frame-rate", "source-byte-rate", "conn-byte-rate", "source-handshake-rate")
		},
		Rules: []Rule{
			perSource("`source-frame-rate` is 0, or 1,000,000 or more", "source-frame-rate", "one source may send as many frames as it can",
				func(_ *Server, l *Listener) bool {
					return l.can(scheme.Counted) && lifted(l.SourceFrameRate, liftedRate) && !without(l)
				}),
			perSource("`source-byte-rate` is 0, or 4 GiB or more", "source-byte-rate", "one source may send as many bytes as it can",
				func(_ *Server, l *Listener) bool {
					return lifted(l.SourceByteRate, liftedBytesRate) && !without(l)
				}),
			perSource("`source-handshake-rate` is 0, or 1,000,000 or more", "source-handshake-rate", "one source may have as many keys computed as it can",
				func(_ *Server, l *Listener) bool {
					return l.isTLS() && lifted(l.SourceHandshakeRate, liftedRate)
				}),
			exemptRule(),
			noneRule("`source-frame-rate` and `source-byte-rate` are 0", "-source-frame-rate -source-byte-rate", "there is no rate limit of a source", without),
		},
	}
}
