package files

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/engine"
)

// uploads serves a new directory that takes uploads, too.
func uploads(t testing.TB, u Uploads, tree map[string]string, change func(*engine.Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	if u.Dir == "" {
		u.Dir = dir
	}
	return start(t, Config{Dir: dir, Index: "index.html", Uploads: u}, tree, change)
}

// put sends a body with fields on a connection of its own.
func (r *rig) put(target, body string, fields ...string) answer {
	r.t.Helper()
	c := r.dial()
	defer c.Close()
	a, err := putOn(c, bufio.NewReader(c), target, body, fields...)
	if err != nil {
		r.t.Fatalf("PUT %s: %v", target, err)
	}
	return a
}

func putOn(c io.Writer, br *bufio.Reader, target, body string, fields ...string) (answer, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "PUT %s HTTP/1.1\r\nHost: weir.test\r\n", target)
	chunked := false
	for _, f := range fields {
		b.WriteString(f + "\r\n")
		chunked = chunked || strings.HasPrefix(f, "Transfer-Encoding") || strings.HasPrefix(f, "Content-Length")
	}
	if !chunked {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	go c.Write(b.Bytes()) // a refusal may come while it is under way
	return readAnswer(br, "PUT")
}

func chunked(body string, size int) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(size, len(body))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

func text(n int) string {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{3}).Read(b)
	return string(b)
}

func digestOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// names lists all below the root, those of uploads under way too.
func (r *rig) names() (list []string) {
	r.t.Helper()
	filepath.WalkDir(r.dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(r.dir, p)
			list = append(list, rel)
		}
		return nil
	})
	return list
}

// left waits until no upload is under way, and lists what there is.
func (r *rig) left() string {
	r.t.Helper()
	eventually(r.t, "all uploads have ended", func() bool { return r.site.UploadStats().Open == 0 && r.site.store.cfg.Slots.Used() == 0 })
	if n := r.site.store.reserved.Load(); n != 0 {
		r.t.Errorf("%d bytes are still reserved", n)
	}
	if n := r.site.store.pending.Load(); n != 0 {
		r.t.Errorf("%d bytes are still pending", n)
	}
	return strings.Join(r.names(), " ")
}

func TestPut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*engine.Config){"plain": nil, "TLS": overTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := uploads(t, Uploads{}, map[string]string{"d/": ""}, change)
			for i, size := range []int{0, 1, 100, gatherBytes - 1, gatherBytes, 70_000, 1_000_000} {
				for _, way := range []string{"length", "chunked"} {
					body := text(size)
					path := fmt.Sprintf("/d/%s %d.bin", way, size)
					target := strings.ReplaceAll(path, " ", "%20")
					if a := r.ask("GET", target); a.StatusCode != 404 {
						t.Fatalf("before: %d", a.StatusCode)
					}
					var a answer
					if way == "length" {
						a = r.put(target, body)
					} else {
						a = r.put(target, chunked(body, 1+i*1000), "Transfer-Encoding: chunked")
					}
					if a.StatusCode != 201 || a.Header.Get("Location") != target || a.Header.Get("Repr-Digest") != "sha-256=:"+digestOf(body)+":" {
						t.Fatalf("%s: %d %v %s", path, a.StatusCode, a.Header, a.body)
					}
					if want := fmt.Sprintf(`{"path":"%s","size":%d,"sha256":"%x"}`+"\n", target, size, sha256.Sum256([]byte(body))); a.body != want {
						t.Errorf("%q, want %q", a.body, want)
					}
					g := r.ask("GET", target) // at once: what was found before counts for nothing
					if g.StatusCode != 200 || g.body != body || strings.TrimPrefix(g.Header.Get("ETag"), "W/") != a.Header.Get("ETag") {
						t.Errorf("%s: then %d, %d bytes, %s", path, g.StatusCode, len(g.body), g.Header.Get("ETag"))
					}
				}
			}
			if fi, err := os.Stat(r.path("d/length 1.bin")); err != nil || fi.Mode().Perm()&0o400 == 0 || fi.Mode().Perm()&0o111 != 0 {
				t.Errorf("%v %v", fi, err)
			}
			if n := r.site.UploadStats(); n.Ends[Stored] != 14 || n.Bytes != 2*(1+100+32767+32768+70_000+1_000_000) {
				t.Errorf("%+v", n)
			}
			if strings.Contains(r.left(), tempPrefix) {
				t.Error(r.left())
			}
		})
	}
}

// Every refusal that can be had from the head comes before the body, instead of 100, and leaves nothing.
func TestPutIsRefusedAtItsHead(t *testing.T) {
	t.Parallel()
	tree := map[string]string{"there.txt": "old", "d/": "", ".secret/": ""}
	spent := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	spend := func(peer netip.Addr, n int64) bool { return peer != spent || n < 5000 }
	r := uploads(t, Uploads{Max: 10_000, Quota: 9_000 + leastCost, Spend: spend}, tree, nil)
	os.Symlink("there.txt", r.path("link"))
	os.Symlink("nowhere", r.path("dangling"))
	unix.Mkfifo(r.path("fifo"), 0o644)
	eventually(t, "what is there is counted", func() bool { return r.site.store.ready.Load() && r.site.UploadStats().Used == leastCost })
	for _, c := range []struct {
		target string
		fields []string
		status int
		what   Outcome
		why    string
	}{
		{"/new", []string{"Content-Length: 10001"}, 413, TooLarge, "above max-upload"},
		{"/new", []string{"Content-Length: 9223372036854775807"}, 413, TooLarge, "far above"},
		{"/new", []string{"Content-Length: 9001"}, 507, OverQuota, "above what is left of the quota"},
		{"/new", []string{"Content-Length: 6000"}, 429, OverBudget, "above the source's budget"},
		{"/there.txt", nil, 409, Exists, "nothing is replaced"},
		{"/there.txt", []string{"If-None-Match: *"}, 412, Unmet, "and the client said so"},
		{"/there.txt", []string{`If-Match: "x"`}, 412, Unmet, "another version"},
		{"/there.txt", []string{"If-Match: *"}, 409, Exists, "it matches, and is not replaced"},
		{"/new", []string{"If-Match: *"}, 412, Unmet, "nothing is there"},
		{"/new", []string{"Content-Range: bytes 0-9/10"}, 400, BadRequest, "a part"},
		{"/new", []string{"Content-Encoding: gzip"}, 415, BadRequest, "encoded"},
		{"/new", []string{"Content-Digest: sha-256=:AAAA:"}, 400, BadRequest, "no digest"},
		{"/new", []string{"Content-Digest: sha-256=AAAA"}, 400, BadRequest, "no byte sequence"},
		{"/new", []string{"Repr-Digest: sha-256=:" + digestOf("a") + ":", "Content-Digest: sha-256=:" + digestOf("b") + ":"}, 400, BadRequest, "two digests"},
		{"/", nil, 409, BadPath, "the root"},
		{"/d/", nil, 409, BadPath, "a directory"},
		{"/d", nil, 409, Exists, "a directory"},
		{"/none/new", nil, 409, NoParent, "no directory is made"},
		{"/there.txt/new", nil, 409, NoParent, "below a file"},
		{"/.hidden", nil, 404, BadPath, "a dot"},
		{"/.secret/new", nil, 404, BadPath, "below a dot"},
		{"/" + tempPrefix + strings.Repeat("0", 32), nil, 404, BadPath, "our own"},
		{"/../new", nil, 400, BadPath, "out"},
		{"/%2e%2e%2fnew", nil, 400, BadPath, "out"},
		{"/con", nil, 404, BadPath, "a device"},
		{"/link", nil, 409, Exists, "a link"},
		{"/dangling", nil, 409, Exists, "a link to nothing"},
		{"/fifo", nil, 409, Exists, "a FIFO"},
		{"/fifo/new", nil, 409, NoParent, "below a FIFO"},
		{"/" + strings.Repeat("x", 300), nil, 404, BadPath, "too long"},
	} {
		for _, expect := range []bool{false, true} {
			before := r.site.UploadStats().Ends[c.what]
			fields := c.fields
			if len(fields) == 0 || !strings.HasPrefix(fields[0], "Content-Length") {
				fields = append([]string{"Content-Length: 10"}, fields...)
			}
			if expect {
				fields = append(fields, "Expect: 100-continue")
			}
			a := r.put(c.target, "", fields...) // no body is sent
			if a.StatusCode != c.status || a.Close != (expect || !strings.HasPrefix(fields[0], "Content-Length: 10") || len(fields[0]) > 18) && c.status < 400 {
				t.Errorf("%s %v: %d, want %d: %s", c.target, c.fields, a.StatusCode, c.status, c.why)
			}
			if expect && !a.Close {
				t.Errorf("%s: %s: the connection goes on with a body that may come or not", c.target, c.why)
			}
			if got := r.site.UploadStats().Ends[c.what] - before; got != 1 {
				t.Errorf("%s %v: counted %d times as %v: %s", c.target, c.fields, got, c.what, c.why)
			}
		}
	}
	if a := r.put("/new", "", "Connection: close"); a.StatusCode != 201 { // Content-Length: 0
		t.Errorf("empty: %d", a.StatusCode)
	}
	c := r.dial()
	io.WriteString(c, "PUT /none HTTP/1.1\r\nHost: weir.test\r\n\r\n")
	if a, err := readAnswer(bufio.NewReader(c), "PUT"); err != nil || a.StatusCode != 411 {
		t.Errorf("without a length: %v %v", a, err)
	}
	for method, allow := range map[string]string{"POST": "GET, HEAD, PUT", "DELETE": "GET, HEAD, PUT", "PATCH": "GET, HEAD, PUT"} {
		if a := r.ask(method, "/new"); a.StatusCode != 405 || a.Header.Get("Allow") != allow {
			t.Errorf("%s: %d %v", method, a.StatusCode, a.Header)
		}
	}
	if left := r.left(); left != "dangling fifo link new there.txt" {
		t.Error(left)
	}
	if b, _ := os.ReadFile(r.path("there.txt")); string(b) != "old" {
		t.Errorf("%q", b)
	}
}

// A refusal of a small body leaves the connection usable: the body is thrown away.
func TestAfterARefusalTheConnectionGoesOn(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Max: 100 << 10}, map[string]string{"there": "old"}, nil)
	c := r.dial()
	br := bufio.NewReader(c)
	for range 3 {
		if a, err := putOn(c, br, "/there", text(5000)); err != nil || a.StatusCode != 409 || a.Close {
			t.Fatalf("%v %v", a, err)
		}
		if a, err := putOn(c, br, "/there", chunked(text(5000), 100), "Transfer-Encoding: chunked"); err != nil || a.StatusCode != 409 {
			t.Fatalf("%v %v", a, err)
		} else if a.Close {
			c.Close()
			c = r.dial()
			br = bufio.NewReader(c)
		}
		if a, err := exchange(c, br, "GET", "/there"); err != nil || a.body != "old" {
			t.Fatalf("%v %v", a, err)
		}
	}
	if a := r.put("/there", text(90<<10)); a.StatusCode != 409 || !a.Close {
		t.Errorf("a large one: %d", a.StatusCode)
	}
}

func TestPutSaysContinueWhenItIsToCome(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Max: 100}, nil, nil)
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "PUT /f HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 100 {
		t.Fatalf("%v %v", resp, err)
	}
	io.WriteString(c, "hello")
	if a, err := readAnswer(br, "PUT"); err != nil || a.StatusCode != 201 {
		t.Fatalf("%v %v", a, err)
	}
	if a, err := exchange(c, br, "GET", "/f"); err != nil || a.body != "hello" {
		t.Fatalf("%v %v", a, err)
	}
}

// A body without a length is counted as it comes.
func TestChunkedUploadsAreCutAtTheirLimits(t *testing.T) {
	t.Parallel()
	left := int64(200_000)
	var mu sync.Mutex
	spend := func(_ netip.Addr, n int64) bool {
		mu.Lock()
		defer mu.Unlock()
		if left < n {
			return false
		}
		left -= n
		return true
	}
	for _, c := range []struct {
		u      Uploads
		status int
		what   Outcome
	}{
		{Uploads{Max: 100_000}, 413, TooLarge},
		{Uploads{Quota: 100_000}, 507, OverQuota},
		{Uploads{Spend: spend}, 429, OverBudget},
		{Uploads{Floor: 1 << 60}, 507, LowSpace},
	} {
		r := uploads(t, c.u, nil, nil)
		eventually(t, "ready", r.site.store.ready.Load)
		a := r.put("/f", chunked(text(1_000_000), 1000), "Transfer-Encoding: chunked")
		if a.StatusCode != c.status || !a.Close {
			t.Errorf("%v: %d", c.what, a.StatusCode)
		}
		if left := r.left(); left != "" || r.site.UploadStats().Ends[c.what] != 1 || r.site.UploadStats().Used != 0 {
			t.Errorf("%v: %s is left, %+v", c.what, left, r.site.UploadStats())
		}
	}
}

func TestPutDigests(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{}, nil, nil)
	body := text(100_000)
	good, bad := digestOf(body), digestOf("other")
	for i, c := range []struct {
		field  string
		status int
	}{
		{"Content-Digest: sha-256=:" + good + ":", 201},
		{"Repr-Digest: sha-512=:AAAA:, sha-256=:" + good + ":;x=1", 201},
		{"Digest: md5=AAAA,SHA-256=" + good, 201},
		{"Content-Digest: sha-512=:AAAA:", 201}, // not ours to check
		{"Content-Digest: sha-256=:" + bad + ":", 400},
		{"Repr-Digest: sha-256=:" + bad + ":", 400},
		{"Digest: sha-256=" + bad, 400},
	} {
		for _, way := range []string{"length", "chunked"} {
			path := fmt.Sprintf("/%d%s", i, way)
			var a answer
			if way == "length" {
				a = r.put(path, body, c.field)
			} else {
				a = r.put(path, chunked(body, 5000), c.field, "Transfer-Encoding: chunked")
			}
			if a.StatusCode != c.status || a.Close {
				t.Errorf("%s %s: %d %s", way, c.field, a.StatusCode, a.body)
			}
			if _, err := os.Stat(r.path(path)); (err == nil) != (c.status == 201) {
				t.Errorf("%s: %v", c.field, err)
			}
		}
	}
	if left := r.left(); strings.Contains(left, tempPrefix) || r.site.UploadStats().Ends[Mismatch] != 6 {
		t.Errorf("%s %+v", left, r.site.UploadStats())
	}
}

func TestOverwrite(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Overwrite: true, Quota: 40_000}, map[string]string{"f": "old", "index.html": "old index"}, nil)
	eventually(t, "ready", r.site.store.ready.Load)
	os.Symlink("f", r.path("link"))
	os.Link(r.path("f"), r.path("second"))
	tag := r.ask("GET", "/f").Header.Get("ETag")
	if a := r.put("/f", "new", "If-Match: "+tag); a.StatusCode != 200 || a.Header.Get("Location") != "" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	} else if next := a.Header.Get("ETag"); next == tag {
		t.Error("the same tag for other bytes")
	} else if a := r.put("/f", "lost", "If-Match: "+tag); a.StatusCode != 412 {
		t.Errorf("a lost update: %d", a.StatusCode)
	} else if a := r.put("/f", "newer", "If-Match: "+next); a.StatusCode != 200 {
		t.Errorf("at once: %d", a.StatusCode)
	}
	if a := r.ask("GET", "/f"); a.body != "newer" {
		t.Errorf("%q", a.body)
	}
	if b, _ := os.ReadFile(r.path("second")); string(b) != "old" { // replaced, not written over
		t.Errorf("%q", b)
	}
	if a := r.put("/link", "x"); a.StatusCode != 409 {
		t.Errorf("a link: %d", a.StatusCode)
	}
	r.ask("GET", "/")
	if a := r.put("/index.html", "new index"); a.StatusCode != 200 {
		t.Errorf("index: %d", a.StatusCode)
	}
	if a := r.ask("GET", "/"); a.body != "new index" {
		t.Errorf("the index is %q", a.body)
	}
	// Two contents of one size within a tick have two tags.
	tags := map[string]bool{}
	for range 50 {
		tags[r.put("/same", "same size").Header.Get("ETag")] = true
	}
	if len(tags) != 50 {
		t.Errorf("%d tags", len(tags))
	}
	for range 20 { // what is replaced comes off the quota
		if a := r.put("/big", text(10_000)); a.StatusCode/100 != 2 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	}
	if r.left(); r.site.UploadStats().Used != 10_000+3*leastCost {
		t.Errorf("%+v", r.site.UploadStats())
	}
}

// A client that goes, at any place of its upload, leaves nothing.
func TestCutUploadsLeaveNothing(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{}, nil, nil)
	body := text(300_000)
	for i := range 60 {
		c := r.dial()
		n := i * len(body) / 60
		fmt.Fprintf(c, "PUT /f%d HTTP/1.1\r\nHost: weir.test\r\nContent-Length: %d\r\n\r\n%s", i, len(body), body[:n])
		if i%2 == 0 {
			c.(*net.TCPConn).SetLinger(0)
		}
		if i%3 == 0 {
			time.Sleep(time.Millisecond)
		}
		c.Close()
	}
	eventually(t, "all have come, and are cut", func() bool {
		s := r.snapshot()
		return s.Listeners[0].Accepted == 60 && s.Conns == 0 && r.site.UploadStats().Open == 0
	})
	if left := r.left(); left != "" {
		t.Error(left)
	}
	if n := r.site.UploadStats(); n.Ends[Stored] != 0 || n.Bytes != 0 {
		t.Errorf("%+v", n)
	}
}

func TestStalledUploadsAreShed(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{}, nil, func(c *engine.Config) {
		c.Listeners[0].MinRate, c.Listeners[0].MinRateGrace = 10_000, 300*time.Millisecond
	})
	c := r.dial()
	fmt.Fprintf(c, "PUT /f HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 100000\r\n\r\n%s", text(40_000))
	if a, err := readAnswer(bufio.NewReader(c), "PUT"); err != nil || a.StatusCode != 408 {
		t.Errorf("%v %v", a, err)
	}
	if left := r.left(); left != "" || r.site.UploadStats().Ends[Cut] != 1 {
		t.Errorf("%s %+v", left, r.site.UploadStats())
	}
}

// At most so many are under way, and a quarter of them for one source.
func TestUploadsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	slots := NewSlots(8)
	r := uploads(t, Uploads{Slots: slots}, nil, nil)
	var held []net.Conn
	for i := range 2 {
		c := r.dial()
		fmt.Fprintf(c, "PUT /f%d HTTP/1.1\r\nHost: weir.test\r\nContent-Length: 10\r\n\r\n12345", i)
		held = append(held, c)
	}
	eventually(t, "two are under way", func() bool { return slots.Used() == 2 })
	if a := r.put("/g", "x"); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d", a.StatusCode)
	}
	io.WriteString(held[0], "67890")
	if a, err := readAnswer(bufio.NewReader(held[0]), "PUT"); err != nil || a.StatusCode != 201 {
		t.Fatalf("%v %v", a, err)
	}
	eventually(t, "there is room", func() bool { return slots.Used() == 1 })
	if a := r.put("/g", "x"); a.StatusCode != 201 {
		t.Errorf("%d", a.StatusCode)
	}
	held[1].Close()
	if left := r.left(); left != "f0 g" || len(slots.by) != 0 {
		t.Error(left, slots.by)
	}
	for i := range 10 {
		if slots.take(fmt.Sprint("source ", i)) != (i < 8) {
			t.Errorf("%d", i)
		}
	}
}

// Who waits for each answer needs one place.
func TestOneUploadAfterTheOtherNeedsOnePlace(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Slots: NewSlots(1)}, nil, nil)
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 200 {
		if a, err := putOn(c, br, fmt.Sprintf("/f%d", i), "x"); err != nil || a.StatusCode != 201 {
			t.Fatalf("%d: %v %v", i, a, err)
		}
	}
	r.left()
}

// When the worker pool is full an upload waits; it does not fail, and nobody loops.
func TestUploadsWaitForWorkers(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Slots: NewSlots(400)}, nil, func(c *engine.Config) { c.Workers, c.WorkQueue = 1, 1 })
	var wg sync.WaitGroup
	body := text(200_000)
	var mu sync.Mutex
	statuses := map[int]int{}
	for i := range 30 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a := r.put(fmt.Sprintf("/f%d", i), body)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.StatusCode]++
		}()
	}
	wg.Wait()
	if statuses[201] != 30 {
		t.Errorf("%v", statuses)
	}
	for i := range 30 {
		if b, _ := os.ReadFile(r.path(fmt.Sprintf("f%d", i))); string(b) != body {
			t.Errorf("f%d: %d bytes", i, len(b))
		}
	}
	r.left()
}

// One of many who make the same file makes it; with conditions on what it was, each replacement is one of
// what it says.
func TestOneOfManyMakesTheFile(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Overwrite: true, Slots: NewSlots(400)}, nil, nil)
	for round := range 5 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for i := range 20 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				a := r.put(fmt.Sprintf("/f%d", round), fmt.Sprint(i), "If-None-Match: *")
				mu.Lock()
				defer mu.Unlock()
				statuses[a.StatusCode]++
			}()
		}
		wg.Wait()
		if statuses[201] != 1 || statuses[412] != 19 {
			t.Errorf("%v", statuses)
		}
	}
}

// What the disk says is told, and the server goes on. The errors come from the kernel.
func TestDiskErrors(t *testing.T) {
	for err, want := range map[error]Outcome{
		syscall.ENOSPC: DiskFull, syscall.EDQUOT: DiskFull, syscall.EROFS: ReadOnly, syscall.EACCES: ReadOnly, syscall.EPERM: ReadOnly,
		syscall.EIO: DiskError, syscall.EMFILE: NoFiles, syscall.ENFILE: NoFiles, syscall.EEXIST: Exists, syscall.ENOENT: NoParent,
		&os.PathError{Op: "openat", Err: syscall.ENOTDIR}: NoParent, syscall.ELOOP: BadPath,
	} {
		if got := outcomeOf(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	seen := map[string]bool{}
	for o := range Outcomes {
		if d := outcomes[o]; d.label == "" || d.status == 0 || d.words == "" || seen[d.label] {
			t.Errorf("%d: %+v", o, d)
		}
		seen[o.String()] = true
	}
	if os.Getuid() == 0 {
		return
	}
	r := uploads(t, Uploads{}, map[string]string{"d/": ""}, nil)
	os.Chmod(r.path("d"), 0o500)
	if a := r.put("/d/f", "x"); a.StatusCode != 403 {
		t.Errorf("%d", a.StatusCode)
	}
}

// Whatever the file system says, and to which step, the client is told, nothing is left, and the next upload is
// stored.
func TestFaultsOfTheDisk(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var at string
	var fault error
	dir := t.TempDir()
	r := start(t, Config{Dir: dir, Uploads: Uploads{Dir: dir, Overwrite: true}}, nil, nil, func(s *Site) {
		s.store.fault = func(step string) error {
			mu.Lock()
			defer mu.Unlock()
			if step == at {
				return fault
			}
			return nil
		}
	})
	c := r.dial()
	br := bufio.NewReader(c)
	body := text(50_000)
	for _, step := range []string{"open", "write", "sync", "name"} {
		for err, want := range map[syscall.Errno]int{
			syscall.ENOSPC: 507, syscall.EDQUOT: 507, syscall.EROFS: 403, syscall.EACCES: 403, syscall.EIO: 500, syscall.EMFILE: 503, syscall.ENFILE: 503,
		} {
			for _, replace := range []bool{false, true} {
				mu.Lock()
				at, fault = step, err
				mu.Unlock()
				path := fmt.Sprintf("/new-%s-%d", step, int(err))
				if replace {
					path = "/there"
				}
				a, failed := putOn(c, br, path, body)
				if failed != nil || a.StatusCode != want {
					t.Fatalf("%s %v: %d %v", step, err, a.StatusCode, failed)
				}
				mu.Lock()
				at = ""
				mu.Unlock()
				if a.Close {
					c.Close()
					c = r.dial()
					br = bufio.NewReader(c)
				}
				if a, failed := putOn(c, br, "/there", body); failed != nil || a.StatusCode/100 != 2 {
					t.Fatalf("after %s %v: %v %v", step, err, a, failed)
				}
			}
		}
	}
	if left := r.left(); left != "there" {
		t.Error(left)
	}
	mu.Lock()
	at, fault = "dirsync", syscall.EIO
	mu.Unlock()
	if a := r.put("/maybe", body); a.StatusCode != 500 {
		t.Errorf("%d", a.StatusCode)
	}
	r.left()
}

// What a crash has left is removed at start, and nothing else: not what is alive, and nothing by another
// name.
func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	os.MkdirAll(dir+"/a/b", 0o755)
	temp := func() string { return newTemp() }
	dead := []string{temp(), "a/" + temp(), "a/b/" + temp()}
	keep := []string{
		"f", tempPrefix + "x", "a/" + tempPrefix + strings.Repeat("G", tempDigits), temp() + ".txt", ".weir-upload", "a/b/x" + temp(),
	}
	for _, name := range append(dead, keep...) {
		os.WriteFile(filepath.Join(dir, name), []byte("12345"), 0o644)
	}
	outsideFile := filepath.Join(t.TempDir(), "outside")
	os.WriteFile(outsideFile, []byte("0123456789"), 0o644)
	link, sub, fifo, alive := temp(), temp(), temp(), temp()
	os.Symlink(outsideFile, filepath.Join(dir, link))
	os.Symlink(filepath.Dir(outsideFile), dir+"/out")
	os.Mkdir(filepath.Join(dir, sub), 0o755)
	unix.Mkfifo(filepath.Join(dir, fifo), 0o644)
	f, _ := os.Create(filepath.Join(dir, alive))
	defer f.Close()
	unix.Flock(int(f.Fd()), unix.LOCK_EX)

	r := start(t, Config{Dir: dir, Uploads: Uploads{Dir: dir, Quota: 1 << 20}}, nil, nil)
	eventually(t, "it has been counted", r.site.store.ready.Load)
	for _, name := range dead {
		if _, err := os.Lstat(r.path(name)); err == nil {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range append(keep, link, sub, fifo, alive) {
		if _, err := os.Lstat(r.path(name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
	if n := r.site.UploadStats(); n.Swept != 3 || n.Used != int64(leastCost*len(keep)) {
		t.Errorf("%+v", n)
	}
	if _, err := os.Stat(outsideFile); err != nil {
		t.Error(err)
	}
}

// Inodes and names are something, too.
func TestEmptyFilesCost(t *testing.T) {
	t.Parallel()
	spent := int64(0)
	spend := func(_ netip.Addr, n int64) bool { spent += n; return spent <= 5*leastCost } // on the one loop
	r := uploads(t, Uploads{Quota: 3*leastCost + 100, Spend: spend}, nil, nil)
	eventually(t, "ready", r.site.store.ready.Load)
	for i, want := range []int{201, 201, 201, 507} {
		way := []string{}
		body := ""
		if i == 1 {
			way, body = []string{"Transfer-Encoding: chunked"}, chunked("", 1)
		}
		if a := r.put(fmt.Sprint("/", i), body, way...); a.StatusCode != want {
			t.Errorf("%d: %d", i, a.StatusCode)
		}
	}
	r.left()
	r.site.store.ledger.added.Store(0)
	for i, want := range []int{201, 201, 429} {
		if a := r.put(fmt.Sprint("/again", i), ""); a.StatusCode != want {
			t.Errorf("%d: %d", i, a.StatusCode)
		}
	}
	r.left()
}

// What was counted is counted again when there is no room, at most once a minute.
func TestQuotaNoticesWhatOthersRemove(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Quota: 10_000}, map[string]string{"f": strings.Repeat("x", 9000)}, nil)
	eventually(t, "ready", r.site.store.ready.Load)
	if a := r.put("/g", text(2000)); a.StatusCode != 507 {
		t.Fatalf("%d", a.StatusCode)
	}
	os.Remove(r.path("f"))
	if a := r.put("/g", text(2000)); a.StatusCode != 507 {
		t.Fatalf("it was counted again at once: %d", a.StatusCode)
	}
	r.site.store.counted.Store(time.Now().Add(-2 * recountAfter).UnixNano())
	eventually(t, "there is room", func() bool { return r.put("/g", text(2000)).StatusCode == 201 })
}

// Uploads only: nothing is served, and what is stored lies where it should.
func TestADropBoxServesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, Config{Dir: dir, Uploads: Uploads{Dir: dir}}, nil, nil)
	if a := r.put("/f", "x"); a.StatusCode != 201 {
		t.Fatal(a.StatusCode)
	}
	box, err := New(Config{Uploads: Uploads{Dir: dir}})
	if err != nil {
		t.Fatal(err)
	}
	r2 := start(t, Config{Dir: dir}, nil, func(c *engine.Config) { c.Listeners[0].Service = box })
	defer box.Close()
	for _, method := range []string{"GET", "HEAD", "POST"} {
		if a := r2.ask(method, "/f"); a.StatusCode != 405 || a.Header.Get("Allow") != "PUT" {
			t.Errorf("%s: %d %v", method, a.StatusCode, a.Header)
		}
	}
	if a := r2.put("/g", "y"); a.StatusCode != 201 {
		t.Error(a.StatusCode)
	}
	eventually(t, "ended", func() bool { return box.UploadStats().Open == 0 })
}

// Sites that store below one directory have one quota, and each knows what the other stores.
func TestSitesBesideEachOther(t *testing.T) {
	t.Parallel()
	r := uploads(t, Uploads{Quota: 10_000, Overwrite: true}, map[string]string{"index.html": "old"}, nil)
	eventually(t, "ready", r.site.store.ready.Load)
	other, err := New(Config{MaxFrame: 1 << 20, Uploads: Uploads{Dir: r.dir, Quota: 10_000, Beside: r.site, Overwrite: true}})
	if err != nil {
		t.Fatal(err)
	}
	r2 := start(t, Config{}, nil, func(c *engine.Config) { c.Listeners[0].Service = other })
	defer other.Close()
	k := r2.framed()
	if a := r.ask("GET", "/"); a.body != "old" {
		t.Fatal(a.body)
	}
	if a := k.put("PUT 9 /index.html", "new index", 9); !strings.HasPrefix(a, "OK replaced") {
		t.Fatal(a)
	}
	if a := r.ask("GET", "/"); a.body != "new index" {
		t.Errorf("then %q", a.body)
	}
	if a := k.put("PUT 5000 /f", text(5000), 5000); !strings.HasPrefix(a, "OK created") {
		t.Fatal(a)
	}
	if a := r.put("/g", text(5000)); a.StatusCode != 507 {
		t.Errorf("together they store %d", a.StatusCode)
	}
	if n := r.site.UploadStats().Used; n != leastCost+5000 {
		t.Errorf("%d bytes", n)
	}
	k.c.Close()
	eventually(t, "ended", func() bool { return other.UploadStats().Open == 0 })
}
