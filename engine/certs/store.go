package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Store serves certificates and notices when their files change. Its methods may be called by any
// goroutine.
type Store struct {
	cfg   Config
	table atomic.Pointer[table]

	looking sync.Mutex // one look at a time; held while Tell is called
	pairs   []*watched
	entries []*entry // what each of pairs serves, then Own
	caFile  *watched // nil without a client CA

	mu     sync.Mutex // short: never held while files are read
	ca     *clientCA  // nil without one
	served []*served

	closing sync.Once
	stop    chan struct{}
	done    chan struct{}
}

// Open reads all files and returns a Store that serves what is in them. Its error is the first file
// that cannot be used, as *FileError, one of Own without a certificate or a key, or that there is
// nothing to serve. End it with Close.
func Open(cfg Config) (*Store, error) {
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Tell == nil {
		cfg.Tell = func(Change) {}
	}
	if len(cfg.Pairs)+len(cfg.Own) == 0 && cfg.More == nil {
		return nil, errors.New("there is no certificate to serve")
	}
	cfg.Pairs = slices.Clone(cfg.Pairs)
	s := &Store{cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}
	now := cfg.now()
	for _, p := range cfg.Pairs {
		w := &watched{role: []string{RoleCert, RoleKey}, paths: []string{p.Cert, p.Key}}
		content, sum, err := w.read()
		if err != nil {
			return nil, err
		}
		cert, err := parsePair(p, content[0], content[1])
		if err != nil {
			return nil, err
		}
		w.loaded = sum
		s.pairs = append(s.pairs, w)
		s.entries = append(s.entries, newEntry(cert, p.Cert, now))
	}
	for i := range cfg.Own {
		c := cfg.Own[i]
		if len(c.Certificate) == 0 || c.PrivateKey == nil {
			return nil, fmt.Errorf("certificate %d in memory: lacks its certificate or its key", i+1)
		}
		if c.Leaf == nil {
			leaf, err := x509.ParseCertificate(c.Certificate[0])
			if err != nil {
				return nil, fmt.Errorf("certificate %d in memory: %w", i+1, err)
			}
			c.Leaf = leaf
		}
		s.entries = append(s.entries, newEntry(&c, "", now))
	}
	t, err := newTable(slices.Clone(s.entries))
	if err != nil {
		return nil, err
	}
	s.table.Store(t)
	if cfg.ClientCA != "" {
		s.caFile = &watched{role: []string{RoleClientCA}, paths: []string{cfg.ClientCA}}
		content, sum, err := s.caFile.read()
		if err != nil {
			return nil, err
		}
		if s.ca, err = parseClientCA(cfg.ClientCA, content[0], now); err != nil {
			return nil, err
		}
		s.caFile.loaded = sum
	}
	if cfg.Every > 0 && len(s.pairs)+len(cfg.ClientCA) > 0 {
		go s.watch()
	} else {
		close(s.done)
	}
	return s, nil
}

// Close ends the goroutine that looks at the files. What is served stays. Not from inside Tell.
func (s *Store) Close() {
	s.closing.Do(func() { close(s.stop) })
	<-s.done
}

func (s *Store) watch() {
	defer close(s.done)
	t := time.NewTicker(s.cfg.Every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			_, _ = s.look(false) // told of through Tell
		case <-s.stop:
			return
		}
	}
}

// Reload reads all files, whether or not they look as if they had changed, and serves what is new in
// those that can be used. changed reports whether there was any. err joins a *FileError for each pair
// that keeps what it had, each one line. Both are told through Config.Tell too, the errors each time.
func (s *Store) Reload() (changed bool, err error) { return s.look(true) }

// Info lists the certificates that are served: those of the pairs, in order, and those of Own.
func (s *Store) Info() []Info {
	t := s.table.Load()
	list := make([]Info, len(t.all))
	for i, e := range t.all {
		list[i] = e.info
		list[i].Names = slices.Clone(e.info.Names)
	}
	return list
}

// ClientCA tells about the client CA in force, and false when there is none.
func (s *Store) ClientCA() (Info, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ca == nil {
		return Info{}, false
	}
	return s.ca.info(), true
}

// look looks at each file, and takes what is new. With all it reads those too that look the same.
func (s *Store) look(all bool) (changed bool, err error) {
	s.looking.Lock()
	defer s.looking.Unlock()
	now := s.cfg.now()
	var errs []error
	for i, w := range s.pairs {
		p := s.cfg.Pairs[i]
		took, err := w.look(all, func(content [][]byte) error {
			cert, err := parsePair(p, content[0], content[1])
			if err != nil {
				return err
			}
			next := slices.Clone(s.entries)
			next[i] = newEntry(cert, p.Cert, now)
			t, err := newTable(slices.Clone(next))
			if err != nil {
				return err
			}
			s.entries = next
			s.table.Store(t)
			return nil
		})
		s.tell(took, err, Change{Info: s.entries[i].info})
		changed, errs = changed || took, append(errs, err)
	}
	if w := s.caFile; w != nil {
		took, err := w.look(all, func(content [][]byte) error {
			ca, err := parseClientCA(s.cfg.ClientCA, content[0], now)
			if err != nil {
				return err
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ca = ca
			for _, v := range s.served {
				if v.policy.ClientAuth != tls.NoClientCert {
					v.current.Store(s.build(v.policy))
				}
			}
			return nil
		})
		s.tell(took, err, Change{ClientCA: true, Info: s.ca.info()})
		changed, errs = changed || took, append(errs, err)
	}
	return changed, errors.Join(errs...)
}

func (s *Store) tell(took bool, err error, c Change) {
	if took || err != nil {
		c.Err = err
		s.cfg.Tell(c)
	}
}
