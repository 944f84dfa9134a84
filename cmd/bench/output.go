package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"weir/bench"
	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/report"
)

// output is stdout, and remembers why something could not be written to it. Not for concurrent use.
type output struct {
	w   io.Writer
	err error // the first
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.w.Write(b)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// failure returns why not all could be written, nil when whoever read it just had enough, as head has.
func (o *output) failure() error {
	if o.err == nil || errors.Is(o.err, syscall.EPIPE) {
		return nil
	}
	return fmt.Errorf("write to stdout: %w", o.err)
}

// writable returns why a file that is wanted could not be written, or nil. A run calls it before it begins; "" is a
// file that is not wanted.
func writable(record, page string) error {
	for _, f := range []struct{ what, path string }{{"record", record}, {"page", page}} {
		if f.path == "" {
			continue
		}
		if err := report.Writable(f.path); err != nil {
			return fmt.Errorf("write %s: %w", f.what, err)
		}
	}
	return nil
}

// finish writes what a run came to and returns why the run failed, if it did, and what could not be written. The record
// and the page come first: nothing that befalls the tables then costs them.
func (c *command) finish(r report.Record, record, page string, failure error) error {
	var errs []error
	if record != "" {
		errs = append(errs, r.Write(record))
	}
	if came(r.Result) {
		errs = append(errs, c.drawn(page, r))
		c.tables(r.Result)
	}
	return errors.Join(append(errs, failure)...)
}

// came reports whether a run came to anything that can be shown.
func came(result any) bool {
	switch result := result.(type) {
	case bench.Outcome:
		return len(result.Good.Phases) > 0
	case load.Result:
		return len(result.Phases) > 0
	case attack.Result:
		return result.Name != ""
	}
	return false
}

// tables writes a result to stdout.
func (c *command) tables(result any) {
	switch result := result.(type) {
	case bench.Outcome:
		report.Siege(c.stdout, result)
	case load.Result:
		report.Load(c.stdout, result)
	case attack.Result:
		report.Attack(c.stdout, result)
	}
}
