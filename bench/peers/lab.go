package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// lab runs measurements one after the other and keeps what they found. Not for concurrent use.
type lab struct {
	setup    setup
	bin      string // where this repository's programs are
	dir      string // for everything that is written meanwhile
	log      io.Writer
	paths    map[string]string // of the peers' programs
	record   *record
	measured func() error // called after each measurement: keeps what there is
}

// prepare looks for the peers and makes the certificate.
func (l *lab) prepare() error {
	if err := certificate(l.dir); err != nil {
		return err
	}
	l.paths = make(map[string]string)
	for _, p := range peers {
		if !slices.Contains(l.setup.Peers, p.name) {
			continue
		}
		path, err := p.find(l.bin)
		if err != nil {
			l.record.Absent[p.name] = err.Error()
			fmt.Fprintf(l.log, "left out: %s: %v\n", p.name, err)
			continue
		}
		l.paths[p.name] = path
		if v := p.versionOf(path); v != "" {
			l.record.Versions[p.name] = v
		}
	}
	return nil
}

// run measures all that the setup names. It ends early, with what there is, when ctx ends.
func (l *lab) run(ctx context.Context) error {
	for _, m := range measures {
		if !slices.Contains(l.setup.What, m.name) {
			continue
		}
		fmt.Fprintf(l.log, "== %s: %s\n", m.name, m.title)
		for round := range l.setup.Rounds {
			for _, p := range l.present(m.peers, round) {
				l.measure(ctx, m, p, round)
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
		if err := l.measured(); err != nil {
			return err
		}
	}
	if !slices.Contains(l.setup.What, "siege") {
		return nil
	}
	for round := range l.setup.SiegeRounds {
		for _, a := range assaults {
			if !slices.Contains(l.setup.Attacks, a.name) {
				continue
			}
			fmt.Fprintf(l.log, "== siege, round %d: %s, %s\n", round+1, a.name, a.about)
			for _, p := range l.present(sieged, round) {
				l.besiege(ctx, a, p, round)
				if ctx.Err() != nil {
					return ctx.Err()
				}
			}
			if err := l.measured(); err != nil {
				return err
			}
		}
	}
	return nil
}

// present returns those of the named peers that take part, in the order of the round.
func (l *lab) present(names []string, round int) []peer {
	var out []peer
	for _, p := range peers {
		if slices.Contains(names, p.name) && slices.Contains(l.setup.Peers, p.name) {
			out = append(out, p)
		}
	}
	return rotated(out, round)
}

func (l *lab) measure(ctx context.Context, m measure, p peer, round int) {
	s := sample{What: m.name, Peer: p.name, Round: round + 1}
	l.with(ctx, p, m.want, &s, func(srv *server) error {
		out, err := m.run(ctx, l, srv)
		s.Client, s.Values = out.client, out.values
		return err
	})
	text := s.Why
	for _, c := range m.columns {
		if v, ok := s.Values[c.name]; ok {
			text += c.format(v) + " " + c.head + "  "
		}
	}
	l.keep(ctx, s, text)
}

// A siege whose quiet phase was not quiet, by the good client's p99 before the attack, says more about what else the
// machine did: it is done again, a few times at most, and the quietest counts.
const (
	quietP99Ms = 10
	siegeTries = 3
)

func (l *lab) besiege(ctx context.Context, a assault, p peer, round int) {
	var best sample
	for try := range siegeTries {
		s := sample{What: "siege", Case: a.name, Peer: p.name, Round: round + 1}
		l.with(ctx, p, want{schemes: []string{a.scheme()}, modes: []mode{guarded}, large: a.path == "/large"}, &s, func(srv *server) error {
			out, c, err := a.run(ctx, l, srv)
			s.Client, s.Values, s.Course = out.client, out.values, c
			return err
		})
		if try == 0 || s.Values != nil && s.Values["p99_before_ms"] < best.Values["p99_before_ms"] {
			best = s
		}
		if best.Values == nil || best.Values["p99_before_ms"] <= quietP99Ms || ctx.Err() != nil {
			break
		}
	}
	text := best.Why
	if v := best.Values; v != nil {
		text = fmt.Sprintf("good %.1f %%, p99 %.1f ms (before %.1f, own lag %.1f), newcomers %.0f %%, %.2f cores, %+.0f MiB",
			v["good"], v["p99_ms"], v["p99_before_ms"], v["lag_p99_ms"], v["newcomers"], v["cores"], v["grown_mib"])
	}
	l.keep(ctx, best, text)
}

// keep adds a sample to the record. One that was interrupted is none.
func (l *lab) keep(ctx context.Context, s sample, text string) {
	if ctx.Err() != nil {
		return
	}
	fmt.Fprintf(l.log, "  %d %-11s %s\n", s.Round, s.Peer, text)
	l.record.Samples = append(l.record.Samples, s)
}

// with starts p as wanted, has f use it and stops it. What went wrong becomes s.Why.
func (l *lab) with(ctx context.Context, p peer, w want, s *sample, f func(*server) error) {
	if why, ok := l.record.Absent[p.name]; ok {
		s.Why = why
		return
	}
	o, why := p.choose(w)
	if s.Why = why; why != "" {
		return
	}
	srv, err := l.start(ctx, p, o)
	if err != nil {
		s.Why = l.portable([]string{err.Error()})[0]
		return
	}
	defer srv.stop()
	s.Server = l.portable(srv.command)
	if err := f(srv); err != nil {
		s.Why, s.Values = err.Error(), nil
	}
	s.Client = l.portable(s.Client)
}

// want is what a measurement needs of a server.
type want struct {
	schemes []string // the first that the peer speaks is used
	modes   []mode   // likewise
	buffer  int      // bytes of a connection's buffer, for gotls
	large   bool     // a file under /large
}

// choose returns the order for the first scheme and mode that p has, or why there is none: the reason for the first.
func (p peer) choose(w want) (o order, why string) {
	for _, m := range w.modes {
		for _, scheme := range w.schemes {
			no := p.does(scheme, m)
			if no == "" {
				return order{Mode: m, Scheme: scheme, Buffer: w.buffer, Large: w.large}, ""
			}
			if why == "" {
				why = no
			}
		}
	}
	return order{}, why
}

func (l *lab) start(ctx context.Context, p peer, o order) (*server, error) {
	var err error
	if o.Port, err = freePort(); err != nil {
		return nil, err
	}
	if o.Admin, err = freePort(); err != nil {
		return nil, err
	}
	if o.Dir, err = os.MkdirTemp(l.dir, "server"); err != nil {
		return nil, err
	}
	o.Cert, o.Key, o.Pem = filepath.Join(l.dir, "cert.pem"), filepath.Join(l.dir, "key.pem"), filepath.Join(l.dir, "both.pem")
	o.Module = streamModule()
	return start(ctx, p, l.paths[p.name], o)
}

// portable names the folder of this run by a word: it is another one the next time.
func (l *lab) portable(argv []string) []string {
	out := slices.Clone(argv)
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], l.dir, "TMP")
	}
	return out
}
