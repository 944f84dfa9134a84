package relay

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"weir/engine/service"
)

// lookUpAgain is how soon a name that was not found is looked up again.
const lookUpAgain = time.Second

// resolveOn looks the names up again and again. found is whether all were found the last time.
func (p *Pool) resolveOn(ctx context.Context, found bool) {
	if !p.hasNames() {
		return
	}
	for {
		wait := p.cfg.Resolve
		if !found {
			wait = min(wait, lookUpAgain)
		}
		if !sleep(ctx, wait) {
			return
		}
		found = p.resolve(ctx)
	}
}

func (p *Pool) hasNames() bool {
	return slices.ContainsFunc(p.places, func(pl place) bool { return pl.host != "" })
}

// sleep reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// resolve makes the list of servers anew and reports whether every name was found. A server that was
// there before stays the same one, with what is known of it; the addresses of a name that is not
// found now stay as they were. Connections to servers that are not there any more go on.
func (p *Pool) resolve(ctx context.Context) (found bool) {
	was := *p.servers.Load()
	var list []*server
	add := func(pl *place, name string, to service.Target) {
		i := slices.IndexFunc(was, func(s *server) bool { return s.place == pl && s.to == to })
		if i >= 0 {
			list = append(list, was[i])
			return
		}
		list = append(list, &server{place: pl, name: name, to: to})
	}
	found = true
	for i := range p.places {
		pl := &p.places[i]
		switch {
		case pl.path != "":
			add(pl, pl.text, service.Target{Path: pl.path})
			continue
		case pl.host == "":
			add(pl, pl.text, service.Target{Addr: netip.AddrPortFrom(pl.addr, pl.port)})
			continue
		}
		addrs, err := p.lookup(ctx, pl)
		if err == nil && len(addrs) > 0 {
			for _, a := range addrs {
				to := netip.AddrPortFrom(a, pl.port)
				add(pl, pl.text+" ("+to.String()+")", service.Target{Addr: to})
			}
			continue
		}
		kept := false
		for _, s := range was {
			if s.place == pl {
				list, kept = append(list, s), true
			}
		}
		if ctx.Err() == nil || !kept {
			found = false
		}
	}
	p.servers.Store(&list)
	return found
}

// lookup finds the addresses of a name, in an order that does not change by itself.
func (p *Pool) lookup(ctx context.Context, pl *place) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	addrs, err := p.cfg.Lookup(ctx, pl.host)
	for i := range addrs {
		addrs[i] = addrs[i].Unmap().WithZone("")
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), mostAddresses)], err
}
