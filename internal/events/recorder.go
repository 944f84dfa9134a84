package events

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/engine"
	"weir/guard"
)

const (
	queueLen = 512 // events that wait for the recorder
	stackKey = "stack"
)

// Recorder writes the engine's events as log lines.
type Recorder struct {
	log       *zap.Logger
	threshold func(listener string, r guard.Reason) string

	// Any goroutine.
	queue   chan engine.Event
	dropped atomic.Uint64
	lost    [guard.Reasons]atomic.Uint64 // what those that were dropped stood for

	closing sync.Once
	stop    chan struct{}
	done    chan struct{}
}

// NewRecorder starts a Recorder that writes to log. threshold tells the value of the limit behind a
// reason at a listener, "" for none; nil leaves it out. End it with Close.
func NewRecorder(log *zap.Logger, threshold func(listener string, r guard.Reason) string) *Recorder {
	if threshold == nil {
		threshold = func(string, guard.Reason) string { return "" }
	}
	r := &Recorder{log: log, threshold: threshold,
		queue: make(chan engine.Event, queueLen), stop: make(chan struct{}), done: make(chan struct{})}
	go r.run()
	return r
}

// Tell takes an event; it is the engine's Config.Events. It never blocks: an event that finds the
// queue full is counted and told of later. Any goroutine.
func (r *Recorder) Tell(e engine.Event) {
	select {
	case r.queue <- e:
	default:
		r.dropped.Add(1)
		n := e.Dropped
		if !e.Summary {
			n++
		}
		r.lost[e.Reason].Add(n)
	}
}

// Dropped is how many events found the queue full since the start. Any goroutine.
func (r *Recorder) Dropped() uint64 { return r.dropped.Load() }

// Close writes what is queued, for at most patience, and reports whether all of it was written. Any
// goroutine.
func (r *Recorder) Close(patience time.Duration) bool {
	r.closing.Do(func() { close(r.stop) })
	select {
	case <-r.done:
		return true
	case <-time.After(patience):
		return false
	}
}

func (r *Recorder) run() {
	defer close(r.done)
	var told uint64
	for {
		select {
		case e := <-r.queue:
			r.write(e)
		case <-r.stop:
			for len(r.queue) > 0 {
				r.write(<-r.queue)
			}
			r.tellLost(&told)
			r.sumUp()
			return
		}
		r.tellLost(&told)
	}
}

// tellLost says how many events were lost since it last said so, at most once per queue: while
// events are being lost the queue is full, so it waits until half of the queue is written.
func (r *Recorder) tellLost(told *uint64) {
	if n := r.dropped.Load(); n > *told && len(r.queue) < queueLen/2 {
		r.log.Warn("security events lost: the log is slow", zap.String("event", Lost), zap.Uint64("dropped", n-*told))
		*told = n
		r.sumUp()
	}
}

// sumUp tells what events that were dropped stood for, so that the counts add up.
func (r *Recorder) sumUp() {
	for reason := range r.lost {
		if n := r.lost[reason].Swap(0); n > 0 {
			r.write(engine.Event{Reason: guard.Reason(reason), Dropped: n, Summary: true, Loop: -1})
		}
	}
}

func (r *Recorder) write(e engine.Event) {
	level, name := levelOf(e.Reason), nameOf(e.Reason)
	text := e.Reason.String()
	if e.Reason == guard.OK {
		text = "authenticated"
	}
	ce := r.log.Check(level, text)
	if ce == nil {
		return
	}
	fields := []zap.Field{
		zap.String("event", name),
		zap.String("severity", e.Reason.Level().String()),
	}
	if e.Reason != guard.OK {
		fields = append(fields, zap.String("reason", e.Reason.Label()))
	}
	if e.Summary {
		fields = append(fields, zap.Bool("summary", true))
	} else {
		fields = append(fields, zap.String("source", sourceText(e.Source)), zap.String("listener", e.Listener))
	}
	if e.Loop >= 0 {
		fields = append(fields, zap.Int("loop", e.Loop), zap.Uint64("count", e.Count))
	}
	if e.Account != "" {
		fields = append(fields, zap.String("account", Clean(e.Account, maxText)))
	}
	if e.Reason == guard.ShedAuthAttempts && e.Detail != "" { // which of the three limits it was
		fields = append(fields, zap.String("limit", "auth-"+Clean(e.Detail, 20)+"-rate"))
	} else if t := r.threshold(e.Listener, e.Reason); t != "" && !e.Summary {
		fields = append(fields, zap.String("limit", e.Reason.Flag()), zap.String("threshold", t))
	}
	if e.Dropped > 0 {
		fields = append(fields, zap.Uint64("dropped", e.Dropped))
	}
	if e.Detail != "" {
		fields = append(fields, zap.String("detail", Clean(e.Detail, maxText)))
	}
	if len(e.Stack) > 0 {
		fields = append(fields, zap.String(stackKey, cleanStack(e.Stack)))
	}
	ce.Write(fields...)
}

// levelOf maps what a reason tells about the peer to a log level. Errors are our own.
func levelOf(r guard.Reason) zapcore.Level {
	switch {
	case r == guard.ShedPanic:
		return zap.ErrorLevel
	case r.Level() == guard.Normal:
		return zap.InfoLevel
	}
	return zap.WarnLevel
}

// nameOf is the name of the event that a reason is told as.
func nameOf(r guard.Reason) string {
	switch r {
	case guard.OK:
		return AuthSuccess
	case guard.ShedPanic:
		return Panic
	case guard.ShedAuthFailed:
		return AuthFailure
	case guard.ShedAuthAttempts:
		return AuthLimited
	case guard.ShedAuthTimeout:
		return AuthTimeout
	case guard.ShedScope:
		return AccessDenied
	case guard.ShedTraversal:
		return Traversal
	case guard.ShedReplay:
		return Replay
	case guard.ShedProxySpoof:
		return ProxySpoof
	}
	if r.Slows() {
		return Slowed
	}
	return Shed
}

func sourceText(a netip.Addr) string {
	if !a.IsValid() {
		return "unix"
	}
	return a.Unmap().WithZone("").String()
}
