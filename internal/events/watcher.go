package events

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"weir/engine"
)

// When an alarm is raised, and how long it then keeps quiet.
const (
	lagAlarm        = 100 * time.Millisecond
	descriptorsFull = 0.9
	coolDown        = time.Minute
	watchEvery      = time.Second
)

// Sources are what a Watcher looks at. Any goroutine.
type Sources struct {
	Snapshot    func() engine.Snapshot
	Evictions   func() uint64                       // sources that lost their place to another one
	Descriptors func(conns int64) (used, limit int) // open file descriptors; conns as in the snapshot
}

// Watcher looks at the counters once a second and logs what an operator has to act on, each alarm
// at most once a minute with what has come together meanwhile.
type Watcher struct {
	log  *zap.Logger
	src  Sources
	seen counters             // at the last alarm of each kind
	next map[string]time.Time // when an alarm may be raised again

	closing sync.Once
	stop    chan struct{}
	done    chan struct{}
}

// counters are those of which only the rise counts.
type counters struct {
	evictions, panics, acceptErrors uint64
}

// Watch starts a Watcher. End it with Close.
func Watch(log *zap.Logger, src Sources) *Watcher {
	w := &Watcher{log: log, src: src, next: map[string]time.Time{}, stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Close ends the watcher and returns when it has ended. Any goroutine.
func (w *Watcher) Close() {
	w.closing.Do(func() { close(w.stop) })
	<-w.done
}

func (w *Watcher) run() {
	defer close(w.done)
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			w.look(now)
		case <-w.stop:
			return
		}
	}
}

// look raises what there is to raise.
func (w *Watcher) look(now time.Time) {
	s := w.src.Snapshot()

	if n := w.src.Evictions(); n > w.seen.evictions && w.ready(AlarmEvictions, now) {
		w.log.Warn("sources lose their places: an attack from many addresses, or a table that is too small",
			zap.String("event", AlarmEvictions), zap.Uint64("count", n-w.seen.evictions), zap.String("limit", "source-table"))
		w.seen.evictions = n
	}

	if used, limit := w.src.Descriptors(s.Conns); limit > 0 && float64(used) > descriptorsFull*float64(limit) && w.ready(AlarmDescriptors, now) {
		w.log.Warn("file descriptors are nearly used up: raise the limit, or lower -max-conns",
			zap.String("event", AlarmDescriptors), zap.Int("used", used), zap.Int("threshold", limit), zap.String("limit", "max-conns"))
	}

	lag, loop := time.Duration(0), 0
	for i, l := range s.Loops {
		if m := max(l.Lag, l.MaxLag); m > lag {
			lag, loop = m, i
		}
	}
	if lag > lagAlarm && w.ready(AlarmLag, now) {
		w.log.Warn("a loop runs late: the machine is overloaded, or a handler blocks",
			zap.String("event", AlarmLag), zap.Int("loop", loop), zap.Duration("lag", lag), zap.Duration("threshold", lagAlarm))
	}

	if s.Panics > w.seen.panics && w.ready(AlarmPanics, now) {
		w.log.Error("handlers failed: a bug, perhaps found by an attacker",
			zap.String("event", AlarmPanics), zap.Uint64("count", s.Panics-w.seen.panics))
		w.seen.panics = s.Panics
	}

	var accepts uint64
	for _, n := range s.AcceptErrors {
		accepts += n
	}
	if accepts > w.seen.acceptErrors && w.ready(AlarmAccept, now) {
		w.log.Warn("connections could not be accepted",
			zap.String("event", AlarmAccept), zap.Uint64("count", accepts-w.seen.acceptErrors), zap.Any("errnos", s.AcceptErrors))
		w.seen.acceptErrors = accepts
	}
}

// ready reports whether an alarm may be raised, and starts its cool-down if so.
func (w *Watcher) ready(alarm string, now time.Time) bool {
	if now.Before(w.next[alarm]) {
		return false
	}
	w.next[alarm] = now.Add(coolDown)
	return true
}
