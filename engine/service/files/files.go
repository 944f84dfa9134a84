package files

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weir/codec/http1"
	"weir/engine/service"
)

// Config says what is served and what one request may cost.
type Config struct {
	// Dir is the root: nothing outside of it is served; "" serves nothing. When it is a symbolic link
	// that comes to point elsewhere, that is noticed within a second.
	Dir string
	// Index is the name of the file that answers for its directory; "" is none.
	Index string
	// List shows directories without an index: names only, at most as many as fit half of -max-out.
	List bool
	// DotFiles serves names that begin with a dot; without it only /.well-known/ is (RFC 8615).
	DotFiles bool
	// MaxAge is how long a client may use what it has without asking; whole seconds. 0, the default,
	// has it ask each time, which costs a 304.
	MaxAge time.Duration
	// HSTS, when a second or more, tells browsers with each answer that for so long, in whole seconds, they are
	// to come by TLS only (RFC 6797). It is for listeners with TLS: nobody may say so without it (7.2).
	HSTS time.Duration
	// MaxOpen bounds the files that are open at once, for all loops together; each has an equal
	// share. A file that is being sent stays open. Default 0: 1,024. Too low: files are opened again
	// and again, and with more different files under way than that requests are answered 503.
	MaxOpen int
	// MaxHeader is the largest request head in bytes; 0 means package http1's default, 16 KiB.
	MaxHeader int
	// MaxBody is the largest body of a request in bytes that is thrown away; 0 means no limit.
	MaxBody int64
	// MaxFrame has the site speak the frame protocol (docs/protocols.md) instead of HTTP, in frames of
	// at most so many bytes, of mostFrame and of mostTaken. 0 is HTTP.
	MaxFrame int
	// Uploads says what is taken.
	Uploads Uploads
}

// LeastFrame is the least Config.MaxFrame that is not 0: there must be room for answers.
const LeastFrame = 512

// DefaultMaxOpen is Config.MaxOpen when that is 0.
const DefaultMaxOpen = 1024

// Site is the service of one directory.
type Site struct {
	cfg   Config
	cache string // the value of Cache-Control
	safe  string // the fields of each answer that tell browsers what not to do

	howToAsk func(fd int) asks // the function of that name; tests have others

	tree  *tree  // nil when nothing is served
	store *store // nil when nothing is taken

	mu      sync.Mutex // of what follows
	openers []*opener
}

// New opens the root. Its errors are one line for the operator. Before engine.New; Close gives the
// root back.
func New(cfg Config) (*Site, error) {
	if cfg.MaxOpen == 0 {
		cfg.MaxOpen = DefaultMaxOpen
	}
	if cfg.MaxFrame > 0 {
		if cfg.Index, cfg.List = "", false; cfg.MaxFrame < LeastFrame {
			return nil, fmt.Errorf("frames of %d bytes: must be %d at least", cfg.MaxFrame, LeastFrame)
		}
	}
	if err := CheckIndex(cfg.Index); err != nil {
		return nil, fmt.Errorf("index %q: %w", cfg.Index, err)
	}
	s := &Site{cfg: cfg, cache: "no-cache", safe: nosniff, howToAsk: howToAsk}
	if age := cfg.MaxAge / time.Second; age > 0 {
		s.cache = fmt.Sprintf("public, max-age=%d", age)
	}
	if age := cfg.HSTS / time.Second; age > 0 {
		s.safe += fmt.Sprintf("Strict-Transport-Security: max-age=%d\r\n", age)
	}
	var err error
	if cfg.Dir != "" {
		if s.tree, err = openTree(cfg.Dir); err != nil {
			return nil, err
		}
	}
	if cfg.Uploads.Dir != "" {
		if s.store, err = openStore(cfg.Uploads, s.tree); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// CheckIndex says whether name can be an index: the plain name of a file, or "" for none.
func CheckIndex(name string) error {
	if strings.ContainsAny(name, "/\\") || len(name) > maxName || name == "." || name == ".." {
		return errors.New("must be the plain name of a file")
	}
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f {
			return errors.New("must be the plain name of a file")
		}
	}
	return nil
}

// Name is service.Service's.
func (s *Site) Name() string { return "files" }

// Dir is the root as an absolute path, "" when nothing is served.
func (s *Site) Dir() string {
	if s.tree == nil {
		return ""
	}
	return s.tree.dir
}

// ForLoop is service.Service's.
func (s *Site) ForLoop() service.Opener {
	limits := http1.Limits{MaxHead: s.cfg.MaxHeader, MaxBody: s.cfg.MaxBody}
	if s.store != nil {
		limits.MaxBody = 0 // whose body it is, and what it may have, is the session's to say
	}
	o := newOpener(s, http1.NewRequest(limits))
	s.mu.Lock()
	s.openers = append(s.openers, o)
	share := max(1, s.cfg.MaxOpen/len(s.openers))
	for _, o := range s.openers { // all are made before the first loop runs
		o.most = share
	}
	s.mu.Unlock()
	return o
}

// Close closes the root and all cached files. After the engine has ended only.
func (s *Site) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.openers {
		o.drop()
	}
	if s.store != nil {
		s.store.close()
	}
	if s.tree != nil {
		s.tree.close()
	}
}

// Stats are counted since the start, but for Open, which is now.
type Stats struct {
	Open   int64  // files that are open
	Opened uint64 // files that were opened
	Hits   uint64 // requests that were answered out of the cache
	Misses uint64 // look-ups in the file system, on the worker pool
	Busy   uint64 // requests that were answered 503: too many files open, or too much work
}

// counters are one loop's, written by it and read by anybody.
type counters struct {
	open                       atomic.Int64
	opened, hits, misses, busy atomic.Uint64
}

// Stats sums up what the loops have counted. Any goroutine.
func (s *Site) Stats() (sum Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.openers {
		sum.Open += o.count.open.Load()
		sum.Opened += o.count.opened.Load()
		sum.Hits += o.count.hits.Load()
		sum.Misses += o.count.misses.Load()
		sum.Busy += o.count.busy.Load()
	}
	return sum
}

// MaxOpen is the bound in force.
func (s *Site) MaxOpen() int { return s.cfg.MaxOpen }
