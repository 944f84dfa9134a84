package gate

import (
	"time"

	"weir/engine/auth/attempts"
	"weir/engine/service"
	"weir/guard/mono"
	"weir/guard/source"
)

const (
	// queueFor is how long a request waits for a password to be hashed: a browser opens six connections
	// at once, and one hash is enough for all. Longer, and it would have been sent again.
	queueFor = 2 * time.Second
	// mostQueued is how many wait on a loop, beside those of sources that have logged in to the account of late: a
	// flood takes no place of theirs. mostOfSource is how many wait for one source.
	mostQueued = 64
	// mostFirst is how many newcomers wait beside those, one for each network; what came behind it from there is
	// with the strangers. Some 300 bytes each, beside the connection.
	mostFirst    = 1024
	mostOfSource = 8
)

// queue has a request wait for its turn, if there is a place: it is offered again then. One that has none is reported:
// under a flood these are most.
func (s *webSession) queue(c service.Conn, name string, key digest, r rank) finding {
	o, now := s.o, mono.Time(c.Now())
	if s.since == 0 {
		s.since = now
	}
	src, _ := s.source(c)
	if r == newcomer && (o.first[attempts.Network(src)] || len(o.first) >= mostFirst) {
		r = stranger
	}
	if now.Sub(s.since) >= queueFor || r == stranger && o.n >= mostQueued || o.queue[src] >= mostOfSource {
		s.since = 0
		c.Report(service.AuthAttempts, name, "busy")
		return busy
	}
	switch r {
	case stranger:
		o.n++
	case newcomer:
		o.first[attempts.Network(src)] = true
		o.cfg.Hasher.newcomers.Add(1)
	}
	o.queue[src]++
	c.Send(&turn{s: s, src: src, key: key, rank: r})
	return waits
}

// turn is a service.Source that has nothing until it may be worth asking again.
type turn struct {
	s    *webSession
	src  source.Key
	key  digest
	rank rank
}

func (t *turn) flow(c service.Conn) service.Flow {
	o, now := t.s.o, mono.Time(c.Now())
	if _, found := o.known[t.key]; found || now.Sub(t.s.since) >= queueFor || o.cfg.Hasher.free(t.rank) {
		return service.End
	}
	return service.Later
}

func (t *turn) Read(c service.Conn, _ []byte) (int, service.Flow)     { return 0, t.flow(c) }
func (t *turn) File(c service.Conn) (r service.Range, f service.Flow) { return r, t.flow(c) }
func (t *turn) Sent(int)                                              {}

// Release is service.Source's.
func (t *turn) Release() {
	o := t.s.o
	switch t.rank {
	case stranger:
		o.n--
	case newcomer:
		delete(o.first, attempts.Network(t.src))
		o.cfg.Hasher.newcomers.Add(-1)
	}
	if o.queue[t.src]--; o.queue[t.src] == 0 {
		delete(o.queue, t.src)
	}
}
