package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	static "weir/engine/service/files"
	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
	"weir/internal/events"
	"weir/internal/metrics"
	"weir/internal/say"
	"weir/internal/scheme"
)

// uploading is what a listener stores, and what that may cost.
type uploading struct {
	dir                            string // "" for nothing
	max, quota, floor, rate, burst int64  // bytes
	overwrite                      bool
}

const (
	// descriptorsPerUpload are a file and its directory.
	descriptorsPerUpload = 2
	// uploadPlaces is how many sources' budgets are known at once, of each family: few store anything. One that
	// finds no place takes over the fullest of eight.
	uploadPlaces = 8192
	// leastFilesFrame is the least max-frame with which files can be had over frames.
	leastFilesFrame = static.LeastFrame
)

// hasUploads reports whether any listener takes uploads.
func (s *settings) hasUploads() bool {
	return slices.ContainsFunc(s.listeners, func(l listener) bool { return l.takesUploads() })
}

// takesUploads reports whether a listener stores what its clients send.
func (l *listener) takesUploads() bool { return l.speaksFiles() && l.limits.up.dir != "" }

// willTakeUploads is hasUploads before the listeners are read for good.
func (s *settings) willTakeUploads() bool {
	return s.will(func(l *listener) bool { return l.limits.up.dir != "" })
}

// checkUploads checks what a listener's files and uploads need, and what cannot be together.
func (l *listener) checkUploads() string {
	switch up := &l.limits.up; {
	case !l.servesFiles():
		return ""
	case l.can(scheme.Frames) && l.limits.maxFrame < leastFilesFrame:
		return "files over frames need a max-frame of 512 or more"
	case up.dir != "" && up.rate > 0 && up.burst > 0 && up.max > up.burst:
		return "source-upload-burst must be at least max-upload, or the largest could never be stored"
	}
	return ""
}

// storable says what keeps files from being made in a directory, nil when nothing does or when it is there and is full. It
// makes one without a name, and where the file system has none of those, when named says so, one with a name that is removed
// again; else it asks for the permissions. What else is wrong with the directory is told by who opens it.
func storable(dir string, named bool) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err == nil {
		return unix.Close(fd)
	}
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		if !named {
			return permitted(dir)
		}
		var f *os.File
		if f, err = os.CreateTemp(dir, ".weir-can-be-written-*"); err == nil {
			_ = f.Close()
			return os.Remove(f.Name())
		}
	}
	if err = root(err); errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.ENOENT) && !isDir(dir) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// permitted says what keeps files from being made in a directory, as far as it can be known without making one.
func permitted(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && (fs.Type == unix.PROC_SUPER_MAGIC || fs.Type == unix.SYSFS_MAGIC) {
		return unix.EPERM // root's permissions do not tell
	}
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

func notStorable(l *listener, err error) error {
	return fmt.Errorf("-listen %s: uploads: no file can be made in %s: %w; name a directory that this user may write to", say.Shown(l.text), say.Shown(l.limits.up.dir), err)
}

// storeBudget is what each source may store. It is the guard's bucket behind the one question that a service asks.
type storeBudget struct {
	hash   source.Hash
	v4, v6 int // bits that count
	tables [source.Families]*bucket.Table
}

func newStoreBudget(up *uploading, v4, v6 int) *storeBudget {
	limit := bucket.Limit{Tokens: up.rate, Burst: up.burst, Grain: 1}
	b := &storeBudget{hash: source.NewHash(), v4: v4, v6: v6}
	for i := range b.tables {
		b.tables[i] = bucket.New(uploadPlaces, limit, 0)
	}
	return b
}

// spend takes n bytes from what the source of peer may store, if all of them are there. Who has no address is
// not limited.
func (b *storeBudget) spend(peer netip.Addr, n int64) bool {
	key, some := source.Of(peer)
	if !some {
		return true
	}
	bits := b.v4
	if key.Family == source.V6 {
		bits = b.v6
	}
	now := mono.Now()
	for _, t := range b.tables { // by whoever comes: nothing can look live that is not asked for
		t.Sweep(now)
	}
	h := bucket.HandleOf(b.hash.Sum(key.Wide(bits).Bits))
	return b.tables[key.Family].Allow(&h, uint64(n), now)
}

// stores is what listeners that store below one directory, or with one budget, share.
type stores struct {
	s       *settings
	slots   *static.Slots
	budgets map[[2]int64]*storeBudget // by rate and burst
	first   map[string]*static.Site   // by directory
}

func newStores(s *settings) *stores {
	return &stores{s: s, slots: static.NewSlots(s.maxUploads), budgets: map[[2]int64]*storeBudget{}, first: map[string]*static.Site{}}
}

// of makes a listener's configuration.
func (st *stores) of(l *listener) static.Uploads {
	up := &l.limits.up
	if up.dir == "" {
		return static.Uploads{}
	}
	cfg := static.Uploads{
		Dir: up.dir, Max: up.max, Quota: up.quota, Floor: up.floor, Overwrite: up.overwrite, Slots: st.slots,
	}
	if dir, err := filepath.Abs(up.dir); err == nil {
		cfg.Beside = st.first[dir]
	}
	if up.rate > 0 {
		key := [2]int64{up.rate, up.burst}
		if st.budgets[key] == nil {
			st.budgets[key] = newStoreBudget(up, st.s.engine.Guard.V4Prefix, st.s.engine.Guard.V6Prefix)
		}
		cfg.Spend = st.budgets[key].spend
	}
	return cfg
}

// opened is told of a site, which others may share with.
func (st *stores) opened(site *static.Site) {
	if dir := site.UploadDir(); dir != "" && st.first[dir] == nil {
		st.first[dir] = site
	}
}

// uploadSources is what the budgets occupy.
func uploadSources(s *settings) int64 {
	kinds := map[[2]int64]bool{}
	for i := range s.listeners {
		if up := &s.listeners[i].limits.up; up.dir != "" && up.rate > 0 {
			kinds[[2]int64{up.rate, up.burst}] = true
		}
	}
	return int64(len(kinds)) * source.Families * uploadPlaces * 8
}

// addUploads adds what a site has counted.
func addUploads(sum *metrics.Uploads, site *static.Site) {
	if site.UploadDir() == "" {
		return
	}
	n := site.UploadStats()
	if sum.Ends == nil {
		sum.Ends = map[string]uint64{}
	}
	for o := range static.Outcomes {
		sum.Ends[o.String()] += n.Ends[o]
	}
	sum.Limit = int64(site.MaxUploads())
	sum.Open += n.Open
	sum.Bytes += n.Bytes
	sum.Used += n.Used
	sum.Quota += n.Quota
	sum.Swept += n.Swept
}

// ofDirectories says of which directories a service is.
func ofDirectories(site *static.Site) (text string) {
	if site.Dir() != "" {
		text = " of " + events.Clean(site.Dir(), 200)
	}
	if site.UploadDir() != "" {
		text += ", uploads to " + events.Clean(site.UploadDir(), 200)
	}
	return text
}
