package engine

import (
	"time"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
)

// Snapshot is what the engine has counted since it started, summed over its loops.
type Snapshot struct {
	Loops     []LoopSnapshot
	Conns     int64 // open now
	Listeners []ListenerSnapshot
	// Shed counts the ends and refusals by reason; reasons that only slow (Reason.Slows) count
	// how often a connection was slowed. OK is unused.
	Shed   [guard.Reasons]uint64
	Faults [codec.Faults]uint64 // ShedMalformed, by what was wrong
	// BytesIn and BytesOut are bytes read from and handed to the kernel.
	BytesIn, BytesOut uint64
	// Writes counts write calls: answers of one wake go out together.
	Writes uint64
	// Sendfile counts the bytes of files that the kernel sent out of its page cache. BytesOut has
	// them too.
	Sendfile uint64
	// AcceptErrors counts failed accepts by errno name, for example "EMFILE".
	AcceptErrors map[string]uint64
	Panics       uint64
	// Buffered is the number of bytes held for all connections now: partial frames, queued output.
	Buffered int64
	// WorkQueued and WorkRunning describe the worker pool now.
	WorkQueued, WorkRunning int
	Draining                bool
	// Unproven is the number of open connections whose first frame is not complete yet.
	Unproven int
	// HandshakesBegun counts the TLS handshakes for which anything was computed, HandshakesFailed
	// those of them that ended without a connection by the peer's or the configuration's fault,
	// and Handshakes those that succeeded. What is missing was given up: ShedHandshake,
	// ShedHandshakes, or the peer went. HandshakesOpen are under way now, HandshakesQueued of them
	// wait for a worker.
	HandshakesBegun, HandshakesFailed uint64
	Handshakes                        [HandshakeKinds]uint64
	HandshakesOpen, HandshakesQueued  int
	// Upstreams are open now, those included that are being connected. UpstreamsDialled counts the
	// attempts to connect, UpstreamsConnected those that succeeded, UpstreamsReused how often a parked one
	// got another connection, UpstreamEnds how they ended.
	Upstreams                            int
	UpstreamsDialled, UpstreamsConnected uint64
	UpstreamsReused                      uint64
	UpstreamEnds                         [service.Ends]uint64
	// Logins is how many peers have proved who they are.
	Logins uint64
	// UpstreamBytesIn and UpstreamBytesOut are bytes read from and handed to the kernel for upstreams.
	UpstreamBytesIn, UpstreamBytesOut uint64
}

// HandshakeKind tells successful handshakes apart.
type HandshakeKind int

const (
	TLS12 HandshakeKind = iota // a full handshake of TLS 1.2
	TLS12Resumed
	TLS13
	TLS13Resumed
	HandshakeKinds // their number
)

// Version is "1.2" or "1.3", Resumed whether a session was resumed.
func (k HandshakeKind) Version() string { return [...]string{"1.2", "1.2", "1.3", "1.3"}[k] }
func (k HandshakeKind) Resumed() bool   { return k == TLS12Resumed || k == TLS13Resumed }

// ListenerSnapshot is one listener's part.
type ListenerSnapshot struct {
	Name     string
	Address  string // as bound, with the real port
	Service  string
	Accepted uint64 // connections admitted
	Refused  uint64 // connections refused at accept
	Frames   uint64 // frames served
	Conns    int64  // open now
	// Answers are those of HTTP, by class of their status, 2xx at 2. Index 0 is unused.
	Answers [6]uint64
}

// LoopSnapshot is one loop's part.
type LoopSnapshot struct {
	Conns int64
	// Lag is how late the loop last came to its timer, or to a Snapshot's question; MaxLag is the
	// latest since the last Snapshot.
	Lag, MaxLag time.Duration
	Wakes       uint64 // connection events handled
	Stale       bool   // the loop did not answer in time: these are its last known numbers
}
