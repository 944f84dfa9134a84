package main

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir/engine/service/relay"
	"weir/internal/say"
	"weir/internal/scheme"
)

// bySNI is the value of -to by which names stand for their servers themselves.
const bySNI = "sni"

// passing is what only listeners have that choose by name.
type passing struct {
	names      []string // that bySNI takes
	sniPort    int      // 0 is the listener's
	sniPrivate bool
}

// checkTo takes a server, NAME=SERVER and bySNI.
func checkTo(value string) error {
	if value == bySNI {
		return nil
	}
	_, _, err := relay.ParseRoute(value)
	return err
}

func checkRouteName(value string) error {
	_, err := relay.RouteName(value)
	return err
}

// checkPass checks what -to and its companions say together.
func (l *listener) checkPass() string {
	r := &l.limits.relay
	if !l.can(scheme.ByName) {
		for _, to := range r.to {
			if name, _, _ := relay.ParseRoute(to); name != "" || to == bySNI {
				return "to " + say.Shown(to) + ": servers by name are for " + scheme.Passthrough + ":// only"
			}
		}
		return ""
	}
	bySNI := slices.Contains(r.to, bySNI)
	switch {
	case l.network == "unix":
		return scheme.Passthrough + " needs a TCP address: its clients are on the network"
	case r.tls.on:
		return scheme.Passthrough + " passes the client's own TLS on: leave to-tls out"
	case bySNI && len(r.names) == 0:
		return "to=sni relays to whatever clients name: say which names with names=a.example,*.b.example"
	case bySNI && r.sniPort == 0 && strings.HasSuffix(l.address, ":0"):
		return "to=sni needs the servers' port here: add sni-port="
	}
	return ""
}

// routes is the configuration of the servers behind a listener that chooses by name, cfg being what holds for
// each of them.
func (l *listener) routes(cfg relay.Config) relay.RouteConfig {
	all := relay.RouteConfig{Config: cfg}
	all.To = nil
	for _, text := range cfg.To {
		name, to, _ := relay.ParseRoute(text)
		switch i := slices.IndexFunc(all.Routes, func(r relay.Route) bool { return r.Name == name }); {
		case text == bySNI:
			all.SNI = l.sni()
		case name == "":
			all.To = append(all.To, to)
		case i >= 0:
			all.Routes[i].To = append(all.Routes[i].To, to)
		default:
			all.Routes = append(all.Routes, relay.Route{Name: name, To: []string{to}})
		}
	}
	return all
}

func (l *listener) sni() relay.SNI {
	r := &l.limits.relay
	_, text, _ := net.SplitHostPort(l.address)
	port, _ := strconv.Atoi(text)
	sni := relay.SNI{Names: r.names, Port: r.sniPort, Private: r.sniPrivate}
	if sni.Port == 0 {
		sni.Port = port
	}
	sni.Self = func(to netip.AddrPort) bool { return int(to.Port()) == port && isOurs(to.Addr()) }
	return sni
}

// isOurs reports whether an address is one of this machine's.
func isOurs(a netip.Addr) bool {
	if a.IsLoopback() || a.IsUnspecified() {
		return true
	}
	all, _ := net.InterfaceAddrs()
	return slices.ContainsFunc(all, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr().Unmap() == a
	})
}
