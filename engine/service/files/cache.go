package files

import (
	"crypto/rand"
	"encoding/hex"
	"sync/atomic"
	"time"

	"weir/codec/http1"
	"weir/engine/service"
)

const (
	// keptFor is how long a file stays open that nobody asks for. It is looked at when another one
	// is opened.
	keptFor = time.Minute
	// mostNotes bounds what is remembered of keys that stand for no file, and noteBytes the keys
	// that are worth it: 404s that are asked for again and again cost no work, and remembering
	// made-up ones costs 0.5 MiB a loop at most.
	mostNotes = 1024
	noteBytes = 256
	// staleFor is how old an answer may be that is given while somebody looks again.
	staleFor = 2 * fresh
	// lookups bounds how many files one request may have looked up: its own, its compressed form,
	// and again when a crowd has pushed them out.
	lookups = 6
)

// opener is one loop's part: its cache, and scratch that its sessions share. On the loop's goroutine
// only, but for count.
type opener struct {
	site      *Site
	req       *http1.Request
	buf       []byte
	path      []byte
	variant   []byte
	boundary  string // of multipart/byteranges,
	multipart string // and the type that names it
	bodies    []*body

	most    int // files open at once
	entries map[string]*entry
	files   order // those with a file, the one used last in front
	notes   order // the others
	loads   map[string]*load
	count   counters
}

func newOpener(s *Site, req *http1.Request) *opener {
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand.Read
	boundary := hex.EncodeToString(random[:])
	return &opener{
		site: s, req: req, boundary: boundary, multipart: "multipart/byteranges; boundary=" + boundary, entries: map[string]*entry{}, loads: map[string]*load{},
	}
}

// order is a list of entries.
type order struct {
	first, last *entry
	n           int
}

func (l *order) add(e *entry) {
	if e.prev, e.next = nil, l.first; l.first != nil {
		l.first.prev = e
	} else {
		l.last = e
	}
	l.first = e
	l.n++
}

func (l *order) remove(e *entry) {
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	e.prev, e.next = nil, nil
	l.n--
}

func (o *opener) orderOf(e *entry) *order {
	if e.file != nil {
		return &o.files
	}
	return &o.notes
}

// load is a look-up in the file system under way. It belongs to the session that began it: when that
// goes before the worker has finished, nobody is told, so it is given up and who waits begins anew.
type load struct {
	o       *opener
	key     string
	begun   time.Duration
	change  uint64        // of the key, when it was begun
	state   atomic.Uint32 // loading, loaded or abandoned
	result  result        // the worker's, then, when loaded, the loop's
	over    bool          // nobody need wait for it any more
	waiters []*parked
}

const (
	loading uint32 = iota
	loaded
	abandoned
)

// outcome is what a look-up came to.
type outcome uint8

const (
	have outcome = iota // here it is
	wait                // the unit is to be offered again
	busy                // 503
)

// find returns what a key stands for, from the cache or, after a while, from the file system.
//
// hot: 0 allocs when it is there
func (o *opener) find(c service.Conn, s *asker, key []byte) (*entry, outcome) {
	now := c.Now()
	if s.wait != nil {
		for _, e := range s.wait.got {
			if e != nil && e.key == string(key) {
				return e, have
			}
		}
	}
	ld := o.loads[string(key)]
	e := o.entries[string(key)]
	if e != nil {
		if age := now - e.checked; (age < fresh || ld != nil && age < staleFor) && e.change == o.site.changes(key) {
			o.count.hits.Add(1)
			o.use(e, now)
			return e, have
		}
	}
	if s.wait == nil {
		s.wait = &asking{}
	}
	if s.wait.lookups++; s.wait.lookups > lookups {
		o.count.busy.Add(1)
		return nil, busy
	}
	if ld != nil {
		p := &parked{ld: ld, c: c}
		ld.waiters = append(ld.waiters, p)
		c.Send(p)
		return nil, wait
	}
	if (e == nil || e.file == nil) && !o.makeRoom() || !o.look(c, s, string(key), e, now) {
		o.count.busy.Add(1)
		return nil, busy
	}
	return nil, wait
}

func (o *opener) use(e *entry, now time.Duration) {
	e.used = now
	if l := o.orderOf(e); e.cached && l.first != e {
		l.remove(e)
		l.add(e)
	}
}

// look has a worker look a key up, and reports whether one will.
func (o *opener) look(c service.Conn, s *asker, key string, old *entry, now time.Duration) bool {
	ld := &load{o: o, key: key, begun: now}
	if old != nil && old.file != nil {
		old.file.hold() // its descriptor's number must not be another file's when it is compared
	}
	change := o.site.changes([]byte(key)) // before it is looked at
	work := func() {
		r := o.site.load(o, key, old, now)
		ld.result = r
		if !ld.state.CompareAndSwap(loading, loaded) {
			r.drop()
		}
	}
	ld.change = change
	if !c.Work(work, func() { o.install(ld, s, old, c.Now()) }) {
		if old != nil && old.file != nil {
			old.file.release()
		}
		return false
	}
	o.count.misses.Add(1)
	o.loads[key] = ld
	s.wait.load, s.wait.old = ld, old
	return true
}

// install puts what a worker has found into the cache, and gives it to the session that has waited.
func (o *opener) install(ld *load, s *asker, old *entry, now time.Duration) {
	e := ld.result.entry
	if ld.result.same {
		e = old
	} else {
		if was := o.entries[ld.key]; was != nil {
			o.evict(was)
		}
		if e.file != nil || len(e.key) <= noteBytes {
			o.entries[e.key] = e
			e.cached = true
			o.orderOf(e).add(e)
		}
		if o.notes.n > mostNotes {
			o.evict(o.notes.last)
		}
	}
	e.checked, e.change, e.used = ld.begun, ld.change, now
	s.wait.keep(e)
	s.wait.load = nil
	for last := o.files.last; last != nil && now-last.used > keptFor && !last.file.held(); last = o.files.last {
		o.evict(last)
	}
	o.finish(ld, old)
}

// finish ends a load, whatever came of it.
func (o *opener) finish(ld *load, old *entry) {
	delete(o.loads, ld.key)
	if old != nil && old.file != nil {
		old.file.release()
	}
	ld.over = true
	for _, p := range ld.waiters {
		p.c.Ready()
	}
	ld.waiters = nil
}

// abandon is told that the session that began a load has gone.
func (o *opener) abandon(ld *load, old *entry) {
	if !ld.state.CompareAndSwap(loading, abandoned) { // the worker has finished, and nobody was told
		ld.result.drop()
	}
	o.finish(ld, old)
}

// makeRoom reports whether one more file may be opened, after closing one that nobody is sent, if need
// be.
func (o *opener) makeRoom() bool {
	for int(o.count.open.Load())+len(o.loads) >= o.most {
		e := o.files.last
		for tries := 64; e != nil && e.file.held() && tries > 0; tries-- {
			e = e.prev
		}
		if e == nil || e.file.held() {
			return false
		}
		o.evict(e)
	}
	return true
}

// evict takes an entry out of the cache. Its file is closed when nobody is sent it any more.
func (o *opener) evict(e *entry) {
	if !e.cached {
		return
	}
	e.cached = false
	delete(o.entries, e.key)
	o.orderOf(e).remove(e)
	if e.file != nil {
		e.file.release()
	}
}

// drop empties the cache. When no session is left.
func (o *opener) drop() {
	for _, l := range []*order{&o.files, &o.notes} {
		for l.last != nil {
			o.evict(l.last)
		}
	}
}

// parked is the service.Source of a connection that waits for a look-up which another one has begun.
type parked struct {
	ld *load
	c  service.Conn
}

func (p *parked) flow() service.Flow {
	if p.ld.over {
		return service.End
	}
	return service.Pause
}

func (p *parked) File(service.Conn) (service.Range, service.Flow)   { return service.Range{}, p.flow() }
func (p *parked) Read(service.Conn, []byte) (n int, f service.Flow) { return 0, p.flow() }
func (p *parked) Sent(int)                                          {}

// Release is service.Source's.
func (p *parked) Release() {
	for i, w := range p.ld.waiters {
		if w == p {
			last := len(p.ld.waiters) - 1
			p.ld.waiters[i] = p.ld.waiters[last]
			p.ld.waiters = p.ld.waiters[:last]
			return
		}
	}
}
