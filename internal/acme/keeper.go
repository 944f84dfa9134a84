package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Keeper keeps certificates. Its methods may be called by any goroutine.
type Keeper struct {
	cfg     Config
	ca      authority
	cache   cache
	domains map[string]*domain // does not change
	proofs  proofs
	places  chan struct{} // one for each certificate that is being obtained

	starting, closing sync.Once
	ctx               context.Context
	cancel            context.CancelFunc
	busy              sync.WaitGroup
}

// domain is a name with its certificate.
type domain struct {
	name    string
	current atomic.Pointer[tls.Certificate]

	mu     sync.Mutex
	loaded time.Time // when current began to be served
	err    error     // of the last try, nil when it went well
	next   time.Time // when it is tried again
}

// authority is the CA, but for tests.
type authority interface {
	// obtain gets a certificate, and keeps key and chain in the cache.
	obtain(ctx context.Context, domain string, replaces *x509.Certificate) (*tls.Certificate, error)
	// window asks when to renew.
	window(ctx context.Context, leaf *x509.Certificate) (window, error)
}

// State is how a domain stands.
type State struct {
	Domain string
	Leaf   *x509.Certificate // what is served, nil for nothing yet
	Loaded time.Time         // since when
	Err    error             // why the last try went wrong, nil when it did not
	Next   time.Time         // of Err: when it is tried again
}

// atOnce is how many certificates are obtained at the same time.
const atOnce = 4

// tryFor bounds one try to obtain a certificate.
const tryFor = 10 * time.Minute

// Open reads the cache and returns a Keeper that serves what is in it and does nothing else before
// Start. Its error is a Config that makes no sense, or a *SettingError. End it with Close.
func Open(cfg Config) (*Keeper, error) {
	if cfg.Directory == "" {
		cfg.Directory = LetsEncrypt
	}
	if cfg.Tell == nil {
		cfg.Tell = func(Event) {}
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	roots, err := readRoots(cfg.CAFile)
	if err != nil {
		return nil, &SettingError{"ca", cfg.CAFile, err}
	}
	kept, err := openCache(cfg.Cache, cfg.Directory)
	if err != nil {
		return nil, &SettingError{"cache", cfg.Cache, err}
	}
	k := newKeeper(cfg, kept)
	k.ca = newIssuer(cfg, kept, roots, &k.proofs)
	k.loadAll()
	return k, nil
}

func newKeeper(cfg Config, kept cache) *Keeper {
	k := &Keeper{cfg: cfg, cache: kept, domains: map[string]*domain{}, places: make(chan struct{}, atOnce)}
	for _, name := range cfg.Domains {
		k.domains[name] = &domain{name: name}
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

func (k *Keeper) loadAll() {
	for _, name := range k.cfg.Domains {
		cert, err := k.cache.load(name)
		switch {
		case err == nil:
			k.domains[name].serve(cert)
		case !errors.Is(err, fs.ErrNotExist):
			k.cfg.Tell(Event{Kind: Damaged, Domain: name, Err: err})
		}
	}
}

func (d *domain) serve(cert *tls.Certificate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current.Store(cert)
	d.loaded, d.err, d.next = time.Now(), nil, time.Time{}
}

// Start begins to obtain and renew, in the background. Call it when the listener is there that answers
// challenges. More calls do nothing.
func (k *Keeper) Start() {
	k.starting.Do(func() {
		for _, d := range k.domains {
			k.busy.Go(func() { k.keep(k.ctx, d) })
		}
	})
}

// Close stops what is under way and returns when it has ended. What is served stays.
func (k *Keeper) Close() {
	k.closing.Do(k.cancel)
	k.busy.Wait()
}

// Certificate looks up the certificate for the name that a client asks for, nil when it is not one of
// the domains, or there is none yet. It never waits: a certs.Config's More.
func (k *Keeper) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	d := k.domains[strings.ToLower(hello.ServerName)]
	if d == nil {
		return nil, nil
	}
	return d.current.Load(), nil
}

// Challenge looks up what to show a CA that asks for proof of a domain, nil when no proof is due. It
// never waits: a certs.Config's Challenge.
func (k *Keeper) Challenge(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.proofs.find(strings.ToLower(hello.ServerName)), nil
}

// States tells how the domains stand, in the order of the configuration.
func (k *Keeper) States() []State {
	list := make([]State, 0, len(k.domains))
	for _, name := range k.cfg.Domains {
		d := k.domains[name]
		d.mu.Lock()
		s := State{Domain: name, Loaded: d.loaded, Err: d.err, Next: d.next}
		d.mu.Unlock()
		if cert := d.current.Load(); cert != nil {
			s.Leaf = cert.Leaf
		}
		list = append(list, s)
	}
	return list
}

// proofs are the certificates for open challenges, by domain. Any goroutine.
type proofs struct {
	mu   sync.RWMutex
	open map[string]*tls.Certificate
}

func (p *proofs) find(domain string) *tls.Certificate {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.open[domain]
}

func (p *proofs) set(domain string, cert *tls.Certificate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = map[string]*tls.Certificate{}
	}
	if cert == nil {
		delete(p.open, domain)
	} else {
		p.open[domain] = cert
	}
}
