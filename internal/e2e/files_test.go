package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestStalledReadersOfALargeFile has 50 readers stop inside a file of 300 MB, plain and over TLS, and
// weighs the server: 20 MB is what all of them may cost. Then each gets every byte. When they go instead,
// nothing stays open.
func TestStalledReadersOfALargeFile(t *testing.T) {
	readers, size := 50, 300_000_000
	if testing.Short() {
		readers, size = 10, 30_000_000
	}
	dir := t.TempDir()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(content)
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // the race detector makes comparing bytes slow
	want := crc32.Checksum(content, castagnoli)
	if err := os.WriteFile(dir+"/large.bin", content, 0o644); err != nil {
		t.Fatal(err)
	}
	ports := lab.FreePorts(t, 2)
	s := lab.Start(t, nil, "-listen", "http://"+ports[0]+"?files="+dir, "-listen", "https://"+ports[1]+"?files="+dir,
		"-tls-self-signed", "-source-handshake-rate", "0", "-source-conn-rate", "0", "-min-rate", "0", "-write-timeout", "10m")

	open := func(over string) (net.Conn, *http.Response) {
		address := ports[0]
		if over == "TLS" {
			address = ports[1]
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(8 * time.Minute))
		if over == "TLS" {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		if _, err := io.WriteString(c, "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReaderSize(c, 64<<10), nil)
		if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(size) {
			t.Fatalf("%v %v", err, resp)
		}
		return c, resp
	}
	for _, over := range []string{"plain", "TLS"} {
		t.Run(over, func(t *testing.T) {
			c, warm := open(over)
			io.CopyN(io.Discard, warm.Body, 1<<20)
			c.Close()
			lab.Eventually(t, patience, "nobody is there", func() bool { return scrape(t, s)["weir_connections"] == 0 })
			before, descriptors := s.RSS(t), s.Descriptors(t)

			var answers []*http.Response
			var sums []hash.Hash32
			var conns []net.Conn
			for range readers {
				c, resp := open(over)
				sum := crc32.New(castagnoli)
				if n, err := io.CopyN(sum, resp.Body, 1<<20); err != nil {
					t.Fatalf("%d bytes: %v", n, err)
				}
				conns, answers, sums = append(conns, c), append(answers, resp), append(sums, sum)
			}
			sent := func() float64 { return scrape(t, s)[`weir_bytes_total{dir="out"}`] }
			for was := sent(); ; { // until the kernel has taken what it takes
				time.Sleep(200 * time.Millisecond)
				now := sent()
				if now == was {
					break
				}
				was = now
			}
			grown := s.RSS(t) - before
			t.Logf("%d readers that stall: %.1f MB more resident; %v B buffered, %d descriptors more, %v files open",
				readers, float64(grown)/1e6, scrape(t, s)["weir_buffered_bytes"], s.Descriptors(t)-descriptors, scrape(t, s)["weir_files_open"])
			if grown > 20_000_000 {
				t.Errorf("%.1f MB more", float64(grown)/1e6)
			}
			var wg sync.WaitGroup
			var wrong atomic.Int32
			for i, resp := range answers[:readers-1] {
				wg.Add(1)
				go func() {
					defer wg.Done()
					if n, err := io.Copy(sums[i], resp.Body); err != nil || n != int64(size-1<<20) || sums[i].Sum32() != want {
						wrong.Add(1)
						t.Errorf("%d bytes, whose sum is %#x, want %#x: %v", n, sums[i].Sum32(), want, err)
					}
				}()
			}
			wg.Wait()
			if wrong.Load() > 0 {
				t.Fatalf("%v", scrape(t, s))
			}
			for _, c := range conns {
				c.Close()
			}
			lab.Eventually(t, patience, "nobody is left", func() bool { return scrape(t, s)["weir_connections"] == 0 && s.Descriptors(t) <= descriptors+2 }) // each loop has the file
		})
	}
	if m := scrape(t, s); m["weir_sendfile_bytes_total"] < float64((readers-1)*size) {
		t.Errorf("%v bytes by sendfile", m["weir_sendfile_bytes_total"])
	}
}

// TestFilesOfARealServer: the same limits hold for files as for everything else, and the log and the
// metrics know of them.
func TestFilesOfARealServer(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(dir+"/index.html", []byte("<p>hello"), 0o644)
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?files="+dir+"&name=site&source-frame-rate=1&source-frame-burst=10")
	begun := time.Now()
	statuses := map[int]int{}
	for range 30 {
		resp, err := http.Get("http://" + port + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode == 200 && string(b) != "<p>hello" {
			t.Errorf("%q", b)
		}
		statuses[resp.StatusCode]++
	}
	if most := 11 + int(time.Since(begun).Seconds()); statuses[200] < 10 || statuses[200] > most || statuses[200]+statuses[429] != 30 {
		t.Errorf("%v, at most %d are admitted", statuses, most)
	}
	m := scrape(t, s)
	if m["weir_files_open"] != 1 && m["weir_files_open"] != 2 || m["weir_files_cache_hits_total"] < 5 || m[`weir_frames_total{listener="site"}`] != float64(statuses[200]) {
		t.Errorf("%v open, %v hits, %v frames", m["weir_files_open"], m["weir_files_cache_hits_total"], m[`weir_frames_total{listener="site"}`])
	}
	want := fmt.Sprintf("files of %s, as site", dir)
	lab.Eventually(t, patience, "the start says "+want, func() bool { return strings.Contains(s.Log(), want) })
}
