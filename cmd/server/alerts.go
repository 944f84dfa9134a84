package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"weir/engine"
	"weir/internal/alerts"
	"weir/internal/events"
	"weir/internal/metrics"
	"weir/internal/say"
)

// alertPatience is how long the end of the process waits for receivers.
const alertPatience = 2 * time.Second

// alerting is what the flags say of alerts.
type alerting struct {
	urls, rules []string
	secretFile  string // "" for none
}

func (s *settings) checkAlerts(g given) error {
	if len(s.alerts.urls) == 0 {
		return nil
	}
	if err := alerts.CheckRules(s.alerts.rules); err != nil {
		return say.Usage(g.where("alert-rule") + ": " + err.Error())
	}
	return nil
}

// config is what package alerts is given, but for what it reads.
func (a *alerting) config() (alerts.Config, error) {
	host, _ := os.Hostname()
	cfg := alerts.Config{URLs: a.urls, Rules: a.rules, Host: events.Clean(host, 100), Agent: "weir/" + thisBuild().version}
	if a.secretFile == "" {
		return cfg, nil
	}
	var err error
	if cfg.Secret, err = alerts.ReadSecret(a.secretFile); err != nil {
		return cfg, fmt.Errorf("-alert-secret-file %s: %w", say.Shown(a.secretFile), root(err))
	}
	return cfg, nil
}

// openAlerts is ready to tell receivers; nil without any.
func openAlerts(s *settings, log *zap.Logger) (*alerts.Alerts, error) {
	if len(s.alerts.urls) == 0 {
		return nil, nil
	}
	cfg, err := s.alerts.config()
	if err != nil {
		return nil, err
	}
	cfg.Log = log
	return alerts.Open(cfg)
}

// both tells events to the log and to a, which may be nil.
func both(log func(engine.Event), a *alerts.Alerts) func(engine.Event) {
	if a == nil {
		return log
	}
	return func(e engine.Event) {
		log(e)
		a.Tell(e)
	}
}

// reading is what alerts are judged by.
func reading(s *settings, now engine.Snapshot, lost uint64, open int, behind pools) alerts.Reading {
	share := func(n, of int64) float64 {
		if of <= 0 {
			return 0
		}
		return 100 * float64(n) / float64(of)
	}
	in := alerts.Reading{
		Shed: now.Shed, Panics: now.Panics, EventsLost: lost,
		Descriptors: share(int64(open), int64(s.machine.descriptors)), Connections: share(now.Conns, int64(s.engine.Guard.MaxConns)),
		Unproven: share(int64(now.Unproven), int64(s.engine.Guard.MaxUnproven)), Buffered: share(now.Buffered, s.engine.MaxBuffered),
	}
	for _, n := range now.AcceptErrors {
		in.AcceptErrors += n
	}
	for _, u := range behind.upstreams(s) {
		if !u.Up {
			in.ServersDown++
		}
	}
	return in
}

// alertStats is what the metrics tell of a, which may be nil.
func alertStats(a *alerts.Alerts) (all metrics.Alerts) {
	if a == nil {
		return
	}
	rules, receivers := a.Stats()
	for _, r := range rules {
		all.Rules = append(all.Rules, metrics.AlertRule{Name: r.Rule, Fired: r.N})
	}
	for _, r := range receivers {
		all.Receivers = append(all.Receivers, metrics.AlertReceiver{Name: r.Receiver, OK: r.OK, Failed: r.Failed, Dropped: r.Dropped})
	}
	return all
}

// testAlerts is the command "alert test": it sends one alert to each receiver and says what came of it.
func testAlerts(args []string, stdout, stderr io.Writer) int {
	given, err := parse(args)
	if err != nil {
		return complain(stderr, err)
	}
	s, err := resolve(given, thisMachine())
	switch {
	case err != nil:
		return complain(stderr, err)
	case len(s.alerts.urls) == 0:
		return complain(stderr, say.Usage("alert test: whom to tell? give -alert-url"))
	}
	cfg, err := s.alerts.config()
	if err != nil {
		return complain(stderr, err)
	}
	all, err := alerts.Test(cfg)
	if err != nil {
		return complain(stderr, err)
	}
	code := exitOK
	for _, o := range all {
		if o.Err != nil {
			code = exitFailed
			fmt.Fprintf(stdout, "%s: not delivered: %s\n", o.Receiver, events.Clean(o.Err.Error(), 300))
			continue
		}
		fmt.Fprintf(stdout, "%s: delivered in %d ms\n", o.Receiver, o.Took.Milliseconds())
	}
	return code
}
