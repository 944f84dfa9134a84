package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"weir/engine/service/relay"
	"weir/internal/events"
	"weir/internal/metrics"
	"weir/internal/say"
	"weir/internal/scheme"
)

// relaying is where a listener relays to, and how.
type relaying struct {
	to                           []string // nothing: it does not
	balance, proxyTo, health     string   // words
	connectTimeout, resolveEvery time.Duration
	healthEvery                  time.Duration
	healthPath                   string
	healthRise, healthFall       int
	tls                          relayTLS
	passing
	maxIdle       int // HTTP: connections kept to each server by each loop
	idle, silence time.Duration
}

// relays reports whether a listener relays.
func (l *listener) relays() bool {
	return l.can(scheme.Relays) && len(l.limits.relay.to) > 0
}

func isRelay(l listener) bool { return l.relays() }

// hasRelay reports whether any listener relays.
func (s *settings) hasRelay() bool { return slices.ContainsFunc(s.listeners, isRelay) }

// hasHealth reports whether any server's health is checked.
func (s *settings) hasHealth() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.relays() && l.limits.relay.health != "off" })
}

// hasHTTPHealth reports whether any server is asked.
func (s *settings) hasHTTPHealth() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.relays() && l.limits.relay.health == "http" })
}

// hasRelayTLS reports whether any server is spoken to by TLS.
func (s *settings) hasRelayTLS() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.relays() && l.limits.relay.tls.on })
}

// relayOnly reports whether all that is asked for is relaying. Wrong listeners are told of later.
func (s *settings) relayOnly() bool {
	for _, text := range s.listen {
		if l, wrong := parseListen("", text, s.limits); wrong == nil && !l.relays() {
			return false
		}
	}
	return len(s.listen) > 0
}

// healthByHTTP are the schemes whose servers can speak HTTP as a check does: those of HTTP and those of bytes.
// Servers behind tls-passthrough have TLS of the clients' own.
var healthByHTTP = slices.Concat(scheme.Names(scheme.HTTP, 0), scheme.Names(scheme.RelaysOnly, scheme.Parsed))

// checkHealth checks how a listener's servers are checked.
func (l *listener) checkHealth(s *settings) string {
	r := &l.limits.relay
	switch {
	case r.health == "http" && !slices.Contains(healthByHTTP, l.scheme.Name):
		return "health=http is for " + listenersOf(healthByHTTP) + ": use health=tcp"
	case r.health != "http" && r.healthPath != s.limits.relay.healthPath:
		return "health-path: nothing is asked for without health=http; give it, or leave this out"
	}
	return ""
}

// checkRelay checks what a listener needs to relay.
func (l *listener) checkRelay(s *settings) string {
	if l.can(scheme.RelaysOnly) && len(l.limits.relay.to) == 0 {
		return "needs a server to relay to: add to=HOST:PORT"
	}
	if !l.relays() {
		return ""
	}
	for i, to := range l.limits.relay.to {
		if slices.Contains(l.limits.relay.to[:i], to) {
			return "to names " + say.Shown(to) + " twice"
		}
	}
	if l.relaysHTTP() && l.limits.maxHeader+headSlack > int64(l.limits.MaxOut/2) {
		return "max-header must be less than half of max-out, by 1KiB at least, for heads to be relayed"
	}
	if must := l.checkHealth(s); must != "" {
		return must
	}
	return l.checkPass()
}

// pool is the configuration of the servers behind a listener.
func (r *relaying) pool(tell func(relay.Change)) (relay.Config, error) {
	cfg := relay.Config{
		To: r.to, ConnectTimeout: r.connectTimeout, Resolve: r.resolveEvery,
		Rise: r.healthRise, Fall: r.healthFall, Tell: tell,
	}
	if r.balance == "leastconn" {
		cfg.Balance = relay.LeastConn
	}
	if r.health != "off" {
		cfg.Check = r.healthEvery
	}
	if r.health == "http" {
		cfg.CheckPath = r.healthPath
	}
	switch r.proxyTo {
	case "v1":
		cfg.ProxyTo = 1
	case "v2":
		cfg.ProxyTo = 2
	}
	var err error
	cfg.TLS, err = r.tls.config()
	return cfg, err
}

// servers are those behind a listener: a *relay.Pool or *relay.Routes.
type servers interface {
	Close()
	Status() []relay.Status
}

// pools are the servers behind each listener, nil for those that do not relay.
type pools []servers

// openPools begins to watch the servers that listeners relay to.
func openPools(s *settings, log *zap.Logger) (pools, error) {
	all := make(pools, len(s.listeners))
	for i := range s.listeners {
		l := &s.listeners[i]
		if !l.relays() {
			continue
		}
		cfg, err := l.limits.relay.pool(func(c relay.Change) { tellUpstream(log, l.name, c) })
		var p servers
		if err == nil {
			p, err = l.openServers(cfg)
		}
		if err != nil {
			all.close()
			return nil, fmt.Errorf("listener %s: %w", l.name, err)
		}
		all[i] = p
		l.tellNotFound(log, p.Status())
	}
	return all, nil
}

// tellNotFound tells of servers whose names are not found at start.
func (l *listener) tellNotFound(log *zap.Logger, all []relay.Status) {
	for _, st := range all {
		if st.Found {
			continue
		}
		c := relay.Change{Server: st.Server, Why: "its name is not found; it is looked up again every second"}
		if st.Server == bySNI { // the metrics' word for all of them; the pool calls it so
			c.Server = net.JoinHostPort(st.Route, strconv.Itoa(l.sni().Port))
			c.Why = "its name is not found, or only at addresses that to=sni leaves out; it is looked up again every second"
		}
		tellUpstream(log, l.name, c)
	}
}

// checkPools reads the files that relaying needs, for -check.
func checkPools(s *settings) error {
	for i := range s.listeners {
		if l := &s.listeners[i]; l.relays() {
			if _, err := l.limits.relay.pool(nil); err != nil {
				return fmt.Errorf("listener %s: %w", l.name, err)
			}
		}
	}
	return nil
}

// openServers begins to watch the servers behind a listener.
func (l *listener) openServers(cfg relay.Config) (servers, error) {
	if l.can(scheme.ByName) {
		return relay.OpenRoutes(l.routes(cfg))
	}
	return relay.Open(cfg)
}

func (all pools) close() {
	for _, p := range all {
		if p != nil {
			p.Close()
		}
	}
}

// at is the pool of a listener, nil where there is none yet.
func (all pools) at(i int) *relay.Pool {
	if i < len(all) {
		p, _ := all[i].(*relay.Pool)
		return p
	}
	return nil
}

// routesAt is the same where the server is chosen by name.
func (all pools) routesAt(i int) *relay.Routes {
	if i < len(all) {
		r, _ := all[i].(*relay.Routes)
		return r
	}
	return nil
}

func tellUpstream(log *zap.Logger, listener string, c relay.Change) {
	fields := []zap.Field{zap.String("listener", listener), zap.String("server", events.Clean(c.Server, 300))}
	if c.Up {
		log.Info("a server behind is up again", append(fields, zap.String("event", events.UpstreamUp))...)
		return
	}
	log.Warn("a server behind is down", append(fields, zap.String("event", events.UpstreamDown), zap.String("why", events.Clean(c.Why, 300)))...)
}

// upstreams is what the metrics tell of the servers.
func (all pools) upstreams(s *settings) (list []metrics.Upstream) {
	for i, p := range all {
		if p == nil {
			continue
		}
		for _, st := range p.Status() {
			list = append(list, metrics.Upstream{Listener: s.listeners[i].name, Route: st.Route, Server: st.Server, Up: st.Up, Open: st.Open})
		}
	}
	return list
}

// printRelays writes where listeners relay to.
func printRelays(w io.Writer, s *settings) {
	if !s.hasRelay() {
		return
	}
	fmt.Fprintf(w, "\nrelaying\n")
	for i := range s.listeners {
		if l := &s.listeners[i]; l.relays() {
			fmt.Fprintf(w, "  %-32s to %s\n", l.name, strings.Join(l.limits.relay.to, ", "))
		}
	}
}
