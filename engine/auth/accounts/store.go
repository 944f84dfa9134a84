package accounts

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Config is how a Store looks at its file.
type Config struct {
	Path string
	// Every is how often the file is looked at; 0 means 2 s, less means never. Looking is a stat.
	Every time.Duration
	// Tell is told of each file that was taken, with a nil error, and of each that could not be,
	// once for each content. By any goroutine, one call at a time; it must not call the Store.
	Tell func(*Set, error)
}

const defaultEvery = 2 * time.Second

// grain is how old a file must be before an equal stamp means equal content, as in package certs:
// some file systems keep times to 2 s.
const grain = 3 * time.Second

// Store serves the accounts of a file and notices when it changes. Its methods may be called by any
// goroutine.
type Store struct {
	cfg Config
	set atomic.Pointer[Set]

	looking sync.Mutex // one look at a time; held while Tell is called
	stamp   stamp
	again   bool              // look at the content next time too
	loaded  [sha256.Size]byte // of the text that is served
	failed  [sha256.Size]byte // of the text, or the reason, that was told of last

	closing    sync.Once
	stop, done chan struct{}
}

// Open reads the file. Its error is a *FileError. End the Store with Close.
func Open(cfg Config) (*Store, error) {
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Tell == nil {
		cfg.Tell = func(*Set, error) {}
	}
	s := &Store{cfg: cfg, stop: make(chan struct{}), done: make(chan struct{})}
	s.stamp = stampOf(cfg.Path)
	s.again = s.stamp.fresh(time.Now())
	text, err := read(cfg.Path)
	if err != nil {
		return nil, err
	}
	set, err := Parse(text)
	if err != nil {
		return nil, &FileError{cfg.Path, err}
	}
	s.loaded = sha256.Sum256(text)
	s.set.Store(set)
	if cfg.Every > 0 {
		go s.watch()
	} else {
		close(s.done)
	}
	return s, nil
}

// Set is what is served now: one load of a pointer. Who checks one login in several steps asks
// again at the end (Set.Still), so that a reload counts at once.
func (s *Store) Set() *Set { return s.set.Load() }

// Close ends the goroutine that looks at the file. What is served stays. Not from inside Tell.
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

// Reload reads the file, whether or not it looks as if it had changed, and serves the whole of it,
// or, with an error, what was served before. changed reports whether there was something new.
func (s *Store) Reload() (changed bool, err error) { return s.look(true) }

func (s *Store) look(all bool) (changed bool, err error) {
	s.looking.Lock()
	defer s.looking.Unlock()
	is := stampOf(s.cfg.Path)
	if !all && !s.again && is == s.stamp {
		return false, nil
	}
	s.stamp, s.again = is, is.fresh(time.Now())
	text, err := read(s.cfg.Path)
	sum := sha256.Sum256(text)
	var set *Set
	if err == nil {
		if sum == s.loaded {
			s.failed = [sha256.Size]byte{}
			return false, nil
		}
		if set, err = Parse(text); err != nil {
			err = &FileError{s.cfg.Path, err}
		}
	}
	if err != nil {
		reason := sha256.Sum256([]byte(err.Error() + string(sum[:])))
		if reason != s.failed || all {
			s.failed = reason
			s.cfg.Tell(nil, err)
		}
		return false, err
	}
	s.loaded, s.failed = sum, [sha256.Size]byte{}
	s.set.Store(set)
	s.cfg.Tell(set, nil)
	return true, nil
}

// stamp is what tells a file from what it was at the last look. Links are followed. The mode
// counts: a chmod may be what is wrong, or what puts it right.
type stamp struct {
	dev, inode, size, mtime, ctime int64
	mode                           uint32
	missing                        bool
}

func stampOf(path string) stamp {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return stamp{missing: true}
	}
	return stamp{int64(st.Dev), int64(st.Ino), st.Size, st.Mtim.Nano(), st.Ctim.Nano(), st.Mode, false}
}

// fresh reports whether a write after this look might leave the stamp as it is.
func (s stamp) fresh(now time.Time) bool {
	return !s.missing && now.UnixNano()-max(s.mtime, s.ctime) < int64(grain)
}
