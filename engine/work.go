package engine

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	"weir/guard"
)

// job is work for one connection: f on a worker, then done on the connection's loop.
type job struct {
	f, done func()
	c       *conn
	gen     uint32
}

// workers is the bounded pool for work that may block. Its queue is short and sheds: work that
// waits longer than its client would is wasted. Any goroutine.
type workers struct {
	queue   chan job
	running atomic.Int64
	wg      sync.WaitGroup
}

func newWorkers(n, queue int) *workers {
	w := &workers{queue: make(chan job, queue)}
	for range n {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			for j := range w.queue {
				w.running.Add(1)
				p, stack := j.run()
				w.running.Add(-1)
				j.c.loop.do(func() { j.back(p, stack) })
			}
		}()
	}
	return w
}

// submit reports false when the queue is full.
func (w *workers) submit(j job) bool {
	select {
	case w.queue <- j:
		return true
	default:
		return false
	}
}

// close ends the workers when they have finished what is queued.
func (w *workers) close() {
	close(w.queue)
	w.wg.Wait()
}

// run calls f and contains its panic.
func (j *job) run() (p any, stack []byte) {
	defer func() {
		if p = recover(); p != nil {
			stack = debug.Stack()
		}
	}()
	j.f()
	return nil, nil
}

// back continues on the loop, if the connection is still the same.
func (j *job) back(p any, stack []byte) {
	c, l := j.c, j.c.loop
	if c.gen != j.gen || c.state&gone != 0 {
		return
	}
	l.enter(c)
	defer l.leave(c, j.gen)
	c.state &^= busy
	if p != nil {
		l.panicked(c, j.gen, p, stack)
		return
	}
	j.done()
	if c.state&gone == 0 {
		l.proceed(c)
	}
}

// Work is service.Conn's.
func (c *conn) Work(f, done func()) bool {
	l := c.loop
	if c.state&(gone|closing|busy) != 0 {
		return false
	}
	if !l.pool.submit(job{f, done, c, c.gen}) {
		l.count.shed[guard.ShedWork]++
		l.tell(guard.ShedWork, c.peer.Addr(), c.ln, "", nil)
		return false
	}
	c.state = c.state&^(fresh|idling) | busy // the clocks are set anew when it is done
	c.stage = unknownStage
	l.g.Phase(c.id, guard.Busy)
	return true
}
