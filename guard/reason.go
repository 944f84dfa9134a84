package guard

// Reason says why a peer was refused, slowed down or let go. It is a closed list of small
// integers: comparing and counting cost nothing.
type Reason uint8

// The list, in the order of a connection's life.
const (
	OK Reason = iota // admitted, nothing to say

	// At accept.
	ShedDescriptors    // the new descriptor's number is inside the reserve
	ShedMaxConns       // -max-conns
	ShedListenerConns  // the listener's own max-conns
	ShedSourceConns    // -source-conns, at the address or /64
	ShedPrefixConns    // the same at a wider prefix, with its larger share
	ShedSourceConnRate // -source-conn-rate, at the address or /64
	ShedPrefixConnRate // the same at a wider prefix, with its larger share
	ShedSourceUnproven // -source-unproven, at the address or /64
	ShedPrefixUnproven // the same at a wider prefix, with its larger share
	ShedUnproven       // -max-unproven, all sources together
	ShedConnRate       // -conn-rate, all sources together
	ShedStopping       // arrived while the server was stopping

	// Before the first frame.
	ShedProxySpoof       // a PROXY header from a peer that -proxy-from does not name
	ShedProxyHeader      // -proxy-timeout
	ShedSourceHandshakes // -source-handshake-rate, at the address or /64
	ShedPrefixHandshakes // the same at a wider prefix, with its larger share
	ShedHandshakes       // -max-handshakes, or the handshake workers' queue is full
	ShedHandshake        // -handshake-timeout
	ShedAuthTimeout      // -auth-timeout
	ShedTLS              // the handshake failed: nothing in common, a wrong or missing certificate, an alert

	// At a frame or at bytes.
	ShedRecords      // TLS records that carry no data: updates of keys, warnings, empty ones
	ShedSourceFrames // -source-frame-rate
	ShedConnFrames   // -conn-frame-rate
	SlowSourceBytes  // -source-byte-rate: not shed, reading pauses until the debt is paid
	SlowConnBytes    // -conn-byte-rate: likewise

	ShedAuthFailed   // who it says it is it cannot prove: a wrong password, token or signature
	ShedAuthAttempts // too many failed attempts of one source, or at one account
	ShedScope        // it is known, and may not do this
	ShedTraversal    // a path that no honest client asks for: a way out of the root
	ShedReplay       // a signed frame that was replayed, reordered or altered

	// At a deadline.
	ShedFirstFrame // -first-frame-timeout
	ShedFrame      // -frame-timeout
	ShedIdle       // -idle-timeout
	ShedSlowSender // -min-rate, inbound
	ShedWriteStall // -write-timeout
	ShedSlowReader // -min-rate, outbound
	ShedHalfClosed // -half-close-timeout
	ShedLifetime   // -lifetime
	ShedLinger     // the peer did not finish closing in time
	ShedDrain      // still open at -drain-timeout

	// At an upstream, which a service relays to.
	ShedNoRoute         // there is none for the name that the client asks for
	ShedNoUpstream      // none of them is up
	ShedUpstreamConnect // connecting to it failed, or took longer than -connect-timeout
	ShedUpstreamReset   // it has reset the connection
	ShedUpstreamStall   // it took nothing for -write-timeout
	ShedUpstreamSilent  // it said nothing for -upstream-timeout

	// In between.
	ShedMalformed // the bytes were wrong; which way is counted by fault
	ShedOutput    // more output than -max-out
	ShedMemory    // -max-buffered, all connections together
	ShedWork      // the worker pool's queue is full
	ShedPanic     // a handler panicked
	ShedAnswer    // the rest of an answer could not be had: its file was cut short, its disk failed

	reasonCount
)

// Reasons is the number of reasons, OK included: valid values are 0 ≤ r < Reasons.
const Reasons = int(reasonCount)

// Level says how much a reason tells about the peer.
type Level uint8

const (
	Normal  Level = iota // ordinary life: idle, lifetime, a server that stops
	Suspect              // over a limit or too slow: an attack, or somebody's bad network
	Hostile              // no well-behaved client does this
)

// String is normal, suspect or hostile.
func (l Level) String() string { return [...]string{"normal", "suspect", "hostile"}[l] }

type reasonRow struct {
	label, text, flag string
	level             Level
}

var reasonTable = [Reasons]reasonRow{
	OK:                   {"ok", "admitted", "", Normal},
	ShedDescriptors:      {"descriptors", "out of file descriptors: only the reserve is left", "fd-reserve", Suspect},
	ShedMaxConns:         {"max-conns", "too many connections in all", "max-conns", Suspect},
	ShedListenerConns:    {"listener-conns", "too many connections on this listener", "listen ...?max-conns=", Suspect},
	ShedSourceConns:      {"source-conns", "too many connections from one source", "source-conns", Suspect},
	ShedPrefixConns:      {"prefix-conns", "too many connections from one network", "source-conns", Suspect},
	ShedSourceConnRate:   {"source-conn-rate", "one source connects too often", "source-conn-rate", Suspect},
	ShedPrefixConnRate:   {"prefix-conn-rate", "one network connects too often", "source-conn-rate", Suspect},
	ShedSourceUnproven:   {"source-unproven", "too many connections from one source that have not sent a first frame", "source-unproven", Suspect},
	ShedPrefixUnproven:   {"prefix-unproven", "too many connections from one network that have not sent a first frame", "source-unproven", Suspect},
	ShedUnproven:         {"unproven", "too many connections in all that have not sent a first frame", "max-unproven", Suspect},
	ShedConnRate:         {"conn-rate", "too many new connections in all", "conn-rate", Suspect},
	ShedStopping:         {"stopping", "the server is stopping", "drain-timeout", Normal},
	ShedProxySpoof:       {"proxy-spoof", "a PROXY header from a peer that may not send one", "proxy-from", Hostile},
	ShedProxyHeader:      {"proxy-header", "no complete PROXY header in time", "proxy-timeout", Suspect},
	ShedSourceHandshakes: {"source-handshakes", "one source begins too many TLS handshakes", "source-handshake-rate", Suspect},
	ShedPrefixHandshakes: {"prefix-handshakes", "one network begins too many TLS handshakes", "source-handshake-rate", Suspect},
	ShedHandshakes:       {"handshakes", "too many TLS handshakes at once", "max-handshakes", Suspect},
	ShedHandshake:        {"handshake", "the TLS handshake was not complete in time", "handshake-timeout", Suspect},
	ShedAuthTimeout:      {"auth-timeout", "authentication was not complete in time", "auth-timeout", Suspect},
	ShedTLS:              {"tls", "the TLS handshake or a TLS record failed", "", Suspect},
	ShedRecords:          {"tls-records", "too many TLS records that carry no data", "", Hostile},
	ShedSourceFrames:     {"source-frames", "too many frames from one source", "source-frame-rate", Suspect},
	ShedConnFrames:       {"conn-frames", "too many frames on one connection", "conn-frame-rate", Suspect},
	SlowSourceBytes:      {"source-bytes", "too many bytes from one source: slowed down", "source-byte-rate", Normal},
	SlowConnBytes:        {"conn-bytes", "too many bytes on one connection: slowed down", "conn-byte-rate", Normal},
	ShedAuthFailed:       {"auth-failed", "authentication failed", "", Suspect},
	ShedAuthAttempts:     {"auth-attempts", "too many failed attempts to authenticate", "auth-source-rate", Suspect},
	ShedScope:            {"scope", "authenticated, and not allowed to do this", "scope", Suspect},
	ShedTraversal:        {"traversal", "a path that leads out of the root, or that no file can have", "", Hostile},
	ShedReplay:           {"replay", "a signed frame that was replayed, reordered or altered", "", Hostile},
	ShedFirstFrame:       {"first-frame", "no complete first frame in time", "first-frame-timeout", Suspect},
	ShedFrame:            {"frame", "a frame or head was not complete in time", "frame-timeout", Suspect},
	ShedIdle:             {"idle", "nothing was sent for too long", "idle-timeout", Normal},
	ShedSlowSender:       {"slow-sender", "a frame or body arrived below the minimum rate", "min-rate", Suspect},
	ShedWriteStall:       {"write-stall", "the peer took nothing of what it is owed for too long", "write-timeout", Suspect},
	ShedSlowReader:       {"slow-reader", "the peer read below the minimum rate", "min-rate", Suspect},
	ShedHalfClosed:       {"half-closed", "one side had finished sending, and then nothing more came from the other", "half-close-timeout", Normal},
	ShedLifetime:         {"lifetime", "the connection reached its greatest age", "lifetime", Normal},
	ShedLinger:           {"linger", "the peer did not finish closing in time (write-timeout, 5 s at most)", "write-timeout", Normal},
	ShedDrain:            {"drain", "still open at the end of a graceful stop", "drain-timeout", Normal},
	ShedNoRoute:          {"no-route", "no server behind is for the name that the client asks for", "to", Suspect},
	ShedNoUpstream:       {"no-upstream", "none of the servers behind is up", "to", Normal},
	ShedUpstreamConnect:  {"upstream-connect", "no server behind could be connected to", "connect-timeout", Normal},
	ShedUpstreamReset:    {"upstream-reset", "the server behind reset the connection", "to", Normal},
	ShedUpstreamStall:    {"upstream-stall", "the server behind took nothing of what it is owed for too long", "write-timeout", Normal},
	ShedUpstreamSilent:   {"upstream-silent", "the server behind did not answer in time", "upstream-timeout", Normal},
	ShedMalformed:        {"malformed", "the peer's bytes broke the protocol", "", Hostile},
	ShedOutput:           {"output", "a handler queued more than the connection may hold", "max-out", Suspect},
	ShedMemory:           {"memory", "all connections together hold too many bytes", "max-buffered", Suspect},
	ShedWork:             {"work", "too much work is waiting for the worker pool", "workers", Suspect},
	ShedPanic:            {"panic", "a handler failed", "", Normal},
	ShedAnswer:           {"answer", "the rest of an answer could not be had: its file was cut short or could not be read", "", Normal},
}

// Label is the reason's stable name for metrics and logs: lower case, hyphens, no spaces.
func (r Reason) Label() string { return reasonTable[r].label }

// String is one sentence for the operator.
func (r Reason) String() string { return reasonTable[r].text }

// Flag is the name of the flag that sets the limit behind the reason, or "".
func (r Reason) Flag() string { return reasonTable[r].flag }

// Level says how much the reason tells about the peer.
func (r Reason) Level() Level { return reasonTable[r].level }

// Slows reports whether the reason slows a connection down instead of ending it.
func (r Reason) Slows() bool { return r == SlowSourceBytes || r == SlowConnBytes }
