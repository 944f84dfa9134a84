package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/engine"
	"weir/internal/admin"
	"weir/internal/alerts"
	"weir/internal/events"
	"weir/internal/metrics"
)

// logPatience is how long the end of the process waits for a slow log.
const logPatience = 2 * time.Second

// serve runs the server that s describes until a signal or a failure ends it. Its error is one line
// for the operator.
func serve(s *settings, stderr io.Writer) error {
	signals := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE) // a log that has gone is counted, and not the end
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	setProcs(s.engine.Loops, os.Getenv("GOMAXPROCS"))

	output, reopenLog, err := openOutput(s, stderr)
	if err != nil {
		return err
	}
	log, sink := newLog(output, s.logLevel, s.logFormat)
	defer sink.Close(logPatience)
	recorder := events.NewRecorder(log, s.threshold)
	defer recorder.Close(logPatience)

	adminListener, err := listenAdmin(s.admin)
	if err != nil {
		return err
	}
	giveUp := func(err error) error {
		if adminListener != nil {
			_ = adminListener.Close()
		}
		return err
	}
	id, err := openIdentity(s, logChanges(log))
	if err != nil {
		return giveUp(err)
	}
	defer id.close()
	at, err := openSites(s)
	if err != nil {
		return giveUp(err)
	}
	defer at.close()
	behind, err := openPools(s, log)
	if err != nil {
		return giveUp(err)
	}
	defer behind.close()
	in, err := openDoors(s, log)
	if err != nil {
		return giveUp(err)
	}
	defer in.close()
	alarm, err := openAlerts(s, log)
	if err != nil {
		return giveUp(err)
	}
	if alarm != nil {
		defer alarm.Close(alertPatience)
	}
	e, err := engine.New(wire(s, id, at, behind, in, both(recorder.Tell, alarm)))
	if err != nil {
		return giveUp(err)
	}
	files := openFiles(len(s.listeners)*s.engine.Loops+16, 0)
	if err := e.Start(); err != nil {
		return err
	}

	b := thisBuild()
	sampler := metrics.NewSampler(e.Snapshot)
	var stopping atomic.Bool
	var adminServer *admin.Server
	if adminListener != nil {
		adminServer = admin.Serve(adminListener, admin.Config{
			Gatherer: metrics.Registry(metrics.Sources{
				Sampler: sampler, Config: e.Config(), Tables: func() metrics.Tables { return tables(e.Guard()) },
				EventsLost: recorder.Dropped, LogLinesLost: sink.Dropped, Certificates: id.expiries, Files: at.stats,
				Upstreams: func() []metrics.Upstream { return behind.upstreams(s) }, HTTPRelay: behind.http,
				Alerts:  func() metrics.Alerts { return alertStats(alarm) },
				Version: b.version, Revision: b.revision, GoVersion: b.golang,
			}),
			Ready: func() (bool, string) {
				if stopping.Load() {
					return false, "draining"
				}
				return true, ""
			},
			Version:  b.String(),
			ErrorLog: stdLog(log),
		})
	}
	memory := newTidy()
	var last atomic.Pointer[engine.Snapshot] // that the watcher took: another one a second would take its lags from it
	watcher := events.Watch(log, events.Sources{
		Snapshot: func() engine.Snapshot {
			now := sampler.Sample()
			memory.note(now.Buffered, now.HandshakesBegun)
			last.Store(&now)
			return now
		},
		Evictions: e.Guard().Evictions,
		Descriptors: func(conns int64) (used, limit int) {
			return openFiles(files, conns), s.machine.descriptors
		},
	})
	if alarm != nil {
		alarm.Watch(func() alerts.Reading {
			now := last.Load()
			if now == nil {
				now = &engine.Snapshot{} // the first second
			}
			return reading(s, *now, recorder.Dropped(), openFiles(files, now.Conns), behind)
		})
	}
	tellStart(s, id, at, e, adminServer, log, sink)
	id.start()
	expiry := watchExpiry(log, id.watched)

	err = waitForEnd(e, signals, log, func() { stopping.Store(true) }, func() {
		if reopenLog != nil {
			_ = reopenLog() // what cannot be written is counted
		}
		reload(id, in, log)
	})

	expiry.close()
	watcher.Close()
	if adminServer != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := adminServer.Close(ctx); err != nil {
			log.Warn("the admin server ended badly", zap.Error(err))
		}
	}
	total := e.Snapshot()
	var accepted, refused uint64
	for _, l := range total.Listeners {
		accepted, refused = accepted+l.Accepted, refused+l.Refused
	}
	log.Info("stopped", zap.String("event", events.Stopped), zap.Uint64("accepted", accepted), zap.Uint64("refused", refused))
	return err
}

// listenAdmin binds -admin; nil without an error means off.
func listenAdmin(address string) (net.Listener, error) {
	if address == "off" {
		return nil, nil
	}
	ln, err := admin.Listen(address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("-admin %s: another program listens there; stop it, or choose another address or off", address)
	case err != nil:
		return nil, advise(fmt.Errorf("-admin %s: %w", address, root(err)))
	}
	return ln, nil
}

// advise adds what to do to errors of the admin address that have one answer. The engine explains
// its own.
func advise(err error) error {
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w; ports below 1024 need root or CAP_NET_BIND_SERVICE", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; this machine does not have that address", err)
	}
	return err
}

// root is the innermost error: net's wrappers repeat the address.
func root(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// sameSignal is how soon after the first signal another one is taken for the same: a terminal and a
// supervisor (timeout, make, go run) signal the process and then its group.
const sameSignal = 250 * time.Millisecond

// reload reads certificates and accounts again, as SIGHUP asks for. What changed is logged by hooks.
func reload(id *identity, in *doors, log *zap.Logger) {
	if in != nil {
		_, _ = in.store.Reload() // it tells of both
	}
	event := zap.String("event", events.Signal)
	switch {
	case id == nil && in == nil:
		log.Info("SIGHUP: there are no certificates to read again; restart to change anything else", event)
		return
	case id == nil:
		log.Info("SIGHUP: accounts were read again; restart to change anything else", event)
		return
	}
	changed, err := id.store.Reload()
	switch {
	case err != nil:
		log.Error("SIGHUP: certificates were read again, not all of them could be", event, zap.Bool("changed", changed))
	default:
		log.Info("SIGHUP: certificates were read again; restart to change anything else", event, zap.Bool("changed", changed))
	}
}

// waitForEnd waits until the engine ends: by a failure, which it returns, or by a signal. The first
// SIGTERM or SIGINT stops it in order, the second at once. SIGHUP calls reload, on a goroutine of its
// own: a disk that hangs must not keep a server from stopping.
func waitForEnd(e *engine.Engine, signals <-chan os.Signal, log *zap.Logger, stopping, reload func()) error {
	ctx, atOnce := context.WithCancel(context.Background())
	defer atOnce()
	ended := make(chan error, 2)
	go func() { ended <- e.Wait() }()
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
				go reload()
			case first.IsZero():
				first = time.Now()
				log.Info("stopping: frames in flight are finished; a second signal stops at once",
					zap.String("event", events.Stopping), zap.Stringer("signal", sig), zap.Duration("drain-timeout", e.Config().DrainTimeout))
				stopping()
				go func() { _ = e.Stop(ctx) }()
			case time.Since(first) < sameSignal:
			default:
				log.Info("stopping at once", zap.String("event", events.Stopping), zap.Stringer("signal", sig))
				atOnce()
			}
		}
	}
}

// tellStart says what listens where, which limits are on and what that can cost, and warns of what
// the flags alone do not show.
func tellStart(s *settings, id *identity, at sites, e *engine.Engine, adminServer *admin.Server, log *zap.Logger, out io.Writer) {
	sum := &summary{build: thisBuild(), settings: s, memory: memoryTerms(s, e.Guard()), admin: "off",
		certificates: id.certificates(), awaited: id.awaited(), now: time.Now()}
	if ca, ok := id.clientCA(); ok {
		sum.clientCA = &ca
	}
	for i, l := range e.Snapshot().Listeners {
		service := l.Service
		if site := at[l.Name]; site != nil {
			service += ofDirectories(site)
		}
		sum.listeners = append(sum.listeners, served{name: l.Name, url: s.listeners[i].boundURL(l.Address), service: service})
	}
	if adminServer != nil {
		sum.admin = "http://" + adminServer.Addr().String()
	}
	if s.logFormat == "json" || s.logTo != "stderr" {
		sum.log(log)
	} else {
		var block bytes.Buffer
		sum.print(&block)
		_, _ = out.Write(block.Bytes())
	}
	if adminServer != nil && admin.Exposed(s.admin) {
		log.Warn("-admin can be reached from other machines: whoever reaches it can profile the process",
			zap.String("event", events.AdminExposed), zap.String("address", sum.admin))
	}
	for _, w := range s.warnings(sum.certificates) {
		w.log(log)
	}
	if len(s.acme.Domains) > 0 && !slices.ContainsFunc(s.listeners, func(l listener) bool { return l.isTLS() && strings.HasSuffix(l.address, ":443") }) {
		log.Info("ACME: the CA connects to port 443 of each domain, and no TLS listener is there: something must forward it to one",
			zap.String("event", events.ACMEPort))
	}
	for _, name := range strayEnv(os.Environ()) {
		log.Warn("an environment variable that begins with WEIR_ is no flag and was not read",
			zap.String("event", events.UnknownVariable), zap.String("variable", name))
	}
}
