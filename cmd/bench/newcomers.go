package main

import (
	"flag"
	"fmt"
	"net/netip"

	"weir/bench/load"
	"weir/bench/target"
)

// newcomers holds the flags of a siege's second lane.
type newcomers struct {
	rate    float64
	source  string
	sources int
}

func (n *newcomers) flags(f *flag.FlagSet) {
	f.Float64Var(&n.rate, "newcomers", 0, "newcomers a second beside the good client, who each connect, make one request and close; 0 none")
	f.StringVar(&n.source, "newcomer-source", "", "first source address of the newcomers (default 127.128.0.1, or ::1)")
	f.IntVar(&n.sources, "newcomer-sources", 200, "source addresses of the newcomers, each in a /24 of its own, taken in turn")
}

// config returns what the newcomers do: what the good client does, each for the first time; nil when there are none.
func (n *newcomers) config(good load.Config) (*load.Config, error) {
	if n.rate == 0 {
		return nil, nil
	}
	if n.rate < 0 {
		return nil, fmt.Errorf("newcomers %v: must not be negative", n.rate)
	}
	if good.Target.Addr.Addr().Is6() && n.source == "" {
		n.source, n.sources = "::1", 1
	}
	if n.source == "" {
		n.source = "127.128.0.1"
	}
	first, err := netip.ParseAddr(n.source)
	if err != nil {
		return nil, fmt.Errorf("newcomer-source %q is no address", n.source)
	}
	if first.Is4() != good.Target.Addr.Addr().Is4() {
		return nil, fmt.Errorf("newcomer-source %s and target %s are of different families", first, good.Target.Addr)
	}
	c := good
	c.Rate, c.Conns, c.Pipeline = n.rate, 0, 1
	c.Seed++ // bursts of their own
	c.Sources, err = target.Sources(first, n.sources, 1)
	return &c, err
}
