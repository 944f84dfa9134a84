package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/internal/events"
)

// sameSignal is how soon after the first signal another one is taken for the same: a terminal and a
// supervisor (timeout, make, go run) signal the process and then its group.
const sameSignal = 250 * time.Millisecond

// reload opens the log again, and reads certificates and accounts, as SIGHUP asks for. What changed is logged by hooks.
func (p *process) reload() {
	var again []string
	var changed bool
	var wrong error
	if p.reopenLog != nil {
		_ = p.reopenLog() // what cannot be written is counted
		again = append(again, "the log")
	}
	if p.id != nil {
		changed, wrong = p.id.store.Reload()
		again = append(again, "certificates")
	}
	if p.doors != nil {
		new, err := p.doors.store.Reload()
		changed, wrong = changed || new, errors.Join(wrong, err)
		again = append(again, "accounts")
	}
	event := zap.String("event", events.Signal)
	list := strings.Join(again, ", ")
	switch {
	case list == "":
		p.log.Info("SIGHUP: there is nothing that is read again; restart to change anything", event)
	case wrong != nil:
		p.log.Error("SIGHUP: read again, not all of it could be: "+list, event, zap.Bool("changed", changed))
	default:
		p.log.Info("SIGHUP: read again: "+list+"; restart to change anything else", event, zap.Bool("changed", changed))
	}
}

// waitForEnd waits until the engine ends: by a failure, which it returns, or by a signal. The first
// SIGTERM or SIGINT stops it in order, the second at once. SIGHUP has things read again, on a goroutine of its
// own: a disk that hangs must not keep a server from stopping.
func (p *process) waitForEnd(signals <-chan os.Signal) error {
	ctx, atOnce := context.WithCancel(context.Background())
	defer atOnce()
	ended := make(chan error, 2)
	go func() { ended <- p.engine.Wait() }()
	reloads := make(chan struct{}, 1)
	defer close(reloads)
	go func() {
		for range reloads {
			p.reload()
		}
	}()
	var first time.Time
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("serve: %w", err)
			}
			return nil
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP:
				select {
				case reloads <- struct{}{}:
				default: // one is to come already, and reads what is there then
				}
			case first.IsZero():
				first = time.Now()
				p.log.Info("stopping: frames in flight are finished; a second signal stops at once",
					zap.String("event", events.Stopping), zap.Stringer("signal", sig), zap.Duration("drain-timeout", p.engine.Config().DrainTimeout))
				p.stopping.Store(true)
				go func() { _ = p.engine.Stop(ctx) }()
			case time.Since(first) < sameSignal:
			default:
				p.log.Info("stopping at once", zap.String("event", events.Stopping), zap.Stringer("signal", sig))
				atOnce()
			}
		}
	}
}
