// Package service is the contract between the engine, which moves bytes, and the services, which
// answer them. Services live in the folders below, one each; they import this package and codecs,
// never the engine or the guard.
//
// Everything here runs on the loop's goroutine only, unless it says otherwise: a callback must not
// block, sleep, take locks that others hold for long, or keep bytes it was lent. Work that may
// block goes through Conn.Work. That goroutine is bound to a thread (runtime.LockOSThread): an iter.Pull
// made elsewhere, in ForLoop too, must not be resumed on it.
package service

import (
	"crypto/x509"
	"net/netip"
	"time"

	"weir/codec"
)

// Service is one protocol's behaviour, shared by all loops.
type Service interface {
	// Name is a short lower-case word for logs and metrics.
	Name() string
	// ForLoop makes one loop's part of the service. It is called once per loop and listener,
	// before the loop runs. Scratch space kept there needs no lock.
	ForLoop() Opener
}

// Opener opens sessions on one loop.
type Opener interface {
	// Open makes the state of one accepted connection. It may write, where the server speaks
	// first. Most flooders get this far and no further, and what it allocates is paid by every
	// idle connection: the less the better.
	Open(c Conn) Session
}

// Session is one connection's protocol state: it is asked what the bytes say, and, when the guard
// agrees, to act on it.
type Session interface {
	codec.Decoder

	// Stage says where in the protocol the connection stands after the last Decode. It chooses
	// the deadline that runs.
	Stage() Stage

	// Serve acts on a unit (Frame, Part or End) and returns how many bytes of u.Data it has
	// taken. Fewer than all means there is no room for the answer now: the rest is offered
	// again, as the same Kind, when the peer has read; u.Data must then be a view into what
	// Decode was given. For an empty Data the value is ignored. What is offered again, or was kept by
	// whoever stands in front of the session, comes after other connections' units: what the session
	// shares with them does not show this one any more.
	Serve(c Conn, u codec.Unit) (taken int)

	// Refuse answers that the connection is about to be closed, in the protocol's words where
	// it has any (HTTP: 429, 408, 500). The engine flushes and closes afterwards. It is not
	// called when the connection is cut without a word.
	Refuse(c Conn, why Refusal)

	// Fault answers wrong bytes (HTTP: 400, 413, 431 ...). The engine closes afterwards.
	Fault(c Conn, f codec.Fault)

	// Closed says that the connection is gone. Neither it nor the session is used again.
	Closed()
}

// Decliner is a Session whose protocol can refuse one frame and go on with the next, as HTTP can by a
// 429. A peer that is over its rate then keeps its connection, for as many refusals in a row as
// -max-refusals allows: to end it costs both sides several times what the answer does, and with TLS
// its next handshake, too.
type Decliner interface {
	// Decline answers that the frame that was decoded last is refused because a rate is spent, and
	// reports that it has, and that the session is ready for the next one. When it reports false it has
	// done nothing, and Refuse is called: that is for frames with something behind them, such as a
	// body. No Serve is called for the frame.
	Decline(c Conn) bool
}

// Stage is what the peer is in the middle of sending.
type Stage uint8

const (
	Between Stage = iota // nothing: the idle timeout runs
	InHead               // a head, which must be complete within the frame timeout
	InFrame              // a frame, likewise, but large ones may take longer at the minimum rate
	InBody               // a body that is handed on as it comes, at the minimum rate
	Proving              // authentication: it must be over within -auth-timeout from accept, whatever comes
)

// Refusal is the protocol-independent kind of a guard's refusal.
type Refusal uint8

const (
	TooMany   Refusal = iota + 1 // a rate or budget is spent; try again later
	TooSlow                      // a message did not arrive in time
	Internal                     // a handler failed
	LoggedOut                    // the login is not good any more: its account, password or token has changed
)

// String is a few words for the peer.
func (r Refusal) String() string {
	switch r {
	case TooMany:
		return "too many requests"
	case TooSlow:
		return "too slow"
	case LoggedOut:
		return "not logged in any more"
	}
	return "internal error"
}

// Incident is what a service tells the operator about a peer: it is counted, and told of as an event.
type Incident uint8

const (
	LoggedIn     Incident = iota // it has proved who it is
	AuthFailed                   // it could not prove who it says it is
	AuthAttempts                 // it has failed too often to be asked again now
	OutOfScope                   // it is known, and may not do what it asks for
	Traversal                    // it asks for a path that leads out of the root
	Replayed                     // a signed frame was sent twice, in another order, or altered
	Incidents                    // their number
)

// Conn is a connection as its service sees it. On the loop's goroutine only, except where noted.
//
// A service may keep the Conns of one Opener and, until Closed, call Write, Close and Room of one
// from the wake of another: a chat. They are on the same loop. Connections of other loops, which
// have Openers of their own, cannot be reached: such a service runs with Config.Loops 1.
type Conn interface {
	// Write queues p for the peer. p is copied and free for reuse on return. All that is queued
	// in one wake goes out in one write. Callers keep to Room; what exceeds it is still kept
	// when it is small (an error answer), but a session that ignores Room is shed.
	Write(p []byte)
	// WriteString is Write for a string.
	WriteString(s string)
	// Room is how many bytes Write may take now without exceeding the connection's -max-out.
	// It is at least half of -max-out when Serve is called, less what a done of Work has written.
	Room() int
	// Close sends what is queued, and what a source that was given to Send still has, then ends the
	// connection in order. No further unit is served.
	Close()
	// Send has the engine pull an answer from s as the peer takes it, behind what Write has queued:
	// for what is too large to be queued. Until s has ended no further unit is served, nothing is
	// read, and a Write is a bug that ends the connection, as is a second Send. It is for the
	// connection's own callbacks. When the connection has gone or is closing, s is released at once.
	Send(s Source)
	// Ready says that the source, which had paused, has more. It does nothing at any other time. Of
	// the Conns of one Opener any may call it for any other.
	Ready()
	// Work runs f on the bounded worker pool (any goroutine: f must not touch c) and then done
	// on the loop, unless the connection has gone. Until done has run no further unit is served,
	// nothing is read and no source is pulled. It reports false, and calls neither, when the pool's
	// queue is full or work is under way already: the session should then answer that it is
	// overloaded. A session that cannot answer before the work is done takes nothing of the unit
	// and is offered it again.
	Work(f, done func()) bool
	// Dial begins to make an upstream connection, of which h is told from later wakes on. Until it
	// is made, or has failed, the client is not read and no unit is served. A connection has one
	// upstream at a time. When it fails at once, the Upstream is nil and the End says why.
	Dial(t Target, h UpstreamHandler) (Upstream, Ending)
	// Adopt makes u, which a connection of the same Opener has parked, this connection's upstream, as if
	// Dial and Connected had been. It reports false, and nothing has happened, when u is not parked or
	// this connection is ending. A connection has one upstream at a time.
	Adopt(u Upstream, h UpstreamHandler) bool
	// Hold has no further unit served, nor the client read, until Resume: what it has asked is being
	// answered. The client is charged no time meanwhile.
	Hold()
	// Resume ends Hold: at the end of the wake at the earliest. It does nothing without one.
	Resume()
	// Pour hands what the client sends to its upstream as it comes, and its end with it, instead of
	// to Decode. What has arrived and is not decoded goes first. It needs an upstream.
	Pour()
	// Fail ends the connection because of its upstream: why is counted as the reason. last is said
	// to the client, and then the connection is closed in order; when it is empty, what the client
	// is owed is sent and then the connection is reset, so that it cannot be taken for complete.
	Fail(why Ending, last string)
	// Report counts and tells of what the peer has done. account is whose name it gave, "" for none, and
	// detail a few words; both may be the peer's own words. What becomes of the connection is the
	// service's to say.
	Report(what Incident, account, detail string)
	// ReportUpstream counts and tells of a request that its server did not answer, as Fail does, and lets
	// the connection go on: the client is told in the protocol's words.
	ReportUpstream(why Ending)
	// Answered counts an answer of HTTP, by the class of its status, 100 to 599. Whoever writes the head of one says
	// so, once, in the same callback; interim answers (100, 103) are none. Package web does it for what it appends.
	Answered(status int)
	// Local is the address that the peer has connected to; the zero AddrPort for unix sockets. Not
	// for the hot path.
	Local() netip.AddrPort
	// Peer is the address that the connection counts as; the zero AddrPort for unix sockets.
	Peer() netip.AddrPort
	// Listener is the listener's name, as in the configuration.
	Listener() string
	// Draining reports that the server is stopping: answer, then close.
	Draining() bool
	// Now is the loop's time, read once a wake: of use only in comparison with other instants.
	Now() time.Duration
	// Date is the current time as an HTTP date (RFC 9110 5.6.7), 29 bytes, made once a second.
	// The slice is the loop's and valid during the callback.
	Date() []byte
	// TLS is what was agreed on in the TLS handshake, nil on a plain connection. It is made anew at
	// each call: not for the hot path.
	TLS() *TLS
	// Standing is what the guard knows of the peer. Not for the hot path.
	Standing() Standing
}

// TLS describes a connection's TLS.
type TLS struct {
	Version     string // "TLS 1.2" or "TLS 1.3"
	CipherSuite string // as IANA names it
	ServerName  string // what the client asked for by SNI, "" when it did not
	Protocol    string // agreed on by ALPN, "" when none was
	Resumed     bool   // from an earlier session
	// Client is the client's certificate, whose chain was verified against the listener's CAs; nil
	// without one. Not to be changed.
	Client *x509.Certificate
	// Export derives bytes that only the two ends of this connection know (RFC 5705; RFC 8446 7.5).
	Export func(label string, context []byte, length int) ([]byte, error)
}

// ExportKeyingMaterial is Export.
func (t *TLS) ExportKeyingMaterial(label string, context []byte, length int) ([]byte, error) {
	return t.Export(label, context, length)
}

// ClientName is the name in the client's verified certificate: its first DNS name, e-mail address or
// URI, else the common name of its subject; "" without a certificate.
func (t *TLS) ClientName() string {
	switch c := t.Client; {
	case c == nil:
		return ""
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		return c.EmailAddresses[0]
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	default:
		return c.Subject.CommonName
	}
}

// Standing is a snapshot of one connection's limits and what is left of them. Rates are per
// second; a limit of 0 means none, and then what is left of it is 0 too.
type Standing struct {
	Source          string        // the prefix that the peer is counted by, for example "192.0.2.7/32"
	Exempt          bool          // the source is exempt from per-source limits
	SourceConns     int           // open connections of the source, this one included
	SourceConnLimit int           // -source-conns
	FramesLeft      int           // frames that the source may send now
	FrameRate       int           // -source-frame-rate
	BytesLeft       int           // bytes that the source may send now
	ByteRate        int           // -source-byte-rate
	Age             time.Duration // since the connection was accepted
	Frames          uint64        // frames served on this connection
	BytesIn         uint64        // bytes received on this connection
	BytesOut        uint64        // bytes handed to the kernel for this connection
}
