// Package guard decides what may go on: whether a connection is admitted, whether a frame is
// served, how fast bytes are read, and when a peer has been silent or slow for too long. It is
// pure bookkeeping. It has no sockets, reads no clock, starts no goroutine and writes no log; the
// caller tells it what happened and when, and does what it answers.
//
// # Parts
//
// A [Guard] is shared by all loops and holds everything that is counted per source. A [Policy] is
// one listener's limits, compiled. A [Loop] is one event loop's half: a record of 64 bytes for each
// connection and a timer wheel. Everything is allocated before the first connection, is of fixed
// size, and does not grow with the number of peers; [Guard.Memory] adds it up.
//
// # A source
//
// A source is an IPv4 address (/32) or an IPv6 /64, whatever form it comes in; package source has
// the rules. New connections and open connections are also counted at wider prefixes, which have
// larger shares ([WiderShare]), so that an owner of a /48 does not have 65,536 times the limit.
// Frames and bytes are counted at the source only.
//
// # The order of checks
//
// For a new connection, most specific first, so that one source cannot spend what is everybody's:
//
//  1. exempt? then on to 4
//  2. open connections of the source and of its wider prefixes, and the unproven ones among them,
//     exact ([ShedSourceConns], [ShedPrefixConns], [ShedSourceUnproven], [ShedPrefixUnproven])
//  3. rate of new connections of the source, then of its wider prefixes ([ShedSourceConnRate],
//     [ShedPrefixConnRate])
//  4. early drop of the unproven ([ShedUnproven])
//  5. open connections of the listener ([ShedListenerConns])
//  6. rate of new connections in all ([ShedConnRate])
//  7. open connections in all ([ShedMaxConns])
//
// A refused connection leaves nothing behind: what earlier checks counted or charged is given
// back. Whoever hammers is therefore admitted again as soon as its own rate allows, and a full
// server takes no tokens from those it turns away.
//
// For a frame: the connection's rate ([ShedConnFrames]), then the source's ([ShedSourceFrames]).
// A refused frame is not charged. For bytes, which have arrived already: connection and source are
// both charged, always, and the answer says how long not to read ([SlowConnBytes],
// [SlowSourceBytes]).
//
// Exempt addresses, and peers without an address such as Unix sockets, have no per-source limits.
// All others apply to them.
//
// # Unproven connections
//
// A connection is unproven until its first frame is complete. Before that it may have to pass a
// PROXY header ([Loop.AdmitProxy], phase [Proxy], then [Loop.Identify] with the source that the
// header names) and a TLS handshake (phase [Handshake]; [Loop.Handshake] asks before anything is
// computed; then phase [First]). Each has a deadline of its own, and unproven connections have
// fewer places than others: see [Limits.SourceUnproven] and [Config.MaxUnproven].
//
// # Deadlines
//
// A deadline is never met early, and late by at most two ticks of the wheel (33.6 ms) plus the
// time between two turns of the loop. The idle timeout is lengthened by up to a second (or a
// sixteenth of it, if that is less), by a different amount for each connection, so that a crowd
// that fell silent together is not closed together.
//
// Minimum rates run on a clock that stops while the loop is stalled and for a connection that we
// do not read, so our own slowness is never taken for the peer's.
//
// # Without the engine
//
// Call [Loop.Turn] with the time at each wake, before anything else; [Loop.Warm] for each ready
// connection, where there are many; [Loop.Admit] for each accepted connection;
// [Loop.Read] for bytes and [Loop.Frame] for frames as they come; [Loop.Phase] as the connection
// goes from one thing to the next; [Loop.Expire] at least at [Loop.Next]; [Loop.Gone] once at the
// end. See the examples.
package guard
