package engine

import (
	"net/netip"

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
	if u.wants&wantWrite != 0 && ev&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		if l.upstreamWritable(u); u.gen != gen || u.c != c {
			return
		}
	}
	if ev&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	if u.wants&wantRead != 0 {
		l.upstreamReadable(u)
	} else if ev&(unix.EPOLLERR|unix.EPOLLHUP) != 0 && u.wants&wantWrite == 0 && socketError(u.fd) != 0 {
		l.lost(u, service.EndReset) // without an error both have finished, and what was sent waits
	}
}

// unchoke serves the client again, if there is room for what it sends.
func (l *loop) unchoke(u *upstream) {
	c := u.c
	if c.state&choked == 0 || u.poursIn && u.out != nil || u.outstanding() > c.ln.MaxOut/4 {
		return
	}
	gen := u.gen
	c.state &^= choked
	u.pressed = false
	if !u.poursIn {
		if u.h.Drained(u); u.gen != gen || u.c != c {
			return
		}
	}
	if c.state&(gone|closing) == 0 {
		l.proceed(c)
	}
}

// full reports whether no more of the client's units may be served for now.
func (l *loop) full(c *conn) bool {
	u := c.up
	if u.outstanding() <= c.ln.MaxOut/2 {
		return false
	}
	if l.flushUpstream(u); c.up != u {
		return true
	}
	if u.outstanding() > c.ln.MaxOut/2 {
		c.state |= choked
		return true
	}
	return false
}

// outstanding is the number of bytes queued for the server, the present wake's included.
func (u *upstream) outstanding() int {
	n := 0
	if u.loop.cur == u.c {
		n = len(u.loop.upstreams.out)
	}
	if u.out != nil {
		n += len(u.out.B) - u.sent
	}
	return n
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

// Write is service.Upstream's.
func (u *upstream) Write(p []byte) {
	c := u.c
	if c == nil || u.ending || u.breaking || c.state&gone != 0 {
		return
	}
	l := u.loop
	if u.outstanding()+len(p) > c.ln.MaxOut+slack {
		l.overflow(c)
		return
	}
	if u.connected && u.out == nil && l.cur == c {
		l.upstreams.out = append(l.upstreams.out, p...)
		return
	}
	l.queueUpstream(u, p)
	if l.cur != c { // from another connection's wake: its own follows soon
		l.yield(c)
	}
}

// queueUpstream keeps p for the server.
func (l *loop) queueUpstream(u *upstream, p []byte) {
	if u.tls != nil && u.connected {
		p = l.sealUp(u, p)
	}
	l.queueRaw(u, p)
}

// queueRaw keeps p, as it goes on the wire.
func (l *loop) queueRaw(u *upstream, p []byte) {
	if u.out == nil {
		u.out, u.sent = borrow(len(p)), 0
		if u.connected {
			l.owesProgress(u)
		}
	}
	u.out.B = append(u.out.B, p...)
}

// Room is service.Upstream's.
func (u *upstream) Room() int {
	if u.c == nil || u.ending {
		return 0
	}
	return max(0, u.c.ln.MaxOut-u.outstanding())
}

// CloseWrite is service.Upstream's.
func (u *upstream) CloseWrite() {
	if u.c == nil {
		return
	}
	u.ending = true
	if u.loop.cur != u.c {
		u.loop.yield(u.c)
	}
}

// Close is service.Upstream's.
func (u *upstream) Close() {
	switch l := u.loop; {
	case u.c != nil:
		l.endUpstream(u, false)
	case u.waits != nil && u.waits == &l.upstreams.parked:
		l.closeUpstream(u, true)
		l.upstreams.spare = append(l.upstreams.spare, u)
	}
}

// flushUpstream sends what the present wake has for the server.
func (l *loop) flushUpstream(u *upstream) {
	if len(l.upstreams.out) > 0 && l.cur == u.c {
		l.sendUpstream(u, nil)
	}
}

// sendUpstream sends p at once and keeps what the kernel refuses.
func (l *loop) sendUpstream(u *upstream, p []byte) {
	if s := &l.upstreams; len(s.out) > 0 && l.cur == u.c { // what was written in this wake goes first
		p = append(s.out, p...)
		s.out = emptied(p)
	}
	if !u.connected {
		l.queueRaw(u, p)
		return
	}
	if u.tls != nil {
		p = l.sealUp(u, p)
	}
	l.sendRaw(u, p)
}

// sendRaw sends p, as it goes on the wire, behind what waits.
func (l *loop) sendRaw(u *upstream, p []byte) {
	if u.out != nil {
		l.queueRaw(u, p)
		return
	}
	n, errno := write(u.fd, p)
	l.count.writes++
	if errno != 0 && errno != unix.EAGAIN {
		l.broken(u)
		return
	}
	l.count.upOut += uint64(n)
	u.asked += n
	if n < len(p) {
		l.queueRaw(u, p[n:])
	}
}

// upstreamWritable sends what waits for the server.
func (l *loop) upstreamWritable(u *upstream) {
	if u.out == nil {
		return
	}
	n, errno := write(u.fd, u.out.B[u.sent:])
	l.count.writes++
	switch {
	case errno == unix.EAGAIN:
		return
	case errno != 0:
		l.broken(u)
		return
	}
	l.count.upOut += uint64(n)
	u.asked += n
	u.sent += n
	if u.sent == len(u.out.B) {
		giveBack(u.out)
		u.out, u.sent = nil, 0
		u.noDeadline()
		l.awaits(u)
	} else {
		if u.sent > len(u.out.B)/2 { // queue in front, not behind what is gone
			u.out.B = u.out.B[:copy(u.out.B, u.out.B[u.sent:])]
			u.sent = 0
		}
		l.owesProgress(u)
	}
	l.unchoke(u)
}

// broken ends an upstream that does not take bytes any more. What it has said before, perhaps why,
// is still passed on: at once when it pours; else its own wake reads it, since the loop's buffer may hold
// units of the client now.
func (l *loop) broken(u *upstream) {
	if !u.poursOut && !u.eof {
		u.breaking = true
		if u.out != nil {
			giveBack(u.out)
			u.out, u.sent = nil, 0
			u.noDeadline()
		}
		return
	}
	if gen := u.gen; !u.eof && u.c.out == nil {
		if l.pourBack(u); u.gen != gen {
			return
		}
	}
	l.lost(u, service.EndReset)
}

// upstreamReadable reads once and hands on what came.
func (l *loop) upstreamReadable(u *upstream) {
	if u.poursOut {
		l.pourBack(u)
		return
	}
	c := u.c
	n, errno := read(u.fd, l.buf[:l.most(c)])
	switch {
	case errno == unix.EAGAIN:
	case errno != 0 || n == 0 && (u.tls != nil || u.breaking): // without a close_notify the end may be a cut
		l.lost(u, service.EndReset)
	case u.tls != nil:
		l.decryptUp(u, l.buf[:n])
	case n == 0:
		u.eof = true
		l.count.upEnds[service.EndEOF]++
		u.h.Ended(u, service.EndEOF)
	default:
		l.count.upIn += uint64(n)
		if u.unheard && l.unasked(u) {
			return
		}
		l.movedBack(u)
		l.offerReceived(u, l.buf[:n])
	}
}

// offerReceived hands b to the handler, behind what it did not take before.
func (l *loop) offerReceived(u *upstream, b []byte) {
	c, gen := u.c, u.gen
	kept := u.in
	if kept != nil {
		kept.B = append(kept.B, b...)
		b = kept.B
		u.in = nil // so that it can be parked when all is taken
	}
	taken := u.h.Received(u, b)
	switch {
	case u.gen != gen:
	case u.c != c: // it was parked, or another connection has it by now
		if taken < len(b) && u.c == nil { // more than was due
			l.endParked(u, service.EndUnasked)
		}
	case u.poursOut: // it has said so just now
		l.sendBack(c, b[taken:])
	case taken == len(b):
	case kept != nil:
		kept.B = kept.B[:copy(kept.B, b[taken:])]
		u.in, kept = kept, nil
	default:
		u.in = borrow(len(b) - taken)
		u.in.B = append(u.in.B, b[taken:]...)
	}
	if kept != nil {
		giveBack(kept)
	}
	if u.gen != gen || u.c != c || u.in == nil {
		return
	}
	if len(u.in.B) > c.ln.MaxOut { // a handler that does not keep its limit
		l.lost(u, service.EndReset)
		return
	}
	if c.outstanding() > 0 { // when the kernel takes it all nothing else offers the rest again
		if l.flush(c); u.gen == gen && c.state&gone == 0 && c.out == nil {
			l.offerReceived(u, nil)
		}
	}
}

func (u *upstream) dropIn() {
	if u.in != nil {
		giveBack(u.in)
		u.in = nil
	}
}

// lost ends an upstream that has failed and tells its handler why.
func (l *loop) lost(u *upstream, why service.Ending) {
	c, h := u.c, u.h
	l.count.upEnds[why]++
	l.closeUpstream(u, true)
	c.state &^= choked
	cgen := c.gen
	h.Ended(u, why)
	u.loop.upstreams.spare = append(u.loop.upstreams.spare, u)
	if c.gen == cgen && c.state&(gone|closing) == 0 { // it may have adopted another one: nothing else offers what is kept
		l.proceed(c)
	}
}

// endUpstream ends an upstream without telling its handler: by a FIN when it is to be orderly and
// nothing is lost, or when the server knows already that nothing more comes; else by a reset.
func (l *loop) endUpstream(u *upstream, orderly bool) {
	c := u.c
	if l.cur == c && orderly {
		orderly = len(l.upstreams.out) == 0
	}
	l.closeUpstream(u, !u.ended && (!orderly || !u.connected || u.out != nil))
	c.state &^= choked
	l.upstreams.spare = append(l.upstreams.spare, u)
}

// closeUpstream closes the descriptor, gives everything back and is the only place that does.
func (l *loop) closeUpstream(u *upstream, withReset bool) {
	s := &l.upstreams
	u.noDeadline()
	s.byFD[u.fd] = nil
	s.open--
	if u.tls != nil {
		l.endSecureUp(u, withReset)
	}
	if withReset {
		reset(u.fd)
	} else {
		closeSocket(u.fd) // the poller forgets a closed descriptor
	}
	if u.out != nil {
		giveBack(u.out)
	}
	u.dropIn()
	if u.c != nil {
		if l.cur == u.c {
			s.out = s.out[:0]
		}
		u.c.up = nil
	}
	*u = upstream{loop: l, gen: u.gen + 1}
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

// watch has the poller watch a descriptor for w, for which it is registered already.
func (l *loop) watch(fd int, w interest) error {
	events := epoll.Edge // nothing: a reset is still noticed, once
	if w != 0 {
		events = 0
	}
	if w&wantRead != 0 {
		events |= epoll.In
	}
	if w&wantWrite != 0 {
		events |= epoll.Out
	}
	return l.p.Modify(fd, events)
}

// Fail is service.Conn's.
func (c *conn) Fail(why service.Ending, last string) {
	if c.state&(gone|closing) != 0 {
		return
	}
	l := c.loop
	l.shedEvent(c, failReasons[why], l.upstreams.detail(why), nil)
	if c.up != nil {
		l.endUpstream(c.up, false)
	}
	if last != "" {
		c.WriteString(last)
		c.state |= closing | politely
	} else {
		c.drips = 0
		c.state |= closing | severing
	}
	if l.cur != c {
		l.yield(c)
	}
}

// ReportUpstream is service.Conn's.
func (c *conn) ReportUpstream(why service.Ending) {
	c.loop.shedEvent(c, failReasons[why], c.loop.upstreams.detail(why), nil)
}

// detail is what an event says of an end.
func (s *upstreams) detail(why service.Ending) string {
	if why == service.EndTLS && s.why != "" {
		return why.String() + ": " + s.why
	}
	return why.String()
}

// failReasons are the guard's reasons by service.Ending.
var failReasons = [service.Ends]guard.Reason{
	service.EndNone: guard.ShedNoUpstream, service.EndEOF: guard.ShedUpstreamReset, service.EndNoUpstream: guard.ShedNoUpstream,
	service.EndRefused: guard.ShedUpstreamConnect, service.EndUnreachable: guard.ShedUpstreamConnect, service.EndTimeout: guard.ShedUpstreamConnect, service.EndTLS: guard.ShedUpstreamConnect,
	service.EndSilent: guard.ShedUpstreamSilent, service.EndBusy: guard.ShedWork, service.EndIdle: guard.ShedUpstreamReset,
	service.EndDescriptors: guard.ShedDescriptors, service.EndPorts: guard.ShedUpstreamConnect, service.EndReset: guard.ShedUpstreamReset, service.EndStalled: guard.ShedUpstreamStall,
	service.EndGarbled: guard.ShedUpstreamReset, service.EndUnasked: guard.ShedUpstreamReset, service.EndNoRoute: guard.ShedNoRoute,
}

// Local is service.Conn's.
func (c *conn) Local() netip.AddrPort {
	var rsa unix.RawSockaddrAny
	if c.ln.Network == "unix" || sockName(c.fd, &rsa) != 0 {
		return netip.AddrPort{}
	}
	return addrPort(&rsa)
}
