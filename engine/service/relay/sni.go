package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SNI lets names that clients ask for stand for their servers themselves: they are looked up.
//
// That would let anybody reach anything, through whoever owns a name, so the names are listed, and
// addresses that are not for everybody are left out of what a name is found to be, each time that it
// is looked up: what is connected to is what was checked, however fast the answers change.
type SNI struct {
	Names []string // as Route.Name; nothing is none
	Port  int      // that the servers listen on
	// Private takes addresses of private networks, of this machine and of its link, too. With it
	// whoever controls what a name is found to be reaches this machine's network.
	Private bool
	// Self reports whether clients connect to us there, which would be for ever. May be nil.
	Self func(netip.AddrPort) bool
}

const (
	// mostNames bounds the names below a star that have a pool, a goroutine or two each.
	mostNames = 256
	// mostMissing bounds the names that are remembered not to be found, for missingFor.
	mostMissing = 1024
	missingFor  = 5 * time.Second
	// mostLooking bounds the look-ups under way, which take workers from others for up to 2 s each.
	mostLooking = 2
)

// onDemand has the pools of names that stand for their servers. Names without a star have theirs from
// the beginning. Any goroutine.
type onDemand struct {
	cfg     RouteConfig
	exact   map[string]int // into ready
	wild    map[string]int // into patterns
	ready   []route
	looking atomic.Int32

	mu       sync.Mutex
	patterns []string
	pools    map[string]*asked
	missing  map[string]time.Time // until when
	closed   bool
	closing  sync.WaitGroup
}

// asked is the pool of a name below a star.
type asked struct {
	pool    *Pool
	pattern int
	used    time.Time
}

func newOnDemand(cfg RouteConfig) (*onDemand, error) {
	d := &onDemand{cfg: cfg, exact: map[string]int{}, wild: map[string]int{}, pools: map[string]*asked{}, missing: map[string]time.Time{}}
	for _, text := range cfg.SNI.Names {
		name, err := RouteName(text)
		if err != nil {
			return d, fmt.Errorf("the name %q %w", text, err)
		}
		if suffix, isWild := strings.CutPrefix(name, "*"); isWild {
			d.wild[suffix] = len(d.patterns)
			d.patterns = append(d.patterns, name)
			continue
		}
		p, err := d.open(name, cfg.Tell)
		if err != nil {
			return d, err
		}
		d.exact[name] = len(d.ready)
		d.ready = append(d.ready, route{name, p})
	}
	return d, nil
}

func (d *onDemand) allows(name []byte) bool {
	_, ok := lookUp(d.exact, d.wild, name)
	return ok
}

// open makes the pool of a name. It may take 2 s.
func (d *onDemand) open(name string, tell func(Change)) (*Pool, error) {
	cfg := d.cfg.Config
	cfg.Tell = tell
	cfg.To = []string{net.JoinHostPort(name, fmt.Sprint(d.cfg.SNI.Port))}
	find := cfg.Lookup
	if find == nil {
		find = systemLookup
	}
	cfg.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
		all, err := find(ctx, name)
		return slices.DeleteFunc(all, func(a netip.Addr) bool { return !d.takes(a) }), err
	}
	return Open(cfg)
}

// takes reports whether a name may stand for an address.
func (d *onDemand) takes(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	sni := &d.cfg.SNI
	return (sni.Private || forEverybody(a)) && (sni.Self == nil || !sni.Self(netip.AddrPortFrom(a, uint16(sni.Port))))
}

// known finds the pool of a name that is allowed, nil when it is known that there is none. One that
// is not known has to be looked up.
func (d *onDemand) known(name string) (p *Pool, known bool) {
	if i, ok := d.exact[name]; ok {
		return d.ready[i].pool, true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if a := d.pools[name]; a != nil {
		a.used = time.Now()
		return a.pool, true
	}
	return nil, time.Now().Before(d.missing[name])
}

// mayLook takes one of the places for looking up, which look gives back, or looked.
func (d *onDemand) mayLook() bool {
	if d.looking.Add(1) > mostLooking {
		d.looked()
		return false
	}
	return true
}

func (d *onDemand) looked() { d.looking.Add(-1) }

// look makes the pool of a name, nil when it is not found or there is no place for it. It blocks.
func (d *onDemand) look(name string) *Pool {
	defer d.looked()
	if p, known := d.known(name); known {
		return p
	}
	i, _ := lookUp(nil, d.wild, []byte(name))
	p, err := d.open(name, nil) // clients choose the names: their servers' troubles are not logged
	found := err == nil && len(*p.servers.Load()) > 0

	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.pools[name]
	if found && a == nil && !d.closed && d.makeRoom() {
		d.pools[name] = &asked{p, i, time.Now()}
		return p
	}
	if err == nil {
		d.drop(p)
	}
	if a != nil {
		return a.pool // another client's look-up was faster
	}
	if !found {
		d.miss(name)
	}
	return nil
}

// makeRoom makes a place for one more pool, if need be by giving up the one that nobody has asked for
// longest among those without connections.
func (d *onDemand) makeRoom() bool {
	if len(d.pools) < mostNames {
		return true
	}
	oldest := ""
	for name, a := range d.pools {
		if (oldest == "" || a.used.Before(d.pools[oldest].used)) && a.pool.open() == 0 {
			oldest = name
		}
	}
	if oldest == "" {
		return false
	}
	d.drop(d.pools[oldest].pool)
	delete(d.pools, oldest)
	return true
}

// drop closes a pool in the background: a look-up of its may be under way.
func (d *onDemand) drop(p *Pool) { d.closing.Go(p.Close) }

// miss remembers that a name is not found.
func (d *onDemand) miss(name string) {
	if len(d.missing) >= mostMissing {
		for other := range d.missing {
			delete(d.missing, other)
			break
		}
	}
	d.missing[name] = time.Now().Add(missingFor)
}

func (d *onDemand) close() {
	d.mu.Lock()
	d.closed = true
	for _, a := range d.pools {
		d.drop(a.pool)
	}
	d.mu.Unlock()
	for _, r := range d.ready {
		r.pool.Close()
	}
	d.closing.Wait()
}

// status has a line for each of SNI.Names: names below a star are told together, and as up, so that
// clients can neither make up more of them nor have one that is down worry the operator.
func (d *onDemand) status() (all []Status) {
	for _, r := range d.ready {
		for _, s := range r.pool.Status() {
			s.Route, s.Server = r.name, "sni"
			all = append(all, s)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	first := len(all)
	for _, name := range d.patterns {
		all = append(all, Status{Route: name, Server: "sni", Found: true, Up: true})
	}
	for _, a := range d.pools {
		for _, s := range a.pool.Status() {
			all[first+a.pattern].Open += s.Open
		}
	}
	return all
}

// open is the number of connections to a pool's servers.
func (p *Pool) open() (n int64) {
	for _, s := range *p.servers.Load() {
		n += s.open.Load()
	}
	return n
}

// notForEverybody are the networks of the IANA special-purpose registries (RFC 6890) that are not
// reached globally, and those that carry an IPv4 address which could be one of them.
var notForEverybody = func() (list []netip.Prefix) {
	for _, p := range strings.Fields(`0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
		192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
		::/8 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/9 ff00::/8`) {
		list = append(list, netip.MustParsePrefix(p))
	}
	return list
}()

// forEverybody reports whether an address is one of the public Internet.
func forEverybody(a netip.Addr) bool {
	return a.IsValid() && !slices.ContainsFunc(notForEverybody, func(p netip.Prefix) bool { return p.Contains(a) })
}
