package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"weir/bench/target"
	"weir/bench/watch"
)

// reachTimeout bounds each look of [Siege.Reach].
const reachTimeout = 2 * time.Second

// Reach returns, as one plain line, what of the server is not there: an address that nobody listens at, a metrics page
// that cannot be read, a process that has gone. Without it a siege would run to its end against nothing, and count what the
// kernel resets as shed. It connects once to each address, and sends nothing but the request for the page. Any goroutine.
func (s Siege) Reach(ctx context.Context) error {
	for _, pid := range s.PIDs {
		if _, err := watch.Processes([]int{pid}); errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("siege: -pid %d: there is no such process; name the server's, or leave -pid out", pid)
		} else if err != nil {
			return fmt.Errorf("siege: -pid %d: %w", pid, err)
		}
	}
	targets := []target.Target{s.Good.Target}
	for _, p := range s.Phases {
		for _, strike := range p.Strikes {
			targets = append(targets, strike.Target)
		}
	}
	found := map[netip.AddrPort]bool{}
	for _, t := range targets {
		if !found[t.Addr] {
			if err := reach(ctx, t); err != nil {
				return err
			}
			found[t.Addr] = true
		}
	}
	if s.Sheds != nil {
		ctx, cancel := context.WithTimeout(ctx, reachTimeout)
		defer cancel()
		if _, err := s.Sheds.Read(ctx); err != nil {
			return fmt.Errorf("siege: -metrics: %w; name the server's metrics page, or leave -metrics out", err)
		}
	}
	return nil
}

// reach connects to a target and hangs up.
func reach(ctx context.Context, t target.Target) error {
	if err := target.CheckLoopback(t.Addr.Addr()); err != nil {
		return err
	}
	d := net.Dialer{Timeout: reachTimeout}
	c, err := d.DialContext(ctx, "tcp", t.Addr.String())
	var no syscall.Errno
	switch {
	case errors.As(err, &no) && no == syscall.ECONNREFUSED:
		return fmt.Errorf("siege: %s: nobody listens there; start the server first", t)
	case err != nil:
		return fmt.Errorf("siege: %s: %w", t, err)
	}
	return c.Close()
}
