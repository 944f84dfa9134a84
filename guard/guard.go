package guard

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"weir/guard/bucket"
	"weir/guard/census"
	"weir/guard/mono"
	"weir/guard/source"
)

// Guard is what all loops share: the counts and buckets of sources and the counts of everything.
type Guard struct {
	cfg    Config
	hash   source.Hash
	exempt []netip.Prefix
	census *census.Census
	rate   *bucket.Shared // ConnRate

	// tables are all source tables; the list is replaced as a whole. Any goroutine.
	tables atomic.Pointer[[]use]
	// policies are filled once each, before any connection names them. Any goroutine.
	policies *[maxPolicies]*Policy

	mu          sync.Mutex // guards what follows, never taken on a loop
	policyCount int
	byUse       map[tableUse]*bucket.Table
	domains     map[int]uint16
	loops       []*Loop

	_ [64]byte
	// Connections of all loops, and the unproven ones among them. Any goroutine.
	open, unproven atomic.Int64
}

type use struct {
	tableUse
	table *bucket.Table
}

// New checks cfg and allocates everything whose size depends on it. Policy and Loop allocate the
// rest; nothing is allocated once connections come. The error lists what is out of range.
func New(cfg Config) (*Guard, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.filled()
	g := &Guard{
		cfg:      cfg,
		hash:     source.NewHash(),
		policies: new([maxPolicies]*Policy),
		byUse:    map[tableUse]*bucket.Table{},
		domains:  map[int]uint16{},
		rate:     bucket.NewShared(bucket.Limit{Tokens: int64(cfg.ConnRate), Burst: 2 * int64(cfg.ConnRate)}),
	}
	g.census = census.New(cfg.MaxConns, g.hash)
	g.tables.Store(&[]use{})
	for _, p := range cfg.Exempt {
		g.exempt = append(g.exempt, plainPrefix(p))
	}
	return g, nil
}

// plainPrefix writes a prefix of IPv4-mapped addresses as the IPv4 prefix that it is.
func plainPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// Config is what the Guard was made of, with defaults filled in. Any goroutine.
func (g *Guard) Config() Config { return g.cfg }

// isExempt is a walk over the list: it is meant for a handful of operator's prefixes.
func (g *Guard) isExempt(peer netip.Addr) bool {
	if len(g.exempt) == 0 {
		return false
	}
	peer = source.Plain(peer)
	for _, p := range g.exempt {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

// sweep does what is due of keeping the tables' 32-bit clocks unambiguous, once a tick.
func (g *Guard) sweep(now mono.Time) {
	for _, u := range *g.tables.Load() {
		u.table.Sweep(now)
	}
}

// claim adds 1 to n unless that makes more than limit; a limit of 0 is none.
func claim(n *atomic.Int64, limit int) bool {
	if limit == 0 {
		n.Add(1)
		return true
	}
	for {
		old := n.Load()
		if old >= int64(limit) {
			return false
		}
		if n.CompareAndSwap(old, old+1) {
			return true
		}
	}
}
