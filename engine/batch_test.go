package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/codec/length"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/relay"
)

// inOneBatch has what f sends handled as one batch of the engine's only loop, in the order in which it was sent.
func inOneBatch(t testing.TB, e *Engine, f func()) {
	t.Helper()
	in, out := make(chan bool), make(chan bool)
	e.loops[0].do(func() { close(in); <-out })
	<-in
	f()
	time.Sleep(20 * time.Millisecond) // for loopback to deliver
	close(out)
}

const marked = "xxxxxxxxxxxxxxxx"

// between is what happens to the first connection of a batch, which has been answered, in the wake of the second.
var between = map[string]struct {
	do   func(l *loop, a *conn, peer *net.TCPConn) // in the second's wake
	want string                                    // what the first reads; "" is a reset
	end  bool                                      // and then its end
}{
	"nothing":       {func(*loop, *conn, *net.TCPConn) {}, "answer", false},
	"a write":       {func(_ *loop, a *conn, _ *net.TCPConn) { a.WriteString(", more") }, "answer, more", false},
	"a large write": {func(_ *loop, a *conn, _ *net.TCPConn) { a.Write(counting(8000)) }, "answer" + string(counting(8000)), false},
	"a close":       {func(_ *loop, a *conn, _ *net.TCPConn) { a.Close() }, "answer", true},
	"a write and a close": {func(_ *loop, a *conn, _ *net.TCPConn) {
		a.WriteString(", bye")
		a.Close()
	}, "answer, bye", true},
	"an end":   {func(l *loop, a *conn, _ *net.TCPConn) { l.end(a, false) }, "answer", true},
	"a reset":  {func(_ *loop, _ *conn, peer *net.TCPConn) { peer.SetLinger(0); peer.Close() }, "", true},
	"a task":   {func(l *loop, a *conn, _ *net.TCPConn) { l.do(func() { l.end(a, false) }) }, "answer", true},
	"the same": {func(l *loop, a *conn, _ *net.TCPConn) { l.event(a.fd, 1) }, "answer", false},
}

// fill writes what is marked, and fills the socket with zeros.
func fill(c *conn) {
	write(c.fd, []byte(marked))
	b := make([]byte, 64<<10)
	for {
		if _, errno := write(c.fd, b); errno != 0 {
			return
		}
	}
}

// TestAnswersOfABatchKeepTheirPlace has something happen between an answer and the end of its batch.
func TestAnswersOfABatchKeepTheirPlace(t *testing.T) {
	for name, b := range between {
		t.Run(name, func(t *testing.T) {
			var first *conn
			var peer *net.TCPConn
			e, addr := serve(t, handler{func(c service.Conn, cmd string) {
				switch cmd {
				case "first":
					first = c.(*conn)
					c.WriteString("answer")
				case "second":
					b.do(first.loop, first, peer)
					c.WriteString("done")
				}
			}}, 100, unlimited)
			peer = dial(t, addr)
			second := dial(t, addr)
			eventually(t, "both are there", func() bool { return e.Snapshot().Conns == 2 })
			inOneBatch(t, e, func() {
				io.WriteString(peer, "first\n")
				time.Sleep(time.Millisecond)
				io.WriteString(second, "second\n")
			})
			done := make([]byte, 4)
			if _, err := io.ReadFull(second, done); err != nil || string(done) != "done" {
				t.Fatalf("%q, %v", done, err)
			}
			if b.want != "" {
				readMarked(t, peer, b.want)
			}
			if b.end {
				if b.want != "" {
					ends(t, peer)
					peer.Close()
				}
				eventually(t, "it is gone", func() bool { return e.Snapshot().Conns == 1 })
				return
			}
			io.WriteString(peer, "first\n")
			got := make([]byte, 6)
			if _, err := io.ReadFull(peer, got); err != nil || string(got) != "answer" {
				t.Fatalf("later: %q, %v", got, err)
			}
		})
	}
}

// TestARelayInABatch has something happen between what one side of a relay sends and the end of its batch.
func TestARelayInABatch(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *loop, c *conn, client, server *net.TCPConn)
		ends bool
	}{
		{"nothing", func(*loop, *conn, *net.TCPConn, *net.TCPConn) {}, false},
		{"a reset by the server", func(_ *loop, _ *conn, _, server *net.TCPConn) { server.SetLinger(0); server.Close() }, true},
		{"a reset by the client", func(_ *loop, _ *conn, client, _ *net.TCPConn) { client.SetLinger(0); client.Close() }, true},
		{"an end", func(l *loop, c *conn, _, _ *net.TCPConn) { l.end(c, false) }, true},
	} {
		for _, back := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, to the client %v", c.name, back), func(t *testing.T) {
				servers := make(chan *net.TCPConn, 1)
				hold := make(chan bool)
				defer close(hold)
				to := behind(t, func(c *net.TCPConn) { servers <- c; <-hold })
				var client, server *net.TCPConn
				var relayed *conn
				e, addr := serve(t, relay.Bytes(pool(t, relay.Config{To: []string{to}})), 64<<10, func(cfg *Config) {
					unlimited(cfg)
					other := cfg.Listeners[0]
					other.Name, other.MaxIn = "other", 100
					other.Service = handler{func(sc service.Conn, _ string) {
						c.do(relayed.loop, relayed, client, server)
						sc.WriteString("done")
					}}
					cfg.Listeners = append(cfg.Listeners, other)
				})
				client = dial(t, addr)
				io.WriteString(client, "hello")
				server = <-servers
				got := make([]byte, 5)
				io.ReadFull(server, got)
				io.WriteString(server, "hello")
				io.ReadFull(client, got)
				second := dial(t, e.Addrs()[1].String())
				eventually(t, "both are there", func() bool { return e.Snapshot().Conns == 2 })
				found := make(chan bool)
				e.loops[0].do(func() {
					for _, c := range e.loops[0].byFD {
						if c != nil && c.up != nil {
							relayed = c
						}
					}
					close(found)
				})
				<-found
				from, at := client, server
				if back {
					from, at = server, client
				}
				inOneBatch(t, e, func() {
					io.WriteString(from, "bytes")
					time.Sleep(time.Millisecond)
					io.WriteString(second, "go\n")
				})
				done := make([]byte, 4)
				if _, err := io.ReadFull(second, done); err != nil {
					t.Fatal(err)
				}
				if c.ends {
					eventually(t, "both sides are gone", func() bool { s := e.Snapshot(); return s.Conns == 1 && s.Upstreams == 0 && s.Buffered == 0 })
					return
				}
				if _, err := io.ReadFull(at, got); err != nil || string(got) != "bytes" {
					t.Fatalf("%q, %v", got, err)
				}
			})
		}
	}
}

// TestBatchesKeepOrder has many connections send frames of all sizes at once, some of which fit into one write and some do not.
func TestBatchesKeepOrder(t *testing.T) {
	for _, over := range []string{"plain", "TLS"} {
		t.Run(over, func(t *testing.T) {
			change := func(c *Config) {
				unlimited(c)
				c.Listeners[0].SourceHandshakeRate, c.Listeners[0].SourceHandshakeBurst = 1000, 1000
			}
			var e *Engine
			var addr string
			var conns []net.Conn
			if over == "TLS" {
				e, addr = serveTLS(t, echo.Frames(1<<20), 1<<20+4, change)
			} else {
				e, addr = serve(t, echo.Frames(1<<20), 1<<20+4, change)
			}
			for range 70 {
				c := net.Conn(dial(t, addr))
				if over == "TLS" {
					c = tls.Client(c, clientTLS(0))
				}
				conns = append(conns, c)
				roundTrip(t, c)
			}
			for round := range 20 {
				var want [][]byte
				for i := range conns {
					var b []byte
					for k := range 1 + (i+round)%4 {
						b = length.Append(b, bytes.Repeat([]byte{byte(i), byte(k), byte(round)}, 1+(i*7+k*400+round)%1500))
					}
					want = append(want, b)
				}
				inOneBatch(t, e, func() {
					for i, c := range conns {
						if _, err := c.Write(want[i]); err != nil {
							t.Fatal(err)
						}
					}
				})
				for i, c := range conns {
					got := make([]byte, len(want[i]))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want[i]) {
						t.Fatalf("round %d, connection %d: %v, shed %v", round, i, err, e.Snapshot().Shed)
					}
				}
			}
		})
	}
}

// BenchmarkBatch is a frame of each of 64 connections and its echo, all at once, clients included.
func BenchmarkBatch(b *testing.B) {
	_, addr := serve(b, echo.Frames(1<<20), 1<<20+4, unlimited)
	frame := length.Append(nil, bytes.Repeat([]byte{'x'}, 64))
	var fds []int
	for range 64 {
		c := dial(b, addr)
		roundTrip(b, c)
		f, err := c.File()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { f.Close() })
		fds = append(fds, int(f.Fd()))
	}
	buf := make([]byte, len(frame))
	b.ReportAllocs()
	for b.Loop() {
		for _, fd := range fds {
			if _, err := unix.Write(fd, frame); err != nil {
				b.Fatal(err)
			}
		}
		for _, fd := range fds {
			if n, err := unix.Read(fd, buf); n != len(frame) || err != nil {
				b.Fatal(n, err)
			}
		}
	}
}

// TestResetsOfABatchStayResets has who is written to be reset in the same batch: a write may tell the error, and a read behind it
// only that nothing more comes.
func TestResetsOfABatchStayResets(t *testing.T) {
	for _, of := range []string{"server", "client"} {
		t.Run(of, func(t *testing.T) {
			servers := make(chan *net.TCPConn, 1)
			hold := make(chan bool)
			to := behind(t, func(c *net.TCPConn) { servers <- c; <-hold })
			t.Cleanup(func() { close(hold) })
			e, addr := serveRelay(t, nil, to)
			client := dial(t, addr)
			io.WriteString(client, "hello")
			server, got := <-servers, make([]byte, 5)
			io.ReadFull(server, got)
			from, resets := client, server
			if of == "client" {
				from, resets = server, client
			}
			inOneBatch(t, e, func() {
				io.WriteString(from, "bytes")
				time.Sleep(time.Millisecond)
				resets.SetLinger(0)
				resets.Close()
			})
			from.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := from.Read(got); !wasReset(err) {
				t.Errorf("the other side was told %v", err)
			}
			noUpstreams(t, e)
		})
	}
}

// dialler is an upstream's handler that notes how it ends.
type dialler struct {
	to       service.Target
	u        service.Upstream
	ended    chan service.Ending
	received func(b []byte) int // nil: all is taken
	atEnd    func()             // nil: nothing
}

func (d *dialler) Connected(service.Upstream) {}
func (d *dialler) Drained(service.Upstream)   {}
func (d *dialler) Received(_ service.Upstream, b []byte) int {
	if d.received != nil {
		return d.received(b)
	}
	return len(b)
}
func (d *dialler) Ended(_ service.Upstream, e service.Ending) {
	d.ended <- e
	if d.atEnd != nil {
		d.atEnd()
	}
}
func (d *dialler) dial(c service.Conn) { d.u, _ = c.Dial(d.to, d) }
func (d *dialler) adopt(t *testing.T, c service.Conn) {
	if !c.Adopt(d.u, d) {
		t.Error("not adopted")
	}
}
func (d *dialler) park(t *testing.T, want bool) {
	if got := d.u.Park(d, time.Minute); got != want {
		t.Errorf("parked: %v", got)
	}
}
func fillUp(u service.Upstream) { fill(&conn{fd: u.(*upstream).fd}) }

// dialled serves lines by do, but "dial", whose upstream d has then, and returns three clients, of which the first has dialled, and
// the server behind; servers are the next ones.
func dialled(t *testing.T, d *dialler, do func(c service.Conn, cmd string)) (e *Engine, clients [3]*net.TCPConn, server *net.TCPConn, servers chan *net.TCPConn) {
	servers = make(chan *net.TCPConn, 2)
	hold := make(chan bool)
	to := behind(t, func(c *net.TCPConn) { servers <- c; <-hold })
	t.Cleanup(func() { close(hold) })
	d.to = service.Target{Addr: netip.MustParseAddrPort(to), Timeout: 20 * time.Second}
	d.ended = make(chan service.Ending, 9)
	e, addr := serve(t, handler{func(c service.Conn, cmd string) {
		if cmd != "dial" {
			do(c, cmd)
			return
		}
		d.dial(c)
		c.WriteString("ok")
	}}, 100, unlimited)
	for i := range clients {
		clients[i] = dial(t, addr)
	}
	io.WriteString(clients[0], "dial\n")
	io.ReadFull(clients[0], make([]byte, 2))
	server = <-servers
	eventually(t, "all are there", func() bool { s := snap(e); return s.Conns == 3 && s.Upstreams == 1 })
	time.Sleep(20 * time.Millisecond) // until the loop knows that it is connected
	return e, clients, server, servers
}

// TestUpstreamsInABatch has services do with an upstream what they may in the batch in which they write to it.
func TestUpstreamsInABatch(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second func(t *testing.T, d *dialler, c service.Conn)
		reset         bool   // its server ends it in the same batch
		want, other   string // what its server gets, and the next one; the former begins behind zeros if marked
		ended         service.Ending
	}{
		{"a reset", func(_ *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("ask")) },
			func(*testing.T, *dialler, service.Conn) {}, true, "", "", service.EndReset},
		{"parked and adopted", func(t *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("first ")); d.park(t, true) },
			func(t *testing.T, d *dialler, c service.Conn) { d.adopt(t, c); d.u.Write([]byte("second")) }, false, "first second", "", 0},
		{"parked by another and adopted", func(t *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("first ")) },
			func(t *testing.T, d *dialler, c service.Conn) {
				d.park(t, true)
				d.adopt(t, c)
				d.u.Write([]byte("second"))
			}, false, "first second", "", 0},
		{"parked and closed", func(t *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("first ")); d.park(t, true) },
			func(_ *testing.T, d *dialler, c service.Conn) { d.u.Close(); d.dial(c); d.u.Write([]byte("second")) }, false, "", "second", 0},
		{"closed by another", func(t *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("first ")) },
			func(_ *testing.T, d *dialler, c service.Conn) { d.u.Close(); d.dial(c); d.u.Write([]byte("second")) }, false, "", "second", 0},
		{"no room to park", func(t *testing.T, d *dialler, _ service.Conn) { fillUp(d.u); d.u.Write([]byte("A")); d.park(t, false) },
			func(*testing.T, *dialler, service.Conn) {}, false, marked + "A", "", 0},
		{"no room when parked by another", func(_ *testing.T, d *dialler, _ service.Conn) { d.u.Write([]byte("A")); fillUp(d.u) },
			func(t *testing.T, d *dialler, _ service.Conn) { d.park(t, false) }, false, marked + "A", "", 0},
		{"in the middle", func(_ *testing.T, d *dialler, _ service.Conn) {
			x := d.u.(*upstream)
			fillUp(d.u)
			d.u.Write([]byte("A"))
			x.loop.flushUpstream(x)
			d.u.Write([]byte("B"))
			d.u.Write([]byte("C"))
		}, func(*testing.T, *dialler, service.Conn) {}, false, marked + "ABC", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &dialler{}
			e, clients, server, servers := dialled(t, d, func(c service.Conn, cmd string) {
				switch cmd {
				case "first":
					tc.first(t, d, c)
				case "second":
					tc.second(t, d, c)
				}
			})
			a, b, c := clients[0], clients[1], clients[2]
			inOneBatch(t, e, func() {
				io.WriteString(a, "first\n")
				time.Sleep(time.Millisecond)
				if tc.reset {
					server.SetLinger(0)
					server.Close()
				}
				io.WriteString(b, "second\n")
				time.Sleep(time.Millisecond)
				io.WriteString(c, "third\n")
			})
			if tc.reset {
				if got := <-d.ended; got != tc.ended {
					t.Errorf("told %v", got)
				}
				time.Sleep(20 * time.Millisecond)
				if len(d.ended) > 0 {
					t.Errorf("told %v, too", <-d.ended)
				}
				return
			}
			if tc.other != "" {
				server, tc.want = <-servers, tc.other
			}
			server.SetReadDeadline(time.Now().Add(20 * time.Second))
			readMarked(t, server, tc.want)
		})
	}
}

// TestServersThatEndInABatch has a server be lost in the batch in which its client is answered.
func TestServersThatEndInABatch(t *testing.T) {
	large := strings.Repeat("s", 2000)
	for _, tc := range []struct {
		name     string
		received func(d *dialler, c service.Conn) int // of the server's "x", which comes first; nil: it does not come
		atEnd    func(c service.Conn)
		does     func(d *dialler, c service.Conn) // what the client's line does
		last     bool                             // its line comes behind the reset
		says     string                           // the server, before it is lost
		want     string                           // what the client gets
		other    string                           // and another one, later in the batch
	}{
		{"with a panic", nil, func(service.Conn) { panic("as told") },
			func(d *dialler, _ service.Conn) { d.u.Pour(); d.u.Write(make([]byte, 2000)) }, false, "", "", "AB"},
		{"with little to say", nil, nil,
			func(d *dialler, c service.Conn) { d.u.Pour(); c.WriteString("answer "); d.u.Write(make([]byte, 2000)) }, false, "bye", "answer bye", ""},
		{"with much to say", nil, nil,
			func(d *dialler, c service.Conn) { d.u.Pour(); c.WriteString("answer "); d.u.Write(make([]byte, 2000)) }, false, large, "answer " + large, ""},
		{"with last words for it", nil, func(c service.Conn) { c.WriteString("lost") },
			func(d *dialler, c service.Conn) { d.u.Pour(); c.WriteString("answer "); d.u.Write(make([]byte, 2000)) }, false, "", "answer lost", ""},
		{"by what it was told", func(d *dialler, _ service.Conn) int { d.u.Write([]byte("reply")); d.u.Pour(); return 1 }, func(c service.Conn) { c.WriteString("lost ") },
			func(_ *dialler, c service.Conn) { c.WriteString(large) }, true, "", "lost " + large, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &dialler{}
			var first service.Conn
			e, clients, server, _ := dialled(t, d, func(c service.Conn, cmd string) {
				switch cmd {
				case "here":
					first = c
					c.WriteString("ok")
				case "first":
					tc.does(d, c)
				case "other":
					c.WriteString("A")
					c.(*conn).loop.flush(c.(*conn))
					c.WriteString("B")
				}
			})
			if tc.atEnd != nil {
				d.atEnd = func() { tc.atEnd(first) }
			}
			d.received = func([]byte) int {
				if tc.received == nil {
					return 0
				}
				return tc.received(d, first)
			}
			io.WriteString(clients[0], "here\n")
			io.ReadFull(clients[0], make([]byte, 2))
			inOneBatch(t, e, func() {
				if tc.received != nil {
					io.WriteString(server, "x")
					time.Sleep(time.Millisecond)
				}
				if !tc.last {
					io.WriteString(clients[0], "first\n")
					time.Sleep(time.Millisecond)
				}
				io.WriteString(server, tc.says)
				server.SetLinger(0)
				server.Close()
				time.Sleep(time.Millisecond)
				if tc.last {
					io.WriteString(clients[0], "first\n")
					time.Sleep(time.Millisecond)
				}
				io.WriteString(clients[1], "other\n")
			})
			if tc.want != "" {
				readMarked(t, clients[0], tc.want)
			}
			if tc.other != "" {
				readMarked(t, clients[1], tc.other)
			}
		})
	}
}

// trailing sends some bytes behind, and in one write with, whatever is written.
type trailing struct {
	net.Conn
	behind []byte
}

func (c *trailing) Write(b []byte) (int, error) {
	return c.Conn.Write(append(bytes.Clone(b), c.behind...))
}

// TestNoLastWordsBehindTheServers has a server greet, and break TLS in the same read.
func TestNoLastWordsBehindTheServers(t *testing.T) {
	type greeter struct {
		*tls.Conn
		wire *trailing
	}
	greeters := make(chan greeter, 2)
	hold := make(chan bool)
	to := behind(t, func(c *net.TCPConn) {
		g := greeter{wire: &trailing{Conn: c}}
		g.Conn = tls.Server(g.wire, &tls.Config{Certificates: []tls.Certificate{testCert()}})
		if g.Handshake() == nil {
			greeters <- g
		}
		<-hold
	})
	t.Cleanup(func() { close(hold) })
	e, addr := serve(t, relay.Lines(pool(t, relay.Config{To: []string{to}, TLS: clientTLS(0)}), 1000), 64<<10, unlimited)
	client := dial(t, addr)
	server := <-greeters
	other := dial(t, addr)
	<-greeters
	time.Sleep(50 * time.Millisecond) // until the loop knows
	inOneBatch(t, e, func() {
		server.wire.behind = append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)
		io.WriteString(server, "hello\n")
		time.Sleep(time.Millisecond)
		io.WriteString(other, "nothing\n")
	})
	if b, err := io.ReadAll(client); string(b) != "hello\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// readMarked reads want, which if it begins with marked has zeros behind that.
func readMarked(t *testing.T, c net.Conn, want string) {
	t.Helper()
	rest, zeros := strings.CutPrefix(want, marked)
	r := bufio.NewReaderSize(c, 64<<10)
	if zeros {
		io.ReadFull(r, make([]byte, len(marked)))
		for b, err := r.ReadByte(); b == 0; b, err = r.ReadByte() {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.UnreadByte()
	}
	got := make([]byte, len(rest))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != rest {
		t.Fatalf("%q, %v", got, err)
	}
}
