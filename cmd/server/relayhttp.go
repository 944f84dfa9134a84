package main

import (
	"slices"

	"weir/engine/service/relay"
	"weir/internal/metrics"
	"weir/internal/scheme"
)

const (
	answerHeader = 64 << 10 // bytes of the largest response head of a server behind
	headSlack    = 1 << 10  // what a head that is relayed may grow by
)

// http is the configuration of an HTTP listener that relays.
func (l *listener) http() relay.HTTPConfig {
	return relay.HTTPConfig{
		MaxHeader: int(l.limits.maxHeader), MaxBody: l.limits.maxBody, MaxAnswerHeader: min(answerHeader, l.limits.MaxOut/2-headSlack),
		MaxIdle: l.limits.relay.maxIdle, Idle: l.limits.relay.idle, Silence: l.limits.relay.silence, Secure: l.isTLS(), Guarded: l.asks(),
	}
}

// relaysHTTP reports whether a listener relays HTTP.
func (l *listener) relaysHTTP() bool { return l.can(scheme.HTTP) && l.relays() }

// hasHTTPRelay reports whether any does.
func (s *settings) hasHTTPRelay() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.relaysHTTP() })
}

// http is what the metrics tell of relayed requests.
func (all pools) http() (sum metrics.HTTPRelay) {
	for i := range all {
		p := all.at(i)
		if p == nil {
			continue
		}
		n := p.HTTPCounts()
		for i := range n.Answers {
			sum.Answers[i] += n.Answers[i]
		}
		for i := range n.Own {
			sum.Own[i] += n.Own[i]
		}
		sum.Retried += n.Retried
		sum.Cut += n.Cut
	}
	return sum
}
