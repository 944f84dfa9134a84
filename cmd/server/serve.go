package main

import (
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
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

// serve runs the server that s describes until a signal or a failure ends it. Its error is one line
// for the operator.
func serve(s *settings, stderr io.Writer) error {
	signals := make(chan os.Signal, 4)
	signal.Ignore(syscall.SIGPIPE) // a log that has gone is counted, and not the end
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	setProcs(s.engine.Loops, os.Getenv("GOMAXPROCS"))

	p := &process{settings: s}
	defer p.close()
	if err := p.open(stderr); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	err := p.waitForEnd(signals)
	p.stop()
	return err
}

// process is a server that runs: what open has opened, and start has started. Fields that have no use with the
// settings are nil.
type process struct {
	settings *settings
	closers  []func() // of what is open, in the order in which it was opened

	log       *zap.Logger
	sink      *events.Sink     // behind log
	reopenLog func() error     // nil when the log is no file
	recorder  *events.Recorder // of the engine's events, in log

	adminListener net.Listener
	id            *identity
	sites         sites
	pools         pools
	doors         *doors
	alarm         *alerts.Alerts
	engine        *engine.Engine

	baseFiles int // descriptors that are open without a client
	sampler   *metrics.Sampler
	last      atomic.Pointer[engine.Snapshot] // the newest that the watcher took. Alerts read it too: to take another would reset the greatest lags that it tells
	stopping  atomic.Bool
	admin     *admin.Server
	watcher   *events.Watcher
	expiry    *expiryWatch
}

// open opens all that s names: files, directories, and addresses, which are bound and not accepted from before
// start. What it has opened when it fails is for close.
func (p *process) open(stderr io.Writer) (err error) {
	s := p.settings
	output, reopen, err := openOutput(s, stderr)
	if err != nil {
		return err
	}
	p.reopenLog = reopen
	p.log, p.sink = newLog(output, s.logLevel, s.logFormat)
	p.onClose(func() { p.sink.Close(logPatience) })
	p.recorder = events.NewRecorder(p.log, s.threshold)
	p.onClose(func() { p.recorder.Close(logPatience) })

	if p.adminListener, err = listenAdmin(s.admin); err != nil {
		return err
	}
	if p.adminListener != nil {
		p.onClose(func() { _ = p.adminListener.Close() }) // again, when it was served
	}
	if p.id, err = openIdentity(s, logChanges(p.log)); err != nil {
		return err
	}
	p.onClose(p.id.close)
	if p.sites, err = openSites(s); err != nil {
		return err
	}
	p.onClose(p.sites.close)
	if p.pools, err = openPools(s, p.log); err != nil {
		return err
	}
	p.onClose(p.pools.close)
	if p.doors, err = openDoors(s, p.log); err != nil {
		return err
	}
	p.onClose(p.doors.close)
	if p.alarm, err = openAlerts(s, p.log); err != nil {
		return err
	}
	if p.alarm != nil {
		p.onClose(func() { p.alarm.Close(alertPatience) })
	}
	p.engine, err = engine.New(wire(s, p.id, p.sites, p.pools, p.doors, both(p.recorder.Tell, p.alarm)))
	return err
}

func (p *process) onClose(f func()) { p.closers = append(p.closers, f) }

// close gives back what open has opened, the last first.
func (p *process) close() {
	for _, f := range slices.Backward(p.closers) {
		f()
	}
}

// start begins to accept, to serve, to watch and to tell.
func (p *process) start() error {
	p.baseFiles = openFiles(len(p.settings.listeners)*p.settings.engine.Loops+16, 0)
	if err := p.engine.Start(); err != nil {
		return err
	}
	p.sampler = metrics.NewSampler(p.engine.Snapshot)
	p.serveAdmin()
	p.watch()
	p.tellStart()
	p.id.start()
	p.expiry = watchExpiry(p.log, p.id.watched)
	return nil
}

// serveAdmin serves metrics, health and profiles, if there is an address for them.
func (p *process) serveAdmin() {
	if p.adminListener == nil {
		return
	}
	b := thisBuild()
	p.admin = admin.Serve(p.adminListener, admin.Config{
		Gatherer: metrics.Registry(metrics.Sources{
			Sampler: p.sampler, Config: p.engine.Config(), Tables: func() metrics.Tables { return tables(p.engine.Guard()) },
			EventsLost: p.recorder.Dropped, LogLinesLost: p.sink.Dropped, Certificates: p.id.expiries, Files: p.sites.stats,
			Upstreams: func() []metrics.Upstream { return p.pools.upstreams(p.settings) }, HTTPRelay: p.pools.http,
			Alerts:     func() metrics.Alerts { return alertStats(p.alarm) },
			SpeaksHTTP: p.settings.speaksHTTP,
			Version:    b.version, Revision: b.revision, GoVersion: b.golang,
		}),
		Ready: func() (bool, string) {
			if p.stopping.Load() {
				return false, "draining"
			}
			return true, ""
		},
		Version:  b.String(),
		ErrorLog: stdLog(p.log),
	})
}

// watch looks at the engine once a second: for the log, for memory that can be given back, and for alerts.
func (p *process) watch() {
	memory := newTidy()
	p.watcher = events.Watch(p.log, events.Sources{
		Snapshot: func() engine.Snapshot {
			now := p.sampler.Sample()
			memory.note(now.Buffered, now.HandshakesBegun)
			p.last.Store(&now)
			return now
		},
		Evictions: p.engine.Guard().Evictions,
		Descriptors: func(conns int64) (used, limit int) {
			return openFiles(p.baseFiles, conns), p.settings.machine.descriptors
		},
	})
	if p.alarm == nil {
		return
	}
	p.alarm.Watch(func() alerts.Reading {
		now := p.last.Load()
		if now == nil {
			now = &engine.Snapshot{} // the first second
		}
		return reading(p.settings, *now, p.recorder.Dropped(), openFiles(p.baseFiles, now.Conns), p.pools)
	})
}

// stop ends what start has begun, when the engine has ended, and says so.
func (p *process) stop() {
	p.expiry.close()
	p.watcher.Close()
	if p.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := p.admin.Close(ctx); err != nil {
			p.log.Warn("the admin server ended badly", zap.Error(err))
		}
	}
	total := p.engine.Snapshot()
	var accepted, refused uint64
	for _, l := range total.Listeners {
		accepted, refused = accepted+l.Accepted, refused+l.Refused
	}
	p.log.Info("stopped", zap.String("event", events.Stopped), zap.Uint64("accepted", accepted), zap.Uint64("refused", refused))
}
