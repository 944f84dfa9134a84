package attack

import (
	"golang.org/x/sys/unix"

	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/wire"
)

// sayBytes is how much one write offers.
const sayBytes = 32 << 10

// talker opens connections as a flood does and sends a script on each, as fast as it is taken.
type talker struct {
	flood
	scripts []script      // one for each connection in turn, never empty
	length  int64         // bytes of a script that are sent at most
	unit    int64         // bytes of a script that make a unit; 0: a connection is one
	half    []bool        // parallel to scripts: whether the writing side ends with the script; nil: none
	request *wire.Request // what answers are read as; nil: they are ignored
	// heard is called with the answers that came, and may end the connection; nil: nobody cares.
	heard func(i int32, got wire.Count)

	says    []saying // parallel to conns
	granted int64    // units given to connections to say, ≤ opts.Count
	taken   int      // scripts taken
	out     []byte
}

// saying is how far one connection is.
type saying struct {
	script  int // index in scripts
	offset  int64
	left    int64 // bytes
	replies wire.Replies
}

// newTalker has all connections say s, or every one of the scripts in turn.
func newTalker(r *run, length int64, scripts ...script) *talker {
	t := &talker{flood: flood{run: r}, scripts: scripts, length: length, says: make([]saying, len(r.conns))}
	r.closing = t.closing
	return t
}

// newAsker has each connection send the given number of requests.
func newAsker(r *run, pipeline int) (*talker, error) {
	request, err := wire.NewRequest(r.target, wire.SizeOr(r.target, r.opts.Size))
	if err != nil {
		return nil, err
	}
	t := newTalker(r, int64(pipeline)*int64(len(request.Bytes)), request.Repeat())
	t.unit, t.request = int64(len(request.Bytes)), request
	return t, r.inTLS(r.opts.Version)
}

// readReplies has answers counted where a reply can be told whatever was sent: in HTTP.
func (t *talker) readReplies() (err error) {
	if t.target.Scheme == target.HTTP {
		t.request, err = wire.NewRequest(t.target, 0)
	}
	return err
}

// stood begins a connection's script. When all units are given out there is no further connection.
func (t *talker) stood(i int32) {
	c, s := &t.conns[i], &t.says[i]
	sock.NoDelay(int(c.fd))
	s.script, s.offset, s.left = t.taken%len(t.scripts), 0, t.length
	t.taken++
	if t.request != nil {
		s.replies.Reset(t.request)
	}
	if t.unit > 0 && t.length > 0 {
		n := min(t.length/t.unit, t.opts.Count-t.granted)
		if n <= 0 {
			t.opts.Total = t.begun
			t.end(i, byUs)
			return
		}
		t.granted += n
		s.left = n * t.unit
	} else {
		t.counts.units.Add(1)
	}
	t.hold(i, c.since)
	t.writable(i)
}

// writable says what there is room for. A connection that breaks over it has its end to be read.
func (t *talker) writable(i int32) {
	c, s := &t.conns[i], &t.says[i]
	for s.left > 0 && !t.over() {
		t.out = t.scripts[s.script].Append(t.out[:0], s.offset, int(min(s.left, sayBytes)))
		if len(t.out) == 0 {
			s.left = 0
			break
		}
		n, err := t.write(i, t.out)
		if err != nil {
			if err != unix.EAGAIN {
				c.broke = true
				s.left = 0
			}
			return
		}
		if t.unit > 0 {
			t.counts.units.Add((s.offset+int64(n))/t.unit - s.offset/t.unit)
		}
		s.offset += int64(n)
		s.left -= int64(n)
		t.counts.bytes.Add(int64(n))
		if n < len(t.out) {
			return
		}
	}
	if s.left == 0 && t.half != nil && t.half[s.script] {
		sock.EndWrites(int(c.fd))
	}
}

// readable takes the answers as they come.
func (t *talker) readable(i int32) {
	c, s := &t.conns[i], &t.says[i]
	generation := c.generation
	for c.fd >= 0 && c.generation == generation {
		var sum wire.Count
		more := t.read(i, func(b []byte) bool {
			if t.request == nil {
				return true
			}
			got, err := s.replies.Feed(b)
			sum.OK, sum.Bad = sum.OK+got.OK, sum.Bad+got.Bad
			t.count(got)
			if err != nil {
				t.counts.odd.Add(1)
			}
			return err == nil
		})
		if t.heard != nil && c.fd >= 0 && c.generation == generation && sum.OK+sum.Bad > 0 {
			t.heard(i, sum)
		}
		if !more {
			return
		}
	}
}

// closing counts the reply that the end of the connection completes.
func (t *talker) closing(i int32) {
	if t.conns[i].ready && t.request != nil {
		t.count(t.says[i].replies.End())
	}
}

func (t *talker) count(got wire.Count) {
	t.counts.replies.Add(int64(got.OK))
	t.counts.bad.Add(int64(got.Bad))
}
