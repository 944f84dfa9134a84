package guard

import (
	"fmt"
	"strings"

	"weir/guard/census"
	"weir/guard/source"
	"weir/guard/wheel"
)

// Term is one part of a Guard's memory.
type Term struct {
	Name  string
	Bytes int64
}

// Memory is what a Guard may come to occupy, term by term.
type Memory []Term

// Total is the sum.
func (m Memory) Total() int64 {
	n := int64(0)
	for _, t := range m {
		n += t.Bytes
	}
	return n
}

// String is a table with one line a term.
func (m Memory) String() string {
	var b strings.Builder
	for _, t := range append(m[:len(m):len(m)], Term{"total", m.Total()}) {
		fmt.Fprintf(&b, "%-48s %10.1f KiB\n", t.Name, float64(t.Bytes)/1024)
	}
	return b.String()
}

// Memory adds up the worst case for the policies and loops made so far. Nothing beyond it is
// allocated whatever peers do.
//
// The wheel's term: each connection has one entry that counts, and can leave others behind when a
// deadline moves closer, a few within a hop of at most four times its shortest timeout; an entry is
// 5.2 bytes at most. An ordinary load stays near one entry a connection. Stale entries of connections that
// have gone are among them, because IDs are reused with the entries they have. Any goroutine.
func (g *Guard) Memory() Memory {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := Memory{{"counts of open connections", census.Bytes(g.cfg.MaxConns)}}
	for _, u := range *g.tables.Load() {
		family := "IPv4"
		if u.family == source.V6 {
			family = "IPv6"
		}
		at := "sources"
		if u.level > 0 {
			at = fmt.Sprintf("wider prefixes (%d)", u.level)
		}
		m = append(m, Term{fmt.Sprintf("%s of %s %s, %d/s", u.what, family, at, u.limit.Tokens), u.table.Bytes()})
	}
	entries := 2
	for _, p := range g.policies[:g.policyCount] {
		entries = max(entries, p.lim.wheelEntries())
	}
	conns := int64(0)
	for _, l := range g.loops {
		conns += int64(len(l.conns))
	}
	return append(m,
		Term{"connection records, hot", conns * recordBytes},
		Term{"connection records, cold", conns * coldBytes},
		Term{"timer wheels, slots", int64(len(g.loops)) * wheelBase},
		Term{"timer wheels, entries", conns * int64(entries) * int64(wheel.ChunkBytes) / int64(wheel.ChunkIDs) * 5 / 4}, // as slices grow
	)
}

// wheelBase is a wheel's slots and a chunk with room for each.
const wheelBase = wheel.Slots * (4 + int64(wheel.ChunkBytes))
