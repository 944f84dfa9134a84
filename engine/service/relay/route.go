package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Route says which servers are for a name.
type Route struct {
	// Name is a host name such as www.example.org, or *.example.org for all names with one label or
	// more in front of example.org, which itself is not among them. Of several that fit, the one with
	// the most labels is taken, an exact one before all.
	Name string
	To   []string // as Config.To
}

// RouteConfig describes the servers behind Passthrough.
type RouteConfig struct {
	// Config holds for each pool: there is one for each name. Its To are the servers for clients whose
	// name has no route, or that send none; nothing is none.
	Config
	Routes []Route
	SNI    SNI // for clients whose name has no route, before Config.To
}

// Routes choose servers by name. Any goroutine.
type Routes struct {
	fixed    []route
	exact    map[string]int // into fixed
	wild     map[string]int // likewise, without the star: ".example.org"
	fallback int            // likewise; -1 is none
	sni      *onDemand      // nil without
}

type route struct {
	name string // as in Route, "" for the default
	pool *Pool
}

// OpenRoutes checks cfg and looks the servers' names up, as Open does. Close ends it. The error is one
// line for the operator.
func OpenRoutes(cfg RouteConfig) (*Routes, error) {
	r := &Routes{exact: map[string]int{}, wild: map[string]int{}, fallback: -1}
	if err := r.open(cfg); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Routes) open(cfg RouteConfig) error {
	for _, rt := range cfg.Routes {
		name, err := RouteName(rt.Name)
		if err != nil {
			return fmt.Errorf("the name %q %w", rt.Name, err)
		}
		suffix, isWild := strings.CutPrefix(name, "*")
		names := r.exact
		if isWild {
			names = r.wild
		}
		if _, again := names[suffix]; again {
			return fmt.Errorf("the name %s has two routes", name)
		}
		each := cfg.Config
		each.To = rt.To
		if err := r.add(name, each); err != nil {
			return err
		}
		names[suffix] = len(r.fixed) - 1
	}
	if len(cfg.To) > 0 {
		if err := r.add("", cfg.Config); err != nil {
			return err
		}
		r.fallback = len(r.fixed) - 1
	}
	if len(cfg.SNI.Names) > 0 {
		sni, err := newOnDemand(cfg)
		r.sni = sni
		return err
	}
	if len(r.fixed) == 0 {
		return errors.New("no servers to relay to")
	}
	return nil
}

func (r *Routes) add(name string, cfg Config) error {
	p, err := Open(cfg)
	if err == nil {
		r.fixed = append(r.fixed, route{name, p})
	}
	return err
}

// find chooses by a name in lower case, empty for none: a fixed route, or -1; ask then tells that
// the name stands for its server itself. It looks at each label of the name once.
func (r *Routes) find(name []byte) (i int, ask bool) {
	if i, ok := lookUp(r.exact, r.wild, name); ok {
		return i, false
	}
	if r.sni != nil && r.sni.allows(name) {
		return -1, true
	}
	return r.fallback, false
}

// lookUp finds what is for a name: itself, or its longest end behind a dot.
func lookUp(exact, wild map[string]int, name []byte) (i int, ok bool) {
	if len(name) == 0 {
		return 0, false
	}
	if i, ok = exact[string(name)]; ok || len(wild) == 0 {
		return i, ok
	}
	for at, c := range name {
		if c == '.' {
			if i, ok = wild[string(name[at:])]; ok {
				return i, true
			}
		}
	}
	return 0, false
}

// RouteName returns a Route's name as names are compared: in lower case, without a trailing dot. The
// error says what it must be.
func RouteName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	host := strings.TrimPrefix(name, "*.")
	labels := strings.Split(host, ".")
	wrong := !isHostname(host) || slices.ContainsFunc(labels, func(l string) bool { return l == "" || len(l) > 63 || l[0] == '-' })
	if wrong || strings.Trim(labels[len(labels)-1], "0123456789") == "" { // an address, which no client sends
		return "", errors.New("must be a host name such as www.example.org, or *.example.org for all below it, international ones in their xn-- form")
	}
	return name, nil
}

// ParseRoute reads NAME=ADDRESS, or an ADDRESS as for Config.To, for which the name is "".
func ParseRoute(text string) (name, to string, err error) {
	to = text
	if before, after, has := strings.Cut(text, "="); has && !strings.HasPrefix(text, "unix:") {
		if name, err = RouteName(before); err != nil {
			return "", "", fmt.Errorf("the name before = %w", err)
		}
		to = after
	}
	return name, to, CheckAddress(to)
}

// Close ends what the pools do in the background. Connections are not touched.
func (r *Routes) Close() {
	for _, rt := range r.fixed {
		rt.pool.Close()
	}
	if r.sni != nil {
		r.sni.close()
	}
}

// Status describes the servers, in the order of the routes.
func (r *Routes) Status() (all []Status) {
	for _, rt := range r.fixed {
		for _, s := range rt.pool.Status() {
			s.Route = rt.name
			all = append(all, s)
		}
	}
	if r.sni != nil {
		all = append(all, r.sni.status()...)
	}
	return all
}
