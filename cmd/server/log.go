package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/internal/events"
)

// logPatience is how long the end of the process waits for a slow log.
const logPatience = 2 * time.Second

// openOutput opens what -log-to names; reopen, when not nil, is for SIGHUP. The error is one line for
// the operator.
func openOutput(s *settings, stderr io.Writer) (out events.Output, reopen func() error, err error) {
	switch name, isFile := strings.CutPrefix(s.logTo, "file:"); {
	case isFile:
		f, err := events.OpenFile(name, int(s.logMaxSize>>20), s.logKeep)
		if err != nil {
			return nil, nil, fmt.Errorf("-log-to %s: %w", s.logTo, err)
		}
		return f, f.Reopen, nil
	case s.logTo == "syslog":
		out, err = events.Syslog()
	case s.logTo == "journal":
		out, err = events.Journal()
	default:
		return events.Writer(stderr), nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("-log-to %s: %w", s.logTo, err)
	}
	return out, nil, nil
}

// checkOutput looks whether the log can be where -log-to says, without making anything there.
func checkOutput(s *settings) error {
	name, isFile := strings.CutPrefix(s.logTo, "file:")
	if !isFile {
		return nil
	}
	if fi, err := os.Stat(filepath.Dir(name)); err != nil {
		return fmt.Errorf("-log-to %s: %w", s.logTo, err)
	} else if !fi.IsDir() {
		return fmt.Errorf("-log-to %s: %s is no directory", s.logTo, filepath.Dir(name))
	}
	if fi, err := os.Stat(name); err == nil && fi.IsDir() {
		return fmt.Errorf("-log-to %s: it is a directory", s.logTo)
	}
	return nil
}

// logsToFile reports whether the log is a file.
func (s *settings) logsToFile() bool { return strings.HasPrefix(s.logTo, "file:") }

// checkLogTo takes the words of -log-to and file:PATH.
func checkLogTo(value string) error {
	if name, isFile := strings.CutPrefix(value, "file:"); isFile && checkPath(name) == nil || value == "stderr" || value == "syslog" || value == "journal" {
		return nil
	}
	return errors.New("must be stderr, file:PATH, syslog or journal")
}

// newLog makes the process's logger and the queue in front of out that it writes to: a log that is
// slow or blocked costs lines, never a loop, and never a graceful stop.
func newLog(out events.Output, level, format string) (*zap.Logger, *events.Sink) {
	lvl, err := zapcore.ParseLevel(level)
	if err != nil {
		panic(err) // -log-level takes only words that zap knows
	}
	c := zap.NewProductionEncoderConfig()
	c.TimeKey, c.EncodeTime, c.EncodeDuration = "time", zapcore.ISO8601TimeEncoder, zapcore.StringDurationEncoder
	c.StacktraceKey = "" // an event's own stack is a field
	encode := zapcore.NewJSONEncoder
	if format == "console" {
		encode = zapcore.NewConsoleEncoder
	}
	lost := func(n uint64) []byte {
		buf, err := encode(c).EncodeEntry(zapcore.Entry{Level: zap.WarnLevel, Time: time.Now(), Message: "log lines dropped: the log is slow"},
			[]zap.Field{zap.String("event", events.LinesLost), zap.Uint64("dropped", n)})
		if err != nil {
			return fmt.Appendf(nil, "%d log lines dropped\n", n)
		}
		defer buf.Free()
		return append([]byte(nil), buf.Bytes()...)
	}
	sink := events.NewSink(out, lost)
	return zap.New(events.CleanCore(sink.Core(encode(c), lvl))), sink
}

// stdLog is l for packages that want a *log.Logger.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zap.WarnLevel)
	if err != nil {
		panic(err) // only for levels that do not exist
	}
	return std
}
