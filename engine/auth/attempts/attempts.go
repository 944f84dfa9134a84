// Package attempts limits guessing: how often somebody may fail to log in. It decides before an
// attempt and is told when one succeeds; it knows no protocol and no password. A fixed amount of
// memory, a few atomic operations an attempt, no lock.
//
// Buckets count attempts that have not succeeded:
//
//   - of the source, for whatever account: who tries one password on many accounts;
//   - of the networks that the source is in, with larger shares: who does so from many addresses of one;
//   - of the pair of account and source: who tries many passwords on one account;
//   - of the account, from all sources that it has not been logged in from of late: who tries from many addresses;
//   - of the pair of account and network, when the account's own is spent: a few attempts for each network, so
//     that to keep the owner out somebody has to be in the owner's network.
//
// Who is not known cannot be told from who guesses, so each attempt that a stranger is granted under a flood is one
// that a guesser is granted too (Pinkas and Sander 2002; OWASP's lock-outs with device cookies). What can be
// chosen is how many, and who must stand where to use them up. Sources that have logged in to this account within
// Config.Remember, as by a device cookie, are asked for neither the networks' nor the account's buckets. Strangers
// share Account, and then have Network each: k networks get at most
//
//	30 + 6 a minute + k × (3 + 3 an hour)
//
// guesses at an account by default, and k counts up to mostNetworks: 8,640 + 4,096 × 72 = 303,552 a day, 1.1 × 10^8
// a year, from all of the Internet. Twelve random letters are 9.5 × 10^16.
// What it cannot do: who shares the owner's network can spend what that has at the account, and
// who has 4,096 networks what all have, or fewer when they also guess at so many accounts that
// Places do not suffice; whoever shares the owner's address shares the pair's bucket. Who is known
// is in memory only: after a restart all are strangers until they have logged in once.
//
// Sources are those of the guard: an IPv4 address, or the /64 of an IPv6 address (guard/source).
// Networks have the guard's shares too.
package attempts

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"weir/guard/bucket"
	"weir/guard/mono"
	"weir/guard/source"
)

// Rate is how many attempts may fail: Burst at once, and then Tokens in each Per.
type Rate struct {
	Tokens int
	Per    time.Duration
	Burst  int
}

// Config is the limits. The zero value of a field means its default.
type Config struct {
	// Source limits one source on all accounts. Default 20, then 20 a minute: a person who
	// mistypes, behind an address with others. Too high and one machine tries a common password on
	// every account; too low and an office is shut out on Monday morning. A network has a multiple: 16
	// times for an IPv4 /24, 8 for an IPv6 /56, 32 for a /48.
	Source Rate
	// Pair limits one source on one account. Default 5, then 2 a minute: 2,900 guesses a day.
	Pair Rate
	// Account limits all sources together that have not logged in to an account of late. Default
	// 30, then 6 a minute: 8,700 guesses a day, from however many addresses.
	Account Rate
	// Network limits one network (an IPv4 /24, an IPv6 /48; a /32 has 32 times that) on one account
	// whose Account is spent, beside that. Default 3, then 3 an hour: a person who mistypes twice. 4,096 networks
	// have this, all others together nothing. Too high and a botnet guesses fast; too low and
	// the owner, at a new address under a flood, waits after one mistake.
	Network Rate
	// Remember is how long a source that has logged in to an account is exempt from Account.
	// Default 30 days, at most 45.
	Remember time.Duration
	// Places is how many sources, networks, pairs and accounts each are kept, a power of two from 64 to
	// 2^24. Default 65,536: 512 KiB for each of the seven tables and 512 KiB for who has logged in. When
	// there are more, those are forgotten that have failed least: each gets back no more than its burst, and
	// however many are forgotten no account gets more than 4,096 times Network beside its Account.
	Places int
}

// Default is the limits in force when nothing is said.
func Default() Config {
	return Config{
		Source:   Rate{20, time.Minute, 20},
		Pair:     Rate{2, time.Minute, 5},
		Account:  Rate{6, time.Minute, 30},
		Network:  Rate{3, time.Hour, 3},
		Remember: 30 * 24 * time.Hour,
		Places:   1 << 16,
	}
}

// Validate names the field that is out of range.
func (c Config) Validate() error {
	for name, r := range map[string]Rate{"Source": c.Source, "Pair": c.Pair, "Account": c.Account, "Network": c.Network} {
		if r == (Rate{}) {
			continue
		}
		most := 1_000_000
		if name == "Network" {
			most = mostNetwork
		}
		if r.Tokens < 1 || r.Tokens > most || r.Burst < 1 || r.Burst > most || r.Per < time.Second || r.Per > 24*time.Hour {
			return fmt.Errorf("%s: must be 1 to %d at once and in each 1s to 24h", name, most)
		}
	}
	switch {
	case c.Remember < 0 || c.Remember > maxRemember:
		return errors.New("remember: must be 0 to 1080h")
	case c.Places != 0 && (c.Places < 64 || c.Places > 1<<24 || c.Places&(c.Places-1) != 0):
		return errors.New("places: must be a power of two from 64 to 16777216")
	}
	return nil
}

// Why is which limit an attempt has met.
type Why uint8

const (
	OK        Why = iota // it may go on
	BySource             // the source has failed too often
	ByPair               // the source has failed too often on this account
	ByAccount            // the account was failed on too often by strangers, and by those of the source's network of late
	ByPrefix             // a network of the source has failed too often
)

// String is a short word for logs and metrics.
func (w Why) String() string { return [...]string{"ok", "source", "pair", "account", "prefix"}[w] }

// Limiter counts the attempts of a whole server. Its methods may be called by any goroutine. Clocks
// of callers may be a second apart (bucket.Slack).
type Limiter struct {
	seed                  maphash.Seed
	sources               source.Hash
	source, pair, account *bucket.Table
	wide                  *bucket.Table // of networks; an attempt takes as many tokens as wide says
	apart                 *bucket.Table // of networks at an account; an attempt takes as many tokens as atAccount says
	together              *bucket.Table // of accounts: what all in apart together may take
	turns                 *bucket.Table // of networks: whose turn has been of late; an attempt takes as many tokens as atAccount says
	known                 known
}

// Charge is what May has taken for an attempt.
type Charge uint8

const (
	ofSource   Charge = 1 << iota
	ofNetworks        // all that the source is in
	ofPair
	ofAccount
	ofApart // the networks at the account, and all of them together
)

// wholes is how many tokens of Limiter.wide stand for one of Limiter.source.
const wholes = 32

// share is what an attempt takes from a network, of wholes.
type share struct {
	bits   int
	tokens uint64
}

// wide are the prefixes beyond a source's own that attempts are counted at, those of guard.WiderShare:
// what an attempt takes there of wholes times what a source has. A household has a /56 for nothing, a
// small site a /48: 256 and 65,536 sources.
var wide = [source.Families][]share{
	source.V4: {{24, wholes / 16}},
	source.V6: {{56, wholes / 8}, {48, wholes / 32}},
}

// New makes a Limiter, or panics where Validate has an error.
func New(c Config) *Limiter {
	if err := c.Validate(); err != nil {
		panic("attempts: " + err.Error())
	}
	d := Default()
	if c.Source == (Rate{}) {
		c.Source = d.Source
	}
	if c.Pair == (Rate{}) {
		c.Pair = d.Pair
	}
	if c.Account == (Rate{}) {
		c.Account = d.Account
	}
	if c.Network == (Rate{}) {
		c.Network = d.Network
	}
	if c.Remember == 0 {
		c.Remember = d.Remember
	}
	if c.Places == 0 {
		c.Places = d.Places
	}
	table := func(r Rate, lane bucket.Lane) *bucket.Table {
		return bucket.New(c.Places, bucket.Limit{Tokens: int64(r.Tokens), Per: r.Per, Burst: int64(r.Burst)}, lane)
	}
	l := &Limiter{seed: maphash.MakeSeed(), sources: source.NewHash(), source: table(c.Source, 0), pair: table(c.Pair, 1), account: table(c.Account, 2)}
	l.wide = table(Rate{c.Source.Tokens * wholes, c.Source.Per, c.Source.Burst * wholes}, 0)
	l.apart = table(Rate{c.Network.Tokens * wholes, c.Network.Per, c.Network.Burst * wholes}, 0)
	l.together = table(Rate{c.Network.Tokens * mostNetworks, c.Network.Per, c.Network.Burst * mostNetworks}, 0)
	l.turns = table(Rate{wholes, turnEvery, wholes}, 0)
	l.known = known{sets: make([][ways]atomic.Uint64, c.Places/ways), remember: uint32(c.Remember / tick)}
	return l
}

// Bytes is the memory that the Limiter occupies.
func (l *Limiter) Bytes() int64 {
	return l.source.Bytes() + l.wide.Bytes() + l.pair.Bytes() + l.account.Bytes() + l.apart.Bytes() + l.together.Bytes() + l.turns.Bytes() + int64(len(l.known.sets))*ways*8
}

// Sweep forgets what has passed; to be called every few seconds, or more often.
func (l *Limiter) Sweep(now mono.Time) {
	l.source.Sweep(now)
	l.wide.Sweep(now)
	l.pair.Sweep(now)
	l.account.Sweep(now)
	l.apart.Sweep(now)
	l.together.Sweep(now)
	l.turns.Sweep(now)
}

// hashes are an account's and a pair's places. Both are keyed: nobody outside can choose names or
// addresses that meet.
func (l *Limiter) hashes(src source.Key, account string) (hSource, hPair, hAccount uint64) {
	hAccount = maphash.String(l.seed, account)
	hSource = l.sources.Sum2(src.Bits, uint64(src.Family))
	return hSource, l.sources.Sum2(hSource, hAccount), hAccount
}

// May asks for an attempt of a source on an account, "" when it is not known which: then only the
// source and its networks count. It is charged at once, so that a thousand attempts side by side are no more than
// one after another; who is refused is not charged. The Charge is for Passed or Withdrawn.
func (l *Limiter) May(src source.Key, account string, now mono.Time) (Charge, Why) {
	hSource, hPair, hAccount := l.hashes(src, account)
	hs, hp, ha := bucket.HandleOf(hSource), bucket.HandleOf(hPair), bucket.HandleOf(hAccount)
	took, why := Charge(0), OK
	stranger := account == "" || !l.known.has(hAccount, hPair, now)
	switch {
	case !l.source.Allow(&hs, 1, now):
		return 0, BySource
	case stranger && !l.networks(src, now):
		took, why = ofSource, ByPrefix
	case account == "":
		return ofSource | ofNetworks, OK
	case !l.pair.Allow(&hp, 1, now):
		took, why = ofSource, ByPair
	case !stranger:
		return ofSource | ofPair, OK
	case l.account.Allow(&ha, 1, now):
		return ofSource | ofNetworks | ofPair | ofAccount, OK
	case l.apartAllows(src, hAccount, now):
		return ofSource | ofNetworks | ofPair | ofApart, OK
	default:
		took, why = ofSource|ofPair, ByAccount
	}
	if stranger && why != ByPrefix {
		took |= ofNetworks
	}
	l.Withdrawn(src, account, took, now)
	return 0, why
}

// Would returns what May would say, and charges nothing.
func (l *Limiter) Would(src source.Key, account string, now mono.Time) Why {
	hSource, hPair, hAccount := l.hashes(src, account)
	has := func(t *bucket.Table, h bucket.Handle, n uint64) bool { return t.Left(&h, now) >= int(n) }
	all := func(list []share, t *bucket.Table, at func(source.Key, int, uint64) bucket.Handle) bool {
		for _, w := range list {
			if !has(t, at(src, w.bits, hAccount), w.tokens) {
				return false
			}
		}
		return true
	}
	stranger := account == "" || !l.known.has(hAccount, hPair, now)
	switch {
	case !has(l.source, bucket.HandleOf(hSource), 1):
		return BySource
	case stranger && !all(wide[src.Family], l.wide, func(src source.Key, bits int, _ uint64) bucket.Handle { return l.network(src, bits) }):
		return ByPrefix
	case account == "":
		return OK
	case !has(l.pair, bucket.HandleOf(hPair), 1):
		return ByPair
	case !stranger || has(l.account, bucket.HandleOf(hAccount), 1):
		return OK
	case all(atAccount[src.Family], l.apart, l.networkAt) && has(l.together, bucket.HandleOf(hAccount), 1):
		return OK
	}
	return ByAccount
}

// networks asks for an attempt of the networks that a source is in: all of them, or none is charged.
func (l *Limiter) networks(src source.Key, now mono.Time) bool {
	for i, w := range wide[src.Family] {
		if h := l.network(src, w.bits); !l.wide.Allow(&h, w.tokens, now) {
			l.refundNetworks(src, i, now)
			return false
		}
	}
	return true
}

// refundNetworks gives back what the first n networks were charged.
func (l *Limiter) refundNetworks(src source.Key, n int, now mono.Time) {
	for _, w := range wide[src.Family][:n] {
		h := l.network(src, w.bits)
		l.wide.Refund(&h, w.tokens, now)
	}
}

func (l *Limiter) network(src source.Key, bits int) bucket.Handle {
	return bucket.HandleOf(l.networkHash(src, bits))
}

func (l *Limiter) networkHash(src source.Key, bits int) uint64 {
	return l.sources.Sum2(src.Wide(bits).Bits, uint64(bits)<<8|uint64(src.Family))
}

// Passed says that an attempt that May has let on has succeeded: what it was charged is given back,
// and the account knows the source from now on. Failures before it stay: a success of somebody who
// shares the address buys no guesses.
func (l *Limiter) Passed(src source.Key, account string, took Charge, now mono.Time) {
	l.Withdrawn(src, account, took, now)
	l.Met(src, account, now)
}

// Met says that a source has proved to be an account's without an attempt that May was asked for: the
// account knows it from now on.
func (l *Limiter) Met(src source.Key, account string, now mono.Time) {
	if account != "" {
		_, hPair, hAccount := l.hashes(src, account)
		l.known.add(hAccount, hPair, now)
	}
}

// Withdrawn says that an attempt that May has let on was not made: what it was charged is given back.
func (l *Limiter) Withdrawn(src source.Key, account string, took Charge, now mono.Time) {
	hSource, hPair, hAccount := l.hashes(src, account)
	refund := func(t *bucket.Table, hash uint64) {
		h := bucket.HandleOf(hash)
		t.Refund(&h, 1, now)
	}
	if took&ofSource != 0 {
		refund(l.source, hSource)
	}
	if took&ofNetworks != 0 {
		l.refundNetworks(src, len(wide[src.Family]), now)
	}
	if took&ofPair != 0 {
		refund(l.pair, hPair)
	}
	if took&ofAccount != 0 {
		refund(l.account, hAccount)
	}
	if took&ofApart != 0 {
		l.refundApart(src, len(atAccount[src.Family]), hAccount, now)
		refund(l.together, hAccount)
	}
}

// Knows reports whether a source has logged in to an account of late, so that strangers cannot keep it
// out.
func (l *Limiter) Knows(src source.Key, account string, now mono.Time) bool {
	_, hPair, hAccount := l.hashes(src, account)
	return account != "" && l.known.has(hAccount, hPair, now)
}

const (
	ways        = 8
	tick        = time.Minute
	maxRemember = 45 * 24 * time.Hour
)

// known remembers which sources have logged in to which accounts: tag<<32 | minutes. A set of 8
// places belongs to an account, and to those that share it by chance, so who logs in to an account
// of their own from any number of addresses makes others forget nobody.
type known struct {
	sets     [][ways]atomic.Uint64
	remember uint32 // minutes
}

func (k *known) place(ofAccount, ofPair uint64) (set *[ways]atomic.Uint64, tag uint64) {
	return &k.sets[ofAccount%uint64(len(k.sets))], max(1, ofPair>>32)
}

func minutes(now mono.Time) uint32 { return uint32(time.Duration(now) / tick) }

func (k *known) has(ofAccount, ofPair uint64, now mono.Time) bool {
	set, tag := k.place(ofAccount, ofPair)
	at := minutes(now)
	found := false
	for i := range set {
		w := set[i].Load()
		// A clock that is a little behind takes what is new for new.
		found = found || w>>32 == tag && int32(at-uint32(w)) < int32(k.remember)
	}
	return found
}

// add takes the place that the pair has, an empty one, or that of the one that logged in longest ago.
func (k *known) add(ofAccount, ofPair uint64, now mono.Time) {
	set, tag := k.place(ofAccount, ofPair)
	at := minutes(now)
	for range ways {
		victim, oldest := 0, int64(-1)
		for i := range set {
			w := set[i].Load()
			if w>>32 == tag {
				victim = i
				break
			}
			age := int64(int32(at - uint32(w)))
			if w == 0 {
				age = 1 << 40
			}
			if age > oldest {
				victim, oldest = i, age
			}
		}
		w := set[victim].Load()
		if set[victim].CompareAndSwap(w, tag<<32|uint64(at)) {
			return
		}
	}
}

// Gate is a Limiter for one exchange of package sasl: a sasl.Gate.
type Gate struct {
	Limiter *Limiter
	Source  source.Key
	Now     func() mono.Time // nil is mono.Now
	// Refused is which limit the attempt has met, OK for none.
	Refused Why
	took    Charge
}

// May asks for an attempt on an account.
func (g *Gate) May(account string) bool {
	g.took, g.Refused = g.Limiter.May(g.Source, account, g.now())
	return g.Refused == OK
}

// Passed tells of a success.
func (g *Gate) Passed(account string) { g.Limiter.Passed(g.Source, account, g.took, g.now()) }

func (g *Gate) now() mono.Time {
	if g.Now == nil {
		return mono.Now()
	}
	return g.Now()
}
