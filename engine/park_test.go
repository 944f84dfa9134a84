package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/codec"
	"weir/codec/line"
	"weir/engine/service"
)

// sharer is a service that asks a server for the answer to each line, over upstreams that its clients
// share: one after the other.
type sharer struct {
	to          service.Target
	park, await time.Duration
	ended       [service.Ends]atomic.Int64
}

func (a *sharer) Name() string            { return "sharer" }
func (a *sharer) ForLoop() service.Opener { return &sharers{sharer: a} }

type sharers struct {
	*sharer
	free []service.Upstream
}

func (o *sharers) Open(c service.Conn) service.Session { return &sharing{o: o, c: c} }

// Ended is told of parked upstreams.
func (o *sharers) Ended(u service.Upstream, why service.Ending) {
	o.ended[why].Add(1)
	for i, f := range o.free {
		if f == u {
			o.free = append(o.free[:i], o.free[i+1:]...)
			return
		}
	}
	panic("an end of what was not parked")
}
func (o *sharers) Connected(service.Upstream)            {}
func (o *sharers) Received(service.Upstream, []byte) int { panic("nobody has asked") }
func (o *sharers) Drained(service.Upstream)              {}

type sharing struct {
	line.Decoder
	o *sharers
	c service.Conn
	u service.Upstream
}

func (s *sharing) Stage() service.Stage {
	if s.Partial() {
		return service.InFrame
	}
	return service.Between
}

func (s *sharing) Serve(c service.Conn, u codec.Unit) int {
	for s.u == nil && len(s.o.free) > 0 {
		last := len(s.o.free) - 1
		f := s.o.free[last]
		if c.Adopt(f, s) {
			s.o.free = s.o.free[:last]
			s.u = f
		} else {
			f.Close()
			s.o.free = s.o.free[:last]
		}
	}
	if s.u == nil {
		var why service.Ending
		if s.u, why = c.Dial(s.o.to, s); s.u == nil {
			c.Fail(why, "nobody\n")
			return len(u.Data)
		}
	}
	s.u.Write(u.Data)
	s.u.Write([]byte("\n"))
	s.u.Await(s.o.await)
	c.Hold()
	return len(u.Data)
}

func (s *sharing) Refuse(c service.Conn, r service.Refusal) {}
func (s *sharing) Fault(c service.Conn, f codec.Fault)      {}
func (s *sharing) Closed()                                  {}
func (s *sharing) Connected(service.Upstream)               {}
func (s *sharing) Drained(service.Upstream)                 {}

func (s *sharing) Received(u service.Upstream, p []byte) int {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		return 0
	}
	s.c.Write(p[:i+1])
	u.Await(0)
	if u.Park(s.o, s.o.park) {
		s.o.free = append(s.o.free, u)
	} else {
		u.Close()
	}
	s.u = nil
	s.c.Resume()
	return i + 1
}

func (s *sharing) Ended(u service.Upstream, why service.Ending) {
	s.o.ended[why].Add(1)
	if why == service.EndEOF {
		u.Close()
	}
	s.u = nil
	s.c.Fail(why, "gone: "+why.String()+"\n")
}

func serveSharer(t *testing.T, to string, change func(*sharer)) (*sharer, *Engine, string) {
	t.Helper()
	a := &sharer{to: service.Target{Addr: netip.MustParseAddrPort(to), Timeout: time.Second}, park: time.Minute}
	if change != nil {
		change(a)
	}
	e, addr := serve(t, a, 1<<16, unlimited)
	return a, e, addr
}

// answers has a server answer each line with its number on the connection.
func answers(read func() net.Conn, conns *atomic.Int64) {
	c := read()
	conns.Add(1)
	s := bufio.NewScanner(c)
	for n := 1; s.Scan(); n++ {
		fmt.Fprintf(c, "%s %d\n", s.Text(), n)
	}
}

// TestUpstreamsAreShared: many clients, pipelined, over few connections, plain and by TLS.
func TestUpstreamsAreShared(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			var conns atomic.Int64
			to := behind(t, func(tc *net.TCPConn) {
				answers(func() net.Conn {
					if secure {
						return tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
					}
					return tc
				}, &conns)
			})
			a, e, addr := serveSharer(t, to, func(a *sharer) {
				if secure {
					a.to.TLS = clientTLS(0)
				}
			})
			for range 50 {
				c := dial(t, addr)
				go io.WriteString(c, "a\nb\nc\n")
				r := bufio.NewReader(c)
				for _, want := range []string{"a ", "b ", "c "} {
					if got, err := r.ReadString('\n'); !strings.HasPrefix(got, want) || err != nil {
						t.Fatalf("%q, %v", got, err)
					}
				}
				c.Close()
			}
			if n := conns.Load(); n != 1 {
				t.Errorf("%d connections to the server", n)
			}
			s := snap(e)
			if s.Upstreams != 1 || s.UpstreamsReused != 149 {
				t.Errorf("%d open, %d reused", s.Upstreams, s.UpstreamsReused)
			}
			_ = a
			e.Stop(context.Background())
			if s := snap(e); s.Upstreams != 0 || s.UpstreamEnds[service.EndIdle] != 1 {
				t.Errorf("after the end: %d open, %v", s.Upstreams, s.UpstreamEnds)
			}
		})
	}
}

// TestParkedUpstreamEnds: when its server ends it, says anything, or nobody needs it for long.
func TestParkedUpstreamEnds(t *testing.T) {
	for _, c := range []struct {
		why   string
		after func(*net.TCPConn)
		want  service.Ending
	}{
		{"an end", func(c *net.TCPConn) { c.CloseWrite() }, service.EndEOF},
		{"a reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, service.EndReset},
		{"words that nobody has asked for", func(c *net.TCPConn) { io.WriteString(c, "an answer to come\n") }, service.EndUnasked},
		{"nothing", func(c *net.TCPConn) {}, service.EndIdle},
	} {
		t.Run(c.why, func(t *testing.T) {
			parked := make(chan bool, 1)
			to := behind(t, func(tc *net.TCPConn) {
				r := bufio.NewReader(tc)
				for {
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
					io.WriteString(tc, "yes\n")
					<-parked
					c.after(tc)
				}
			})
			a, e, addr := serveSharer(t, to, func(a *sharer) {
				if c.want == service.EndIdle {
					a.park = 200 * time.Millisecond
				}
			})
			t.Cleanup(func() { close(parked) })
			for range 3 {
				conn := dial(t, addr)
				io.WriteString(conn, "x\n")
				b := make([]byte, 4)
				if _, err := io.ReadFull(conn, b); err != nil || string(b) != "yes\n" {
					t.Fatalf("%q, %v", b, err)
				}
				snap(e) // the loop is done with what has brought the answer
				parked <- true
				eventually(t, "it has ended", func() bool { return snap(e).Upstreams == 0 })
				conn.Close()
			}
			if n := a.ended[c.want].Load(); n != 3 {
				t.Errorf("%s was told %d times", c.want, n)
			}
			noUpstreams(t, e)
		})
	}
}

// TestMoreThanTheAnswer: an answer with something behind it is given, and its connection is not used
// again.
func TestMoreThanTheAnswer(t *testing.T) {
	var conns atomic.Int64
	to := behind(t, func(c *net.TCPConn) {
		conns.Add(1)
		r := bufio.NewReader(c)
		for {
			if _, err := r.ReadString('\n'); err != nil {
				return
			}
			io.WriteString(c, "yes\nand another\n")
		}
	})
	_, e, addr := serveSharer(t, to, nil)
	for range 3 {
		c := dial(t, addr)
		io.WriteString(c, "x\n")
		c.CloseWrite()
		if got, err := io.ReadAll(c); string(got) != "yes\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections to the server", n)
	}
	noUpstreams(t, e)
}

// TestSilence: a server that does not answer is given up after the time it has for it.
func TestSilence(t *testing.T) {
	to := behind(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	a, e, addr := serveSharer(t, to, func(a *sharer) { a.await = 300 * time.Millisecond })
	begun := time.Now()
	c := dial(t, addr)
	io.WriteString(c, "x\n")
	if got, err := io.ReadAll(c); string(got) != "gone: silent\n" || err != nil || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("%q, %v, after %v", got, err, time.Since(begun))
	}
	if a.ended[service.EndSilent].Load() != 1 {
		t.Error("not told")
	}
	c.Close()
	noUpstreams(t, e)
}

// TestClientGoesWhileHeld: its upstream goes with it.
func TestClientGoesWhileHeld(t *testing.T) {
	asked := make(chan bool, 1)
	to := behind(t, func(c *net.TCPConn) {
		bufio.NewReader(c).ReadString('\n')
		asked <- true
		io.Copy(io.Discard, c)
	})
	_, e, addr := serveSharer(t, to, nil)
	c := dial(t, addr)
	io.WriteString(c, "x\nmore that waits\n")
	<-asked
	c.SetLinger(0)
	c.Close()
	noUpstreams(t, e)
}

// TestWordsBeforeTheQuestion: what a server has said before it was asked is not the answer, though the loop
// has not been woken for it yet.
func TestWordsBeforeTheQuestion(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			say, said := make(chan bool), make(chan bool)
			var conns atomic.Int64
			to := behind(t, func(tc *net.TCPConn) {
				n := conns.Add(1)
				var c net.Conn = tc
				if secure {
					c = tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
				}
				s := bufio.NewScanner(c)
				for i := 0; s.Scan(); i++ {
					fmt.Fprintf(c, "%s\n", s.Text())
					if n == 1 && i == 0 {
						<-say
						io.WriteString(c, "for somebody else\n")
						said <- true
					}
				}
			})
			_, e, addr := serveSharer(t, to, func(a *sharer) {
				if secure {
					a.to.TLS = clientTLS(0)
				}
			})
			ask := func(c net.Conn, text string) {
				t.Helper()
				if got, err := bufio.NewReader(c).ReadString('\n'); got != text+"\n" || err != nil {
					t.Errorf("%q, %v; want %q", got, err, text)
				}
			}
			first, second := dial(t, addr), dial(t, addr)
			io.WriteString(first, "a\n")
			ask(first, "a")
			eventually(t, "both are there", func() bool { return snap(e).Conns == 2 })
			l := e.loops[0]
			arrives := func(there func() bool) {
				for end := time.Now().Add(30 * time.Second); !there(); time.Sleep(time.Millisecond) {
					if time.Now().After(end) {
						t.Error("it does not arrive")
						return
					}
				}
			}
			l.do(func() {
				u := l.upstreams.parked.first
				if u == nil {
					t.Error("none is parked")
					say <- true
					<-said
					return
				}
				io.WriteString(second, "b\n") // the loop hears of this first
				arrives(func() bool {
					return slices.ContainsFunc(l.byFD, func(c *conn) bool { return c != nil && waiting(c.fd) > 0 })
				})
				say <- true
				<-said
				arrives(func() bool { return waiting(u.fd) > 0 })
			})
			ask(second, "b")
			first.Close()
			second.Close()
			if n := conns.Load(); n != 2 {
				t.Errorf("%d connections to the server", n)
			}
		})
	}
}

// TestWordsBeforeTheServerWasAsked: what a server has said before it can have had the question is not the
// answer, though it comes when the question has been written.
func TestWordsBeforeTheServerWasAsked(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls ", secure), func(t *testing.T) {
			deaf, say := make(chan bool), make(chan bool)
			to := behind(t, func(tc *net.TCPConn) {
				var c net.Conn = tc
				if secure {
					c = tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
				}
				for s := bufio.NewScanner(c); s.Scan(); {
					fmt.Fprintf(c, "%s\n", s.Text())
					if s.Text() == "a" {
						dropIncoming(t, tc, true)
						deaf <- true
						<-say
						io.WriteString(c, "for somebody else\n")
						<-say
						dropIncoming(t, tc, false)
					}
				}
			})
			a, e, addr := serveSharer(t, to, func(a *sharer) {
				if secure {
					a.to.TLS = clientTLS(0)
				}
			})
			ask := func(text string) (net.Conn, *bufio.Reader) {
				c := dial(t, addr)
				io.WriteString(c, text+"\n")
				return c, bufio.NewReader(c)
			}
			first, r := ask("a")
			if got, err := r.ReadString('\n'); got != "a\n" || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
			<-deaf
			second, r := ask("b")
			eventually(t, "it is asked", func() bool { return snap(e).UpstreamsReused == 1 })
			say <- true
			if got, err := io.ReadAll(r); string(got) != "gone: unasked\n" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			say <- true
			if n := a.ended[service.EndUnasked].Load(); n != 1 {
				t.Errorf("told %d times", n)
			}
			first.Close()
			second.Close()
			noUpstreams(t, e)
		})
	}
}

// dropIncoming has the kernel drop what comes for a socket, as if it were on its way still.
func dropIncoming(t *testing.T, c *net.TCPConn, drop bool) {
	raw, err := c.SyscallConn()
	if err == nil {
		raw.Control(func(fd uintptr) {
			if drop {
				none := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
				err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &none})
			} else {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			}
		})
	}
	if err != nil {
		t.Error(err)
	}
}

// TestParkedGiveWayInsideTheReserve: what nobody needs is ended rather than a server not connected to.
func TestParkedGiveWayInsideTheReserve(t *testing.T) {
	var conns atomic.Int64
	to := behind(t, func(c *net.TCPConn) { answers(func() net.Conn { return c }, &conns) })
	_, e, addr := serveSharer(t, to, nil)
	ask := func() {
		t.Helper()
		c := dial(t, addr)
		defer c.Close()
		io.WriteString(c, "x\n")
		if got, err := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(got, "x ") || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	ask()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // which nobody accepts from: descriptors are counted
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	other := service.Target{Addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	done := make(chan bool, 1)
	l := e.loops[0]
	l.do(func() {
		u := l.upstreams.parked.first
		if u == nil {
			t.Error("none is parked")
		} else {
			var fill []int
			for last := -1; last <= u.fd; fill = append(fill, last) {
				last, _ = unix.Dup(0)
			}
			was := e.fdCap
			e.fdCap = u.fd + 1
			if fd, why := l.connect(other); why != service.EndNone {
				t.Errorf("%v", why)
			} else {
				closeSocket(fd)
			}
			e.fdCap = was
			for _, fd := range fill {
				closeSocket(fd)
			}
			if l.upstreams.parked.first != nil {
				t.Error("it is still there")
			}
		}
		done <- true
	})
	<-done
	ask()
}
