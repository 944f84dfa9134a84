package engine

import (
	"net/netip"
	"time"

	"github.com/valyala/bytebufferpool"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

// conn is one connection. On the loop's goroutine only. An idle one holds no buffer: in and out
// are nil. It is reused for other connections; gen tells them apart.
type conn struct {
	loop *loop
	ln   *listener
	sess service.Session // nil until the connection has opened
	src  service.Source  // what the rest of the present answer is pulled from; pulling ⇔ not nil
	// Of connections that begin with a PROXY header or TLS: what is under way, and what came of it.
	intro *intro
	tls   *secure
	up    *upstream // to the server behind; nil without one

	in    *bytebufferpool.ByteBuffer // what was read and is not finished with; nil when nothing is
	out   *bytebufferpool.ByteBuffer // what the kernel did not take; nil when it took all
	inOff int                        // in.B[:inOff] is finished with; while lingering, bytes thrown away
	sent  int                        // out.B[:sent] is with the kernel
	held  held                       // a unit that is to be offered again
	acct  int                        // bytes of in and out as counted in loop.buffered

	frames, bytesIn, bytesOut uint64
	acked                     uint64 // of bytesOut, as last seen and reported to the guard

	dripping mono.Time // since when, while drips > 0

	peer  netip.AddrPort
	fd    int
	id    guard.ID
	gen   uint32
	lowat int32 // SO_RCVLOWAT as set; 1 by default
	state state
	wants interest
	stage service.Stage
	drips uint8 // small reads in a row that left the same frame or head incomplete

	refused uint16 // frames in a row that were refused, and the connection went on

	opening opening
}

// held is a unit that Serve took only a part of. It begins at conn.in.B[inOff].
type held struct {
	lo, hi int32 // what is left of the unit's Data, counted from the unit's first byte: below MaxIn
	n      int32 // bytes that the unit takes
	kind   codec.Kind
}

// state is a set of facts about a connection.
type state uint32

const (
	eof       state = 1 << iota // the peer has finished sending
	busy                        // work is in the pool: nothing is served until it is done
	blocked                     // more than half of MaxOut is queued: nothing is served until the peer reads
	gathering                   // a timer will look at what a drip has gathered
	throttled                   // over a byte budget: not read until a timer says so
	again                       // stopped at the turn's budget: more units wait in conn.in
	closing                     // nothing more is served; close when out is flushed
	lingering                   // our FIN is sent; what still arrives is thrown away
	politely                    // after flushing, linger: the peer may still be sending
	fresh                       // a frame was served since the clocks were set
	idling                      // the guard has taken the frame in fresh as the begin of Idle
	paused                      // the guard has been told that we do not read
	pulling                     // src is not nil: nothing is served until it has ended
	resting                     // src has nothing now: it is not asked until it is ready
	owing                       // the guard has been told that the peer is owed bytes
	choked                      // the upstream takes nothing now: nothing is served, nor read, until it does
	severing                    // closing: reset when the peer has what it is owed
	heldBack                    // the service has what it needs for now: nothing is served until it says so
	pressing                    // the peer has sent more while it was held
	resumed                     // it was, in the present wake
	curt                        // lingering: not for long, as it was refused
	gone                        // closed; the struct waits for reuse
)

// stops are the states in which no unit is served.
const stops = busy | blocked | throttled | choked | heldBack | closing | lingering | gone | pulling

// outstanding is the number of bytes queued for the peer, the present wake's included.
func (c *conn) outstanding() int {
	n := 0
	if c.loop.cur == c {
		n = len(c.loop.out) + len(c.loop.cipher)
	}
	if c.out != nil {
		n += len(c.out.B) - c.sent
	}
	return n
}

// slack is what may be queued above MaxOut, so that an error can always be answered.
const slack = 4 << 10

// Write is service.Conn's.
func (c *conn) Write(p []byte) {
	if b := c.sink(len(p)); b != nil {
		*b = append(*b, p...)
		c.sealStray()
	}
}

// WriteString is service.Conn's.
func (c *conn) WriteString(s string) {
	if b := c.sink(len(s)); b != nil {
		*b = append(*b, s...)
		c.sealStray()
	}
}

// sink is where n more bytes for the peer go: behind what already waits; else into the loop's
// buffer, which goes out in one write at the end of the wake. Nil when they may not be queued.
func (c *conn) sink(n int) *[]byte {
	if c.state&(gone|lingering) != 0 {
		return nil
	}
	if c.state&pulling != 0 || c.outstanding()+n > c.ln.MaxOut+slack {
		c.loop.overflow(c)
		return nil
	}
	l := c.loop
	if l.cur == c && (c.out == nil || c.tls != nil) {
		return &l.out
	}
	if l.cur != c && c.state&again == 0 { // from another connection's wake: its own follows soon
		l.yield(c)
	}
	if c.out == nil {
		l.owe(c, n)
	}
	if c.tls != nil {
		return &l.stray
	}
	return &c.out.B
}

// sealStray encrypts what was written to a TLS connection from another connection's wake.
func (c *conn) sealStray() {
	l := c.loop
	if len(l.stray) == 0 {
		return
	}
	p := l.stray
	l.stray = l.stray[:0]
	c.seal(p, &c.out.B)
}

// Room is service.Conn's.
func (c *conn) Room() int { return max(0, c.ln.MaxOut-c.outstanding()) }

// Close is service.Conn's.
func (c *conn) Close() {
	if c.state&gone != 0 {
		return
	}
	c.state |= closing | politely
	if c.loop.cur != c { // closed from another connection's wake
		c.loop.yield(c)
	}
}

// Peer is service.Conn's.
func (c *conn) Peer() netip.AddrPort { return c.peer }

// Listener is service.Conn's.
func (c *conn) Listener() string { return c.ln.Name }

// Draining is service.Conn's.
func (c *conn) Draining() bool { return c.loop.draining }

// Now is service.Conn's.
func (c *conn) Now() time.Duration { return time.Duration(c.loop.g.Now()) }

// Date is service.Conn's.
func (c *conn) Date() []byte { return c.loop.httpDate() }

// Answered is service.Conn's.
//
// hot: 0 allocs, see BenchmarkRoundTrip
func (c *conn) Answered(status int) {
	if class := status / 100; c.state&(gone|lingering) == 0 && class > 0 && class < len(c.ln.answers) { // else it is not written either
		c.ln.answers[class]++
	}
}

// Standing is service.Conn's.
func (c *conn) Standing() service.Standing {
	i := c.loop.g.Info(c.id)
	s := service.Standing{
		Exempt: i.Exempt, SourceConns: i.SourceConns, SourceConnLimit: i.SourceConnLimit,
		FramesLeft: i.FramesLeft, FrameRate: i.FrameRate, BytesLeft: i.BytesLeft, ByteRate: i.ByteRate,
		Age: c.loop.g.Now().Sub(i.Admitted), Frames: c.frames, BytesIn: c.bytesIn, BytesOut: c.bytesOut,
	}
	if i.Source.IsValid() {
		s.Source = i.Source.String()
	}
	return s
}
