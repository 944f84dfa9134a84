package main

import (
	"fmt"
	"net/netip"
	"time"

	"weir/engine"
	"weir/internal/say"
)

// limits are what a listener may have of its own: the engine's, and those of the services.
type limits struct {
	engine.Limits
	maxFrame, maxLine, maxHeader, maxBody int64 // bytes
	deferAccept                           time.Duration
	proxyFrom                             []netip.Prefix
	tlsMin, clientAuth                    string // words of -tls-min and -tls-client-auth

	files, index   string // a directory, "" for none, and a name in it, "off" for none
	list, dotFiles bool
	maxAge, hsts   time.Duration
	up             uploading
	relay          relaying
	auth           proving
}

// defaultLimits are what a listener has when nothing is given.
func defaultLimits() limits {
	var s settings
	eachRow(func(r *row) {
		if r.limit != nil && r.setting == nil && r.value != "" {
			r.mustStore(r.field(&s), r.value)
		}
	})
	return s.limits
}

// overrides lists what a listener has otherwise than the others.
func (l *listener) overrides(s *settings) (own []string) {
	eachRow(func(r *row) {
		if r.limit == nil {
			return
		}
		mine, usual := r.inWords(r.limit(&l.limits)), r.inWords(r.limit(&s.limits))
		if mine != usual && mine != "" {
			own = append(own, r.name+" "+mine)
		}
	})
	return own
}

// checkLimits checks limits that depend on each other.
func checkLimits(l *limits, where string) error {
	if l.MinRate > 0 && l.MinRateGrace == 0 {
		return say.Wrong(where, "0", fmt.Sprintf("must not be 0 while min-rate is %d", l.MinRate))
	}
	return nil
}
