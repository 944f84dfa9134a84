package attempts

import (
	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
)

// mostNetworks is how many networks' worth of Config.Network an account's strangers have together: the bound on
// guesses that does not depend on how many addresses somebody has, nor on what the tables forget. More and a
// botnet guesses faster; fewer and a smaller one spends what an owner at a new address would need.
const mostNetworks = 4096

// mostNetwork is the most that Config.Network can be, for mostNetworks of it.
const mostNetwork = bucket.MaxBurst / mostNetworks

// atAccount are the networks that attempts at one account are counted at when its own bucket is spent: what
// one takes there of wholes. A provider has a /32, or several, and a site in it a /48.
var atAccount = [source.Families][]share{
	source.V4: {{24, wholes}},
	source.V6: {{48, wholes}, {32, wholes / 32}},
}

// apartAllows asks for an attempt of what the networks of a source have at an account of their own, and of what all
// networks have: of each, or none is charged.
func (l *Limiter) apartAllows(src source.Key, hAccount uint64, now mono.Time) bool {
	for i, w := range atAccount[src.Family] {
		if h := l.networkAt(src, w.bits, hAccount); !l.apart.Allow(&h, w.tokens, now) {
			l.refundApart(src, i, hAccount, now)
			return false
		}
	}
	h := bucket.HandleOf(hAccount)
	if !l.together.Allow(&h, 1, now) {
		l.refundApart(src, len(atAccount[src.Family]), hAccount, now)
		return false
	}
	return true
}

// refundApart gives back what the first n networks were charged at an account.
func (l *Limiter) refundApart(src source.Key, n int, hAccount uint64, now mono.Time) {
	for _, w := range atAccount[src.Family][:n] {
		h := l.networkAt(src, w.bits, hAccount)
		l.apart.Refund(&h, w.tokens, now)
	}
}

func (l *Limiter) networkAt(src source.Key, bits int, hAccount uint64) bucket.Handle {
	return bucket.HandleOf(l.sources.Sum2(l.networkHash(src, bits), hAccount))
}
