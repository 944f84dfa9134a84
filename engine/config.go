package engine

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weir/engine/service"
	"weir/guard"
)

// Limits are a listener's limits: the guard's, and those on what the engine holds for a connection.
type Limits struct {
	guard.Limits
	// MaxOut is the number of outbound bytes held for one connection, beside what the kernel
	// took. At half of it the connection is not served any further until its peer reads. 4 KiB
	// to 1 GiB, default 128 KiB: half of it is one read (nginx 64 KiB, Envoy 1 MiB). Too low makes large
	// answers crawl, too high lets slow readers hold memory. ShedOutput, ShedSlowReader.
	MaxOut int
	// MaxRefusals is the number of frames in a row that may be refused for a rate before the
	// connection is ended, where its service can refuse one and go on (service.Decliner: HTTP, by 429).
	// 0 to 65535, default 100; with 0 the first one ends it, as it does elsewhere. Too low has peers that
	// are over their rate connect again and again, which costs both sides more than the refusals do, and
	// too high lets them keep their place. ShedSourceFrames, ShedConnFrames.
	MaxRefusals int
}

// DefaultLimits are the guard's, MaxOut and MaxRefusals.
func DefaultLimits() Limits {
	return Limits{Limits: guard.DefaultLimits(), MaxOut: 128 << 10, MaxRefusals: 100}
}

// Listener is one address that the engine serves.
type Listener struct {
	// Name is how logs and metrics call it. Unique, not empty.
	Name string
	// Network is "tcp" (IPv4 or IPv6, as the address says) or "unix".
	Network string
	// Address is host:port with a literal IP address, an empty host for all IPv4 and IPv6
	// addresses or a name that resolves to one address; port 0 picks one. For unix it is a path.
	Address string
	// Service answers what arrives.
	Service service.Service
	// MaxIn is the number of inbound bytes held for one connection while a frame is not
	// complete: the largest frame, line or head that the service's decoder accepts, framing
	// included. 1 to 1 GiB.
	MaxIn int
	// Limits are the listener's own; all zero means DefaultLimits.
	Limits
	// TLS, when set, makes the listener speak TLS and nothing else. It is called for each
	// handshake, on the loop, and returns the configuration for it, which must not be changed
	// afterwards; another one may be returned the next time. Session tickets are good for as long
	// as it is the same one. The configuration's callbacks run on a handshake worker: what blocks
	// there delays other handshakes. Package certs makes one of files (Store.TLS). A connection that
	// negotiates acme-tls/1 is closed when its handshake is done (RFC 8737).
	TLS func() *tls.Config
	// VerifiedClient returns the client's certificate when it has been verified, else nil: what
	// services see as theirs. Nil: the first of ConnectionState.VerifiedChains, which crypto/tls
	// fills in when the configuration's ClientAuth asks it to verify. Package certs verifies
	// itself, see certs.VerifiedClient.
	VerifiedClient func(tls.ConnectionState) *x509.Certificate
	// ProxyFrom lists the networks whose connections must begin with a PROXY protocol header,
	// version 1 or 2. The address in it is then the connection's source, and the peer's own has no
	// per-source limits. A header from anyone else is refused. Empty: PROXY is not spoken. Bits
	// beyond a prefix do not count.
	ProxyFrom []netip.Prefix
	// DeferAccept keeps connections that send nothing in the kernel for about this long
	// (TCP_DEFER_ACCEPT, whole seconds, at most 60). 0, the default, is off: silent connections
	// then count against their source at once. Decision 0005.
	DeferAccept time.Duration
}

// Config is everything an Engine needs. Fields without a default must be set.
type Config struct {
	// Loops is the number of event loops, each with sockets of its own for every TCP listener.
	// 1 to 256; 0 means runtime.GOMAXPROCS(0), one per CPU that the process may use. Set
	// GOMAXPROCS to one more than the loops afterwards, as cmd/server does: decision 0001.
	Loops int
	// FDReserve is the number of descriptors kept for everything but clients. A connection whose
	// descriptor number falls into the last FDReserve below the limit is refused. 0 means
	// DefaultFDReserve. ShedDescriptors.
	FDReserve int
	// MaxBuffered bounds the bytes held for all connections together: partial frames, queued
	// output, handshakes under way, and what TLS keeps of long records. Each loop has an equal share of it and sheds at
	// that, and at half of it connections that have not completed a first frame. At least 64 KiB a loop; 0
	// means no bound but that of each connection. ShedMemory.
	MaxBuffered int64
	// Workers is the number of goroutines for work that may block, WorkQueue how much may wait
	// for them. Defaults 0: twice the number of CPUs, and 128. ShedWork.
	Workers, WorkQueue int
	// HandshakeWorkers is the number of goroutines that compute TLS handshakes, HandshakeQueue how
	// many new ones may wait for them, MaxHandshakes how many may be under way, those included that
	// wait for their peer. Defaults 0: one for two CPUs, 512 (an eighth of a second of work), and
	// 2,048. A handshake under way holds about 28 KiB and twice what its peer has sent, which
	// counts towards MaxBuffered; at MaxHandshakes, of which each loop has an equal share, the one
	// that has waited longest for its peer makes room. ShedHandshakes.
	HandshakeWorkers, HandshakeQueue, MaxHandshakes int
	// DrainTimeout bounds a graceful stop. 0 means do not wait: Stop resets what is open.
	DrainTimeout time.Duration
	// Guard holds the limits that all listeners share. Its MaxConns may be 0: the descriptor
	// limit less the reserve. A connection whose service dials (service.Conn.Dial) takes two
	// descriptors: half of that is right where all do, and for the MaxConns of one such listener.
	Guard guard.Config
	// Listeners are the addresses to serve; at least one.
	Listeners []Listener
	// Events, when set, is told of sheds and trouble. It is called on the loops' goroutines and
	// must neither block nor allocate much; the engine samples before it calls, see Event.
	Events func(Event)
}

// Event is a security event: one shed, or the last of a number of sheds.
type Event struct {
	Reason   guard.Reason
	Source   netip.Addr // zero for unix sockets
	Listener string
	Loop     int
	Account  string // that authentication is about, else ""; a peer's own word
	Count    uint64 // how often this loop has met this reason, this time included
	Dropped  uint64 // how many events of this reason were left out since the last one told
	Summary  bool   // it is about those only: the flood that they were of has ended, or goes on. Source and Listener are empty
	Detail   string // for malformed bytes the fault, for TLS what failed, for upstreams how they ended, for a panic its text, else "". Not escaped: a peer's words may be in the last two
	Stack    []byte // for a panic
}

// eventRate and eventBurst bound the events told, per loop and reason: a flood must not become a
// flood of log lines. What is left out is counted in Event.Dropped.
const (
	eventRate  = 5 // per second
	eventBurst = 20
	sumAfter   = 10 * time.Second
)

func (c *Config) validate() error {
	switch {
	case len(c.Listeners) == 0:
		return errors.New("no listeners: give at least one")
	case c.Loops < 0 || c.Loops > 256:
		return fmt.Errorf("loops %d: must be 0 (one per CPU) to 256", c.Loops)
	case c.FDReserve < 0:
		return fmt.Errorf("fd-reserve %d: must not be negative", c.FDReserve)
	case c.MaxBuffered < 0 || c.MaxBuffered > 0 && c.MaxBuffered < int64(max(c.Loops, 1))*readBytes:
		return fmt.Errorf("max-buffered %d: must be 0 (no limit) or at least %d bytes a loop", c.MaxBuffered, readBytes)
	case c.Workers < 0 || c.Workers > 4096:
		return fmt.Errorf("workers %d: must be 0 (twice the CPUs) to 4096", c.Workers)
	case c.WorkQueue < 0 || c.WorkQueue > 1<<20:
		return fmt.Errorf("work-queue %d: must be 0 (128) to %d", c.WorkQueue, 1<<20)
	case c.DrainTimeout < 0:
		return fmt.Errorf("drain-timeout %s: must not be negative", c.DrainTimeout)
	}
	switch {
	case c.HandshakeWorkers < 0 || c.HandshakeWorkers > 256:
		return fmt.Errorf("handshake-workers %d: must be 0 (one for two CPUs) to 256", c.HandshakeWorkers)
	case c.HandshakeQueue < 0 || c.HandshakeQueue > 1<<20:
		return fmt.Errorf("handshake-queue %d: must be 0 (512) to %d", c.HandshakeQueue, 1<<20)
	case c.MaxHandshakes < 0 || c.MaxHandshakes > 1<<20:
		return fmt.Errorf("max-handshakes %d: must be 0 (2048) to %d", c.MaxHandshakes, 1<<20)
	}
	names := map[string]bool{}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		switch {
		case l.Name == "" || names[l.Name]:
			return fmt.Errorf("listener %q: the name must be set and unique", l.Name)
		case l.Network != "tcp" && l.Network != "unix":
			return fmt.Errorf("listener %s: network %q: must be tcp or unix", l.Name, l.Network)
		case l.Service == nil:
			return fmt.Errorf("listener %s: no service", l.Name)
		case l.MaxIn < 1 || l.MaxIn > 1<<30+64:
			return fmt.Errorf("listener %s: max-frame or max-header %d: must be 1 to %d bytes", l.Name, l.MaxIn, 1<<30)
		case l.MaxOut < 4<<10 || l.MaxOut > 1<<30:
			return fmt.Errorf("listener %s: max-out %d: must be %d to %d bytes", l.Name, l.MaxOut, 4<<10, 1<<30)
		case l.MaxRefusals < 0 || l.MaxRefusals > 1<<16-1:
			return fmt.Errorf("listener %s: max-refusals %d: must be 0 (none) to %d", l.Name, l.MaxRefusals, 1<<16-1)
		case l.DeferAccept < 0 || l.DeferAccept > time.Minute:
			return fmt.Errorf("listener %s: defer-accept %s: must be 0 (off) to 1m", l.Name, l.DeferAccept)
		}
		for k, p := range l.ProxyFrom {
			if !p.IsValid() || p.Addr().Is4In6() {
				return fmt.Errorf("listener %s: proxy-from %s: must be an IPv4 or IPv6 network", l.Name, p)
			}
			l.ProxyFrom[k] = p.Masked()
		}
		names[l.Name] = true
	}
	return nil
}

func (c *Config) hasTLS() bool {
	return slices.ContainsFunc(c.Listeners, func(l Listener) bool { return l.TLS != nil })
}
