package relay

import (
	"context"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"
)

// checkOn checks every server again and again and says which of them are up. One that takes its time
// keeps none of the others waiting; it is not asked again meanwhile.
func (p *Pool) checkOn(ctx context.Context) {
	type outcome struct {
		s   *server
		err error
	}
	outcomes := make(chan outcome)
	under := map[*server]bool{} // a check is under way
	streak := map[*server]int{} // checks in a row that went otherwise than the server stands
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(p.cfg.Check)
	defer tick.Stop()
	for {
		list := *p.servers.Load()
		maps.DeleteFunc(streak, func(s *server, _ int) bool { return !contains(list, s) })
		for _, s := range list {
			if under[s] {
				continue
			}
			under[s] = true
			all.Go(func() {
				o := outcome{s, p.check(ctx, s)}
				if ctx.Err() != nil {
					return // it was cut short, which says nothing of the server
				}
				select {
				case outcomes <- o:
				case <-ctx.Done():
				}
			})
		}
		for next := false; !next; {
			select {
			case o := <-outcomes:
				delete(under, o.s)
				if contains(list, o.s) {
					streak[o.s] = p.judge(o.s, streak[o.s], o.err)
				}
			case <-tick.C:
				next = true
			case <-ctx.Done():
				return
			}
		}
	}
}

// judge takes the outcome of a check, n being how many before it went otherwise than s stands, and
// returns how many do now.
func (p *Pool) judge(s *server, n int, err error) int {
	switch down := s.down.Load(); {
	case down == (err != nil):
		if !down && (p.cfg.TLS == nil || p.cfg.CheckPath != "") {
			s.succeeded(p) // clients need not find out; by TLS they must, unless the check has shaken hands
		}
		return 0
	case err != nil:
		if n++; n < p.cfg.Fall {
			return n
		}
		s.down.Store(true)
		p.cfg.Tell(Change{Server: s.name, Why: err.Error()})
	default:
		if n++; n < p.cfg.Rise {
			return n
		}
		s.fails.Store(0)
		s.until.Store(0)
		s.down.Store(false)
		p.cfg.Tell(Change{Server: s.name, Up: true})
	}
	return 0
}

// check connects to a server, asks it where that is configured (ask.go), and closes the connection. The error
// says what checks have found.
func (p *Pool) check(ctx context.Context, s *server) error {
	ctx, cancel := context.WithTimeout(ctx, max(p.cfg.Check, time.Second))
	defer cancel()
	d := net.Dialer{Timeout: p.cfg.ConnectTimeout}
	network, address := "tcp", s.to.Addr.String()
	if s.to.Path != "" {
		network, address = "unix", s.to.Path
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("checks cannot connect: %w", err)
	}
	if p.cfg.CheckPath != "" {
		err = p.ask(ctx, c, s.place)
	}
	_ = c.Close()
	return err
}
