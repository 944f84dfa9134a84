package events

import (
	"bytes"
	"errors"
	"fmt"
	"log/syslog"
	"os"
	"sync"

	"github.com/DeRuina/timberjack"
	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/zapcore"
)

// File is an Output that is a file, which is rotated when it has grown.
type File struct {
	open func() *timberjack.Logger
	lines

	mu  sync.Mutex
	log *timberjack.Logger
}

// OpenFile opens a file for lines to be appended, with mode 0640 if it is made. When it exceeds maxMB
// MiB it is renamed, with the time in its name, and a new one is begun; keep old ones stay. maxMB 0
// leaves rotation to others: see Reopen.
func OpenFile(name string, maxMB, keep int) (*File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	const never = 1 << 40 / (1 << 20) // a TiB
	if maxMB == 0 {
		maxMB, keep = never, 0
	}
	open := func() *timberjack.Logger {
		return &timberjack.Logger{Filename: name, MaxSize: maxMB, MaxBackups: keep, Compression: "none", FileMode: 0o640}
	}
	return &File{open: open, log: open()}, nil
}

func (f *File) current() *timberjack.Logger {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log
}

// WriteLine is Output's.
func (f *File) WriteLine(_ zapcore.Level, line []byte) error {
	return f.write(f.current(), line)
}

// Reopen has the next line written to the file that has the name then: after it was renamed by somebody
// else. Any goroutine.
func (f *File) Reopen() error {
	f.mu.Lock()
	old := f.log
	f.log = f.open() // one that is closed still writes, but rotates no more
	f.mu.Unlock()
	return old.Close()
}

// Close closes the file.
func (f *File) Close() error { return f.current().Close() }

// Syslog is the Output of the machine's syslog, which on most machines with systemd is the journal, too.
// Lines are sent with the facility daemon and a severity that is their level's.
func Syslog() (Output, error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, "weir")
	if err != nil {
		return nil, errors.New("there is no syslog on this machine")
	}
	return toSyslog{w}, nil
}

type toSyslog struct{ w *syslog.Writer }

func (s toSyslog) WriteLine(level zapcore.Level, line []byte) error {
	text := string(bytes.TrimRight(line, "\n"))
	switch {
	case level >= zapcore.ErrorLevel:
		return s.w.Err(text)
	case level == zapcore.WarnLevel:
		return s.w.Warning(text)
	case level == zapcore.DebugLevel:
		return s.w.Debug(text)
	}
	return s.w.Info(text)
}

// Journal is the Output of systemd's journal, with the level as PRIORITY.
func Journal() (Output, error) {
	if !journal.Enabled() {
		return nil, errors.New("there is no journal of systemd on this machine")
	}
	return toJournal{}, nil
}

type toJournal struct{}

func (toJournal) WriteLine(level zapcore.Level, line []byte) error {
	priority := journal.PriInfo
	switch {
	case level >= zapcore.ErrorLevel:
		priority = journal.PriErr
	case level == zapcore.WarnLevel:
		priority = journal.PriWarning
	case level == zapcore.DebugLevel:
		priority = journal.PriDebug
	}
	if err := journal.Send(string(bytes.TrimRight(line, "\n")), priority, map[string]string{"SYSLOG_IDENTIFIER": "weir"}); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}
