package service

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Target says where an upstream connection goes.
type Target struct {
	Addr netip.AddrPort // of TCP; or
	Path string         // of a unix socket, when Addr is not valid
	// Timeout bounds connecting, the TLS handshake included. 0 is no bound but the kernel's, about two
	// minutes, and none for the handshake.
	Timeout time.Duration
	// First is sent before anything else, a TLS handshake included: a PROXY header.
	First string
	// TLS, when set, has the server spoken to by TLS. It must name the server (ServerName). It is
	// shared by connections and not changed.
	TLS *tls.Config
}

// Upstream is a connection that the engine has made to a server for one client's connection, on
// whose loop it lives. A connection has one at a time. On the loop's goroutine only.
//
// Nothing is queued without bound: what the server's kernel does not take is held up to the
// listener's -max-out, and from half of that on the client is not read and no unit is served. The
// other way it is the same: what the client does not take keeps the server from being read.
type Upstream interface {
	// Write queues p for the server; p is free for reuse on return. All that is queued in one wake
	// goes out in one write. Callers keep to Room; what exceeds it is dropped with the connection.
	// Before Connected it may be called too.
	Write(p []byte)
	// Room is how many bytes Write may take now.
	Room() int
	// CloseWrite sends what is queued and then tells the server that nothing more comes (FIN).
	CloseWrite()
	// Close ends the upstream connection at once: in order when CloseWrite's FIN has been sent, else
	// by a reset. The handler is not called again.
	Close()
	// Await bounds how long the server may say nothing: when nothing has come for d, the upstream is
	// ended and its handler told (EndSilent). Each call begins anew; 0 is no bound. Time in which the
	// client keeps the server from being read does not count, nor does time before Connected.
	Await(d time.Duration)
	// Park takes the upstream from its connection, which may then dial or adopt another one. It lives
	// on without one, for up to d, until a connection of the same Opener adopts it. h is told Ended
	// when it has ended: because the server has ended it (EndEOF, EndReset) or has said anything
	// (EndUnasked), or d is over (EndIdle). It reports false when the upstream cannot be parked: bytes wait on either
	// side, one of them has ended, bytes are poured, or the server is stopping. Then it is still the
	// connection's.
	Park(h UpstreamHandler, d time.Duration) bool
	// Pour hands what the server sends to the client as it comes, and its end with it, instead of
	// to Received.
	Pour()
}

// UpstreamHandler is told what becomes of an upstream connection. Usually it is the session. On the
// loop's goroutine only.
type UpstreamHandler interface {
	// Connected says that the connection is made.
	Connected(u Upstream)
	// Received takes bytes that the server has sent and returns how many of them; the rest is
	// offered again, with what has come behind, when the client has taken what it is owed.
	Received(u Upstream, p []byte) (taken int)
	// Drained says that the server has taken so much that there is room to write again.
	Drained(u Upstream)
	// Ended says that the server's side has ended. After EndEOF, which is not told when the bytes
	// are poured, the other direction is still open, until Close. After anything else u is gone, and
	// a new one may be dialled. A handler that does neither that nor Conn.Fail leaves a connection
	// without an upstream.
	Ended(u Upstream, why Ending)
}

// Ending is why there is no upstream connection, or not any more.
type Ending uint8

const (
	EndNone        Ending = iota
	EndEOF                // the server has finished sending
	EndNoUpstream         // the service knows of no server that is up
	EndRefused            // nothing listens there
	EndUnreachable        // no way there, or connecting failed otherwise
	EndTimeout            // not connected within Target.Timeout
	EndDescriptors        // no descriptor for it: only the reserve is left
	EndPorts              // no local port for it
	EndReset              // the server has reset the connection
	EndStalled            // the server took nothing for -write-timeout
	EndSilent             // the server said nothing for as long as Await allows
	EndTLS                // the TLS handshake failed: nothing in common, or its certificate is not one that is trusted
	EndBusy               // too much work waits for the worker pool to shake hands
	EndIdle               // it was parked, and nobody needed it
	EndGarbled            // the server has said what is not its protocol
	EndNoRoute            // the service knows of no server for what the client asks
	EndUnasked            // the server has said something before it can have been asked: parked, or just adopted
	EndTooLarge           // what is to be passed on to the client is larger than can be held for it
	Ends                  // their number
)

// String is a short word for metrics and logs.
func (e Ending) String() string {
	return [Ends]string{"none", "eof", "no-upstream", "refused", "unreachable", "timeout", "descriptors", "ports", "reset", "stalled", "silent", "tls", "busy", "idle", "garbled", "no-route", "unasked", "too-large"}[e]
}

// Before reports whether it was over before the server had taken a byte: then another one may be
// tried without doing anything twice.
func (e Ending) Before() bool {
	switch e {
	case EndRefused, EndUnreachable, EndTimeout, EndTLS:
		return true
	}
	return false
}
