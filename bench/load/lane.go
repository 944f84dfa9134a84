package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"
	"time"

	"weir/bench/latency"
	"weir/bench/pacer"
	"weir/bench/ring"
	"weir/bench/sock"
	"weir/bench/wire"
)

// maxWaiting bounds the requests that are due and wait for a connection. Beyond it they fail as Overrun at once.
const maxWaiting = 1 << 18

// batchBytes is how much of pipelined requests goes out in one write, unless a single one is longer.
const batchBytes = 64 << 10

// Lane is one good client on one loop, or one loop's share of a client. Make it with [New]; call Run once.
type Lane struct {
	// Latency holds what became of the requests. Any goroutine may read it.
	Latency *latency.Recorder

	cfg     Config
	share   share
	request *wire.Request
	batch   []byte      // the request, as often as it goes out at once
	secure  *tls.Config // nil: plain
	pacer   *pacer.Pacer
	started chan struct{}
	start   time.Time // set before started is closed

	// rendezvous is called when the connections are open and returns when the first request is due. nil: now.
	rendezvous func() time.Time

	// Counted by the lane, read by any goroutine.
	sent, cuts, connectFailures atomic.Int64

	// On the lane's goroutine only, until Run returned. Instants are since zero, dues since the first request.
	zero     time.Time
	begin    time.Duration // the first request; 0 before
	poller   *sock.Poller
	conns    []conn
	dues     []time.Duration // of the requests under way, Pipeline for each connection, see conn
	idle     ring.Queue[int] // connections with room for a request, or free places for newcomers; the longest idle first
	waiting  ring.Queue[time.Duration]
	thinking ring.Queue[thought]
	unread   []unread
	dirty    []int // connections that were given requests and have not written
	begun    int   // connects
	opening  int   // connections on their way to ready
	standing int   // connections that are ready
	peak     int
	busy     int // requests under way

	connectError string // the last one
	lag          latency.Spread
	swept        time.Duration
	in           []byte
	plain        []byte // what TLS makes of in; nil when there is none

	shakes shakeTally // Latency is nil when there is no TLS
}

// New returns a lane for cfg. It opens nothing yet.
func New(cfg Config) (*Lane, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return newLane(cfg, whole)
}

// newLane returns a lane for a cfg that is complete: to check a million sources is not for each lane to do.
func newLane(cfg Config, part share) (*Lane, error) {
	request, err := wire.NewRequest(cfg.Target, cfg.Size)
	if err != nil {
		return nil, err
	}
	l := &Lane{cfg: cfg, share: part, request: request, started: make(chan struct{}), in: make([]byte, 64<<10)}
	l.batch = bytes.Repeat(request.Bytes, min(cfg.Pipeline, max(1, batchBytes/len(request.Bytes))))
	if !cfg.Closed {
		if l.pacer, err = pacer.New(cfg.Arrivals, cfg.Rate, cfg.Duration, cfg.Seed); err != nil {
			return nil, err
		}
		l.pacer.Share(part.Part, part.Of)
	}
	if l.Latency, err = latency.New(cfg.Phases); err != nil {
		return nil, err
	}
	if cfg.Target.TLS {
		if l.secure, err = cfg.TLS.Config(cfg.Target); err != nil {
			return nil, err
		}
		if l.shakes.Latency, err = latency.New(cfg.Phases); err != nil {
			return nil, err
		}
		l.plain = make([]byte, 16<<10) // the most that one record holds
	}
	return l, nil
}

// Places returns how many connections the lane has open at most. Any goroutine.
func (l *Lane) Places() int { return l.share.conns(l.cfg.Conns) }

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

// Run opens the connections, waits up to the timeout for them (and a millisecond for each TLS handshake), then sends until
// the duration is over and the last reply is in or timed out. It returns early with what there is when ctx ends. All its
// descriptors are closed when it returns. Once only.
func (l *Lane) Run(ctx context.Context) (Result, error) {
	t, err := l.tally(ctx)
	if err != nil {
		return Result{}, err
	}
	return t.result(&l.cfg, 1, 1), nil
}

// tally is Run with nothing rounded.
func (l *Lane) tally(ctx context.Context) (*tally, error) {
	type answer struct {
		t   *tally
		err error
	}
	done := make(chan answer, 1)
	go func() {
		sock.OwnThread(0)
		t, err := l.run(ctx)
		done <- answer{t, err}
	}()
	a := <-done
	return a.t, a.err
}

func (l *Lane) run(ctx context.Context) (*tally, error) {
	var err error
	if l.poller, err = sock.NewPoller(); err != nil {
		return nil, fmt.Errorf("good client: %w", err)
	}
	defer l.poller.Close()
	defer l.closeAll()
	cpu := sock.ThreadCPU()
	l.zero = time.Now()
	l.conns = make([]conn, l.Places())
	l.dues = make([]time.Duration, len(l.conns)*l.cfg.Pipeline)
	for i := range l.conns {
		l.conns[i].fd = -1
	}
	if l.cfg.Churn {
		l.makeRoom()
	} else {
		l.open(ctx)
	}
	l.start = time.Now()
	if l.rendezvous != nil {
		l.start = l.rendezvous()
		sleepUntil(ctx, l.start)
	}
	l.begin = max(1, l.start.Sub(l.zero))
	close(l.started)
	l.send(ctx)
	live := l.Live()
	t := &tally{Latency: l.Latency, Ran: min(l.now()-l.begin, l.cfg.Duration), Sent: live.Sent, Cuts: live.Cuts, ConnectFailures: live.ConnectFailures,
		ConnectError: l.connectError,
		Peak:         l.peak, Lag: l.lag, CPU: sock.ThreadCPU() - cpu}
	if l.secure != nil {
		t.Shakes = &l.shakes
	}
	return t, nil
}

// now is the instant since zero: half the price of time.Now, which reads two clocks.
func (l *Lane) now() time.Duration { return time.Since(l.zero) }

func sleepUntil(ctx context.Context, t time.Time) {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
