package engine

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine/epoll"
	"weir/engine/service"
	"weir/guard"
	"weir/guard/mono"
)

const (
	readBytes   = 64 << 10             // one read; the loop has one such buffer, connections have none
	turnFrames  = 32                   // frames of one connection served before the others have their turn
	turnTimers  = 64                   // deadlines looked at before sockets have their turn again
	turnTime    = time.Millisecond     // for what earlier turns left over, before sockets have theirs
	turnAccepts = 64                   // connections taken from one listener before the others have their turn
	schedAfter  = 8 * time.Millisecond // Go's scheduler has a turn when it had none for so long: decisions 0022, 0024
	tick        = 1 << 24 * time.Nanosecond
)

// loop is one event loop: a poller, its listening sockets and its connections, which belong to it
// alone. Everything is on the loop's goroutine only, but the fields in the first group.
type loop struct {
	// Any goroutine.
	e    *Engine
	no   int
	p    *epoll.Poller
	gate sync.RWMutex // held for reading by who wakes the loop
	deaf bool         // the poller is closed; written under gate

	g         *guard.Loop
	listeners []*listener
	byFD      []*conn // by descriptor
	byID      []*conn // by guard.ID
	upstreams upstreams
	pipe      pipe
	spareConn []*conn // for reuse
	conns     int

	buf []byte // what one read brings
	out []byte // what the present wake answers
	cur *conn  // whose wake it is; nil between
	// With TLS: what one read brings decrypted, what the present wake answers encrypted, and what
	// is written to another connection than the present one, before it is encrypted.
	plain, cipher, stray []byte
	upPlain, upCipher    []byte // the same of an upstream

	pulls  int // connections whose src is not nil
	pulled int // bytes that the present wake has taken from a source

	shakes     shakes
	spareIntro []*intro
	// Bytes of the present read that the guard has not been told of, and what it said of them.
	uncharged int
	verdict   guard.Verdict
	rsa       unix.RawSockaddrAny
	pool      *workers

	timerFD    int
	armed      mono.Time // when the timer rings; 0: it does not
	timers     timers
	again      []turn    // connections with units left over from their turn, in order
	spareTurns []turn    // the other array of again
	scheduled  mono.Time // when Go's scheduler last had its turn
	handed     bool      // another goroutine was given something to do
	soon       bool      // something was left over: the timer is to ring at once
	due        func(guard.ID, guard.Reason)
	spareFD    int
	draining   bool
	stopped    bool

	date     []byte
	dateNext mono.Time

	buffered, buffMax int64
	count             counters
	sampler           [guard.Reasons]sampler
	summing           bool // a timer will tell of what was left out
}

// turn names a connection that is to be served later, if it is still the same.
type turn struct {
	c   *conn
	gen uint32
}

// run serves until the loop is told to stop. It keeps one thread: the scheduler would move it to another now and then, which
// the kernel then places anew among those that it wakes, and that wake it (decision 0024).
func (l *loop) run() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !l.stopped && err == nil {
		err = l.round()
	}
	l.release()
	l.e.snapMu.Lock()
	l.e.last[l.no] = l.report()
	l.e.snapMu.Unlock()
	return err
}

// round waits and handles what has come, under one reading of the clock. Go's scheduler has its turn before,
// when somebody was given work that may be next on this processor, and every few milliseconds: it takes a
// goroutine that it has not seen for 10 ms for one that hogs its processor, and goes after it.
func (l *loop) round() error {
	if now := l.g.Now(); l.handed || now > l.scheduled.Add(schedAfter) {
		l.handed, l.scheduled = false, now
		runtime.Gosched()
	}
	n, err := l.p.Wait()
	if err != nil {
		return err
	}
	l.g.Turn(mono.Now())
	if n > 1 {
		for i := range n {
			l.warm(i)
		}
	}
	for i := 0; i < n && !l.stopped; i++ {
		fd, ev := l.p.At(i)
		if fd < 0 {
			l.p.Tasks(l.task)
			continue
		}
		l.event(fd, ev)
	}
	l.arm()
	return nil
}

// warm fetches what the guard will need for the i-th event, while there are others to be served.
func (l *loop) warm(i int) {
	if fd, _ := l.p.At(i); fd >= 0 && fd < len(l.byFD) {
		if c := l.byFD[fd]; c != nil {
			l.g.Warm(c.id)
		}
	}
}

// task runs what another goroutine wants done.
func (l *loop) task(f func()) {
	if !l.stopped {
		l.g.Turn(mono.Now())
		f()
	}
}

// event handles one descriptor's events.
func (l *loop) event(fd int, ev uint32) {
	if fd < len(l.byFD) {
		if c := l.byFD[fd]; c != nil {
			l.wake(c, ev)
			return
		}
	}
	if u := l.upstreams.at(fd); u != nil {
		l.wakeUpstream(u, ev)
		return
	}
	if fd == l.timerFD {
		l.onTimer()
		return
	}
	for _, ln := range l.listeners {
		if ln.fd == fd {
			l.accepts(ln)
			return
		}
	}
	// A descriptor closed earlier in the same batch of events: nothing to do.
}

// wake handles a connection's events. The flags are hints: the descriptor may have been closed and
// reused within this batch, so only what the calls on it return is believed.
//
// hot: 0 allocs, see BenchmarkRoundTrip
func (l *loop) wake(c *conn, ev uint32) {
	l.count.wakes++
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	if c.wants&wantWrite != 0 && ev&(epoll.Out|epoll.Err|epoll.Hup) != 0 {
		l.writable(c)
		l.unhold(c, gen)
	}
	if c.gen != gen || c.state&gone != 0 {
		return
	}
	if ev&(epoll.In|epoll.Err|epoll.Hup) != 0 {
		if c.wants&wantRead != 0 {
			l.readable(c)
		} else if ev&(epoll.Err|epoll.Hup) != 0 && c.wants&wantWrite == 0 && (c.up == nil || socketError(c.fd) != 0) {
			l.drop(c, guard.OK) // both directions are down and nothing can be learnt by a call
		}
	}
}

// enter begins a wake of c: what it writes is gathered in l.out.
func (l *loop) enter(c *conn) {
	l.cur, l.pulled = c, 0
	l.uncharged, l.verdict = 0, guard.Verdict{} // a panic may have left them
}

// leave ends it: what was gathered goes out in one write. It also contains a handler's panic.
func (l *loop) leave(c *conn, gen uint32) {
	if l.cur == nil { // the panic of a handler that was answering a panic
		return
	}
	if p := recover(); p != nil {
		l.panicked(c, gen, p, debug.Stack())
	}
	if c.gen == gen && c.state&gone == 0 {
		l.settle(c)
	}
	l.cur = nil
	l.out, l.cipher, l.stray = emptied(l.out), emptied(l.cipher), emptied(l.stray)
}

// emptied is one of the loop's buffers for use in the next wake; one that has grown large goes.
func emptied(b []byte) []byte {
	if cap(b) > 4*readBytes {
		return nil
	}
	return b[:0]
}

// panicked ends the connection whose handler panicked, with an answer where that is possible.
func (l *loop) panicked(c *conn, gen uint32, p any, stack []byte) {
	l.count.panics++
	if c.gen != gen || c.state&gone != 0 {
		l.tell(guard.ShedPanic, c.peer.Addr(), c.ln, panicText(p), stack)
		return
	}
	l.shedEvent(c, guard.ShedPanic, panicText(p), stack)
	if c.src != nil { // in the middle of an answer: nothing can be said
		l.end(c, true)
		return
	}
	defer func() {
		if recover() != nil {
			l.drop(c, guard.OK)
		}
	}()
	if c.state&(closing|lingering) == 0 && c.sess != nil {
		c.sess.Refuse(c, service.Internal)
	}
	c.held = held{}
	c.state = c.state&^busy | closing | politely
}

// settle brings a connection's sockets and clocks in line with its state after a wake.
func (l *loop) settle(c *conn) {
	l.flush(c)
	if c.state&gone != 0 {
		return
	}
	if c.up != nil {
		if l.settleUpstream(c); c.state&gone != 0 {
			return
		}
	}
	if c.state&(blocked|closing) == blocked && c.out == nil { // the kernel took more than was expected
		c.state &^= blocked
		l.yield(c)
	}
	if c.state&resumed != 0 { // by what was done since
		c.state &^= resumed
		l.yield(c)
	}
	if l.draining {
		l.retire(c)
	}
	if c.state&(severing|lingering) == severing && c.out == nil {
		l.cutOff(c)
	} else if c.state&(closing|lingering) == closing && c.out == nil && c.src == nil {
		if l.farewell(c); c.state&gone == 0 && c.out == nil {
			l.finish(c)
		}
	}
	if c.state&gone != 0 || !l.account(c) {
		return
	}
	l.want(c)
}

// onTimer runs what is due: what earlier turns left over, the guard's deadlines, the loop's own
// timers. Each has a bound, and what it leaves over comes back through the poller, after the
// sockets that are ready.
func (l *loop) onTimer() {
	var b [8]byte
	if n, _ := read(l.timerFD, b[:]); n == 0 {
		return // a stale event
	}
	now := l.g.Now()
	if !l.soon {
		l.late(now.Sub(l.armed))
	}
	l.armed, l.soon = 0, false
	l.leftovers()
	if !l.g.Expire(turnTimers, l.due) {
		l.soon = true
	}
	for range turnTimers {
		t, ok := l.timers.pop(now)
		if !ok {
			return
		}
		l.fire(t)
	}
	l.soon = true
}

// late records how long after its time the loop came to something.
func (l *loop) late(d time.Duration) {
	l.count.lag = max(0, d)
	l.count.maxLag = max(l.count.maxLag, l.count.lag)
}

// arm sets the timer for the earliest thing to time, unless it rings before that anyway. A loop
// whose connections are all idle sleeps until the first of their deadlines: ticking all the time
// would cost 8 % of a core, most of it the runtime's own reaction to a thread that wakes often.
func (l *loop) arm() {
	now := l.g.Now()
	timed := len(l.timers) > 0 && l.timers[0].at < l.armed
	if l.armed != 0 && (l.armed <= now || !l.soon && !timed && l.armed <= now.Add(tick)) {
		return
	}
	next := now
	if !l.soon {
		next = l.g.Next()
		if len(l.timers) > 0 && (next == 0 || l.timers[0].at < next) {
			next = l.timers[0].at
		}
		if next == 0 || l.armed != 0 && l.armed <= next {
			return
		}
		next = max(next, now)
	}
	l.armed = next
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(1, next-now)))}
	_ = unix.TimerfdSettime(l.timerFD, 0, &spec, nil)
}

// leftovers gives connections that had used up their turn another one, for as long as a turn of the
// loop may take.
func (l *loop) leftovers() {
	if len(l.again) == 0 {
		return
	}
	list := l.again
	l.again = l.spareTurns[:0]
	until := l.g.Now().Add(turnTime)
	for i, t := range list {
		if i > 0 && mono.Now() > until {
			l.again = append(l.again, list[i:]...)
			l.soon = true
			break
		}
		if t.c.gen == t.gen && t.c.state&again != 0 {
			l.resume(t.c)
		}
	}
	l.spareTurns = list
}

// resume continues serving what a connection has already sent.
func (l *loop) resume(c *conn) {
	gen := c.gen
	l.enter(c)
	defer l.leave(c, gen)
	c.state &^= again
	l.proceed(c)
}

// do runs f on the loop, or not at all when the loop has ended. Any goroutine.
func (l *loop) do(f func()) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.deaf {
		return
	}
	l.p.Do(f)
}

// httpDate is the time as HTTP writes it, made once a second.
func (l *loop) httpDate() []byte {
	if now := l.g.Now(); now >= l.dateNext {
		t := time.Now()
		l.date = t.UTC().AppendFormat(l.date[:0], http.TimeFormat)
		l.dateNext = now.Add(time.Second - time.Duration(t.Nanosecond()))
	}
	return l.date
}
