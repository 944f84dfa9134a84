package main

import (
	"fmt"
	"math/bits"
	"strings"

	"weir/engine"
	"weir/engine/auth/attempts"
	static "weir/engine/service/files"
	"weir/guard"
	"weir/internal/acme"
	"weir/internal/say"
)

// settings is everything that the flags say.
type settings struct {
	listen                                     []string
	admin, profile, logLevel, logFormat, logTo string
	logMaxSize                                 int64 // bytes; 0: a log file is not rotated
	logKeep                                    int
	config                                     string
	check, printConfig, version                bool
	checkFormat                                string   // of -check: text or json
	checkAccept                                []string // rows that do not fail it

	certs, keys           []string // files, in pairs
	selfSigned, sniStrict bool
	clientCA              string      // a file, "" for none
	acme                  acme.Config // without what wiring adds

	alerts alerting

	users    string // a file of accounts, "" for none
	attempts attempts.Config

	maxOpenFiles, maxUploads int // for all listeners that serve files or take uploads together

	limits    limits        // of every listener that does not say otherwise
	listeners []listener    // listen, read
	engine    engine.Config // without its listeners and events, which wire.go adds
	machine   machine
}

// resolve turns what was given into settings for m: defaults, then the profile, then what was
// given, then what depends on the machine. Its errors are *say.WrongValue, but for a machine that
// cannot serve at all.
func resolve(g given, m machine) (*settings, error) {
	s := &settings{machine: m, engine: engine.Config{Guard: guard.DefaultConfig()}, attempts: attempts.Default()}
	profile := "default"
	if said, ok := g["profile"]; ok {
		profile = said.values[0]
	}
	eachRow(func(r *row) {
		said, isGiven := g[r.name]
		values := said.values
		switch {
		case isGiven:
		case profile == "bench" && r.bench != "" && r.bench != benchConns && r.bench != benchTwice:
			values = []string{r.bench}
		case r.value != "":
			values = strings.Fields(r.value) // lists have several
		}
		for _, v := range values {
			r.mustStore(r.field(s), v) // given values were checked by parse
		}
	})

	if s.engine.Loops == 0 {
		s.engine.Loops = min(max(m.cpus, 1), 256)
	}
	if s.engine.Workers == 0 {
		s.engine.Workers = 2 * max(m.cpus, 1)
	}
	if _, ok := g["max-buffered"]; !ok {
		s.engine.MaxBuffered = max(m.memory/4, 1<<20) >> 20 << 20
	}
	if s.engine.HandshakeWorkers == 0 {
		s.engine.HandshakeWorkers = max(1, m.cpus/2)
	}
	if s.maxOpenFiles == 0 {
		s.maxOpenFiles = min(static.DefaultMaxOpen, max(m.descriptors/8, 16))
	}
	if s.engine.FDReserve == 0 {
		s.engine.FDReserve = s.descriptorsNeeded(len(s.listen), s.willServeFiles(), s.willTakeUploads())
	}
	if err := s.fitConns(g); err != nil {
		return nil, err
	}
	if s.engine.Guard.MaxUnproven == 0 {
		s.engine.Guard.MaxUnproven = max(s.engine.Guard.MaxConns/2, leastUnproven)
	}
	if s.limits.clientAuth == "" {
		s.limits.clientAuth = "off"
		if s.clientCA != "" {
			s.limits.clientAuth = "required"
		}
	}
	eachRow(func(r *row) {
		_, isGiven := g[r.name]
		switch {
		case profile != "bench" || isGiven:
		case r.bench == benchConns:
			r.mustStore(r.field(s), fmt.Sprint(s.engine.Guard.MaxConns))
		case r.bench == benchTwice: // half of it would turn newcomers away
			r.mustStore(r.field(s), fmt.Sprint(2*s.engine.Guard.MaxConns))
		}
	})
	return s, s.checkTogether(g)
}

// descriptorsNeeded is how many everything but clients may need.
func (s *settings) descriptorsNeeded(listeners int, files, uploads bool) int {
	n := engine.DefaultFDReserve(s.engine.Loops, listeners)
	if files {
		n += s.maxOpenFiles
	}
	if uploads {
		n += descriptorsPerUpload * s.maxUploads
	}
	return n
}

// leastUnproven is the least default of -max-unproven: on a small server everybody may be new. The
// guard has the same; a test holds them together.
const leastUnproven = 128

// mostConns is the greatest default of -max-conns: some systems allow a process a thousand million
// descriptors, and the tables for that many connections would be allocated at start.
const mostConns = 1 << 20

// fitConns fills in the default of -max-conns and refuses what the descriptor limit cannot hold.
func (s *settings) fitConns(g given) error {
	m, room := &s.engine.Guard.MaxConns, s.machine.descriptors-s.engine.FDReserve
	if room < 1 {
		return fmt.Errorf("the limit on open files is %d, and %d are reserved (-fd-reserve): raise it with ulimit -n or LimitNOFILE=",
			s.machine.descriptors, s.engine.FDReserve)
	}
	switch {
	case *m == 0 && s.relayOnly():
		*m = min(max(room/2, 1), mostConns) // a relayed connection takes two descriptors
	case *m == 0:
		*m = min(room, mostConns)
	case *m > room:
		return say.Wrong(g.where("max-conns"), fmt.Sprint(*m), fmt.Sprintf(
			"must be 0 (%s) to %d: the limit on open files is %d, and %d are reserved (-fd-reserve)",
			rowNamed("max-conns").zero, room, s.machine.descriptors, s.engine.FDReserve))
	}
	return nil
}

// checkTogether reads the listeners and checks what no flag can check alone.
func (s *settings) checkTogether(g given) error {
	if n := s.engine.Guard.SourceTable; bits.OnesCount(uint(n)) != 1 {
		return say.Wrong(g.where("source-table"), fmt.Sprint(n), "must be a power of two, 8 to 67108864")
	}
	if err := checkLimits(&s.limits, g.where("min-rate-grace")); err != nil {
		return err
	}
	names := map[string]bool{}
	places := map[string]bool{}
	for _, text := range s.listen {
		l, wrong := parseListen(g.where("listen"), text, s.limits)
		if wrong != nil {
			return wrong
		}
		place := l.network + " " + l.address
		switch {
		case names[l.name]:
			return say.Wrong(g.where("listen"), text, "another listener has the same name; give one of them name=WORD")
		case places[place] && !strings.HasSuffix(l.address, ":0"):
			return say.Wrong(g.where("listen"), text, "another listener has the same address")
		}
		must := l.checkRelay(s)
		if must == "" {
			must = l.checkAuth(s)
		}
		if must != "" {
			return say.Wrong(g.where("listen"), text, must)
		}
		names[l.name], places[place] = true, true
		if err := checkLimits(&l.limits, g.where("listen")+" "+say.Shown(text)+": min-rate-grace"); err != nil {
			return err
		}
		if l.relays() && l.limits.MaxConns == 0 {
			l.limits.MaxConns = min(max((s.machine.descriptors-s.engine.FDReserve)/2, 1), s.engine.Guard.MaxConns)
		}
		s.listeners = append(s.listeners, l)
	}
	for _, check := range []func(given) error{s.checkFiles, s.checkEffects, s.checkAlerts, s.checkTLS} {
		if err := check(g); err != nil {
			return err
		}
	}
	return nil
}
