package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

// counters are one loop's. On the loop's goroutine only: a reader asks the loop for a copy, so
// that counting is a plain addition.
type counters struct {
	shed                        [guard.Reasons]uint64
	faults                      [codec.Faults]uint64
	bytesIn, bytesOut           uint64
	writes, wakes               uint64
	sendfile                    uint64 // of bytesOut: of files that were never read
	panics                      uint64
	shakesBegun                 uint64
	shakesFailed                uint64
	shakes                      [HandshakeKinds]uint64
	upDialled, upMade, upReused uint64
	logins                      uint64
	upEnds                      [service.Ends]uint64
	upIn, upOut                 uint64
	acceptErrors                map[unix.Errno]uint64
	lag, maxLag                 time.Duration
}

// snapshotWait is how long a loop may take to answer before its last known numbers are used.
const snapshotWait = 250 * time.Millisecond

// report is one loop's answer.
type report struct {
	counters
	errnos    map[string]uint64
	conns     int64
	shaking   int
	upstreams int
	buffered  int64
	listeners []ListenerSnapshot
	stale     bool
}

func (l *loop) report() report {
	r := report{counters: l.count, conns: int64(l.conns), shaking: l.shakes.n, upstreams: l.upstreams.open, buffered: l.buffered, errnos: map[string]uint64{}}
	r.acceptErrors = nil
	for e, n := range l.count.acceptErrors {
		r.errnos[errnoName(e)] += n
	}
	for _, ln := range l.listeners {
		r.listeners = append(r.listeners, ListenerSnapshot{
			Accepted: ln.accepted, Refused: ln.refused, Frames: ln.frames, Conns: ln.conns, Answers: ln.answers,
		})
	}
	l.count.maxLag = l.count.lag
	return r
}

// Snapshot asks every loop for its counters and adds them up. A loop that does not answer within
// 250 ms is counted with its last known numbers and marked Stale. Any goroutine.
func (e *Engine) Snapshot() Snapshot {
	e.snapMu.Lock()
	defer e.snapMu.Unlock()
	type answer struct {
		no int
		r  report
	}
	answers := make(chan answer, len(e.loops))
	select {
	case <-e.done:
	default:
		for i, l := range e.loops {
			e.last[i].stale = true
			asked := mono.Now()
			l.do(func() {
				l.late(mono.Now().Sub(asked))
				answers <- answer{i, l.report()}
			})
		}
		limit := time.NewTimer(snapshotWait)
		defer limit.Stop()
	wait:
		for range e.loops {
			select {
			case a := <-answers:
				e.last[a.no] = a.r
			case <-limit.C:
				break wait
			case <-e.done:
				break wait
			}
		}
	}
	return e.sum()
}

func (e *Engine) sum() Snapshot {
	s := Snapshot{
		AcceptErrors: map[string]uint64{}, WorkQueued: len(e.pool.queue), WorkRunning: int(e.pool.running.Load()),
		Unproven: e.g.Unproven(), HandshakesQueued: len(e.shakers.queue) + len(e.shakers.begun),
	}
	select {
	case <-e.stopping:
		s.Draining = true
	default:
	}
	for i := range e.cfg.Listeners {
		ln := &e.cfg.Listeners[i]
		s.Listeners = append(s.Listeners, ListenerSnapshot{Name: ln.Name, Address: e.addrs[i].String(), Service: ln.Service.Name()})
	}
	for i := range e.last {
		r := &e.last[i]
		s.Loops = append(s.Loops, LoopSnapshot{Conns: r.conns, Lag: r.lag, MaxLag: r.maxLag, Wakes: r.wakes, Stale: r.stale})
		s.Conns += r.conns
		s.Buffered += r.buffered
		s.BytesIn += r.bytesIn
		s.BytesOut += r.bytesOut
		s.Writes += r.writes
		s.Sendfile += r.sendfile
		s.Panics += r.panics
		s.HandshakesBegun += r.shakesBegun
		s.HandshakesFailed += r.shakesFailed
		s.HandshakesOpen += r.shaking
		s.Upstreams += r.upstreams
		s.UpstreamsDialled += r.upDialled
		s.UpstreamsConnected += r.upMade
		s.UpstreamsReused += r.upReused
		s.Logins += r.logins
		s.UpstreamBytesIn += r.upIn
		s.UpstreamBytesOut += r.upOut
		for k, n := range r.upEnds {
			s.UpstreamEnds[k] += n
		}
		for k, n := range r.shakes {
			s.Handshakes[k] += n
		}
		for k, n := range r.shed {
			s.Shed[k] += n
		}
		for k, n := range r.faults {
			s.Faults[k] += n
		}
		for k, n := range r.errnos {
			s.AcceptErrors[k] += n
		}
		for k := range r.listeners {
			s.Listeners[k].Accepted += r.listeners[k].Accepted
			s.Listeners[k].Refused += r.listeners[k].Refused
			s.Listeners[k].Frames += r.listeners[k].Frames
			s.Listeners[k].Conns += r.listeners[k].Conns
			for class, n := range r.listeners[k].Answers {
				s.Listeners[k].Answers[class] += n
			}
		}
	}
	return s
}
