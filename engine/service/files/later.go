package files

import "weir/engine/service"

// later is the service.Source of a connection whose work had no room in the pool: it asks again, and then
// says what is to be said.
type later struct {
	u             *upload
	f, then       func()
	started, done bool
	text          []byte
}

// again has one more step done, which followed on one.
func (l *later) again(f, then func()) { l.f, l.then, l.started, l.done = f, then, false, false }

func (l *later) flow(c service.Conn) service.Flow {
	if !l.started {
		if !c.Work(l.f, func() {
			l.done = true
			l.u.lt = l
			l.then()
			l.u.lt = nil
		}) {
			return service.Later
		}
		l.started = true
	}
	switch {
	case !l.done:
		return service.Pause
	case len(l.text) > 0:
		return service.More
	}
	return service.End
}

// File is service.Source's.
func (l *later) File(c service.Conn) (service.Range, service.Flow) { return service.Range{}, l.flow(c) }

// Read is service.Source's.
func (l *later) Read(c service.Conn, p []byte) (n int, f service.Flow) {
	if f = l.flow(c); f == service.More {
		n = copy(p, l.text)
		if l.text = l.text[n:]; len(l.text) == 0 {
			f = service.End
		}
	}
	return n, f
}

// Sent is service.Source's.
func (l *later) Sent(int) {}

// Release is service.Source's.
func (l *later) Release() {
	if l.started {
		return
	}
	u := l.u // its connection has gone, and no worker has been at it
	u.mu.Lock()
	u.running = false
	gone := u.gone
	u.mu.Unlock()
	if gone {
		go u.clean()
	}
}
