package relay

import (
	"context"
	"net"
	"sync"
	"time"
)

// checkOn connects to every server again and again and says which of them are up.
func (p *Pool) checkOn(ctx context.Context) {
	streak := map[*server]int{} // checks in a row that went otherwise than the server stands
	for {
		list := *p.servers.Load()
		errs := make([]error, len(list))
		var all sync.WaitGroup
		for i, s := range list {
			all.Go(func() { errs[i] = p.check(ctx, s) })
		}
		all.Wait()
		if ctx.Err() != nil {
			return
		}
		now := map[*server]int{}
		for i, s := range list {
			if n := p.judge(s, streak[s], errs[i]); n > 0 {
				now[s] = n
			}
		}
		streak = now // and what is gone is forgotten
		if !sleep(ctx, p.cfg.Check) {
			return
		}
	}
}

// judge takes the outcome of a check, n being how many before it went otherwise than s stands, and
// returns how many do now.
func (p *Pool) judge(s *server, n int, err error) int {
	switch down := s.down.Load(); {
	case down == (err != nil):
		if !down && p.cfg.TLS == nil {
			s.succeeded(p) // clients need not find out; by TLS they must
		}
		return 0
	case err != nil:
		if n++; n < p.cfg.Fall {
			return n
		}
		s.down.Store(true)
		p.cfg.Tell(Change{Server: s.name, Why: "checks cannot connect: " + err.Error()})
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

// check connects to a server and closes the connection.
func (p *Pool) check(ctx context.Context, s *server) error {
	d := net.Dialer{Timeout: min(p.cfg.ConnectTimeout, max(p.cfg.Check, time.Second))}
	network, address := "tcp", s.to.Addr.String()
	if s.to.Path != "" {
		network, address = "unix", s.to.Path
	}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return c.Close()
}
