package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/lab"
)

// content is n bytes that a seed makes.
func content(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// freely lifts what one address of a test would meet first.
const freely = "&source-conn-rate=0&source-conns=0&source-unproven=0&source-frame-rate=0&source-byte-rate=0&conn-byte-rate=0&source-upload-rate=0&upload-floor=0"

func put(t testing.TB, url string, body []byte, fields ...string) (status int, answer string, err error) {
	t.Helper()
	req, err := http.NewRequest("PUT", url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// tree lists the files below a directory.
func tree(t testing.TB, dir string) (names []string) {
	t.Helper()
	filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, p)
			names = append(names, rel)
		}
		return nil
	})
	return names
}

func temps(names []string) (n int) {
	for _, name := range names {
		if strings.HasPrefix(filepath.Base(name), ".weir-upload-") {
			n++
		}
	}
	return n
}

// TestCurlUploads: what people use, with and without a digest, over an existing file, and too large.
func TestCurlUploads(t *testing.T) {
	curl := lab.Need(t, "curl")
	dir, from := t.TempDir(), t.TempDir()
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?files="+dir+"&uploads="+dir+"&max-upload=10MiB"+freely)
	body := content(1, 3_000_000)
	os.WriteFile(from+"/a b.bin", body, 0o644)
	os.WriteFile(from+"/large.bin", content(2, 11<<20), 0o644)
	os.WriteFile(from+"/empty", nil, 0o644)
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(curl, append([]string{"-sS", "-m", "60", "-w", " %{http_code}"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	sum := sha256.Sum256(body)
	digest := "Content-Digest: sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
	if out := run("-T", from+"/a b.bin", "http://"+port+"/"); !strings.HasSuffix(out, "201") || !strings.Contains(out, fmt.Sprintf("%x", sum)) {
		t.Error(out)
	}
	if out := run("-T", from+"/a b.bin", "-H", digest, "http://"+port+"/checked"); !strings.HasSuffix(out, "201") {
		t.Error(out)
	}
	if out := run("-T", from+"/empty", "-H", digest, "http://"+port+"/mismatch"); !strings.HasSuffix(out, "400") {
		t.Error(out)
	}
	if out := run("-T", from+"/empty", "http://"+port+"/empty"); !strings.HasSuffix(out, "201") {
		t.Error(out)
	}
	if out := run("-T", from+"/a b.bin", "http://"+port+"/checked"); !strings.HasSuffix(out, "409") {
		t.Error(out)
	}
	before := scrape(t, s)[`weir_bytes_total{dir="in"}`]
	if out := run("-T", from+"/large.bin", "-H", "Expect: 100-continue", "--expect100-timeout", "30", "http://"+port+"/large"); !strings.HasSuffix(out, "413") {
		t.Error(out)
	}
	if n := scrape(t, s)[`weir_bytes_total{dir="in"}`] - before; n > 10_000 {
		t.Errorf("%v bytes of what was refused came all the same", n)
	}
	in, _ := os.Open(from + "/a b.bin")
	defer in.Close()
	cmd := exec.Command(curl, "-sS", "-m", "60", "-w", " %{http_code}", "-T", "-", "http://"+port+"/chunked") // from a pipe: in chunks
	cmd.Stdin = in
	if out, err := cmd.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "201") {
		t.Errorf("%v %s", err, out)
	}
	for _, name := range []string{"a b.bin", "checked", "chunked"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, body) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if got := strings.Join(tree(t, dir), " "); got != "a b.bin checked chunked empty" {
		t.Error(got)
	}
	for series, want := range map[string]float64{
		`weir_uploads_total{outcome="stored"}`: 4, `weir_uploads_total{outcome="digest"}`: 1, `weir_uploads_total{outcome="exists"}`: 1,
		`weir_uploads_total{outcome="max-upload"}`: 1, "weir_upload_bytes_total": 9_000_000, "weir_upload_used_bytes": 9_000_000 + 4096, "weir_uploads_limit": 64,
	} {
		counted(t, s, series, want)
	}
}

// TestUploadsOverrun: chunks that never end are cut at max-upload, and nothing is left.
func TestUploadsOverrun(t *testing.T) {
	dir := t.TempDir()
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?uploads="+dir+"&max-upload=1MiB"+freely)
	c, err := net.Dial("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "PUT /endless HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		chunk := append([]byte("10000\r\n"), append(content(1, 0x10000), "\r\n"...)...)
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 413 {
		t.Fatalf("%v %v", err, resp)
	}
	lab.Eventually(t, patience, "nothing is left", func() bool { return len(tree(t, dir)) == 0 && scrape(t, s)["weir_uploads_open"] == 0 })
	counted(t, s, `weir_uploads_total{outcome="max-upload"}`, 1)
	counted(t, s, "weir_upload_used_bytes", 0)
}

// TestUploadsBehindALogin: who may store is said by scope; who may not is refused before a byte of the body is read.
func TestUploadsBehindALogin(t *testing.T) {
	dir, users := t.TempDir(), t.TempDir()+"/users"
	for _, args := range [][]string{{"-scopes", "store", "writer"}, {"-scopes", "look", "reader"}} {
		cmd := exec.Command(lab.Command(t, "server"), append([]string{"user", "add", "-users", users}, args...)...)
		cmd.Stdin = strings.NewReader("correct horse battery\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?files="+dir+"&uploads="+dir+"&auth=required&auth-plain=1&scope=PUT:/=store"+freely, "-users", users)
	body := content(4, 500_000)
	for _, c := range []struct {
		name   string
		status int
	}{{"", 401}, {"reader", 403}, {"writer", 201}} {
		conn, err := net.Dial("tcp", port)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		fmt.Fprintf(conn, "PUT /f HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n", len(body))
		if c.name != "" {
			fmt.Fprintf(conn, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(c.name+":correct horse battery")))
		}
		io.WriteString(conn, "\r\n")
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if resp.StatusCode == 100 {
			conn.Write(body)
			if resp, err = http.ReadResponse(br, nil); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d", c.name, resp.StatusCode)
		}
	}
	if b, err := os.ReadFile(dir + "/f"); err != nil || !bytes.Equal(b, body) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	counted(t, s, `weir_uploads_total{outcome="stored"}`, 1)
}

// mount mounts a tmpfs, where that is permitted.
func mount(t testing.TB, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("skipped: no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// TestDiskFull fills a small file system with uploads at once, without a floor that would see it coming: those
// that do not fit get 507 and leave nothing, and when there is room again the next one is stored.
func TestDiskFull(t *testing.T) {
	dir := mount(t, "size=8m,nr_inodes=100")
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?files="+dir+"&uploads="+dir+freely, "-max-uploads", "400")
	var wg sync.WaitGroup
	var stored, full atomic.Int32
	body := content(3, 1_000_000)
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			switch status, answer, err := put(t, fmt.Sprintf("http://%s/f%d", port, i), body); {
			case status == 201:
				stored.Add(1)
			case status == 507:
				full.Add(1)
			case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET): // refused while it was sending
				full.Add(1)
			default:
				t.Errorf("%d %s %v", status, answer, err)
			}
		}()
	}
	wg.Wait()
	if stored.Load()+full.Load() != 20 || full.Load() < 12 {
		t.Errorf("%d stored, %d full", stored.Load(), full.Load())
	}
	lab.Eventually(t, patience, "nothing is under way", func() bool { return scrape(t, s)["weir_uploads_open"] == 0 && temps(tree(t, dir)) == 0 })
	whole := func() {
		t.Helper()
		for _, name := range tree(t, dir) {
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, body) {
				t.Errorf("%s: %d bytes, %v", name, len(b), err)
			}
		}
	}
	whole()
	counted(t, s, `weir_uploads_total{outcome="disk-full"}`, float64(full.Load()))
	for _, name := range tree(t, dir) {
		os.Remove(filepath.Join(dir, name))
	}
	if status, answer, err := put(t, "http://"+port+"/again", body); status != 201 {
		t.Errorf("with room again: %d %s %v", status, answer, err)
	}
	whole()
	s.Alive(t)
}

// TestFloor: with a floor the same is refused at the head, before anything is written.
func TestFloor(t *testing.T) {
	dir := mount(t, "size=8m")
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?uploads="+dir+strings.Replace(freely, "upload-floor=0", "upload-floor=4MiB", 1))
	if status, _, err := put(t, "http://"+port+"/a", content(1, 2<<20)); status != 201 {
		t.Errorf("%d %v", status, err)
	}
	c, err := net.Dial("tcp", port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "PUT /b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", 3<<20)
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 507 {
		t.Errorf("%v %v", resp, err)
	}
	counted(t, s, `weir_uploads_total{outcome="upload-floor"}`, 1)
}

// TestReadOnlyRoot: uploads to a file system that is mounted read-only get 403, files are served on.
func TestReadOnlyRoot(t *testing.T) {
	dir := mount(t, "size=1m")
	os.WriteFile(dir+"/f", []byte("hello"), 0o644)
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?files="+dir+"&uploads="+dir+freely)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("skipped: %v", err)
	}
	for range 3 {
		if status, answer, err := put(t, "http://"+port+"/g", []byte("x")); status != 403 {
			t.Errorf("%d %s %v", status, answer, err)
		}
		resp, err := http.Get("http://" + port + "/f")
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "hello" {
			t.Errorf("%d %q", resp.StatusCode, b)
		}
		resp.Body.Close()
	}
	counted(t, s, `weir_uploads_total{outcome="read-only"}`, 3)
}

// TestUploadsAndKill kills the server in the middle of 100 uploads, again and again: at no time is a part of a
// file visible under its name, what an answer said is stored is there, and the next start removes what was left.
func TestUploadsAndKill(t *testing.T) {
	dir := t.TempDir()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	const size = 400_000
	bodies := make([][]byte, 100)
	for i := range bodies {
		bodies[i] = content(byte(i), size)
	}
	known := map[string]bool{} // what has been said to be stored
	sawTemps := 0
	for round := range rounds {
		port := lab.FreePorts(t, 1)[0]
		s := lab.Start(t, nil, "-listen", "http://"+port+"?uploads="+dir+"&overwrite=1"+freely, "-max-uploads", "1000")
		lab.Eventually(t, patience, "what was left is removed", func() bool { return temps(tree(t, dir)) == 0 })
		stop, watched := make(chan struct{}), make(chan struct{})
		go func() { // who looks at any time sees whole files only
			defer close(watched)
			for {
				select {
				case <-stop:
					return
				default:
				}
				for _, name := range tree(t, dir) {
					if strings.HasPrefix(name, ".") {
						continue
					}
					if fi, err := os.Stat(filepath.Join(dir, name)); err == nil && fi.Size() != size {
						t.Errorf("%s has %d bytes", name, fi.Size())
						return
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		var wg sync.WaitGroup
		var mu sync.Mutex
		var begun, stored atomic.Int32
		killed := make(chan bool)
		for i := range bodies {
			wg.Add(1)
			go func() {
				defer wg.Done()
				c, err := net.Dial("tcp", port)
				if err != nil {
					return
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				name := fmt.Sprintf("r%d-%d", round, i)
				fmt.Fprintf(c, "PUT /%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", name, size)
				half := size / 2
				if i%3 == 0 {
					half = size
				}
				c.Write(bodies[i][:half])
				begun.Add(1)
				if half < size {
					select {
					case <-killed:
					case <-time.After(time.Duration(i*3) * time.Millisecond):
						if i%10 == 1 { // some are cut for sure
							<-killed
						}
					}
					c.Write(bodies[i][half:])
				}
				if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && resp.StatusCode == 201 {
					mu.Lock()
					known[name] = true
					mu.Unlock()
					stored.Add(1)
				}
			}()
		}
		lab.Eventually(t, patience, "uploads are under way", func() bool {
			return begun.Load() == 100 && int(stored.Load()) >= 5*round && temps(tree(t, dir)) > 0
		})
		time.Sleep(time.Duration(round*40) * time.Millisecond)
		s.Signal(t, syscall.SIGKILL)
		close(killed)
		wg.Wait()
		_ = s.Wait(patience)
		close(stop)
		<-watched
		sawTemps += temps(tree(t, dir))
		for _, name := range tree(t, dir) {
			if strings.HasPrefix(name, ".") {
				continue
			}
			i, _ := strconv.Atoi(name[strings.IndexByte(name, '-')+1:])
			if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(b, bodies[i]) {
				t.Fatalf("%s: %d bytes that are not what was sent: %v", name, len(b), err)
			}
		}
		for name := range known {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("%s was said to be stored: %v", name, err)
			}
		}
	}
	if sawTemps == 0 {
		t.Error("no upload was ever cut: the kill came too late")
	}
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?uploads="+dir+freely)
	lab.Eventually(t, patience, "what was left is removed", func() bool { return temps(tree(t, dir)) == 0 })
	lab.Eventually(t, patience, "the rest is counted", func() bool {
		return scrape(t, s)["weir_upload_used_bytes"] == float64(size*len(tree(t, dir)))
	})
	if status, _, err := put(t, "http://"+port+"/after", bodies[0]); status != 201 {
		t.Errorf("afterwards: %d %v", status, err)
	}
	t.Logf("%d stored for sure, %d in all, %d were left unfinished and removed", len(known), len(tree(t, dir)), sawTemps)
}

// TestStalledUploadsHoldLittle: 100 uploads of 1 MB stop half way. Together they may cost 25 MB: the sum at start says 192 KiB each, and the collector has its part; then each goes on
// and is stored.
func TestStalledUploadsHoldLittle(t *testing.T) {
	const n, size = 100, 1_000_000
	body := content(9, size)
	for _, over := range []string{"http", "frames"} {
		weigh := func(t *testing.T) int {
			dir := t.TempDir()
			ports := lab.FreePorts(t, 2)
			s := lab.Start(t, nil, "-listen", "http://"+ports[0]+"?uploads="+dir+freely+"&min-rate=0", "-listen", "frames://"+ports[1]+"?uploads="+dir+freely+"&min-rate=0", "-max-uploads", "1000")
			for i := range 20 { // warm
				put(t, fmt.Sprintf("http://%s/%s-warm%d", ports[0], over, i), body)
			}
			http.DefaultClient.CloseIdleConnections()
			lab.Eventually(t, patience, "nobody is there", func() bool { return scrape(t, s)["weir_connections"] == 0 })
			before, descriptors, was := s.RSS(t), s.Descriptors(t), scrape(t, s)
			var conns []net.Conn
			for i := range n {
				address := ports[0]
				if over == "frames" {
					address = ports[1]
				}
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				c.SetDeadline(time.Now().Add(5 * time.Minute))
				if over == "http" {
					fmt.Fprintf(c, "PUT /%s%d HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", over, i, size)
					c.Write(body[:size/2])
				} else {
					writeFrame(c, []byte(fmt.Sprintf("PUT %d /%s%d", size, over, i)))
					for at := 0; at < size/2; at += 50_000 {
						writeFrame(c, append([]byte{0}, body[at:at+50_000]...))
					}
				}
				conns = append(conns, c)
			}
			in := func(m lab.Metrics) float64 { return m[`weir_bytes_total{dir="in"}`] }
			lab.Eventually(t, patience, "all are under way, and half of each has come", func() bool {
				m := scrape(t, s)
				return m["weir_uploads_open"] == n && in(m)-in(was) >= n*size/2
			})
			grown := s.RSS(t) - before
			t.Logf("%d uploads that stall: %.1f MB more resident, %d descriptors", n, float64(grown)/1e6, s.Descriptors(t)-descriptors)
			for _, c := range conns {
				if over == "http" {
					c.Write(body[size/2:])
					if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 201 {
						t.Fatalf("%v %v", resp, err)
					}
					continue
				}
				for at := size / 2; at < size; at += 50_000 {
					writeFrame(c, append([]byte{0}, body[at:at+50_000]...))
				}
				for _, want := range []string{"SEND ", "OK created "} {
					if got := readFrame(c); !strings.HasPrefix(got, want) {
						t.Fatalf("%q", got)
					}
				}
			}
			for i := range n {
				if b, err := os.ReadFile(fmt.Sprintf("%s/%s%d", dir, over, i)); err != nil || !bytes.Equal(b, body) {
					t.Errorf("%d: %d bytes, %v", i, len(b), err)
				}
			}
			return grown
		}
		t.Run(over, func(t *testing.T) { staysBelow(t, 25_000_000, weigh) })
	}
}

func writeFrame(w io.Writer, p []byte) {
	n := len(p)
	w.Write(append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, p...))
}

func readFrame(r io.Reader) string {
	var h [4]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return err.Error()
	}
	b := make([]byte, int(h[2])<<8|int(h[3])|int(h[1])<<16)
	io.ReadFull(r, b)
	return string(b)
}
