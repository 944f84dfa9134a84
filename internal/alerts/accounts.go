package alerts

import "time"

const (
	mostAccounts = 1024 // places in a table of accounts
	mostAsked    = 8    // places that are looked at to make room for one
	accountUnits = 10   // a window is counted in as many parts
	maxAccount   = 64   // bytes of a name that are told
)

// accounts counts for each account, in a fixed number of places. When they are taken, a newcomer gets
// that of the least offender among some: who offends much stays, and names that an attacker makes
// up push each other out. It errs by forgetting, never by accusing.
type accounts struct {
	length time.Duration
	byName map[string]*account
}

type account struct {
	window
	quiet time.Time // until when nothing is told of it
}

func newAccounts(length time.Duration) accounts {
	return accounts{length, make(map[string]*account, mostAccounts)}
}

func (t accounts) at(name string, now time.Time) *account {
	if a := t.byName[name]; a != nil {
		return a
	}
	var a *account
	if len(t.byName) >= mostAccounts {
		least, n := "", 0
		for other, o := range t.byName { // in an order that is another one each time
			if o.add(now, 0); a == nil || o.less(a, now) {
				least, a = other, o
			}
			if n++; n == mostAsked {
				break
			}
		}
		delete(t.byName, least)
		clear(a.ring)
		*a = account{window: window{ring: a.ring, unit: a.unit}}
	} else {
		a = &account{window: newWindow(t.length, accountUnits)}
	}
	t.byName[name] = a
	return a
}

// less reports whether a is the lesser offender: who has been told of is kept, or would be told of again.
func (a *account) less(b *account, now time.Time) bool {
	if told, other := now.Before(a.quiet), now.Before(b.quiet); told != other {
		return other
	}
	return a.sum < b.sum
}
