package guard

import (
	"net/netip"
	"time"
)

// Limits are the limits that a listener may have of its own. In all of them 0 means no limit, and
// counting goes on. Rates are per second. A burst b with a rate r admits, over any window of w
// seconds, at most b + r·w. A burst of 0 with a rate above 0 is one second's worth.
//
// Ranges: connections up to 16,777,216; connection and frame rates and bursts up to 1,000,000,000;
// byte rates and bursts up to 10 GiB; timeouts up to 24 h, Lifetime up to a year.
type Limits struct {
	// MaxConns is the greatest number of open connections of one listener. Default 0: only
	// Config.MaxConns counts. Too low refuses good clients (ShedListenerConns).
	MaxConns int

	// SourceConns is the greatest number of open connections of one source: an IPv4 /32 or an
	// IPv6 /64. Wider prefixes have larger shares, see WiderShare. Default 256, so that a
	// carrier-grade NAT lives; too high lets a few sources take all places. ShedSourceConns,
	// ShedPrefixConns. Exact.
	SourceConns int
	// SourceConnRate and SourceConnBurst bound new connections of one source. Default 50/s,
	// burst 100. ShedSourceConnRate, ShedPrefixConnRate.
	SourceConnRate, SourceConnBurst int
	// SourceUnproven is the greatest number of unproven connections of one source: those that
	// have not yet completed a first frame, and before it their PROXY header and TLS handshake.
	// Wider prefixes have larger shares, as with SourceConns. Default 128, half of SourceConns
	// and more than SourceConnBurst, so that a burst of good clients behind one address passes.
	// Too high lets silent connections take a source's, and everybody's, places. ShedUnproven,
	// ShedSourceUnproven. Exact.
	SourceUnproven int
	// SourceHandshakeRate and SourceHandshakeBurst bound the TLS handshakes that one source may
	// begin; they are asked for before any key is computed. Wider prefixes have larger shares. One
	// that takes 5 ms or more of a worker counts as several. Default 10/s, burst 50: with a handshake at
	// 0.25 ms a source can spend 0.25 % of a core. ShedSourceHandshakes, ShedPrefixHandshakes.
	SourceHandshakeRate, SourceHandshakeBurst int
	// SourceFrameRate and SourceFrameBurst bound the frames (requests, lines) of one source over
	// all its connections. Default 2,000/s, burst 4,000. ShedSourceFrames.
	SourceFrameRate, SourceFrameBurst int
	// SourceByteRate and SourceByteBurst bound the bytes of one source over all its
	// connections. What is above is not shed: reading pauses until the debt is paid
	// (SlowSourceBytes). Default 32 MiB/s, burst 64 MiB.
	SourceByteRate, SourceByteBurst int

	// ConnFrameRate and ConnFrameBurst bound the frames of one connection. Default 0, the
	// source's limit is enough. ShedConnFrames.
	ConnFrameRate, ConnFrameBurst int
	// ConnByteRate and ConnByteBurst bound the bytes of one connection; reading pauses as with
	// SourceByteRate (SlowConnBytes). Default 16 MiB/s, burst 16 MiB.
	ConnByteRate, ConnByteBurst int

	// ProxyTimeout is the time from accept to a complete PROXY header, on connections that must
	// send one. Default 3 s (caddy-l4 3 s, Caddy 5 s). ShedProxyHeader.
	ProxyTimeout time.Duration
	// HandshakeTimeout is the time for a whole TLS handshake, from accept or from the PROXY
	// header. Default 5 s (NATS 2 s, nginx 60 s). ShedHandshake.
	HandshakeTimeout time.Duration
	// FirstFrameTimeout is the time from accept to the first complete frame or head. With TLS it
	// begins anew when the handshake is done. Default
	// 5 s (caddy-l4 3 s, Velocity 5 s). ShedFirstFrame.
	FirstFrameTimeout time.Duration
	// AuthTimeout is the time from accept to the end of authentication, where a service asks for that.
	// It runs from the first frame on, in place of IdleTimeout and FrameTimeout, and nothing extends it.
	// Default 10 s (OpenSSH 120 s, PostgreSQL 60 s). ShedAuthTimeout.
	AuthTimeout time.Duration
	// FrameTimeout is the time from a frame's or head's first byte to its last. A frame (not a
	// head) may take longer only while its average stays at MinRate or above. Arriving bytes
	// never extend it otherwise. Default 10 s (Apache 20-40 s, nginx 60 s). ShedFrame.
	FrameTimeout time.Duration
	// IdleTimeout is the time between two frames. Default 75 s (nginx). ShedIdle.
	IdleTimeout time.Duration
	// HalfCloseTimeout is how long a relayed connection of which one side has finished sending may
	// go without a byte from the other. Default 30 s (haproxy's advice for timeout client-fin). Too
	// low cuts answers that take long to compute, too high keeps what nobody will finish.
	// ShedHalfClosed.
	HalfCloseTimeout time.Duration
	// WriteTimeout is how long a peer that is owed bytes may take none of them. Default 30 s
	// (nginx 60 s, NATS 10 s). It also bounds, at 5 s at most (nginx lingering_timeout),
	// how long a peer may take to close once we have.
	// ShedWriteStall, ShedLinger.
	WriteTimeout time.Duration
	// Lifetime is the greatest age of a connection. Default 0, none (nginx 1 h). ShedLifetime.
	Lifetime time.Duration

	// MinRate, in bytes per second, is the slowest that a frame or body may arrive once it has
	// begun, and the slowest that a peer may take what it is owed. Default 240 (Kestrel). Time
	// during which we do not read does not count. ShedSlowSender, ShedSlowReader.
	MinRate int
	// MinRateGrace is the time before MinRate is first asked for, and the longest stall that
	// earlier speed buys. Default 5 s (Kestrel). Up to 1 h; it must not be 0 when MinRate is not.
	MinRateGrace time.Duration
}

// DefaultLimits are the defaults that protect an edge; the fields' comments say where they come from.
func DefaultLimits() Limits {
	return Limits{
		SourceConns:    256,
		SourceConnRate: 50, SourceConnBurst: 100,
		SourceUnproven:      128,
		SourceHandshakeRate: 10, SourceHandshakeBurst: 50,
		SourceFrameRate: 2000, SourceFrameBurst: 4000,
		SourceByteRate: 32 << 20, SourceByteBurst: 64 << 20,
		ConnByteRate: 16 << 20, ConnByteBurst: 16 << 20,
		ProxyTimeout:      3 * time.Second,
		HandshakeTimeout:  5 * time.Second,
		FirstFrameTimeout: 5 * time.Second,
		AuthTimeout:       10 * time.Second,
		FrameTimeout:      10 * time.Second,
		IdleTimeout:       75 * time.Second,
		HalfCloseTimeout:  30 * time.Second,
		WriteTimeout:      30 * time.Second,
		MinRate:           240,
		MinRateGrace:      5 * time.Second,
	}
}

// Config is what all listeners and loops share.
type Config struct {
	// MaxConns is the greatest number of open connections in all. It sizes the table of exact
	// counts. 1 to 16,777,216; no default. ShedMaxConns.
	MaxConns int
	// MaxUnproven is the greatest number of unproven connections of all sources together (see
	// Limits.SourceUnproven). From half of it on newcomers are turned away at random, the more
	// the fuller it is, unless they are their source's only unproven connection; at the limit the
	// oldest unproven connection makes room. 0 means half of MaxConns, at least 128; twice MaxConns or
	// more never bites. Up to 33,554,432. ShedUnproven.
	MaxUnproven int
	// ConnRate bounds new connections of all sources together, with a burst of two seconds'
	// worth. It is asked last, so that one source cannot spend it for all. Default 0, none.
	// ShedConnRate.
	ConnRate int
	// SourceTable is the number of places in each table of source buckets, a power of two from
	// 8 to 2^26. Default 131,072 (1 MiB a table, good for 1M admitted frames/s at 20/s each).
	// Too low shows in Guard.Evictions. There is one table per family and limit, and an eighth of
	// this for each wider prefix, see Guard.Memory.
	SourceTable int
	// V4Prefix is the length of prefix that counts as one IPv4 source, 8 to 32. Default 32.
	V4Prefix int
	// V6Prefix is the same for IPv6, 16 to 64. Default 64.
	V6Prefix int
	// Exempt lists prefixes whose members have no per-source limits. IPv4-mapped addresses and
	// prefixes match as IPv4; addresses inside 64:ff9b::/96 as the IPv6 addresses they are. The
	// list is walked at each accept: a handful, not thousands.
	Exempt []netip.Prefix
}

// DefaultConfig has everything but MaxConns.
func DefaultConfig() Config {
	return Config{SourceTable: 1 << 17, V4Prefix: 32, V6Prefix: 64}
}
