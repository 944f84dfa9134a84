package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/report"
)

// slowExtra is how much longer slow attacks last than floods: deadlines of 5 s have to come.
const slowExtra = 4 * time.Second

// assault is one siege: attacks on a guarded server with a good client and newcomers beside. The list is closed.
type assault struct {
	name  string
	about string
	specs []string // as bench siege takes them
	path  string   // which they ask for
	tls   bool
	slow  bool
	drawn bool // its course is kept and drawn
}

// slowly is 10,000 connections that drip, from 200 sources in networks of their own: 50 each, which no limit on a
// source refuses. Those that are shed come back once.
const slowly = "slowloris?conns=10000&total=20000&sources=200&per-net=1&rate=5000"

// Sources are in networks of their own (per-net=1): weir's limits on networks would help it, and the others have none.
var assaults = []assault{
	{name: "connection-flood", about: "100,000 silent connections, 200 sources", specs: []string{"connection-flood?per-net=1"}, path: "/"},
	{name: "close-storm", about: "connect and close, 200 sources", specs: []string{"close-storm?per-net=1"}, path: "/"},
	{name: "reset-churn", about: "request, then reset, 200 sources", specs: []string{"reset-churn?per-net=1"}, path: "/"},
	{name: "spray", about: "a request each from 30,000 sources", specs: []string{"spray?per-net=1"}, path: "/"},
	{name: "frame-flood", about: "requests without end on 64 connections, 16 sources", specs: []string{"frame-flood?per-net=1"}, path: "/"},
	{name: "pipeline-flood", about: "1,000 requests at a time on 16 connections", specs: []string{"pipeline-flood?per-net=1"}, path: "/"},
	{name: "upload-flood", about: "bodies of 1 MiB on 8 connections", specs: []string{"upload-flood?per-net=1"}, path: "/echo"},
	{name: "oversize", about: "heads of up to 4 MiB", specs: []string{"oversize?per-net=1"}, path: "/"},
	{name: "malformed", about: "broken requests, 200 sources", specs: []string{"malformed?per-net=1"}, path: "/"},
	{name: "slowloris", about: "10,000 heads, a byte a second, 200 sources", specs: []string{slowly}, path: "/", slow: true},
	{name: "slow-body", about: "1,000 bodies, a byte a second", specs: []string{"slow-body?per-net=1"}, path: "/echo", slow: true},
	{name: "slow-read", about: "500 readers of a byte a second", specs: []string{"slow-read?per-net=1"}, path: "/large", slow: true},
	{name: "zero-window", about: "500 connections that never read", specs: []string{"zero-window?per-net=1"}, path: "/large", slow: true},
	{name: "never-read", about: "500 that never read what is sent back to them", specs: []string{"zero-window?per-net=1"}, path: "/echo", slow: true},
	{name: "silent", about: "2,000 that stay after an answer", specs: []string{"silent?per-net=1"}, path: "/", slow: true},
	{name: "slowloris + flood", about: "10,000 drip, and 100,000 more connect", specs: []string{
		slowly, "connection-flood?conns=9000&total=100000&first=127.64.0.1&per-net=1"}, path: "/", slow: true, drawn: true},
	{name: "tls-handshake", about: "full handshakes, 200 sources", specs: []string{"tls-handshake?per-net=1"}, path: "/", tls: true},
	{name: "tls-hello", about: "hellos, then silence, 200 sources", specs: []string{"tls-hello?per-net=1"}, path: "/", tls: true, slow: true},
	{name: "tls-dribble", about: "2,000 hellos, a byte a second", specs: []string{"tls-dribble?per-net=1"}, path: "/", tls: true, slow: true},
}

// sieged are the peers that are attacked: those with limits.
var sieged = []string{"weir", "nginx", "haproxy", "caddy", "fasthttp", "net/http"}

func (a assault) scheme() string {
	if a.tls {
		return "https"
	}
	return "http"
}

// siegeArgs returns the arguments of the siege of s.
func (a assault) siegeArgs(set setup, s *server) []string {
	path, size := a.path, ""
	if path == "/large" {
		// Servers that have a large answer are asked for it, the others send back what they were sent.
		if path = "/echo"; s.peer.large {
			path, size = "/large", "&size=0"
		}
	}
	during := set.During
	if a.slow {
		during += slowExtra
	}
	args := []string{"siege", "-target", s.url(path), "-good-target", s.url("/"), "-rate", "500", "-conns", "10", "-newcomers", "20",
		"-before", set.Before.String(), "-during", during.String(), "-after", set.After.String(), "-pid", joined(s.pids())}
	if s.peer.name == "weir" {
		args = append(args, "-metrics", fmt.Sprintf("http://127.0.0.1:%d/metrics", s.order.Admin))
	}
	for _, spec := range a.specs {
		args = append(args, "-attack", spec+size)
	}
	return args
}

// run besieges s once.
func (a assault) run(ctx context.Context, l *lab, s *server) (outcome, *course, error) {
	r, argv, err := l.bench(ctx, a.siegeArgs(l.setup, s)...)
	if err != nil {
		return outcome{client: argv}, nil, err
	}
	o, ok := r.Result.(bench.Outcome)
	if !ok || len(o.Good.Phases) != 3 {
		return outcome{client: argv}, nil, errors.New("bench siege: " + failureOf(r))
	}
	out := outcome{client: argv, values: sieges(o)}
	if !a.drawn || o.Newcomers == nil {
		return out, nil, nil
	}
	during := o.Good.Phases[1]
	return out, &course{Good: o.Good.Timeline, Newcomers: o.Newcomers.Timeline, From: during.FromSecs, To: during.FromSecs + during.ForSecs}, nil
}

func failureOf(r report.Record) string {
	if r.Failure != "" {
		return r.Failure
	}
	return "no result"
}

// sieges are the values of a siege: the good client and newcomers during the attack, and what it cost the server.
func sieges(o bench.Outcome) map[string]float64 {
	before, during := o.Good.Phases[0], o.Good.Phases[1]
	v := map[string]float64{"good": share(during), "good_after": share(o.Good.Phases[2]),
		"p99_before_ms": ms(before.P99), "lag_p99_ms": ms(o.Good.Lag.P99)}
	if during.OK > 0 {
		v["p99_ms"] = ms(during.P99)
	}
	if o.Newcomers != nil && len(o.Newcomers.Phases) == 3 {
		n := o.Newcomers.Phases[1]
		v["newcomers"] = share(n)
		if n.OK > 0 {
			v["newcomers_p99_ms"] = ms(n.P99)
		}
	}
	if len(o.Server) == 3 && o.Server[1].Wall > 0 {
		v["cores"] = o.Server[1].CPU.Seconds() / o.Server[1].Wall.Seconds()
		most := int64(0)
		for _, s := range o.Samples {
			most = max(most, s.RSSBytes)
		}
		v["grown_mib"] = float64(max(most, o.Server[1].RSSBytes)-o.Server[0].RSSBytes) / (1 << 20)
	}
	units, ended := int64(0), int64(0)
	for _, r := range o.Attacks {
		units, ended = units+r.Units, ended+r.Ended()
	}
	v["attack_units"], v["attack_ended"] = float64(units), float64(ended)
	return v
}

// share is the percentage of requests that were answered.
func share(s latency.Summary) float64 {
	if s.OK+s.Errors == 0 {
		return 0
	}
	return 100 * float64(s.OK) / float64(s.OK+s.Errors)
}

func ms(d time.Duration) float64 { return d.Seconds() * 1e3 }
