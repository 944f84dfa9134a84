package main

import (
	"fmt"
	"io"
	"log"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/internal/events"
)

// newLog makes the process's logger and the queue in front of w that it writes to: a log that is
// slow or blocked costs lines, never a loop, and never a graceful stop.
func newLog(w io.Writer, level, format string) (*zap.Logger, *events.Sink) {
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
		buf, err := encode(c).EncodeEntry(zapcore.Entry{Level: zap.WarnLevel, Message: "log lines dropped: the log is slow"},
			[]zap.Field{zap.String("event", events.LinesLost), zap.Uint64("dropped", n)})
		if err != nil {
			return fmt.Appendf(nil, "%d log lines dropped\n", n)
		}
		defer buf.Free()
		return append([]byte(nil), buf.Bytes()...)
	}
	sink := events.NewSink(w, lost)
	return zap.New(events.CleanCore(zapcore.NewCore(encode(c), sink, lvl))), sink
}

// stdLog is l for packages that want a *log.Logger.
func stdLog(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zap.WarnLevel)
	if err != nil {
		panic(err) // only for levels that do not exist
	}
	return std
}
