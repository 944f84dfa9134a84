package attempts

import (
	"time"

	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
)

// turnEvery is how often a network may go before others that had no turn: where attempts cost something
// (HTTP Basic), an owner at a new address waits for one of each network that guesses, not for all of theirs.
const turnEvery = 10 * time.Minute

// Network is the network that a source's turn is counted for, an IPv4 /24 or an IPv6 /48.
func Network(src source.Key) source.Key { return src.Wide(atAccount[src.Family][0].bits) }

// Due reports whether a source's network has had no turn of late: within 10 minutes, on whatever account; nor 32
// networks of its IPv6 /32.
func (l *Limiter) Due(src source.Key, now mono.Time) bool {
	for _, w := range atAccount[src.Family] {
		if h := l.network(src, w.bits); l.turns.Left(&h, now) < int(w.tokens) {
			return false
		}
	}
	return true
}

// Served says that a source has had its network's turn.
func (l *Limiter) Served(src source.Key, now mono.Time) {
	for _, w := range atAccount[src.Family] {
		h := bucket.HandleOf(l.networkHash(src, w.bits))
		l.turns.Allow(&h, w.tokens, now)
	}
}
