package main

import (
	"fmt"

	"weir/guard"
	"weir/guard/mono"
	"weir/internal/metrics"
	"weir/internal/say"
)

// What one of each costs, in bytes, rounded up. A test of the engine holds the first.
const (
	idleConn   = 700              // a connection that does nothing, its session included
	relayed    = 300              // its connection to a server behind, beside idleConn
	loopBuffer = 64<<10 + 256<<10 // what one read brings, and what one wake answers
	logQueues  = 1 << 20          // lines and events that wait for a slow log

	handshake = 28 << 10  // a TLS handshake under way: its coroutine, keys, and what was exchanged
	secured   = 10 << 10  // an established TLS connection that does nothing, beside idleConn; 7.8 KB were measured, all included
	tlsRecord = 18 << 10  // what it keeps of the longest record; counts towards -max-buffered
	knownFile = 1 << 10   // what is known of a path, with the fields of its answer
	mostNotes = 1024      // paths known that are no open files, a loop: package files
	oneUpload = 192 << 10 // what has gathered of one, and what is being written
	tlsLoop   = 512 << 10 // what one read brings decrypted, and what one wake answers encrypted
)

// memoryTerms adds up the most memory that the server can take, by name: what is allocated at start
// whatever happens, and what connections can make it hold.
func memoryTerms(s *settings, g *guard.Guard) []term {
	return append(guardTerms(g), engineTerms(s)...)
}

// engineTerms is what the engine, its services and the log can take.
func engineTerms(s *settings) []term {
	conns, loops := int64(s.engine.Guard.MaxConns), int64(s.engine.Loops)
	buffers := int64(loopBuffer)
	if s.hasTLS() {
		buffers += tlsLoop
	}
	terms := []term{{fmt.Sprintf("connections, %s x %d B", say.Grouped(conns), idleConn), conns * idleConn}}
	terms = append(terms, tlsTerms(s, conns)...)
	if s.hasFiles() {
		n := int64(s.maxOpenFiles) + loops*mostNotes
		terms = append(terms, term{fmt.Sprintf("files, %s known x %s", say.Grouped(n), say.Size(knownFile)), n * knownFile})
	}
	if s.hasUploads() {
		n := int64(s.maxUploads)
		terms = append(terms, term{fmt.Sprintf("uploads, %s x %s, and their sources", say.Grouped(n), say.Size(oneUpload)), n*oneUpload + uploadSources(s)})
	}
	terms = append(terms, relayTerms(s, conns)...)
	return append(terms,
		bufferTerm(s, conns),
		term{fmt.Sprintf("loops, %d x (%s of buffers, 16 B a connection)", loops, say.Size(buffers)), loops * (buffers + 16*conns)},
		term{"log and event queues", logQueues},
	)
}

// relayTerms is what connections to servers behind take beside: nothing without a listener that relays.
func relayTerms(s *settings, conns int64) []term {
	var there int64
	for i := range s.listeners {
		if l := &s.listeners[i]; l.relays() {
			there = min(there+int64(l.limits.MaxConns), conns)
		}
	}
	if there == 0 {
		return nil
	}
	terms := []term{{fmt.Sprintf("connections to servers behind, %s x %d B", say.Grouped(there), relayed), there * relayed}}
	var kept int64
	for i := range s.listeners {
		if l := &s.listeners[i]; l.relaysHTTP() {
			kept += int64(l.limits.relay.maxIdle) * int64(len(l.limits.relay.to)) * int64(s.engine.Loops)
		}
	}
	if kept = min(kept, int64(s.machine.descriptors)); kept > 0 {
		terms = append(terms, term{fmt.Sprintf("connections kept to servers behind, %s x %d B", say.Grouped(kept), relayed), kept * relayed})
	}
	return terms
}

// tlsTerms is what TLS takes beside: nothing without a listener that speaks it.
func tlsTerms(s *settings, conns int64) []term {
	if !s.hasTLS() {
		return nil
	}
	var there int64 // connections to listeners that speak TLS
	for i := range s.listeners {
		if l := &s.listeners[i]; l.isTLS() {
			most := conns
			if l.limits.MaxConns > 0 {
				most = min(most, int64(l.limits.MaxConns))
			}
			there = min(there+most, conns)
		}
	}
	open := min(int64(s.engine.MaxHandshakes), there)
	return []term{
		{fmt.Sprintf("TLS connections, %s x %s", say.Grouped(there), say.Size(secured)), there * secured},
		{fmt.Sprintf("TLS handshakes, %s x %s", say.Grouped(open), say.Size(handshake)), open * handshake},
	}
}

// bufferTerm is what connections can make the server hold: partial frames and output, to the
// greatest of the listeners' limits each, or -max-buffered in all.
func bufferTerm(s *settings, conns int64) term {
	var each int64
	for i, l := range wire(s, nil, nil, nil, nil, nil).Listeners {
		holds := int64(l.MaxIn) + int64(l.MaxOut)
		if s.listeners[i].isTLS() {
			holds += tlsRecord
		}
		if s.listeners[i].relays() {
			holds += int64(l.MaxOut) // the other way
			if s.listeners[i].relaysHTTP() {
				holds += s.listeners[i].limits.maxHeader + headSlack // the head, as it is passed on
			}
			if s.listeners[i].limits.relay.tls.on {
				holds += tlsRecord
			}
		}
		each = max(each, holds)
	}
	t := term{fmt.Sprintf("partial frames and output, %s x %s", say.Grouped(conns), say.SizeAbout(each)), conns * each}
	if most := s.engine.MaxBuffered; most > 0 && most < t.bytes {
		t = term{t.name + ", bounded by max-buffered", most}
	}
	return t
}

// guardTerms is what the guard may come to occupy: its tables of sources, which do not grow, in one
// line for each use, and its records of connections.
func guardTerms(g *guard.Guard) (terms []term) {
	for _, t := range g.Memory() {
		terms = append(terms, term{"guard: " + t.Name, t.Bytes})
	}
	return terms
}

// tables reads the guard's tables of sources for the metrics.
func tables(g *guard.Guard) metrics.Tables {
	t := metrics.Tables{Evictions: g.Evictions()}
	for _, table := range g.Tables(mono.Now()) {
		t.UsedRatio = max(t.UsedRatio, float64(table.Live)/float64(table.Places))
	}
	return t
}
