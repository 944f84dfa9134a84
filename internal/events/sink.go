package events

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"
)

// sinkLines is how many lines wait for a slow log: at 300 bytes each, a third of a megabyte.
const sinkLines = 1024

// Output is where log lines go: a writer, or something that wants to know how grave a line is.
type Output interface {
	// WriteLine writes one line, its end included. One goroutine.
	WriteLine(level zapcore.Level, line []byte) error
}

// Writer makes an Output of w.
func Writer(w io.Writer) Output { return &plainWriter{Writer: w} }

type plainWriter struct {
	io.Writer
	lines
}

func (w *plainWriter) WriteLine(_ zapcore.Level, line []byte) error { return w.write(w.Writer, line) }

// lines keeps what is written in lines, even when a disk that is full has taken the beginning of one.
type lines struct{ cut bool }

func (l *lines) write(w io.Writer, line []byte) error {
	if l.cut {
		line = append([]byte{'\n'}, line...)
	}
	n, err := w.Write(line)
	l.cut = err != nil && (l.cut || n > 0)
	return err
}

type levelled struct {
	level zapcore.Level
	text  []byte
}

// Sink is a writer that never blocks. Lines wait in a bounded queue for one goroutine that writes
// them; while the queue is full, lines are dropped and counted, and the count is told when there is
// room again. Its methods may be called by any goroutine.
type Sink struct {
	lines   chan levelled
	lost    func(n uint64) []byte
	dropped atomic.Uint64

	closing sync.Once
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when the goroutine has ended
}

// NewSink starts a Sink that writes to out. lost makes the line that says that n lines were dropped,
// its end included; nil means a plain one. End it with Close.
func NewSink(out Output, lost func(n uint64) []byte) *Sink {
	if lost == nil {
		lost = func(n uint64) []byte { return fmt.Appendf(nil, "%d log lines dropped: the log is slow\n", n) }
	}
	s := &Sink{lines: make(chan levelled, sinkLines), lost: lost, stop: make(chan struct{}), done: make(chan struct{})}
	go s.run(out)
	return s
}

// WriteLine queues a copy of line. It always reports success: trouble is counted, see Dropped.
func (s *Sink) WriteLine(level zapcore.Level, line []byte) error {
	select {
	case s.lines <- levelled{level, append([]byte(nil), line...)}:
	default:
		s.dropped.Add(1)
	}
	return nil
}

// Write is WriteLine for a line of no particular gravity.
func (s *Sink) Write(line []byte) (int, error) {
	return len(line), s.WriteLine(zapcore.InfoLevel, line)
}

// Core is a zapcore.Core that encodes by enc and queues the lines. Any goroutine.
func (s *Sink) Core(enc zapcore.Encoder, level zapcore.LevelEnabler) zapcore.Core {
	return &sinkCore{level, enc, s}
}

type sinkCore struct {
	zapcore.LevelEnabler
	enc  zapcore.Encoder
	sink *Sink
}

func (c *sinkCore) With(fields []zapcore.Field) zapcore.Core {
	enc := c.enc.Clone()
	for i := range fields {
		fields[i].AddTo(enc)
	}
	return &sinkCore{c.LevelEnabler, enc, c.sink}
}

func (c *sinkCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *sinkCore) Sync() error { return nil }

func (c *sinkCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	buf, err := c.enc.EncodeEntry(e, fields)
	if err != nil {
		return err
	}
	defer buf.Free()
	return c.sink.WriteLine(e.Level, buf.Bytes())
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

func (s *Sink) run(out Output) {
	defer close(s.done)
	var told uint64
	write := func(line levelled) {
		if n := s.dropped.Load(); n > told {
			if err := out.WriteLine(zapcore.WarnLevel, s.lost(n-told)); err == nil {
				told = n
			}
		}
		if err := out.WriteLine(line.level, line.text); err != nil {
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
