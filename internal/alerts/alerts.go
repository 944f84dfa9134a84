package alerts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"weir/engine"
	"weir/guard"
	"weir/internal/events"
)

const (
	timeout   = 5 * time.Second // of one try
	lookEvery = time.Second
	notesLen  = 1024 // failed attempts that wait to be counted
)

// Config describes who is told of what.
type Config struct {
	URLs   []string // of the receivers; at least one
	Rules  []string // beside Defaults, or instead of those with the same name
	Secret []byte   // that alerts are signed with; empty: they are not. See ReadSecret
	Host   string   // that they come from
	Agent  string   // the User-Agent
	Log    *zap.Logger
}

// Alerts judges and sends until Close.
type Alerts struct {
	cfg       Config
	judge     *judge
	receivers []*receiver
	sender    *sender
	notes     chan string   // accounts at which an attempt has failed
	missed    atomic.Uint64 // notes that found the queue full
	cancel    context.CancelFunc
	watching  sync.WaitGroup
	sending   sync.WaitGroup
	closing   sync.Once
}

// Open checks cfg and begins to send; Watch begins to judge. The error is one line for the operator, without secrets.
func Open(cfg Config) (*Alerts, error) {
	a, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	for _, r := range a.receivers {
		a.sending.Go(func() { r.run(a.sender) })
	}
	return a, nil
}

// Watch begins to judge what read says, once a second, and what Tell was told. Once, before Close.
func (a *Alerts) Watch(read func() Reading) { a.watching.Go(func() { a.watch(read) }) }

// prepare is Open without goroutines.
func prepare(cfg Config) (*Alerts, error) {
	rules, err := parseRules(cfg.Rules)
	switch {
	case err != nil:
		return nil, err
	case len(cfg.URLs) == 0:
		return nil, errors.New("no receivers")
	case len(cfg.Secret) > 0 && len(cfg.Secret) < minSecret:
		return nil, fmt.Errorf("the secret has less than %d bytes", minSecret)
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	a := &Alerts{cfg: cfg, judge: newJudge(cfg.Host, rules), notes: make(chan string, notesLen)}
	named := map[string]int{}
	for _, text := range cfg.URLs {
		r, err := newReceiver(text)
		if err != nil {
			return nil, err
		}
		if named[r.name]++; named[r.name] > 1 {
			r.name = fmt.Sprintf("%s (%d)", r.name, named[r.name])
		}
		a.receivers = append(a.receivers, r)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	a.sender = &sender{client: newClient(timeout), secret: cfg.Secret, agent: cfg.Agent, log: cfg.Log, stop: make(chan struct{}), ctx: ctx}
	return a, nil
}

// mostSecret bounds what is read of a file.
const mostSecret = 64 << 10

// ReadSecret reads what alerts are signed with: all of a file but line ends behind it. Only a regular file is read, and only
// one that nobody else may write, nor read but for its group: a service manager hands secrets over that way. The error is one line, without the secret.
func ReadSecret(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // of a pipe, too, it is known what it is
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch st, err := f.Stat(); {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, errors.New("is no regular file")
	case st.Mode().Perm()&0o027 != 0:
		return nil, fmt.Errorf("others may read or write it (mode %04o): chmod 600 it", st.Mode().Perm())
	}
	b, err := io.ReadAll(io.LimitReader(f, mostSecret+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > mostSecret:
		return nil, errors.New("is larger than 64 KiB")
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if len(secret) < minSecret {
		return nil, fmt.Errorf("%s: must hold at least %d bytes", path, minSecret)
	}
	return []byte(secret), nil
}

// Tell takes an event of the engine. It never blocks. Any goroutine.
func (a *Alerts) Tell(e engine.Event) {
	if e.Account == "" || e.Reason != guard.ShedAuthFailed && e.Reason != guard.ShedAuthAttempts {
		return
	}
	select {
	case a.notes <- e.Account:
	default:
		a.missed.Add(1)
	}
}

func (a *Alerts) watch(read func() Reading) {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			in := read()
			a.send(a.judge.read(now, &in))
		case account := <-a.notes:
			a.send(a.judge.failed(time.Now(), accountName(account)))
		case <-a.sender.stop:
			return
		}
	}
}

func (a *Alerts) send(all []Alert) {
	for _, al := range all {
		a.cfg.Log.Warn(al.Text, zap.String("event", events.Alert), zap.String("rule", al.Rule), zap.String("key", al.Key),
			zap.Uint64("value", al.Value), zap.Uint64("threshold", al.Threshold), zap.String("id", al.ID))
		for _, r := range a.receivers {
			r.offer(al)
		}
	}
}

// Close ends the judging, tries once more what is queued, and returns after patience and a quarter of
// a second at the latest. Any goroutine.
func (a *Alerts) Close(patience time.Duration) {
	a.closing.Do(func() { close(a.sender.stop) })
	done := make(chan struct{})
	go func() {
		a.watching.Wait()
		a.sending.Wait()
		close(done)
	}()
	defer a.cancel()
	select {
	case <-done:
		return
	case <-time.After(patience):
	}
	a.cancel()
	select {
	case <-done:
	case <-time.After(250 * time.Millisecond):
	}
	a.sender.client.CloseIdleConnections()
}

// Fired is how often a rule has made an alert.
type Fired struct {
	Rule string
	N    uint64
}

// Delivered is what became of a receiver's alerts.
type Delivered struct {
	Receiver            string // without secrets
	OK, Failed, Dropped uint64
}

// Stats are what has been counted, in the order of the rules and of the receivers. Any goroutine.
func (a *Alerts) Stats() (rules []Fired, receivers []Delivered) {
	for _, r := range a.judge.rules {
		rules = append(rules, Fired{r.name, r.fired.Load()})
	}
	for _, r := range a.receivers {
		receivers = append(receivers, Delivered{r.name, r.ok.Load(), r.failed.Load(), r.dropped.Load()})
	}
	return rules, receivers
}

// Outcome is what became of a test alert.
type Outcome struct {
	Receiver string
	Took     time.Duration
	Err      error // without secrets; nil when it was taken
}

// Test sends one alert to each receiver, once, all at the same time. The error is for a Config that is
// wrong.
func Test(cfg Config) ([]Outcome, error) {
	a, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	defer a.cancel()
	al := Alert{ID: newID(), Time: time.Now().UTC().Truncate(time.Millisecond), Host: cfg.Host, Rule: "test", Subject: "test", Text: "a test: nothing is wrong"}
	all := make([]Outcome, len(a.receivers))
	var running sync.WaitGroup
	for i, r := range a.receivers {
		running.Go(func() {
			begun := time.Now()
			body, err := r.body(al)
			if err == nil {
				_, err = r.post(a.sender, body)
			}
			all[i] = Outcome{r.name, time.Since(begun), err}
		})
	}
	running.Wait()
	return all, nil
}
