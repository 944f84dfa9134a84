package epoll

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func open(t testing.TB) *Poller {
	t.Helper()
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// pair is two ends of a connection.
func pair(t testing.TB) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// seen waits once and returns the events by descriptor; tasks are run, and are not among them.
func seen(t testing.TB, p *Poller) map[int]uint32 {
	t.Helper()
	n, err := p.Wait()
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]uint32{}
	for i := range n {
		fd, ev := p.At(i)
		if fd < 0 {
			p.Tasks(func(f func()) { f() })
			continue
		}
		out[fd] = ev
	}
	return out
}

func TestInterest(t *testing.T) {
	p := open(t)
	a, b := pair(t)
	if err := p.Add(a, In); err != nil {
		t.Fatal(err)
	}
	unix.Write(b, []byte("x"))
	for range 2 { // as long as it is so
		if ev := seen(t, p); ev[a] != In {
			t.Fatalf("%v", ev)
		}
	}
	if err := p.Modify(a, Out); err != nil {
		t.Fatal(err)
	}
	if ev := seen(t, p); ev[a] != Out {
		t.Fatalf("write only: %v", ev)
	}
	if err := p.Modify(a, In|Out); err != nil {
		t.Fatal(err)
	}
	if ev := seen(t, p); ev[a] != In|Out {
		t.Fatalf("both: %v", ev)
	}
	if err := p.Remove(a); err != nil {
		t.Fatal(err)
	}
	p.Do(func() {})
	if ev := seen(t, p); len(ev) != 0 {
		t.Fatalf("removed: %v", ev)
	}
	if err := p.Modify(a, In); err == nil {
		t.Fatal("what is not watched was changed")
	}
}

// TestNothingStillTellsOfAReset watches a connection for nothing: bytes do not wake, a reset does, once.
func TestNothingStillTellsOfAReset(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := server.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	server.Close()
	p := open(t)
	fd := int(f.Fd())
	if err := p.Add(fd, In); err != nil {
		t.Fatal(err)
	}
	if err := p.Modify(fd, Edge); err != nil {
		t.Fatal(err)
	}
	client.Write([]byte("more"))
	p.Do(func() {})
	if ev := seen(t, p); len(ev) != 0 {
		t.Fatalf("bytes: %v", ev)
	}
	client.(*net.TCPConn).SetLinger(0)
	client.Close()
	if ev := seen(t, p); ev[fd]&Hup == 0 {
		t.Fatalf("a reset: %v", ev)
	}
	p.Do(func() {})
	if ev := seen(t, p); len(ev) != 0 {
		t.Fatalf("the same reset once more: %v", ev)
	}
}

// TestTasks gives the loop tasks from many goroutines, and from tasks: all run, each once, and those that
// came meanwhile after the sockets' turn.
func TestTasks(t *testing.T) {
	const senders, each = 8, 5000
	p := open(t)
	var ran, nested atomic.Int64
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for range each {
				p.Do(func() {
					ran.Add(1)
					p.Do(func() { nested.Add(1) })
				})
			}
		})
	}
	for ran.Load() < senders*each || nested.Load() < senders*each {
		seen(t, p)
	}
	all.Wait()
	if ran.Load() != senders*each || nested.Load() != senders*each {
		t.Errorf("%d and %d ran", ran.Load(), nested.Load())
	}
	first := true
	p.Do(func() {
		p.Do(func() { first = false })
		if !first {
			t.Error("a task ran inside another")
		}
	})
	if seen(t, p); !first {
		t.Error("what a task gives is run in the same turn")
	}
	if seen(t, p); first {
		t.Error("and not in the next")
	}
}

// TestClosedDescriptorsAreForgotten: a number that is another's by now brings the other's events.
func TestClosedDescriptorsAreForgotten(t *testing.T) {
	p := open(t)
	a, b := pair(t)
	if err := p.Add(a, In); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if err := p.Add(int(r.Fd()), In); err != nil {
		t.Fatal(err)
	}
	w.WriteString("x")
	unix.Write(b, []byte("x"))
	if ev := seen(t, p); len(ev) != 2 {
		t.Fatalf("%v", ev)
	}
	r.Close()
	if ev := seen(t, p); len(ev) != 1 || ev[a] != In {
		t.Fatalf("%v", ev)
	}
}

// BenchmarkTask is a task from another goroutine, and its wake.
func BenchmarkTask(b *testing.B) {
	p := open(b)
	f := func() {}
	b.ReportAllocs()
	for b.Loop() {
		p.Do(f)
		seenOnly(b, p)
	}
}

// BenchmarkWait is what the kernel says of one socket that is ready.
func BenchmarkWait(b *testing.B) {
	p := open(b)
	x, y := pair(b)
	unix.Write(y, []byte("x"))
	if err := p.Add(x, In); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		seenOnly(b, p)
	}
}

func seenOnly(b *testing.B, p *Poller) {
	n, err := p.Wait()
	if err != nil || n != 1 {
		b.Fatal(n, err)
	}
	if fd, _ := p.At(0); fd < 0 {
		p.Tasks(func(f func()) { f() })
	}
}
