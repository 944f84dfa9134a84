package files

import (
	"bytes"
	"net/http"
	"time"

	"weir/engine/service"
)

// admit judges what can be judged without the file system, and takes what an upload needs of what is
// limited. size is -1 when nobody knows. On a loop.
func (s *store) admit(c service.Conn, u *upload, size int64) Outcome {
	switch {
	case s.cfg.Max > 0 && size > s.cfg.Max:
		return TooLarge
	case s.cfg.Quota > 0 && !s.ready.Load():
		return Busy // what is there is being counted
	}
	n := cost(size)
	if !s.reserve(n) {
		return OverQuota
	}
	who := c.Standing()
	if who.Exempt {
		who.Source = ""
	}
	if !s.cfg.Slots.take(who.Source) {
		s.giveBack(n)
		return TooMany
	}
	if !who.Exempt && s.cfg.Spend != nil && !s.cfg.Spend(c.Peer().Addr(), n) {
		s.giveBack(n)
		s.cfg.Slots.give(who.Source)
		return OverBudget
	}
	u.st, u.source, u.size, u.held = s, who.Source, size, n
	s.open.Add(1)
	s.wg.Add(1)
	return Stored
}

func (s *store) giveBack(n int64) {
	s.reserved.Add(-n)
	s.pending.Add(-n)
}

// more judges n bytes that have arrived. On the loop.
func (u *upload) more(c service.Conn, n int64) Outcome {
	u.got += n
	if u.size >= 0 {
		if u.got > u.size {
			return BadRequest
		}
		return Stored
	}
	n = cost(u.got) - u.held
	switch s := u.st; {
	case s.cfg.Max > 0 && u.got > s.cfg.Max:
		return TooLarge
	case n == 0:
		return Stored
	case !s.reserve(n):
		return OverQuota
	default:
		u.held += n
		if u.source != "" && s.cfg.Spend != nil && !s.cfg.Spend(c.Peer().Addr(), n) {
			return OverBudget
		}
	}
	return Stored
}

// conditions are a request's preconditions, copied: they are judged twice, by workers.
type conditions struct {
	ifMatch, ifNoneMatch string
	hasMatch, hasNone    bool
	unmodifiedSince      time.Time
}

// match, noneOf and since keep a request's preconditions.

func (c *conditions) match(list []byte) { c.ifMatch, c.hasMatch = join(c.ifMatch, list), true }

func (c *conditions) noneOf(list []byte) { c.ifNoneMatch, c.hasNone = join(c.ifNoneMatch, list), true }

func join(have string, list []byte) string {
	if have == "" {
		return string(list)
	}
	return have + ", " + string(bytes.TrimSpace(list))
}

// since keeps If-Unmodified-Since; a date that is none says nothing (9110 13.1.4).
func (c *conditions) since(v []byte) {
	if t, err := http.ParseTime(string(v)); err == nil {
		c.unmodifiedSince = t
	}
}

// hold reports whether they hold for what is there: a tag, "" for nothing.
func (c *conditions) hold(tag string, modified time.Time) bool {
	switch {
	case c.hasMatch:
		if tag == "" || !listHas(c.ifMatch, tag, false) {
			return false
		}
	case !c.unmodifiedSince.IsZero() && tag != "" && modified.Truncate(time.Second).After(c.unmodifiedSince):
		return false
	}
	return !c.hasNone || tag == "" || !listHas(c.ifNoneMatch, tag, true)
}

// listHas reports whether a list of entity tags has one, or is "*"; weak says that weak ones count.
func listHas(list, tag string, weak bool) bool {
	b := []byte(list)
	if string(trimSpace(b)) == "*" {
		return true
	}
	for len(b) > 0 {
		if b = trimSpace(b); len(b) > 0 && b[0] == ',' {
			b = b[1:]
			continue
		}
		one, isWeak, rest, ok := cutTag(b)
		if !ok {
			return false
		}
		if string(one) == tag && (weak || !isWeak) {
			return true
		}
		b = rest
	}
	return false
}
