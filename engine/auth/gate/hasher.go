package gate

import (
	"sync/atomic"
	"time"

	"weir/guard/mono"
)

// Hasher bounds what hashing passwords may cost a machine, however many are shown: one at a time for
// sources that have not logged in to the account of late, and after each a pause of twice as long as it
// took, so that a third of a core is the most; and beside it one for those that have. Of the others, networks
// that had no turn of late go first, but for each fourth. Any goroutine. The zero value is ready for use.
type Hasher struct {
	strange, familiar atomic.Bool // one is under way
	begun             atomic.Int64
	next              atomic.Int64  // when the next one of a stranger may begin
	done              atomic.Uint32 // how many of them have ended
	newcomers         atomic.Int32  // that wait
}

// rank is who goes first.
type rank uint8

const (
	stranger rank = iota
	newcomer      // a stranger whose network had no turn of late
	familiar      // it has logged in to the account of late
)

// begin reports whether a password may be hashed now; end follows.
func (h *Hasher) begin(r rank) bool {
	if r == familiar {
		return h.familiar.CompareAndSwap(false, true)
	}
	now := mono.Now()
	if now < mono.Time(h.next.Load()) || !h.fits(r) || !h.strange.CompareAndSwap(false, true) {
		return false
	}
	h.begun.Store(int64(now))
	return true
}

// fits reports whether it is r's turn. A fourth is for all, so that a network which mistypes once is not kept out by ever
// more of others.
func (h *Hasher) fits(r rank) bool {
	return r != stranger || h.newcomers.Load() <= 0 || h.done.Load()%4 == 3
}

// free reports whether one could begin.
func (h *Hasher) free(r rank) bool {
	if r == familiar {
		return !h.familiar.Load()
	}
	return !h.strange.Load() && h.fits(r) && mono.Now() >= mono.Time(h.next.Load())
}

// end follows a hash.
func (h *Hasher) end(r rank, now mono.Time) {
	if r != familiar {
		took := now.Sub(mono.Time(h.begun.Load()))
		h.next.Store(int64(now.Add(2 * max(took, time.Millisecond))))
		h.done.Add(1)
	}
	h.release(r)
}

// release is end where nothing was hashed.
func (h *Hasher) release(r rank) {
	if r == familiar {
		h.familiar.Store(false)
	} else {
		h.strange.Store(false)
	}
}
