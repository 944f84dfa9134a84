package files

import (
	"crypto/sha256"
	"hash"
	"os"
	"sync"

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

// say queues an answer, in its turn.
func (u *upload) say(c service.Conn, p []byte) {
	if u.lt != nil {
		u.lt.text = append(u.lt.text, p...)
		return
	}
	c.Write(p)
}
