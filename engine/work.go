package engine

import (
	"runtime/debug"
	"sync"
	"sync/atomic"

	"weir/guard"
)

// job is work for one connection: f on a worker, then on the connection's loop what is to follow,
// with f's panic, if there was one. The connection may have gone by then.
type job struct {
	f    func()
	l    *loop
	then func(p any, stack []byte)
}

// workers is the bounded pool for work that may block. Its queue is short and sheds: work that
// waits longer than its client would is wasted. Any goroutine.
type workers struct {
	queue   chan job
	begun   chan job // work that has been begun already: it has a queue of its own
	running atomic.Int64
	wg      sync.WaitGroup
}

func newWorkers(n, queue, begun int) *workers {
	w := &workers{queue: make(chan job, queue), begun: make(chan job, begun)}
	for range n {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			for j, ok := w.next(); ok; j, ok = w.next() {
				w.running.Add(1)
				p, stack := j.run()
				w.running.Add(-1)
				j.l.do(func() { j.then(p, stack) })
			}
		}()
	}
	return w
}

// next waits for a job; ok is false when there will be none. Where both queues have some each has an
// even chance: neither can keep the other waiting.
func (w *workers) next() (j job, ok bool) {
	select {
	case j, ok = <-w.begun:
		if !ok { // closed, and empty
			j, ok = <-w.queue
		}
	case j, ok = <-w.queue:
		if !ok {
			j, ok = <-w.begun
		}
	}
	return j, ok
}

// submit reports false when there is no room in the queue, or in that of work begun already.
func (w *workers) submit(j job, begun bool) bool {
	queue := w.queue
	if begun {
		queue = w.begun
	}
	select {
	case queue <- j:
		return true
	default:
		return false
	}
}

// close ends the workers when they have finished what is queued.
func (w *workers) close() {
	close(w.queue)
	close(w.begun)
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

// worked continues on the loop when a service's work is done, if the connection is still the same.
func (c *conn) worked(gen uint32, done func(), p any, stack []byte) {
	l := c.loop
	if c.gen != gen || c.state&gone != 0 {
		return
	}
	l.enter(c)
	defer l.leave(c, gen)
	c.state &^= busy
	if p != nil {
		l.panicked(c, gen, p, stack)
		return
	}
	done()
	if c.state&gone == 0 {
		l.proceed(c)
	}
}

// Work is service.Conn's.
func (c *conn) Work(f, done func()) bool {
	l := c.loop
	if c.state&(gone|busy) != 0 || c.state&(closing|pulling) == closing {
		return false
	}
	gen := c.gen
	l.handed = true
	if !l.pool.submit(job{f, l, func(p any, stack []byte) { c.worked(gen, done, p, stack) }}, false) {
		l.count.shed[guard.ShedWork]++
		l.tell(guard.ShedWork, c.peer.Addr(), c.ln, "", nil)
		return false
	}
	c.state = c.state&^(fresh|idling) | busy // the clocks are set anew when it is done
	c.stage = unknownStage
	l.g.Phase(c.id, guard.Busy)
	return true
}
