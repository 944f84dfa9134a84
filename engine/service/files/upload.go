package files

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"net/http"
	"os"
	"path"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/service"
)

// An upload goes through these steps, each of them on a worker but for the first:
//
//	admit   on the loop: size, quota, its source's budget, a place        nothing is stored yet
//	begin   the directory, the name, the floor; a temporary file          the client may send now
//	write   what has gathered; meanwhile the client is not read
//	finish  the digest, fsync, the name again, link or rename, fsync of the directory
//
// and ends with abandon, at any step, which leaves nothing. The file lies in the directory that it is meant
// for, under a name that nobody can ask for, and is locked: what is not locked was left by a crash.
//
// The directory is opened once, through os.Root, and held: what is put in its place later changes nothing
// about where the file goes. From there on there are only names of one component, without links being
// followed: openat, fstatat, renameat, linkat, unlinkat. (os.Root.OpenRoot would do, but for a FIFO in the
// place of the directory: it is opened before it is looked at, which waits for the FIFO's other end.)

const (
	// gatherBytes is from how much on what has arrived is written. Below, it is kept, so that a client that
	// sends byte by byte costs no system call for each.
	gatherBytes = 32 << 10
	// floorEvery is after how many bytes the free space is looked at again.
	floorEvery = 1 << 20
)

// chunks are pieces on their way to the disk: what has gathered, and one read or frame of 64 KiB.
var chunks = sync.Pool{New: func() any { b := make([]byte, 0, gatherBytes+64<<10); return &b }}

// conditions are a request's preconditions, copied: they are judged twice, by workers.
type conditions struct {
	ifMatch, ifNoneMatch string
	hasMatch, hasNone    bool
	unmodifiedSince      time.Time
}

// hold reports whether they hold for what is there: a tag, "" for nothing.
func (c *conditions) hold(tag string, modified time.Time) bool {
	switch {
	case c.hasMatch:
		if tag == "" || !listHas(c.ifMatch, tag, false) {
			return false
		}
	case !c.unmodifiedSince.IsZero() && tag != "" && modified.Truncate(time.Second).After(c.unmodifiedSince):
		return false
	}
	return !c.hasNone || tag == "" || !listHas(c.ifNoneMatch, tag, true)
}

// listHas reports whether a list of entity tags has one, or is "*"; weak says that weak ones count.
func listHas(list, tag string, weak bool) bool {
	b := []byte(list)
	if string(trimSpace(b)) == "*" {
		return true
	}
	for len(b) > 0 {
		if b = trimSpace(b); len(b) > 0 && b[0] == ',' {
			b = b[1:]
			continue
		}
		one, isWeak, rest, ok := cutTag(b)
		if !ok {
			return false
		}
		if string(one) == tag && (weak || !isWeak) {
			return true
		}
		b = rest
	}
	return false
}

// tagOf is a file's entity tag, as GET gives it for the file as it is.
func tagOf(mtime, size int64) string { return `"` + plainTag(mtime, size) + `"` }

// plainTag is a tag without its quotes.
func plainTag(mtime, size int64) string {
	return strconv.FormatInt(mtime, 36) + "-" + strconv.FormatInt(size, 36)
}

// upload is one upload under way.
type upload struct {
	st     *store
	key    string // the path below the root
	source string // whose place it has; "" without limits
	size   int64  // -1 when nobody knows yet
	cond   conditions
	want   [sha256.Size]byte
	check  bool // want is to be what has been sent
	only   bool // never replace what is there, whatever the site says

	// On the loop.
	got             int64  // bytes that have arrived
	held            int64  // bytes that are reserved for it
	tail            []byte // what has arrived and is not handed to a worker
	chunk           *[]byte
	lt              *later
	minor0, expects bool // of the request: HTTP/1.0; waits for 100
	answered        bool // its end is told

	mu      sync.Mutex // of what follows
	running bool       // a worker is at it, or will be
	gone    bool       // given up: whoever is at it cleans up
	ended   bool

	// Of whoever runs a step, then, when it has ended, of the loop.
	dir     *os.File // the directory
	name    string   // in it
	temp    string   // likewise, "" without a file
	f       *os.File
	sum     hash.Hash
	written int64
	looked  int64 // how much was written when the floor was looked at
	result  Outcome
	digest  [sha256.Size]byte
	tag     string
	created bool
	settled bool // nothing is reserved for it any more
	left    bool // its place is given back
}

// admit judges what can be judged without the file system, and takes what an upload needs of what is
// limited. size is -1 when nobody knows. On a loop.
func (s *store) admit(c service.Conn, u *upload, size int64) Outcome {
	switch {
	case s.cfg.Max > 0 && size > s.cfg.Max:
		return TooLarge
	case s.cfg.Quota > 0 && !s.ready.Load():
		return Busy // what is there is being counted
	}
	n := cost(size)
	if !s.reserve(n) {
		return OverQuota
	}
	who := c.Standing()
	if who.Exempt {
		who.Source = ""
	}
	if !s.cfg.Slots.take(who.Source) {
		s.giveBack(n)
		return TooMany
	}
	if !who.Exempt && s.cfg.Spend != nil && !s.cfg.Spend(c.Peer().Addr(), n) {
		s.giveBack(n)
		s.cfg.Slots.give(who.Source)
		return OverBudget
	}
	u.st, u.source, u.size, u.held = s, who.Source, size, n
	s.open.Add(1)
	s.wg.Add(1)
	return Stored
}

func (s *store) giveBack(n int64) {
	s.reserved.Add(-n)
	s.pending.Add(-n)
}

// more judges n bytes that have arrived. On the loop.
func (u *upload) more(c service.Conn, n int64) Outcome {
	u.got += n
	if u.size >= 0 {
		if u.got > u.size {
			return BadRequest
		}
		return Stored
	}
	n = cost(u.got) - u.held
	switch s := u.st; {
	case s.cfg.Max > 0 && u.got > s.cfg.Max:
		return TooLarge
	case n == 0:
		return Stored
	case !s.reserve(n):
		return OverQuota
	default:
		u.held += n
		if u.source != "" && s.cfg.Spend != nil && !s.cfg.Spend(c.Peer().Addr(), n) {
			return OverBudget
		}
	}
	return Stored
}

// gather keeps what has arrived, and reports whether it is time to write it.
func (u *upload) gather(b []byte) bool {
	if len(u.tail)+len(b) < gatherBytes {
		u.tail = append(u.tail, b...)
		return false
	}
	u.chunk = chunks.Get().(*[]byte)
	*u.chunk = append(append((*u.chunk)[:0], u.tail...), b...)
	if u.tail = u.tail[:0]; cap(u.tail) > 4<<10 {
		u.tail = nil
	}
	return true
}

// rest hands what has gathered to the last step.
func (u *upload) rest() {
	if len(u.tail) > 0 {
		u.chunk = chunks.Get().(*[]byte)
		*u.chunk = append((*u.chunk)[:0], u.tail...)
		u.tail = nil
	}
}

// run has a worker do one step and then calls then on the loop; when the pool is full, later. The steps
// of an upload come one after the other.
func (u *upload) run(c service.Conn, step func() Outcome, then func()) {
	u.mu.Lock()
	u.running = true
	u.mu.Unlock()
	f := func() {
		if u.mu.Lock(); u.gone { // nobody waits for it any more
			u.running = false
			u.mu.Unlock()
			u.clean()
			return
		}
		u.mu.Unlock()
		u.result = DiskError // of a step that panics
		defer func() {
			u.mu.Lock()
			u.running = false
			gone := u.gone
			u.mu.Unlock()
			if gone {
				u.clean()
			}
		}()
		u.result = step()
	}
	if u.lt != nil { // then is called inside a later's turn
		u.lt.again(f, then)
		return
	}
	if !c.Work(f, then) {
		c.Send(&later{u: u, f: f, then: then})
	}
}

// begin looks at where the file is to be, and makes a temporary one. On a worker.
func (u *upload) begin() Outcome {
	root, err := u.st.tree.current()
	if err != nil {
		return DiskError
	}
	dir, name := path.Split(u.key)
	if dir == "" {
		dir = "."
	}
	if u.dir, err = root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0); err != nil {
		return outcomeOf(err)
	}
	u.name = name
	if _, _, o := u.look(); o != Stored {
		return o
	}
	if o := u.st.fits(u.at()); o != Stored {
		return o
	}
	for range 4 {
		temp := newTemp()
		if err := u.st.fails("open"); err != nil {
			return outcomeOf(err)
		}
		fd, err := unix.Openat(u.at(), temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return outcomeOf(err)
		}
		// A sweep may be at it between these two lines: then it is not ours any more.
		var st unix.Stat_t
		switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); {
		case err == unix.EWOULDBLOCK:
		case unix.Fstat(fd, &st) == nil && st.Nlink > 0: // also where nothing can be locked
			u.f, u.temp, u.sum = os.NewFile(uintptr(fd), temp), temp, sha256.New()
			return Stored
		}
		_ = unix.Unlinkat(u.at(), temp, 0)
		_ = unix.Close(fd)
	}
	return DiskError
}

// at is the directory's descriptor.
func (u *upload) at() int { return int(u.dir.Fd()) }

// look judges what stands in the place of the file, and says what that is.
func (u *upload) look() (st unix.Stat_t, there bool, o Outcome) {
	switch err := unix.Fstatat(u.at(), u.name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == unix.ENOENT:
		if !u.cond.hold("", time.Time{}) {
			return st, false, Unmet
		}
		return st, false, Stored
	case err != nil:
		return st, false, outcomeOf(err)
	case st.Mode&unix.S_IFMT != unix.S_IFREG: // a directory, a link, a device: none of them is replaced
		return st, true, Exists
	case !u.cond.hold(tagOf(st.Mtim.Nano(), st.Size), time.Unix(st.Mtim.Unix())):
		return st, true, Unmet
	case !u.st.cfg.Overwrite || u.only:
		return st, true, Exists
	}
	return st, true, Stored
}

// write writes what has gathered. On a worker.
func (u *upload) write() Outcome {
	b := *u.chunk
	_, _ = u.sum.Write(b) // never fails
	n, err := u.f.Write(b)
	u.written += int64(n)
	u.st.pending.Add(-int64(n))
	if err == nil {
		err = u.st.fails("write")
	}
	if err != nil {
		return outcomeOf(err)
	}
	if u.written-u.looked < floorEvery {
		return Stored
	}
	u.looked = u.written
	return u.st.fits(u.at())
}

// finish makes the file visible. On a worker.
func (u *upload) finish() Outcome {
	if u.chunk != nil {
		if o := u.write(); o != Stored {
			return o
		}
	}
	if u.size >= 0 && u.written != u.size {
		return BadRequest // not reached: who calls has counted
	}
	u.sum.Sum(u.digest[:0])
	if u.check && u.digest != u.want {
		return Mismatch
	}
	err := u.f.Sync()
	if err == nil {
		err = u.st.fails("sync")
	}
	if err != nil {
		return outcomeOf(err)
	}
	replaced, o := u.take()
	if o != Stored {
		return o
	}
	u.st.added.Add(cost(u.written) - replaced)
	u.settle()
	u.st.bytes.Add(uint64(u.written))
	u.st.told.tell([]byte(u.key))
	if err = u.dir.Sync(); errors.Is(err, syscall.EINVAL) { // a file system without directories to sync
		err = nil
	}
	if err == nil {
		err = u.st.fails("dirsync")
	}
	return outcomeOf(err) // it is there all the same, and may not be after a crash
}

// take gives the file its name. One at a time in a store, so that two replacements of one file that rely
// on what it was cannot both be right.
func (u *upload) take() (replaced int64, o Outcome) {
	u.st.commit.Lock()
	defer u.st.commit.Unlock()
	old, there, o := u.look()
	if o != Stored {
		return 0, o
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(u.f.Fd()), &st); err != nil {
		return 0, outcomeOf(err)
	}
	tag := tagOf(st.Mtim.Nano(), st.Size)
	if there && tag == tagOf(old.Mtim.Nano(), old.Size) { // both within one tick of the file system's clock: other bytes need another tag
		ns := st.Mtim.Nano() + int64(time.Microsecond)
		ts := []unix.Timespec{unix.NsecToTimespec(ns), unix.NsecToTimespec(ns)}
		if err := unix.UtimesNanoAt(u.at(), u.temp, ts, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return 0, outcomeOf(err)
		}
		tag = tagOf(ns, st.Size)
	}
	if err := u.st.fails("name"); err != nil {
		return 0, outcomeOf(err)
	}
	var err error
	if there {
		replaced = cost(old.Size)
		err = unix.Renameat(u.at(), u.temp, u.at(), u.name)
	} else {
		err = unix.Renameat2(u.at(), u.temp, u.at(), u.name, unix.RENAME_NOREPLACE)
		if err == unix.EINVAL || err == unix.ENOSYS { // network file systems
			if err = unix.Linkat(u.at(), u.temp, u.at(), u.name, 0); err == nil {
				_ = unix.Unlinkat(u.at(), u.temp, 0)
			}
		}
	}
	if err != nil {
		return 0, outcomeOf(err)
	}
	u.temp, u.tag, u.created = "", tag, !there
	return replaced, Stored
}

// end counts how the upload has ended, and gives everything back. On the loop.
func (u *upload) end(o Outcome) {
	u.answered = true
	u.st.ends[o].Add(1)
	if o == Stored { // at once, or the client's next one could find none; all that is left is to close two descriptors
		u.leave()
	}
	u.abandonNow()
}

// abandon is end for an upload whose connection has gone, or whose client is told by others.
func (u *upload) abandon(o Outcome) {
	if !u.answered {
		u.end(o)
	}
}

func (u *upload) abandonNow() {
	u.mu.Lock()
	running := u.running
	u.gone = true
	u.mu.Unlock()
	if !running { // removing and closing can take long: not on the loop. There are no more of these than places
		go u.clean()
	}
}

// leave gives its place to another one.
func (u *upload) leave() {
	if !u.left {
		u.left = true
		u.st.cfg.Slots.give(u.source)
	}
}

// settle gives back what is reserved.
func (u *upload) settle() {
	if !u.settled {
		u.settled = true
		u.st.pending.Add(u.written - u.held)
		u.st.reserved.Add(-u.held)
	}
}

// clean removes what there is of the temporary file and gives the place back. Once, by whoever has it.
func (u *upload) clean() {
	if u.ended {
		return
	}
	u.ended = true
	if u.chunk != nil {
		chunks.Put(u.chunk)
		u.chunk = nil
	}
	if u.temp != "" {
		_ = unix.Unlinkat(u.at(), u.temp, 0)
	}
	if u.f != nil {
		_ = u.f.Close()
	}
	if u.dir != nil {
		_ = u.dir.Close()
	}
	u.settle()
	u.leave()
	u.st.open.Add(-1)
	u.st.wg.Done()
}

// wrote gives the chunk back that was written.
func (u *upload) wrote() {
	if u.chunk != nil {
		chunks.Put(u.chunk)
		u.chunk = nil
	}
}

// later is the service.Source of a connection whose work had no room in the pool: it asks again, and then
// says what is to be said.
type later struct {
	u             *upload
	f, then       func()
	started, done bool
	text          []byte
}

// again has one more step done, which followed on one.
func (l *later) again(f, then func()) { l.f, l.then, l.started, l.done = f, then, false, false }

func (l *later) flow(c service.Conn) service.Flow {
	if !l.started {
		if !c.Work(l.f, func() {
			l.done = true
			l.u.lt = l
			l.then()
			l.u.lt = nil
		}) {
			return service.Later
		}
		l.started = true
	}
	switch {
	case !l.done:
		return service.Pause
	case len(l.text) > 0:
		return service.More
	}
	return service.End
}

// File is service.Source's.
func (l *later) File(c service.Conn) (service.Range, service.Flow) { return service.Range{}, l.flow(c) }

// Read is service.Source's.
func (l *later) Read(c service.Conn, p []byte) (n int, f service.Flow) {
	if f = l.flow(c); f == service.More {
		n = copy(p, l.text)
		if l.text = l.text[n:]; len(l.text) == 0 {
			f = service.End
		}
	}
	return n, f
}

// Sent is service.Source's.
func (l *later) Sent(int) {}

// Release is service.Source's.
func (l *later) Release() {
	if l.started {
		return
	}
	u := l.u // its connection has gone, and no worker has been at it
	u.mu.Lock()
	u.running = false
	gone := u.gone
	u.mu.Unlock()
	if gone {
		go u.clean()
	}
}

// say queues an answer, in its turn.
func (u *upload) say(c service.Conn, p []byte) {
	if u.lt != nil {
		u.lt.text = append(u.lt.text, p...)
		return
	}
	c.Write(p)
}

// copyConditions keeps a request's preconditions.
func (c *conditions) match(list []byte)  { c.ifMatch, c.hasMatch = join(c.ifMatch, list), true }
func (c *conditions) noneOf(list []byte) { c.ifNoneMatch, c.hasNone = join(c.ifNoneMatch, list), true }

func join(have string, list []byte) string {
	if have == "" {
		return string(list)
	}
	return have + ", " + string(bytes.TrimSpace(list))
}

// since keeps If-Unmodified-Since; a date that is none says nothing (9110 13.1.4).
func (c *conditions) since(v []byte) {
	if t, err := http.ParseTime(string(v)); err == nil {
		c.unmodifiedSince = t
	}
}
