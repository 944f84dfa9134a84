// Package engine moves the bytes: event loops on epoll that hold tens of thousands of sockets with
// no goroutine per connection. It asks package guard whether they may go on and a service what to
// answer.
//
// Each loop has its own listening sockets (SO_REUSEPORT), its own connections and its own half of
// the guard, so nothing on the way of a frame takes a lock. Why connections are our own, in the place of
// gnet.Run, and how a loop waits: decisions 0001 and 0022.
//
// Where to look:
//
//	loop, conn                 the two nouns: a loop waits and hands events on, a connection is what it hands them to
//	listen, accept             binding; letting in
//	opening, shake, secure     what comes before the first frame (PROXY header, ClientHello); TLS handshakes, which workers
//	                           compute; decrypting and encrypting
//	read, drip                 serving what has arrived; letting slow bytes gather in the kernel
//	write, pull                answers that are queued; answers that are pulled from a source as the peer reads
//	shed, tell, stop           how connections end; how that is told of; how a loop ends
//	dial, upstream             connecting to servers behind, and such a connection: upbytes (what goes over it), upends (how
//	                           it ends), uptls (TLS to it), park (kept for the next client), waits (how long it may be silent)
//	relay, splice              passing bytes on unseen; hold keeps a client while its answer is made elsewhere
//	work, timers, buffers, sys the worker pool; what is due when; pooled buffers; system calls
//	config, counters, snapshot what it is told, what it counts, and how others read that
package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/guard"
)

// Engine serves listeners on event loops. All methods: any goroutine.
type Engine struct {
	cfg     Config
	g       *guard.Guard
	loops   []*loop
	pool    *workers
	shakers *workers   // for TLS handshakes
	addrs   []net.Addr // of cfg.Listeners
	fdCap   int        // the first descriptor number inside the reserve

	stopOnce  sync.Once
	stopping  chan struct{} // closed when Stop is first called
	done      chan struct{} // closed when all loops have ended
	running   sync.WaitGroup
	errMu     sync.Mutex
	err       error // why a loop ended by itself
	snapMu    sync.Mutex
	last      []report // by loop
	startOnce sync.Once
}

// New checks cfg, binds the listeners and allocates what the engine will use. Nothing is accepted
// before Start; an engine that is not started must be stopped all the same. An error is one line
// for the operator.
func New(cfg Config) (*Engine, error) {
	cfg.Listeners = slices.Clone(cfg.Listeners)
	for i := range cfg.Listeners {
		l := &cfg.Listeners[i]
		if l.Limits == (Limits{}) {
			l.Limits = DefaultLimits()
		}
		l.ProxyFrom = slices.Clone(l.ProxyFrom)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Loops == 0 {
		cfg.Loops = runtime.GOMAXPROCS(0)
	}
	if cfg.Workers == 0 {
		cfg.Workers = 2 * runtime.GOMAXPROCS(0)
	}
	if cfg.WorkQueue == 0 {
		cfg.WorkQueue = 128
	}
	if cfg.HandshakeWorkers == 0 {
		cfg.HandshakeWorkers = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if cfg.HandshakeQueue == 0 {
		cfg.HandshakeQueue = 512
	}
	if cfg.MaxHandshakes == 0 {
		cfg.MaxHandshakes = 2048
	}
	limit, err := descriptors()
	if err != nil {
		return nil, err
	}
	if cfg.FDReserve == 0 {
		cfg.FDReserve = DefaultFDReserve(cfg.Loops, len(cfg.Listeners))
	}
	room := limit - cfg.FDReserve
	if room < 1 {
		return nil, fmt.Errorf("fd-reserve %d: leaves nothing of the descriptor limit %d; lower it or raise ulimit -n", cfg.FDReserve, limit)
	}
	if cfg.Guard.MaxConns == 0 {
		cfg.Guard.MaxConns = room
	}
	if cfg.Guard.MaxConns > room {
		return nil, fmt.Errorf("max-conns %d: must be at most %d, the descriptor limit %d less the reserve %d; raise ulimit -n",
			cfg.Guard.MaxConns, room, limit, cfg.FDReserve)
	}
	e := &Engine{
		cfg: cfg, fdCap: room, addrs: make([]net.Addr, len(cfg.Listeners)), last: make([]report, cfg.Loops),
		stopping: make(chan struct{}), done: make(chan struct{}),
	}
	if e.g, err = guard.New(cfg.Guard); err != nil {
		return nil, err
	}
	e.cfg.Guard = e.g.Config()
	for i := range e.last {
		e.last[i].listeners = make([]ListenerSnapshot, len(cfg.Listeners))
	}
	e.pool = newWorkers(cfg.Workers, cfg.WorkQueue, cfg.MaxHandshakes)
	shakers := 0
	if cfg.hasTLS() {
		shakers = cfg.HandshakeWorkers
	}
	e.shakers = newWorkers(shakers, cfg.HandshakeQueue, cfg.MaxHandshakes)
	if err := e.build(); err != nil {
		for _, l := range e.loops {
			l.release()
		}
		e.pool.close()
		e.shakers.close()
		e.closePollers()
		return nil, err
	}
	return e, nil
}

// DefaultFDReserve is the number of descriptors kept back when Config.FDReserve is 0: a poller, its
// wake-up, a timer and a spare for each loop, a socket for each loop and listener, and 64 for the
// rest of the process.
func DefaultFDReserve(loops, listeners int) int { return 64 + loops*(4+listeners) }

// descriptors is the number of descriptors that the process may open.
func descriptors() (int, error) {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil {
		return 0, os.NewSyscallError("getrlimit", err)
	}
	return int(min(r.Cur, 1<<24)), nil
}

// build makes the loops and their sockets.
func (e *Engine) build() error {
	for i := range e.cfg.Loops {
		l, err := e.newLoop(i)
		if l != nil {
			e.loops = append(e.loops, l) // also half made: it is released with the others
		}
		if err != nil {
			return err
		}
	}
	for i := range e.cfg.Listeners {
		ln := &e.cfg.Listeners[i]
		policy, err := e.g.Policy(ln.Name, ln.Limits.Limits)
		if err != nil {
			return err
		}
		fds, addr, err := bind(ln, e.cfg.Loops)
		if err != nil {
			return err
		}
		e.addrs[i] = addr
		for k, l := range e.loops {
			l.listeners = append(l.listeners, &listener{
				Listener: ln, addr: addr, fd: fds[k], open: ln.Service.ForLoop(), policy: policy,
			})
		}
	}
	return nil
}

func (e *Engine) newLoop(no int) (*loop, error) {
	l := &loop{
		e: e, no: no, pool: e.pool, spareFD: -1, timerFD: -1,
		buf: make([]byte, readBytes), out: make([]byte, 0, readBytes),
		buffMax: e.cfg.MaxBuffered / int64(e.cfg.Loops),
		count:   counters{acceptErrors: map[unix.Errno]uint64{}},
	}
	l.due = l.overdue
	l.shakes.max = max(1, e.cfg.MaxHandshakes/e.cfg.Loops)
	var err error
	if l.p, err = epoll.Open(); err != nil {
		return nil, fmt.Errorf("start loop %d: %w", no, err)
	}
	if l.timerFD, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		l.timerFD = -1
		return l, fmt.Errorf("start loop %d: %w", no, os.NewSyscallError("timerfd_create", err))
	}
	if err := l.p.Add(l.timerFD, epoll.In); err != nil {
		return l, fmt.Errorf("start loop %d: %w", no, err)
	}
	l.g = e.g.Loop(e.cfg.Guard.MaxConns)
	l.g.Probe = l.probe
	l.g.Evict = func(id guard.ID) { l.drop(l.byID[id], guard.ShedUnproven) }
	l.openSpare()
	return l, nil
}

// Start runs the loops, one goroutine each, and returns. A second call, and one after Stop, is an
// error.
func (e *Engine) Start() error {
	err := errors.New("engine: started twice, or after Stop")
	e.startOnce.Do(func() {
		err = nil
		for _, l := range e.loops {
			for _, ln := range l.listeners {
				l.listen(ln)
			}
			e.running.Add(1)
			go func() {
				defer e.running.Done()
				if err := l.run(); err != nil {
					e.fail(fmt.Errorf("loop %d ended: %w", l.no, err))
				}
			}()
		}
		go func() {
			e.running.Wait()
			e.finish()
		}()
	})
	return err
}

// finish ends what is left when the loops have ended.
func (e *Engine) finish() {
	e.pool.close()
	e.shakers.close()
	for _, l := range e.loops {
		l.shakes.release()
	}
	e.closePollers()
	for i := range e.cfg.Listeners {
		if ln := &e.cfg.Listeners[i]; ln.Network == "unix" {
			_ = os.Remove(ln.Address)
		}
	}
	close(e.done)
}

// fail records why a loop ended by itself, and ends the others: half an engine would lose the
// connections that the kernel hands to the dead half.
func (e *Engine) fail(err error) {
	e.errMu.Lock()
	if e.err == nil {
		e.err = err
	}
	e.errMu.Unlock()
	go e.Stop(context.Background())
}

// Wait blocks until the engine has ended and returns why: nil after Stop.
func (e *Engine) Wait() error {
	<-e.done
	e.errMu.Lock()
	defer e.errMu.Unlock()
	return e.err
}

// Addrs are the addresses of the listeners as bound, in the order of Config.Listeners.
func (e *Engine) Addrs() []net.Addr { return e.addrs }

// Config is the configuration in force, with its defaults filled in.
func (e *Engine) Config() Config { return e.cfg }

// Guard is the engine's guard, for its counters and its memory.
func (e *Engine) Guard() *guard.Guard { return e.g }
