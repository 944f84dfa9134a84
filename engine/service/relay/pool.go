package relay

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/codec/proxyproto"
	"weir/engine/service"
)

// Balance says how a server is chosen.
type Balance int

const (
	RoundRobin Balance = iota // one after the other, on each loop
	LeastConn                 // the one with the fewest connections of this pool
)

// Config describes a pool of servers. Zero means the default, where there is one.
type Config struct {
	// To are the servers: HOST:PORT, HOST being a name or an address, or unix:/PATH. A name that has
	// several addresses stands for as many servers, at most 64. At least one.
	To      []string
	Balance Balance
	// ConnectTimeout bounds connecting to one server. Default 3 s. Too low loses servers that are far
	// away, too high keeps clients waiting for one that is down before another is tried.
	ConnectTimeout time.Duration
	// ProxyTo is the version of the PROXY protocol that servers are told the client's address with,
	// 1 or 2; 0 is none.
	ProxyTo int
	// TLS, when set, is how servers are spoken to by TLS, 1.2 or later. Where it names no server, the
	// HOST of To is whose certificate is asked for; a unix socket has none. Sessions are resumed. It
	// is not changed.
	TLS *tls.Config
	// Resolve is how often names are looked up again. Default 30 s.
	Resolve time.Duration
	// Check is how often each server is connected to, to see whether it is up. 0 is never: then
	// clients find out. A check lasts as long at most, but may take a second.
	Check time.Duration
	// CheckPath, when set, has checks ask for it by HTTP, over a connection as clients' are: with TLS and a
	// PROXY header where those have them. It begins with "/"; see CheckPath. A status of 200 to 399 is well,
	// and all else, silence included, is as if it could not be connected to.
	CheckPath string
	// Rise and Fall are how many checks in a row must succeed for a server to be up again, and fail
	// for it to be down; Fall is also how many clients in a row must have failed to connect for it to
	// be left out for a second. Defaults 2 and 3.
	Rise, Fall int
	// Tell, when set, is told when servers go down and come back. Any goroutine: it must not block,
	// and it may be called on a loop.
	Tell func(Change)
	// Lookup finds the addresses of a name. Default the system's resolver.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}

// Change is news of one server.
type Change struct {
	Server string // as configured, with the address when that is a name
	Up     bool
	// Why is "" when it is up. A certificate's names, which are the server's words, may be in it: a log
	// must escape them.
	Why string
}

// ejectFor is how long a server that clients cannot connect to is left out: long enough to spare the
// clients that come meanwhile, short enough that nobody notices when it comes back. Then one client
// tries it, and for as long again nobody else: where packets are lost each of those who try waits for
// ConnectTimeout, and if all did that came until the first had failed, half of all clients would.
const ejectFor = time.Second

// mostAddresses bounds what one name may stand for.
const mostAddresses = 64

// Pool is a set of servers, shared by all loops. Any goroutine.
type Pool struct {
	cfg     Config
	places  []place
	servers atomic.Pointer[[]*server]
	begun   time.Time
	stop    context.CancelFunc
	running sync.WaitGroup
	http    *HTTPRelay // that relays to them, nil for none; before engine.New only
}

// place is one of Config.To.
type place struct {
	text string
	host string // a name to be looked up, or
	path string // of a unix socket, or
	addr netip.Addr
	port uint16
	tls  *tls.Config
	name string // that certificates must be for instead of host
}

// server is one address.
type server struct {
	place *place
	name  string
	to    service.Target // without the timeout
	open  atomic.Int64   // connections
	fails atomic.Int32   // attempts of clients to connect that failed, in a row
	until atomic.Int64   // left out until then, in ns since Pool.begun; 0: not
	down  atomic.Bool    // by the checks
}

// Open checks cfg and looks its names up, for up to 2 s; a name that is not found then is looked up
// until it is. Close ends it. The error is one line for the operator.
func Open(cfg Config) (*Pool, error) {
	cfg.ConnectTimeout = cmp.Or(cfg.ConnectTimeout, 3*time.Second)
	cfg.Resolve = cmp.Or(cfg.Resolve, 30*time.Second)
	cfg.Rise, cfg.Fall = cmp.Or(cfg.Rise, 2), cmp.Or(cfg.Fall, 3)
	if cfg.Tell == nil {
		cfg.Tell = func(Change) {}
	}
	if cfg.Lookup == nil {
		cfg.Lookup = systemLookup
	}
	p := &Pool{cfg: cfg, begun: time.Now()}
	switch {
	case len(cfg.To) == 0:
		return nil, errors.New("no servers to relay to")
	case cfg.ProxyTo < 0 || cfg.ProxyTo > 2:
		return nil, fmt.Errorf("PROXY version %d: must be 0 (none), 1 or 2", cfg.ProxyTo)
	case cfg.ConnectTimeout < 0 || cfg.Resolve < 0 || cfg.Check < 0 || cfg.Rise < 0 || cfg.Fall < 0:
		return nil, errors.New("times and counts must not be negative")
	}
	if cfg.CheckPath != "" {
		if err := CheckPath(cfg.CheckPath); err != nil {
			return nil, fmt.Errorf("the path of checks: %w", err)
		}
	}
	for _, text := range cfg.To {
		pl, err := parsePlace(text)
		if err != nil {
			return nil, err
		}
		if pl.tls, err = cfg.secure(pl); err != nil {
			return nil, err
		}
		if cfg.TLS != nil {
			pl.name = cfg.TLS.ServerName
		}
		p.places = append(p.places, pl)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	p.servers.Store(&[]*server{})
	first, done := context.WithTimeout(ctx, 2*time.Second)
	found := p.resolve(first)
	done()
	p.running.Go(func() { p.resolveOn(ctx, found) })
	if cfg.Check > 0 {
		p.running.Go(func() { p.checkOn(ctx) })
	}
	return p, nil
}

// secure is the TLS that a place is spoken to by, nil for none.
func (c *Config) secure(pl place) (*tls.Config, error) {
	if c.TLS == nil {
		return nil, nil
	}
	cfg := c.TLS.Clone()
	if cfg.ServerName == "" {
		if pl.path != "" && !cfg.InsecureSkipVerify {
			return nil, fmt.Errorf("%s: a unix socket has no name that a certificate could be checked for", pl.text)
		}
		if cfg.ServerName = pl.host; pl.host == "" {
			cfg.ServerName = pl.addr.String()
		}
	}
	if cfg.ClientSessionCache == nil {
		cfg.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	return cfg, nil
}

func systemLookup(ctx context.Context, name string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
}

// CheckAddress reports whether text could be one of Config.To.
func CheckAddress(text string) error {
	_, err := parsePlace(text)
	return err
}

// CheckName reports whether text could be the name of a server: a host name or an address.
func CheckName(text string) error {
	if _, err := netip.ParseAddr(text); err != nil && !isHostname(text) {
		return errors.New("must be the name of a host, or an address")
	}
	return nil
}

func parsePlace(text string) (place, error) {
	pl := place{text: text}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || len(path) > 107 || strings.ContainsRune(path, 0) {
			return pl, errors.New("must be unix: and an absolute path of at most 107 bytes")
		}
		pl.path = path
		return pl, nil
	}
	wrong := errors.New("must be HOST:PORT, with an IPv6 address in brackets, or unix:/PATH")
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return pl, wrong
	}
	pl.port = uint16(n)
	if pl.addr, err = netip.ParseAddr(host); err == nil {
		if pl.addr.Zone() != "" {
			return pl, errors.New("an address with a zone cannot be connected to")
		}
		pl.addr = pl.addr.Unmap()
		return pl, nil
	}
	if !isHostname(host) {
		return pl, wrong
	}
	pl.addr, pl.host = netip.Addr{}, host
	return pl, nil
}

// isHostname takes what can be in a name, so that what is printed holds no more.
func isHostname(s string) bool {
	if len(s) < 1 || len(s) > 253 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// Close ends what the pool does in the background. Connections are not touched.
func (p *Pool) Close() {
	p.stop()
	p.running.Wait()
}

func (p *Pool) firstTurn() uint { return uint(rand.Uint32()) }

// target is where and how c's connection to s goes.
func (s *server) target(p *Pool, c service.Conn) service.Target {
	t := s.to
	t.Timeout, t.TLS = p.cfg.ConnectTimeout, s.place.tls
	if v := p.cfg.ProxyTo; v != 0 {
		var room [proxyHeader]byte
		h := proxyproto.Header{Command: proxyproto.Proxy, Source: c.Peer(), Destination: c.Local()}
		if v == 1 {
			t.First = string(proxyproto.AppendV1(room[:0], h))
		} else {
			t.First = string(proxyproto.AppendV2(room[:0], h))
		}
	}
	return t
}

// proxyHeader is the longest header that is sent: version 1 with two IPv6 addresses.
const proxyHeader = 107

// pick chooses a server that is up and was not tried, nil when there is none. trial is not 0 when it
// has been left out, and this client is the one to try it: server.spared follows. It takes no lock.
func (p *Pool) pick(turn *uint, tried []*server) (best *server, trial int64) {
	list := *p.servers.Load()
	*turn++
	for i := range list {
		s := list[(*turn+uint(i))%uint(len(list))]
		if s.down.Load() || contains(tried, s) {
			continue
		}
		if until := s.until.Load(); until != 0 {
			now := int64(time.Since(p.begun))
			if now < until {
				continue
			}
			if trial = now + int64(ejectFor); s.until.CompareAndSwap(until, trial) {
				return s, trial
			}
			continue // somebody else tries it
		}
		if p.cfg.Balance == RoundRobin {
			return s, 0
		}
		if best == nil || s.open.Load() < best.open.Load() {
			best = s
		}
	}
	return best, 0
}

// spared lets the next client try a server when the one that was to has gone before it knew: who
// comes and goes at once would keep the server out for ever. Where the trial has ended it does nothing.
func (s *server) spared(trial int64) {
	if trial != 0 {
		s.until.CompareAndSwap(trial, 1)
	}
}

func contains(list []*server, s *server) bool {
	for _, t := range list {
		if t == s {
			return true
		}
	}
	return false
}

// up reports whether a client may be given to s. The clock is read only for one that has been left out.
func (p *Pool) up(s *server) bool {
	if s.down.Load() {
		return false
	}
	until := s.until.Load()
	return until == 0 || int64(time.Since(p.begun)) >= until
}

// failed notes that a client could not connect. One that has been left out before is left out again
// at once.
func (s *server) failed(p *Pool, why service.Ending) {
	if !why.Before() {
		return // our own trouble
	}
	if n := s.fails.Add(1); int(n) < p.cfg.Fall {
		return
	}
	if s.until.Swap(int64(time.Since(p.begun)+ejectFor)) == 0 && !s.down.Load() {
		p.cfg.Tell(Change{Server: s.name, Why: "clients cannot connect: " + why.String()})
	}
}

// succeeded notes that a client has connected.
func (s *server) succeeded(p *Pool) {
	if s.fails.Load() == 0 {
		return
	}
	s.fails.Store(0)
	if s.until.Swap(0) != 0 && !s.down.Load() {
		p.cfg.Tell(Change{Server: s.name, Up: true})
	}
}

// Status is one of Config.To as it stands.
type Status struct {
	Route  string // the name that it is for, "" for all: see Routes
	Server string
	Found  bool // at least one address of it is known
	Up     bool // at least one of its addresses is
	Open   int  // connections to it
}

// Status describes the servers, in the order of Config.To.
func (p *Pool) Status() []Status {
	all := make([]Status, len(p.places))
	for i := range p.places {
		all[i].Server = p.places[i].text
	}
	for _, s := range *p.servers.Load() {
		for i := range p.places {
			if s.place == &p.places[i] {
				all[i].Found = true
				all[i].Up = all[i].Up || p.up(s)
				all[i].Open += int(s.open.Load())
			}
		}
	}
	return all
}
