package files

import (
	"crypto/rand"
	"encoding/hex"
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Uploads says what is taken, and what that may cost.
type Uploads struct {
	// Dir is the root below which uploads are stored; "" takes none. The same as Config.Dir, in the same
	// words, is the same root.
	Dir string
	// Max is the largest upload in bytes; 0 means no limit.
	Max int64
	// Quota bounds the bytes of all files below Dir, each counted as 4 KiB at least; what is there at start
	// is counted. 0 means no limit.
	Quota int64
	// Floor is how many bytes must stay free on the file system; 0 asks for none.
	Floor int64
	// Overwrite replaces files that are there. Without it they are never touched.
	Overwrite bool
	// Slots are shared by all sites of a process; nil means DefaultMaxUploads of its own.
	Slots *Slots
	// Beside is a site that stores below the same Dir, opened before: the two have one quota, and what one
	// stores the other knows of. nil for the first.
	Beside *Site
	// Spend asks for leave to store n bytes that a peer sends, and takes them from what its source may
	// store; nil means no limit. It is how the guard's buckets get here without an import. It must not
	// block. Loops' goroutines.
	Spend func(peer netip.Addr, n int64) bool
}

// DefaultMaxUploads is how many uploads may be under way without Slots of one's own.
const DefaultMaxUploads = 64

// Slots bounds the uploads under way, and what one source may have of them: a quarter. Any goroutine.
type Slots struct {
	most int

	mu   sync.Mutex // of what follows
	used int
	by   map[string]int // never more than most entries
}

// NewSlots makes room for most uploads, at least 1.
func NewSlots(most int) *Slots { return &Slots{most: max(1, most), by: map[string]int{}} }

// Most is how many may be under way.
func (s *Slots) Most() int { return s.most }

// Used is how many are.
func (s *Slots) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// take takes a place for a source; "" is one without limits of its own.
func (s *Slots) take(source string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.most || source != "" && s.by[source] >= max(1, s.most/4) {
		return false
	}
	s.used++
	if source != "" {
		s.by[source]++
	}
	return true
}

func (s *Slots) give(source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if source == "" {
		return
	}
	if s.by[source]--; s.by[source] == 0 {
		delete(s.by, source)
	}
}

const (
	// tempPrefix begins the names of uploads under way. Nobody can ask for one or name one (judge).
	tempPrefix = ".weir-upload-"
	tempDigits = 32
)

// isTemp reports whether a name is kept for uploads under way, in letters of either case: some file
// systems take them for the same.
func isTemp(name []byte) bool {
	return len(name) >= len(tempPrefix) && equalFold(name[:len(tempPrefix)], tempPrefix)
}

// isOurTemp reports whether a name is one that newTemp makes.
func isOurTemp(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	if !ok || len(digits) != tempDigits {
		return false
	}
	return strings.Trim(digits, "0123456789abcdef") == ""
}

func newTemp() string {
	var random [tempDigits / 2]byte
	_, _ = rand.Read(random[:]) // never fails
	return tempPrefix + hex.EncodeToString(random[:])
}

// store takes the uploads of one site.
type store struct {
	*ledger
	cfg    Uploads
	served bool // the site serves what it stores

	open  atomic.Int64
	bytes atomic.Uint64
	ends  [Outcomes]atomic.Uint64
	wg    sync.WaitGroup
}

// ledger is what all stores below one directory have together. Any goroutine.
//
// Invariants: used = what the last count found + added since then + reserved for uploads under way; a
// file that was stored while a count ran may be in it twice, until the next one.
type ledger struct {
	tree   *tree
	shared bool // tree is a site's
	told   changes
	commit sync.Mutex // held while a name is looked at and then taken

	there    atomic.Int64 // bytes that the last count has found
	added    atomic.Int64 // bytes stored, less those replaced, since it began
	reserved atomic.Int64 // bytes that uploads under way may still come to
	pending  atomic.Int64 // those of them that are not written yet
	ready    atomic.Bool  // the first count is done
	counting atomic.Bool
	counted  atomic.Int64  // when the last count began, Unix nanoseconds
	swept    atomic.Uint64 // leftovers removed
	wg       sync.WaitGroup
	closed   chan struct{}

	fault func(step string) error // what the file system says to a step; nil but in tests
}

// fails asks for a fault of a test: one of open, write, sync, name and dirsync.
func (l *ledger) fails(step string) error {
	if l.fault == nil {
		return nil
	}
	return l.fault(step)
}

// recountAfter is how long a count holds at least. Files that others remove come off the quota with the
// next one, which is made when an upload finds no room.
const recountAfter = time.Minute

// openStore opens the root of uploads, or shares the site's or that of the site beside. It begins to count what
// is there and to remove what a crash has left, on a goroutine.
func openStore(cfg Uploads, site *tree) (*store, error) {
	s := &store{cfg: cfg}
	if s.cfg.Slots == nil {
		s.cfg.Slots = NewSlots(DefaultMaxUploads)
	}
	if cfg.Beside != nil {
		s.ledger = cfg.Beside.store.ledger
	} else {
		t, err := openTree(cfg.Dir)
		if err != nil {
			return nil, err
		}
		s.ledger = &ledger{tree: t, told: newChanges(), closed: make(chan struct{})}
		if site != nil && site.dir == t.dir {
			t.close()
			s.tree, s.shared = site, true
		}
		s.count()
	}
	s.served = site != nil && site.dir == s.tree.dir
	return s, nil
}

// close waits for uploads that are being given up. After the engine has ended only.
func (s *store) close() {
	s.wg.Wait()
	if s.cfg.Beside != nil {
		return
	}
	close(s.closed)
	s.ledger.wg.Wait()
	if !s.shared {
		s.tree.close()
	}
}

// count has a goroutine count and sweep, unless one is at it.
func (l *ledger) count() {
	if !l.counting.CompareAndSwap(false, true) {
		return
	}
	l.counted.Store(time.Now().UnixNano())
	l.wg.Add(1)
	go func() {
		defer l.wg.Done()
		defer l.counting.Store(false)
		added := l.added.Load()
		if n, err := l.scan(); err == nil {
			l.there.Store(n)
			l.added.Add(-added)
			l.ready.Store(true)
		}
	}()
}

// used is how many bytes of the quota are in use.
func (l *ledger) used() int64 { return l.there.Load() + l.added.Load() + l.reserved.Load() }

// leastCost is what a file counts at least, towards the quota and its source's budget: a block, its inode and
// its name are something, too, and a million empty files would else be free.
const leastCost = 4 << 10

// cost is what a file of n bytes counts.
func cost(n int64) int64 { return max(n, leastCost) }

// reserve takes n bytes of the quota, and of what the disk has, for an upload. On a loop.
func (s *store) reserve(n int64) bool {
	if n > math.MaxInt64/4 {
		return false
	}
	s.reserved.Add(n)
	s.pending.Add(n)
	if s.cfg.Quota == 0 || s.used() <= s.cfg.Quota {
		return true
	}
	s.reserved.Add(-n)
	s.pending.Add(-n)
	if time.Now().UnixNano()-s.counted.Load() > int64(recountAfter) {
		s.count()
	}
	return false
}

// fits judges whether the file system of a directory keeps its floor when all that is under way has been
// written. On a worker.
func (s *store) fits(dir int) Outcome {
	if s.cfg.Floor == 0 {
		return Stored
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(dir, &fs); err != nil {
		return outcomeOf(err)
	}
	block := uint64(max(fs.Bsize, 1))
	if free := int64(min(fs.Bavail, math.MaxInt64/block) * block); free-s.pending.Load() < s.cfg.Floor {
		return LowSpace
	}
	return Stored
}

// UploadStats are counted since the start, but for Open and Used, which are now.
type UploadStats struct {
	Open        int64 // under way
	Used, Quota int64 // bytes below the root, and how many there may be, 0 for no limit; of the first of several beside each other
	Bytes       uint64
	Swept       uint64 // leftovers of a crash that were removed
	Ends        [Outcomes]uint64
}

// UploadStats are zero for a site that takes none. Any goroutine.
func (s *Site) UploadStats() (n UploadStats) {
	if s.store == nil {
		return n
	}
	n.Open, n.Bytes = s.store.open.Load(), s.store.bytes.Load()
	if s.store.cfg.Beside == nil { // else they are that one's
		n.Used, n.Quota, n.Swept = s.store.used(), s.store.cfg.Quota, s.store.swept.Load()
	}
	for i := range n.Ends {
		n.Ends[i] = s.store.ends[i].Load()
	}
	return n
}

// MaxUploads is how many may be under way, for all sites that share Slots.
func (s *Site) MaxUploads() int { return s.store.cfg.Slots.Most() }

// UploadDir is the root of uploads as an absolute path, "" when none are taken.
func (s *Site) UploadDir() string {
	if s.store == nil {
		return ""
	}
	return s.store.tree.dir
}
