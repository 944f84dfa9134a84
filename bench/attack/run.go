package attack

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"weir/bench/latency"
	"weir/bench/sock"
	"weir/bench/target"
	"weir/bench/tunnel"
)

// Run runs an attack until it is done, its duration is over or ctx ends, and returns what it came to. Options that
// make no sense are an error before anything is opened. counts may be nil, room too: then the attack has the process
// to itself. All sockets are closed when it returns.
func Run(ctx context.Context, k Kind, o Options, t target.Target, room *sock.Room, counts *Counts) (Result, error) {
	sources, err := k.complete(&o, t)
	if err != nil {
		return Result{}, err
	}
	if err := target.CheckLoopback(t.Addr.Addr()); err != nil {
		return Result{}, err
	}
	if counts == nil {
		counts = new(Counts)
	}
	if room == nil {
		room = sock.NewRoom()
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	runs := make([]*run, o.Loops)
	errs := make([]error, o.Loops)
	var wait sync.WaitGroup
	for i := range runs {
		r := &run{ctx: ctx, target: t, counts: counts, room: room, start: start}
		r.opts, r.sources = share(o, sources, i)
		runs[i] = r
		wait.Go(func() { errs[i] = r.run(k) })
	}
	wait.Wait()
	res := Result{Name: k.Name, Target: t.String(), UnitName: k.Units, Options: o,
		Live: counts.Live(), Took: time.Since(start)}
	var connect, handshake, age latency.Spread
	for i, r := range runs {
		if errs[i] != nil {
			return res, fmt.Errorf("attack %s: %w", k.Name, errs[i])
		}
		connect.Merge(&r.connect)
		handshake.Merge(&r.handshake)
		age.Merge(&r.age)
		res.CPU += r.cpu
	}
	res.Connect, res.Handshake, res.Age = connect.Range(), handshake.Range(), age.Range()
	if counts.short.Load() {
		res.Shortened = fmt.Sprintf("open-file limit: %d connections at once are possible in this process, %d were asked for; raise it with ulimit -n",
			room.Size(), o.Conns)
	}
	return res, nil
}

// share returns loop i's part of the options and of the sources. Parts differ by one at most and add up.
func share(o Options, sources []netip.Addr, i int) (Options, []netip.Addr) {
	n := o.Loops
	part := func(v int) int { return (v + n - 1 - i) / n }
	o.Conns, o.Total, o.Rate = part(o.Conns), part(o.Total), o.Rate/float64(n)
	o.Count = (o.Count + int64(n-1-i)) / int64(n)
	if len(sources) < n {
		return o, sources
	}
	var mine []netip.Addr
	for j := i; j < len(sources); j += n {
		mine = append(mine, sources[j])
	}
	return o, mine
}

// run is one loop's part of an attack. Its fields belong to that loop's goroutine.
type run struct {
	ctx     context.Context
	opts    Options // this loop's share
	target  target.Target
	sources []netip.Addr
	counts  *Counts
	room    *sock.Room
	start   time.Time

	poller  *sock.Poller
	conns   []conn
	free    []int32 // slots of conns without a connection
	begun   int     // connections begun by this loop, ≤ opts.Total
	pending pendings
	stuck   bool // the last attempt failed for a reason on this side
	in      []byte
	receive int           // bytes of the connections' receive buffers; 0: the kernel's choice
	closing func(i int32) // called before a connection that the server closed is counted; nil: nobody cares

	// Inside TLS, see inTLS; else nil.
	secure  *tls.Config
	tunnels []*tunnel.Conn // parallel to conns
	preface func() []byte  // what a connection says before TLS; nil: nothing
	plain   []byte

	connect, handshake, age latency.Spread
	cpu                     time.Duration
}

func (r *run) run(k Kind) (err error) {
	sock.OwnThread(r.opts.Nice)
	cpu := sock.ThreadCPU()
	if r.poller, err = sock.NewPoller(); err != nil {
		return err
	}
	defer r.poller.Close()
	defer r.closeAll()
	r.in = make([]byte, 64<<10)
	// Slots for what can be open at once; a request beyond the open-file limit must not cost memory.
	n := min(r.opts.Conns, r.opts.Total, max(r.room.Size(), 1))
	if n < min(r.opts.Conns, r.opts.Total) {
		r.counts.short.Store(true)
	}
	r.conns = make([]conn, n)
	r.free = make([]int32, n)
	for i := range r.conns {
		r.conns[i].fd = -1
		r.free[i] = int32(n - 1 - i)
	}
	err = k.loop(r)
	r.cpu = sock.ThreadCPU() - cpu
	return err
}

// now returns the time since the attack began.
func (r *run) now() time.Duration { return time.Since(r.start) }

// over reports whether the attack has to end whatever is left to do.
func (r *run) over() bool { return r.ctx.Err() != nil }

// used returns how many connections exist, standing or not.
func (r *run) used() int { return len(r.conns) - len(r.free) }

// spent reports whether no further connection may be begun, ever.
func (r *run) spent() bool { return r.begun >= r.opts.Total }
