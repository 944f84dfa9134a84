package files

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine"
	"weir/guard"
)

// both runs a test plain and over TLS.
func both(t *testing.T, f func(t *testing.T, change func(*engine.Config))) {
	t.Run("plain", func(t *testing.T) { t.Parallel(); f(t, func(*engine.Config) {}) })
	t.Run("TLS", func(t *testing.T) { t.Parallel(); f(t, overTLS) })
}

// askedBy has a site find out by f how the page cache is asked about a file.
func askedBy(f func(fd int) asks) func(*Site) { return func(s *Site) { s.howToAsk = f } }

// patient lifts what readers that stall would meet.
func patient(c *engine.Config) {
	l := &c.Listeners[0]
	l.MinRate, l.WriteTimeout = 0, time.Minute
}

// stalled has asked for a file, has read the answer's head, and reads no further.
func (r *rig) stalled(target string) (net.Conn, *bufio.Reader, *http.Response) {
	r.t.Helper()
	raw, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { raw.Close() })
	raw.(*net.TCPConn).SetReadBuffer(32 << 10)
	raw.SetDeadline(time.Now().Add(2 * time.Minute))
	c := raw
	if r.tls {
		c = tls.Client(raw, &tls.Config{RootCAs: testCA().Pool, ServerName: "weir.test"})
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", target)
	br := bufio.NewReaderSize(c, 4096)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return c, br, resp
}

// A file that is cut short while it is sent ends the connection: no padding, no wait, no next answer.
func TestTruncatedWhileBeingSent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		r := start(t, Config{}, map[string]string{"f": bulk(30 << 20)}, change)
		c, _, resp := r.stalled("/f")
		io.WriteString(c, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n")
		time.Sleep(50 * time.Millisecond)
		if err := os.Truncate(r.path("f"), 20<<20); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil || n > 20<<20 {
			t.Errorf("%d bytes, %v", n, err)
		}
		if e := net.Error(nil); errors.As(err, &e) && e.Timeout() {
			t.Errorf("it hangs: %v", err)
		}
		eventually(t, "it is counted, and over", func() bool {
			s := r.snapshot()
			return s.Shed[guard.ShedAnswer] >= 1 && s.Conns == 0
		})
		eventually(t, "what is left is served", func() bool { // once the new length is noticed
			c := r.dial()
			defer c.Close()
			a, err := exchange(c, bufio.NewReader(c), "GET", "/f")
			return err == nil && len(a.body) == 20<<20
		})
	})
}

// What grows while it is sent is sent as long as was promised.
func TestGrownWhileBeingSent(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		content := bulk(20 << 20)
		r := start(t, Config{}, map[string]string{"f": content}, change)
		_, br, resp := r.stalled("/f")
		f, err := os.OpenFile(r.path("f"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString("more")
		f.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != content {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if br.Buffered() != 0 {
			t.Error("and something behind it")
		}
	})
}

// Clients that go away in the middle leave nothing open, however they go.
func TestClientsThatGoLeaveNothing(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		r := start(t, Config{}, map[string]string{"f": bulk(20 << 20), "g": "small"}, change)
		for i := range 30 {
			c, _, resp := r.stalled("/f")
			if i%3 == 0 {
				io.CopyN(io.Discard, resp.Body, 1<<20)
			}
			if tc, ok := c.(*tls.Conn); ok {
				c = tc.NetConn()
			}
			if i%2 == 0 {
				c.(*net.TCPConn).SetLinger(0)
			}
			c.Close()
		}
		eventually(t, "none is left", func() bool { return r.snapshot().Conns == 0 })
		if n := r.site.Stats(); n.Open != 1 || n.Opened != 1 {
			t.Errorf("%+v", n)
		}
		os.Remove(r.path("f"))
		eventually(t, "it is noticed", func() bool { return r.ask("GET", "/f").StatusCode == 404 })
		eventually(t, "it is closed", func() bool { return r.site.Stats().Open == 0 })
	})
}

// A crowd that asks for the same file at once, none of it in the cache, has it looked up once.
func TestCrowdIsOneLookup(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		var lookups atomic.Int32
		r := start(t, Config{}, map[string]string{"f": "content"}, func(c *engine.Config) {
			change(c)
			c.Workers, c.WorkQueue = 1, 1
		}, askedBy(func(int) asks {
			lookups.Add(1)
			time.Sleep(100 * time.Millisecond)
			return cannotAsk
		}))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				c := r.dial()
				defer c.Close()
				if i%10 == 3 { // some do not wait for the answer: the first one too
					io.WriteString(c, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n")
					return
				}
				br := bufio.NewReader(c)
				for range 2 {
					if a, err := exchange(c, br, "GET", "/f"); err != nil || a.body != "content" {
						t.Errorf("%v %v", err, a.Response)
					}
				}
			}()
		}
		wg.Wait()
		if n := lookups.Load(); n < 1 || n > 11 { // one, and one more for each that has gone
			t.Errorf("%d look-ups", n)
		}
		eventually(t, "one is open", func() bool { return r.site.Stats().Open == 1 })
	})
}

// When the connection goes for which a file is looked up, those that wait for the same have it looked
// up again, and what the worker finds too late is closed.
func TestFirstOfACrowdGoes(t *testing.T) {
	t.Parallel()
	looking, gone := make(chan bool), make(chan bool)
	var n atomic.Int32
	r := start(t, Config{}, map[string]string{"f": "content"}, nil, askedBy(func(int) asks {
		if n.Add(1) == 1 {
			looking <- true
			<-gone
		}
		return nowait
	}))
	first := r.dial().(*net.TCPConn)
	io.WriteString(first, "GET /f HTTP/1.1\r\nHost: a\r\n\r\n")
	<-looking
	answers := make(chan string)
	for range 5 {
		go func() { answers <- r.ask("GET", "/f").body }()
	}
	eventually(t, "all are there", func() bool { return r.snapshot().Conns == 6 })
	time.Sleep(50 * time.Millisecond)
	first.SetLinger(0)
	first.Close()
	for range 5 {
		if got := <-answers; got != "content" {
			t.Errorf("%q", got)
		}
	}
	close(gone)
	eventually(t, "one is open", func() bool { n := r.site.Stats(); return n.Opened == 2 && n.Open == 1 })
}

// A worker that panics ends its own connection; those that wait for the same go on.
func TestLookupThatPanics(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	r := start(t, Config{}, map[string]string{"f": "content"}, nil, askedBy(func(int) asks {
		if n.Add(1) == 1 {
			time.Sleep(100 * time.Millisecond)
			panic("ouch")
		}
		return nowait
	}))
	statuses := make(chan int, 5)
	for range 5 {
		go func() { statuses <- r.ask("GET", "/f").StatusCode }()
	}
	got := map[int]int{}
	for range 5 {
		got[<-statuses]++
	}
	if got[500] != 1 || got[200] != 4 {
		t.Errorf("%v", got)
	}
}

// Files that are being sent are as many as may be open; who asks for another one is told to come back,
// and what is in the cache and not being sent makes room.
func TestOpenFilesAreBounded(t *testing.T) {
	t.Parallel()
	tree := map[string]string{}
	for i := range 40 {
		tree[fmt.Sprintf("f%d", i)] = bulk(8 << 20)
	}
	r := start(t, Config{MaxOpen: 8}, tree, patient)
	for i := range 40 {
		if a := r.ask("HEAD", fmt.Sprintf("/f%d", i)); a.StatusCode != 200 {
			t.Fatalf("f%d: %d", i, a.StatusCode)
		}
		if n := r.site.Stats(); n.Open > 8 {
			t.Fatalf("%d are open", n.Open)
		}
	}
	var held []net.Conn
	for i := range 8 {
		c, _, _ := r.stalled(fmt.Sprintf("/f%d", i))
		held = append(held, c)
	}
	if a := r.ask("GET", "/f30"); a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || a.Close {
		t.Errorf("%v", a.Response)
	}
	if a := r.ask("HEAD", "/f3"); a.StatusCode != 200 {
		t.Errorf("one that is open: %d", a.StatusCode)
	}
	held[5].Close()
	eventually(t, "there is room again", func() bool { return r.ask("HEAD", "/f30").StatusCode == 200 })
	if n := r.site.Stats(); n.Open > 8 || n.Busy == 0 {
		t.Errorf("%+v", n)
	}
}

// Made-up names leave what is in the cache alone, and take a bounded place themselves.
func TestMadeUpNamesAreBounded(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, map[string]string{"f": "content"}, nil)
	r.ask("GET", "/f")
	c := r.dial()
	br := bufio.NewReader(c)
	const n = 5000
	go func() {
		for i := range n {
			fmt.Fprintf(c, "GET /nope/%d%s HTTP/1.1\r\nHost: a\r\n\r\n", i, strings.Repeat("x", i%300))
		}
	}()
	for i := range n {
		if a, err := readAnswer(br, "GET"); err != nil || a.StatusCode != 404 && a.StatusCode != 503 {
			t.Fatalf("%d: %v %v", i, err, a.Response)
		}
	}
	if s := r.site.Stats(); s.Open != 1 {
		t.Errorf("%+v", s)
	}
	r.e.Stop(t.Context())
	o := r.site.openers[0]
	if len(o.entries) > mostNotes+1 || o.notes.n != mostNotes || o.files.n != 1 || len(o.loads) != 0 {
		t.Errorf("%d entries, %d notes, %d files, %d loads", len(o.entries), o.notes.n, o.files.n, len(o.loads))
	}
	for key := range o.entries {
		if len(key) > noteBytes {
			t.Errorf("a key of %d bytes", len(key))
		}
	}
}

// What the page cache has lost is read by a worker, and arrives all the same; so does what it cannot be
// asked about, also when the worker pool is busy.
func TestColdFiles(t *testing.T) {
	t.Parallel()
	content := bulk(3<<20 + 12345)
	for _, how := range []string{"dropped", "cannot ask", "in memory", "busy pool"} {
		t.Run(how, func(t *testing.T) {
			both(t, func(t *testing.T, change func(*engine.Config)) {
				ask := howToAsk
				switch how {
				case "cannot ask":
					ask = func(int) asks { return cannotAsk }
				case "in memory":
					ask = func(int) asks { return inMemory }
				case "busy pool":
					ask = func(int) asks { time.Sleep(20 * time.Millisecond); return cannotAsk }
				}
				r := start(t, Config{}, map[string]string{"f": content, "small": content[:1000]}, func(c *engine.Config) {
					change(c)
					if how == "busy pool" {
						c.Workers, c.WorkQueue = 1, 1
					}
				}, askedBy(ask))
				stop := make(chan bool)
				var busy sync.WaitGroup
				if how == "busy pool" {
					for i := range 4 {
						busy.Add(1)
						go func() {
							defer busy.Done()
							for n := 0; ; n++ {
								select {
								case <-stop:
									return
								default:
									r.write(fmt.Sprintf("b%d-%d", i, n), "x")
									r.ask("GET", fmt.Sprintf("/b%d-%d", i, n))
								}
							}
						}()
					}
				}
				for range 2 {
					if how == "dropped" {
						for _, name := range []string{"f", "small"} {
							f, err := os.OpenFile(r.path(name), os.O_RDWR, 0)
							if err != nil {
								t.Fatal(err)
							}
							f.Sync()
							unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
							f.Close()
						}
					}
					for name, want := range map[string]string{"/f": content, "/small": content[:1000]} {
						var a answer
						for a = r.ask("GET", name); a.StatusCode == 503; a = r.ask("GET", name) {
						}
						if a.StatusCode != 200 || a.body != want {
							t.Errorf("%s: %d, %d bytes", name, a.StatusCode, len(a.body))
						}
					}
				}
				close(stop)
				busy.Wait()
			})
		})
	}
}

// A stop lets what is under way finish.
func TestStopFinishesWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		r := start(t, Config{}, map[string]string{"f": bulk(20 << 20)}, func(c *engine.Config) { change(c); c.DrainTimeout = 2 * time.Minute })
		_, _, resp := r.stalled("/f")
		stopped := make(chan error, 1)
		go func() { stopped <- r.e.Stop(context.Background()) }()
		time.Sleep(100 * time.Millisecond)
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != bulk(20<<20) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// Who reads nothing of a file is shed by the deadlines that hold for all output.
func TestReadersOfNothingAreShed(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, change func(*engine.Config)) {
		r := start(t, Config{}, map[string]string{"f": bulk(30 << 20)}, func(c *engine.Config) {
			change(c)
			c.Listeners[0].WriteTimeout = 500 * time.Millisecond
		})
		c, _, _ := r.stalled("/f")
		eventually(t, "it is shed", func() bool { return r.snapshot().Shed[guard.ShedWriteStall] == 1 })
		if _, err := io.Copy(io.Discard, c); err == nil {
			t.Error("it ended as if all were well")
		}
		// One that reads slowly but above the rate gets all of it.
		r2 := start(t, Config{}, map[string]string{"f": bulk(300 << 10)}, func(c *engine.Config) {
			change(c)
			c.Listeners[0].WriteTimeout, c.Listeners[0].MinRate, c.Listeners[0].MinRateGrace = 500*time.Millisecond, 10_000, 300*time.Millisecond
		})
		for try := 0; ; try++ {
			_, _, resp := r2.stalled("/f")
			got, buf, slowest, last := 0, make([]byte, 16<<10), time.Duration(0), time.Now()
			n, err := 0, error(nil)
			for ; err == nil; time.Sleep(20 * time.Millisecond) {
				n, err = resp.Body.Read(buf)
				got += n
				slowest, last = max(slowest, time.Since(last)), time.Now()
			}
			if err != io.EOF && slowest > 150*time.Millisecond && try < 20 {
				continue // it was too slow itself
			}
			if err != io.EOF || got != 300<<10 {
				t.Errorf("%d bytes: %v; %v", got, err, r2.snapshot().Shed)
			}
			break
		}
	})
}

// A site is served by all loops, each with its share of the descriptors.
func TestLoopsShareTheBound(t *testing.T) {
	t.Parallel()
	r := start(t, Config{MaxOpen: 8}, map[string]string{"f": "x"}, func(c *engine.Config) { c.Loops = 4 })
	for _, o := range r.site.openers {
		if o.most != 2 {
			t.Errorf("a share of %d", o.most)
		}
	}
	begun := time.Now()
	for range 40 {
		if a := r.ask("GET", "/f"); a.body != "x" {
			t.Fatal(a.StatusCode)
		}
	}
	looks := 4 * uint64(2+time.Since(begun)/fresh) // each loop looks at first, and once a second
	if n := r.site.Stats(); n.Open > 4 || n.Hits+max(looks, 10) < 40 {
		t.Errorf("%+v after %s", n, time.Since(begun))
	}
}

// What cannot be read by us is 403, what cannot be opened for now 503.
func TestErrorsOfTheFileSystem(t *testing.T) {
	for err, want := range map[error]int{
		syscall.ENOENT: 404, syscall.ENOTDIR: 404, syscall.ELOOP: 404, syscall.ENAMETOOLONG: 404, syscall.EACCES: 403, syscall.EPERM: 403,
		syscall.EMFILE: 503, syscall.ENFILE: 503, syscall.ENOMEM: 503, syscall.EIO: 500, syscall.ESTALE: 500, errors.New("path escapes from parent"): 404,
	} {
		if got := statusOf(&os.PathError{Op: "openat", Path: "f", Err: err}); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Dir: "/nope/nope"}, "open directory /nope/nope: no such file or directory"},
		{Config{Dir: "/etc/passwd"}, "open directory /etc/passwd: not a directory"},
		{Config{Dir: "/", Index: "a/b"}, `index "a/b": must be the plain name of a file`},
		{Config{Dir: "/", Index: ".."}, `index "..": must be the plain name of a file`},
		{Config{Dir: "/", Index: "a\n"}, `index "a\n": must be the plain name of a file`},
	} {
		if s, err := New(c.cfg); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v", c.cfg, err)
			if s != nil {
				s.Close()
			}
		}
	}
}

// pingPong returns a function that asks for a file and reads the answer, as long as the first one.
func pingPong(t testing.TB, tree map[string]string, request string, change func(*engine.Config)) func() {
	r := start(t, Config{HSTS: time.Hour}, tree, func(c *engine.Config) {
		l := &c.Listeners[0]
		l.SourceByteRate, l.ConnByteRate = 0, 0
		if change != nil {
			change(c)
		}
	})
	c := r.dial()
	if tc, ok := c.(*tls.Conn); ok {
		tc.NetConn().SetDeadline(time.Time{})
	} else {
		c.SetDeadline(time.Time{})
	}
	ask := []byte(request)
	var in bytes.Buffer
	br := bufio.NewReader(io.TeeReader(c, &in))
	for range 2 { // the first may be another
		in.Reset()
		c.Write(ask)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	size := in.Len()
	buf := make([]byte, size)
	return func() {
		if _, err := c.Write(ask); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, buf); err != nil {
			t.Fatal(err)
		}
	}
}

var requests = map[string]string{
	"1KiB":  "GET /1k HTTP/1.1\r\nHost: weir\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\n\r\n",
	"100K":  "GET /100k HTTP/1.1\r\nHost: weir\r\nUser-Agent: bench\r\n\r\n",
	"range": "GET /100k HTTP/1.1\r\nHost: weir\r\nRange: bytes=5-10,20-29\r\n\r\n",
	"304":   "GET /1k HTTP/1.1\r\nHost: weir\r\nIf-Modified-Since: " + old.UTC().Format(http.TimeFormat) + "\r\n\r\n",
	"404":   "GET /no%70e HTTP/1.1\r\nHost: weir\r\n\r\n",
}

var someFiles = map[string]string{"1k": bulk(1000), "100k": bulk(100_000)}

// TestLittleIsAllocatedPerRequest counts the allocations of the whole process, client included. Once a
// second a file is looked at again, by a worker, which allocates.
func TestLittleIsAllocatedPerRequest(t *testing.T) {
	for name, request := range requests {
		t.Run(name, func(t *testing.T) {
			once := pingPong(t, someFiles, request, nil)
			for range 100 {
				once()
			}
			const n = 2000
			var got uint64
			for range 5 { // on a busy machine many a second goes by meanwhile
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range n {
					once()
				}
				runtime.ReadMemStats(&after)
				if got = after.Mallocs - before.Mallocs; got <= n/10 {
					return
				}
			}
			t.Errorf("%d allocations for %d requests", got, n)
		})
	}
}

// BenchmarkRequest is one request over loopback and its answer, client included.
func BenchmarkRequest(b *testing.B) {
	for name, request := range requests {
		b.Run(name, func(b *testing.B) {
			once := pingPong(b, someFiles, request, nil)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

// BenchmarkClean judges a path.
func BenchmarkClean(b *testing.B) {
	for _, path := range []string{"/assets/js/app.3f9ab2c1.js", "/a%20name/with%20spaces/%C3%BC.html"} {
		b.Run(path, func(b *testing.B) {
			raw := []byte(path)
			var scratch []byte
			b.ReportAllocs()
			for b.Loop() {
				if _, status := clean(raw, &scratch, false); status != 0 {
					b.Fatal(status)
				}
			}
		})
	}
}
