package events

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// sinkLines is how many lines wait for a slow log: at 300 bytes each, a third of a megabyte.
const sinkLines = 1024

// Sink is a writer that never blocks. Lines wait in a bounded queue for one goroutine that writes
// them; while the queue is full, lines are dropped and counted, and the count is told when there is
// room again. Its methods may be called by any goroutine.
type Sink struct {
	lines   chan []byte
	lost    func(n uint64) []byte
	dropped atomic.Uint64

	closing sync.Once
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
}

// NewSink starts a Sink that writes to w. lost makes the line that says that n lines were dropped,
// its end included; nil means a plain one. End it with Close.
func NewSink(w io.Writer, lost func(n uint64) []byte) *Sink {
	if lost == nil {
		lost = func(n uint64) []byte { return fmt.Appendf(nil, "%d log lines dropped: the log is slow\n", n) }
	}
	s := &Sink{lines: make(chan []byte, sinkLines), lost: lost, stop: make(chan struct{}), done: make(chan struct{})}
	go s.run(w)
	return s
}

// Write queues a copy of line. It always reports success: trouble is counted, see Dropped.
func (s *Sink) Write(line []byte) (int, error) {
	select {
	case s.lines <- append([]byte(nil), line...):
	default:
		s.dropped.Add(1)
	}
	return len(line), nil
}

// Sync does nothing: use Close.
func (s *Sink) Sync() error { return nil }

// Dropped is how many lines were dropped since the start, those included that could not be written.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Close writes what is queued, for at most patience, and reports whether all of it was written.
// Lines that come later are lost.
func (s *Sink) Close(patience time.Duration) bool {
	s.closing.Do(func() { close(s.stop) })
	select {
	case <-s.done:
		return true
	case <-time.After(patience):
		return false
	}
}

func (s *Sink) run(w io.Writer) {
	defer close(s.done)
	var told uint64
	write := func(line []byte) {
		if n := s.dropped.Load(); n > told {
			if _, err := w.Write(s.lost(n - told)); err == nil {
				told = n
			}
		}
		if _, err := w.Write(line); err != nil {
			s.dropped.Add(1)
		}
	}
	for {
		select {
		case line := <-s.lines:
			write(line)
		case <-s.stop:
			for {
				select {
				case line := <-s.lines:
					write(line)
				default:
					return
				}
			}
		}
	}
}
