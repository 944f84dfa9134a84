package engine

import (
	"github.com/valyala/bytebufferpool"
	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

// upstream is a connection to a server behind. It belongs to one client's connection, lives on its
// loop and ends with it at the latest; every wake of it is a wake of that connection. An idle one
// holds no buffer. It is reused for others; gen tells them apart. On the loop's goroutine only.
//
//	dialled ──▶ connected ──▶ eof: the server has finished sending; passed: the client knows
//	   │            └───────▶ ending: the client has finished sending; ended: the server knows
//	   └─ timeout, refused
type upstream struct {
	loop *loop
	c    *conn // whose it is; nil when it is parked or over
	ln   *listener
	tls  *upSecure // nil when bytes go as they are
	h    service.UpstreamHandler

	out  *bytebufferpool.ByteBuffer // what the kernel did not take; nil when it took all
	in   *bytebufferpool.ByteBuffer // what the handler did not take; nil when it took all
	sent int                        // out.B[:sent] is with the kernel

	moved      mono.Time // when bytes moved last, either way
	due        mono.Time // by when it must be connected, or have taken something; in waits ⇔ not 0
	waits      *waits
	prev, next *upstream // in waits

	patience        mono.Time // how long the server may say nothing; 0: for ever
	unsent          int       // what the server's kernel had not acknowledged when due was set
	asked           int       // bytes that the kernel has taken for the wire since it was adopted
	fd              int
	gen             uint32
	fullIn, fullOut uint8 // full reads in a row, from the client and from the server
	wants           interest

	connected bool
	poursIn   bool // what the client sends goes to the server unseen
	poursOut  bool // what the server sends goes to the client unseen
	pressed   bool // the client has sent more while it was choked
	eof       bool
	passed    bool
	ending    bool
	ended     bool
	answered  bool // the bytes that moved last came from the server
	retiring  bool // a timer will ask whether it may be retired
	breaking  bool // it takes no bytes any more: what it has said is read, and then it is ended
	local     bool // a unix socket, on which nothing is acknowledged
	unheard   bool // it was adopted, and its server has said nothing since
}

// upstreams are a loop's.
type upstreams struct {
	byFD  []*upstream // by descriptor
	spare []*upstream // for reuse
	open  int
	out   []byte // what the present wake has for the server
	// Those that are being connected, that owe us progress or words, and that have no connection,
	// each in the order of their deadlines. One timer of the loop is for the first of all: armed is when it rings, 0 when
	// there is none.
	connecting, stalled, awaiting, parked waits
	armed                                 mono.Time
	why                                   string // more about an end that is being told of: what TLS says
}

// at is the upstream with a descriptor, or nil.
func (s *upstreams) at(fd int) *upstream {
	if fd < len(s.byFD) {
		return s.byFD[fd]
	}
	return nil
}

// wakeUpstream handles an upstream's events. As with connections, the flags are hints.
//
// hot: 0 allocs, see BenchmarkRelay
func (l *loop) wakeUpstream(u *upstream, ev uint32) {
	l.count.wakes++
	if u.c == nil {
		l.wakeParked(u)
		return
	}
	c := u.c
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	l.upstreamEvent(u, ev)
	l.unhold(c, gen)
}

func (l *loop) upstreamEvent(u *upstream, ev uint32) {
	if !u.connected {
		l.connecting(u)
		return
	}
	c, gen := u.c, u.gen
	if u.wants&wantWrite != 0 && ev&(epoll.Out|epoll.Err|epoll.Hup) != 0 {
		if l.upstreamWritable(u); u.gen != gen || u.c != c {
			return
		}
	}
	if ev&(epoll.In|epoll.Err|epoll.Hup) == 0 {
		return
	}
	if u.wants&wantRead != 0 {
		l.upstreamReadable(u)
	} else if ev&(epoll.Err|epoll.Hup) != 0 && u.wants&wantWrite == 0 && socketError(u.fd) != 0 {
		l.lost(u, service.EndReset) // without an error both have finished, and what was sent waits
	}
}

// held is what an upstream holds for its connection.
func (u *upstream) held() (n int) {
	if u.tls != nil {
		n = u.tls.held()
	}
	if u.out != nil {
		n += cap(u.out.B)
	}
	if u.in != nil {
		n += cap(u.in.B)
	}
	return n
}

// settleUpstream brings an upstream's socket in line with its state after a wake.
func (l *loop) settleUpstream(c *conn) {
	u := c.up
	if len(l.upstreams.out) > 0 {
		if l.flushSafely(u); c.up != u || c.state&gone != 0 {
			l.flush(c) // a handler's last words
			return
		}
	}
	if u.ending && !u.ended && u.connected && u.out == nil && l.farewellUp(u) {
		_ = unix.Shutdown(u.fd, unix.SHUT_WR)
		u.ended = true
	}
	if u.eof && u.poursOut && !u.passed && c.out == nil && c.state&(closing|lingering) == 0 {
		if l.farewell(c); c.state&gone != 0 {
			return
		}
		if c.out == nil {
			_ = unix.Shutdown(c.fd, unix.SHUT_WR)
			u.passed = true
		}
	}
	if u.ended && u.passed {
		l.end(c, false)
		return
	}
	l.wantUpstream(u)
}

// flushSafely is flushUpstream, whose handler must not stop the clean-up by a panic.
func (l *loop) flushSafely(u *upstream) {
	c := u.c
	gen := c.gen
	defer func() {
		if p := recover(); p != nil {
			l.count.panics++
			if c.gen == gen && c.state&gone == 0 {
				l.drop(c, guard.ShedPanic)
			}
		}
	}()
	l.flushUpstream(u)
}

// wantUpstream registers what the upstream must be woken for, if that has changed.
func (l *loop) wantUpstream(u *upstream) {
	c := u.c
	var w interest
	switch {
	case !u.connected && (u.tls == nil || !u.tls.begun):
		return // both
	case !u.connected:
		if !u.tls.running || !u.pressed {
			w = wantRead
		}
	case u.eof || c.state&(closing|lingering) != 0:
	case u.poursOut && c.out == nil, !u.poursOut && c.outstanding() <= c.ln.MaxOut/2:
		w = wantRead
	}
	if u.out != nil {
		w |= wantWrite
	}
	if w == u.wants {
		return
	}
	u.wants = w
	if err := l.watch(u.fd, w); err != nil {
		l.drop(c, guard.ShedMemory)
	}
}
