package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"weir/bench/latency"
	"weir/bench/pacer"
	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/tunnel"
	"weir/bench/wire"
)

// The bounds of a lane. Each run is bounded in time and, by its rate, in count.
const (
	MaxDuration = 10 * time.Minute
	MaxConns    = 1 << 16
	MaxRate     = 1e6 // requests a second: more than one loop can send
)

// The places for newcomers when none are named: enough for all that can be under way within the timeout, so that none
// waits for another, up to a number that leaves descriptors to others.
const (
	minPlaces = 64
	maxPlaces = 8192
)

// maxWaiting bounds the requests that are due and wait for a connection. Beyond it they fail as Overrun at once.
const maxWaiting = 1 << 18

// Config says what a lane does. Zero values mean the default where one is named, else they are errors.
type Config struct {
	Target   target.Target
	Sources  []netip.Addr    // connections are spread over them; none: the kernel chooses
	TLS      tunnel.Options  // of a target that speaks TLS
	Churn    bool            // newcomers: each request on a connection of its own, closed after the reply
	Conns    int             // persistent connections, 1 to MaxConns; default 10. Newcomers: how many at once; default rate times timeout, 64 to 8192
	Rate     float64         // requests a second, above 0 to MaxRate; default 500
	Poisson  bool            // exponential gaps instead of constant ones
	Seed     uint64          // of the Poisson schedule
	Duration time.Duration   // during which requests are due, above 0 to MaxDuration; default 10 s
	Timeout  time.Duration   // of a request from when it was due, and of a connect with its handshake; default 2 s
	Size     int             // bytes of payload, see wire.NewRequest; 0 means wire.SizeOr's
	Phases   []latency.Phase // what to tell apart; default one called "run"
}

func (c *Config) complete() error {
	setDefault(&c.Rate, 500)
	setDefault(&c.Duration, 10*time.Second)
	setDefault(&c.Timeout, 2*time.Second)
	conns := 10
	if c.Churn && c.Rate > 0 {
		conns = int(min(max(math.Ceil(c.Rate*c.Timeout.Seconds()), minPlaces), maxPlaces))
	}
	setDefault(&c.Conns, conns)
	c.Size = wire.SizeOr(c.Target, c.Size)
	switch {
	case c.Conns < 1 || c.Conns > MaxConns:
		return fmt.Errorf("conns %d: must be from 1 to %d", c.Conns, MaxConns)
	case !(c.Rate > 0 && c.Rate <= MaxRate):
		return fmt.Errorf("rate %v: must be above 0 and at most %d requests a second", c.Rate, int(MaxRate))
	case c.Duration < 0 || c.Duration > MaxDuration:
		return fmt.Errorf("duration %v: must be above 0 and at most %v", c.Duration, MaxDuration)
	case c.Timeout < time.Millisecond || c.Timeout > time.Minute:
		return fmt.Errorf("timeout %v: must be from 1ms to 1m", c.Timeout)
	}
	if len(c.Phases) == 0 {
		c.Phases = []latency.Phase{{Name: "run", To: c.Duration}}
	}
	return target.CheckLoopback(c.Target.Addr.Addr())
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Lane is one good client. Make it with [New]; call Run once.
type Lane struct {
	// Latency holds what became of the requests. Any goroutine may read it.
	Latency *latency.Recorder

	cfg     Config
	request *wire.Request
	secure  *tls.Config // nil: plain
	pacer   *pacer.Pacer
	started chan struct{}
	start   time.Time // set before started is closed

	// Counted by the lane, read by any goroutine.
	sent, cuts, connectFailures atomic.Int64

	// On the lane's goroutine only, until Run returned.
	poller  *sock.Poller
	conns   []conn
	idle    ring.Queue[int] // connections ready for a request, or free places for newcomers; the longest idle first
	waiting ring.Queue[time.Duration]
	begun   int // connects
	opening int // connections on their way to ready
	busy    int // connections with a request under way
	lag     latency.Spread
	cpu     time.Duration
	swept   time.Time
	in      []byte
	plain   []byte // what TLS makes of in; nil when there is none

	shakes       Handshakes
	shakeTook    latency.Spread
	shakeLatency *latency.Recorder // nil when there is no TLS
}

// New returns a lane for cfg. It opens nothing yet.
func New(cfg Config) (*Lane, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	request, err := wire.NewRequest(cfg.Target, cfg.Size)
	if err != nil {
		return nil, err
	}
	p, err := pacer.Constant(cfg.Rate)
	if cfg.Poisson {
		p, err = pacer.Poisson(cfg.Rate, cfg.Seed)
	}
	if err != nil {
		return nil, err
	}
	rec, err := latency.New(cfg.Phases)
	if err != nil {
		return nil, err
	}
	l := &Lane{Latency: rec, cfg: cfg, request: request, pacer: p,
		started: make(chan struct{}), in: make([]byte, 64<<10)}
	if cfg.Target.TLS {
		if l.secure, err = cfg.TLS.Config(cfg.Target); err != nil {
			return nil, err
		}
		if l.shakeLatency, err = latency.New(cfg.Phases); err != nil {
			return nil, err
		}
		l.shakes.Options = cfg.TLS
		l.plain = make([]byte, 16<<10) // the most that one record holds
	}
	return l, nil
}

// Places returns how many connections the lane has open at most. Any goroutine.
func (l *Lane) Places() int { return l.cfg.Conns }

// Started is closed when the first request is due. Any goroutine.
func (l *Lane) Started() <-chan struct{} { return l.started }

// StartedAt returns when the first request was due, from which all phases count. After Started is closed only.
func (l *Lane) StartedAt() time.Time { return l.start }

// Live is what a lane counted so far.
type Live struct {
	Sent            int64 // requests begun
	Cuts            int64 // connections that the server closed or that were given up after a timeout
	ConnectFailures int64
}

// Live returns the counts so far. Any goroutine.
func (l *Lane) Live() Live {
	return Live{Sent: l.sent.Load(), Cuts: l.cuts.Load(), ConnectFailures: l.connectFailures.Load()}
}

// Result is what a lane did.
type Result struct {
	Target          string            `json:"target"`
	Setup           Setup             `json:"setup"`
	Phases          []latency.Summary `json:"phases"`
	Timeline        []latency.Summary `json:"timeline"`
	Sent            int64             `json:"sent"`
	Cuts            int64             `json:"connections_cut"`
	ConnectFailures int64             `json:"connect_failures"`
	// Lag is how late the client itself noticed that a request was due. When it is not far below the latencies,
	// those measure the client.
	Lag latency.Range `json:"client_lag"`
	CPU time.Duration `json:"client_cpu_ns"`
	TLS *Handshakes   `json:"tls,omitempty"` // nil when the target does not speak it
}

// Run opens the connections, waits up to the timeout for them (and a millisecond for each TLS handshake), then sends until the duration is over and the last
// reply is in or timed out. It returns early with what there is when ctx ends. All its descriptors are closed when it
// returns. Once only.
func (l *Lane) Run(ctx context.Context) (Result, error) {
	type answer struct {
		r   Result
		err error
	}
	done := make(chan answer, 1)
	go func() {
		sock.OwnThread(0)
		r, err := l.run(ctx)
		done <- answer{r, err}
	}()
	a := <-done
	return a.r, a.err
}

func (l *Lane) run(ctx context.Context) (Result, error) {
	var err error
	if l.poller, err = sock.NewPoller(); err != nil {
		return Result{}, fmt.Errorf("good client: %w", err)
	}
	defer l.poller.Close()
	defer l.closeAll()
	cpu := sock.ThreadCPU()
	l.conns = make([]conn, l.cfg.Conns)
	for i := range l.conns {
		l.conns[i].fd = -1
	}
	if l.cfg.Churn {
		l.makeRoom()
	} else {
		l.open(ctx)
	}
	l.start = time.Now()
	close(l.started)
	l.send(ctx)
	l.cpu = sock.ThreadCPU() - cpu
	live := l.Live()
	r := Result{
		Target: l.cfg.Target.String(), Setup: l.cfg.setup(),
		Phases: l.Latency.Summary(), Timeline: l.Latency.Timeline(),
		Sent: live.Sent, Cuts: live.Cuts, ConnectFailures: live.ConnectFailures,
		Lag: l.lag.Range(), CPU: l.cpu,
	}
	if l.secure != nil {
		l.shakes.Took, l.shakes.Phases = l.shakeTook.Range(), l.shakeLatency.Summary()
		r.TLS = &l.shakes
	}
	return r, nil
}
