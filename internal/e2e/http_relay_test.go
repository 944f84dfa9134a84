package e2e

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// startServer runs a server behind and waits until it listens.
func startServer(t *testing.T, addr, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(lab.Need(t, name), args...)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	lab.Eventually(t, patience, name+" listens", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return cmd
}

const nginxConf = `daemon off; master_process off; pid %[1]s/pid; error_log stderr crit; worker_processes 1;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  client_max_body_size 0; keepalive_requests 100000; if_modified_since before; root %[1]s/www; chunked_transfer_encoding on;
  server {
    listen %[2]s;
    location /say { default_type text/plain; return 200 "$request_method $request_uri $http_host $http_x_forwarded_for $http_x_forwarded_proto $http_via $http_x_evil\n"; }
    location /ssi { ssi on; ssi_types *; }
    location /put { dav_methods PUT; root %[1]s; }
  }
}
`

// TestNginxBehind has curl and wrk talk to nginx through weir, plain and by TLS, and counts connections.
func TestNginxBehind(t *testing.T) {
	lab.Need(t, "curl")
	dir := t.TempDir()
	ports := lab.FreePorts(t, 3)
	www := filepath.Join(dir, "www")
	if err := os.MkdirAll(filepath.Join(www, "ssi"), 0o777); err != nil {
		t.Fatal(err)
	}
	large := make([]byte, 20<<20)
	rand.Read(large)
	for name, data := range map[string][]byte{"large": large, "small": []byte("hello\n"), "ssi/page": []byte(`a<!--#echo var="request_method" -->b`), "nginx.conf": nil} {
		if err := os.WriteFile(filepath.Join(www, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(dir, 0o777)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, ports[0]), 0o666); err != nil {
		t.Fatal(err)
	}
	startServer(t, ports[0], dir, "nginx", "-c", conf, "-e", "stderr")
	s := lab.Start(t, nil, "-profile", "bench", "-tls-self-signed", "-listen", "http://"+ports[1]+"?max-body=0&to="+ports[0], "-listen", "https://"+ports[2]+"?max-body=0&to="+ports[0])
	for i, url := range []string{"http://" + ports[1], "https://" + ports[2]} {
		curl := func(args ...string) string {
			t.Helper()
			out, err := exec.Command("curl", append([]string{"-sSk", "--http1.1", "--max-time", "60"}, args...)...).Output()
			if err != nil {
				t.Fatalf("curl %s: %v, %.200s", args, err, out)
			}
			return string(out)
		}
		proto := []string{"http", "https"}[i]
		if got, want := curl(url+"/say/it?x=1", "-H", "X-Forwarded-For: 6.6.6.6", "-H", "X_Evil: 1", "-H", "Connection: close, Via"), "GET /say/it?x=1 "+ports[1+i]+" 127.0.0.1 "+proto+" 1.1 weir \n"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := curl(url+"/large", url+"/small", url+"/large"); got != string(large)+"hello\n"+string(large) {
			t.Errorf("%d bytes, or others", len(got))
		}
		if got := curl("-r", "100-199", url+"/large"); got != string(large[100:200]) {
			t.Errorf("a range: %q", got)
		}
		if got := curl("-I", url+"/large"); !strings.Contains(got, "HTTP/1.1 200 OK") || !strings.Contains(got, fmt.Sprintf("Content-Length: %d", len(large))) {
			t.Errorf("HEAD: %s", got)
		}
		if got := curl("-i", url+"/small", "-H", "If-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT"); !strings.HasPrefix(got, "HTTP/1.1 304 ") {
			t.Errorf("304: %s", got)
		}
		if got := curl("-i", url+"/ssi/page"); !strings.Contains(got, "Transfer-Encoding: chunked") || !strings.HasSuffix(got, "aGETb") {
			t.Errorf("chunks: %s", got)
		}
		for _, how := range []string{"Expect: 100-continue", "Transfer-Encoding: chunked"} {
			if got := curl("-i", "-X", "POST", url+"/say", "-H", how, "--data-binary", "@"+filepath.Join(www, "large")); !strings.Contains(got, "POST /say") && !strings.Contains(got, " 405 ") {
				t.Errorf("%s: %s", how, got)
			}
		}
		if i == 1 {
			continue // curl asks for http/1.0 by ALPN then, which nobody speaks
		}
		if got := curl("-i", "-0", url+"/ssi/page"); strings.Contains(got, "Transfer-Encoding") || !strings.HasSuffix(got, "aGETb") {
			t.Errorf("1.0: %s", got)
		}
		if got := curl("-i", "--path-as-is", url+"/../x"); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("nginx's own refusal: %s", got)
		}
	}
	before := scrape(t, s)
	if wrk, err := exec.LookPath("wrk"); err == nil {
		out, err := exec.Command(wrk, "-t1", "-c20", "-d2s", "--timeout", "60s", "http://"+ports[1]+"/small").CombinedOutput()
		if err != nil || strings.Contains(string(out), "Non-2xx") || strings.Contains(string(out), "Socket errors") {
			t.Errorf("wrk: %v\n%s", err, out)
		}
		after := scrape(t, s)
		asked := after[`weir_http_relay_answers_total{class="2xx"}`] - before[`weir_http_relay_answers_total{class="2xx"}`]
		dialled := after["weir_upstream_connects_total"] - before["weir_upstream_connects_total"]
		t.Logf("%.0f requests over %.0f new connections", asked, dialled)
		if asked < 1000 || dialled > 60 {
			t.Error("connections are not used again")
		}
	}
	for name, v := range scrape(t, s) {
		if strings.HasPrefix(name, "weir_http_relay_errors_total") && v > 0 || name == "weir_panics_total" && v > 0 {
			t.Errorf("%s %g", name, v)
		}
	}
}

// TestPythonBehind relays to a server that speaks HTTP/1.0.
func TestPythonBehind(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789"), 50000)
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o666); err != nil {
		t.Fatal(err)
	}
	ports := lab.FreePorts(t, 2)
	_, port, _ := net.SplitHostPort(ports[0])
	startServer(t, ports[0], dir, "python3", "-m", "http.server", "--bind", "127.0.0.1", port)
	lab.Start(t, nil, "-listen", "http://"+ports[1]+"?to="+ports[0])
	for range 5 {
		resp, err := http.Get("http://" + ports[1] + "/f")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s, %d bytes, %v", resp.Status, len(got), err)
		}
		if resp, err = http.Get("http://" + ports[1] + "/"); err != nil || resp.StatusCode != 200 {
			t.Errorf("the listing: %v", err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestStalledHTTPBehindARelay has 4 clients stall in the middle of downloads of 60 MB, and 4 upload as
// much to a server that stalls, with the server's memory measured.
func TestStalledHTTPBehindARelay(t *testing.T) {
	const size = 60 << 20
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	want := pour(io.Discard, size)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			if r.URL.Path == "/length" {
				w.Header().Set("Content-Length", fmt.Sprint(size))
			}
			pour(w, size)
			return
		}
		h := sha256.New()
		io.CopyN(h, r.Body, size/4)
		time.Sleep(2 * time.Second)
		io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x", h.Sum(nil))
	})}
	go srv.Serve(ln)
	defer srv.Close()
	for i, name := range []string{"plain", "tls"} {
		weigh := func(t *testing.T) int {
			ports := lab.FreePorts(t, 2)
			s := lab.Start(t, nil, "-profile", "bench", "-listen", "http://"+ports[0]+"?max-body=0&to="+ln.Addr().String(), "-listen", "https://"+ports[1]+"?max-body=0&to="+ln.Addr().String(), "-tls-self-signed")
			dial := func() (net.Conn, error) {
				if i == 1 {
					return tls.Dial("tcp", ports[1], &tls.Config{InsecureSkipVerify: true})
				}
				return net.Dial("tcp", ports[0])
			}
			before, most := anonymous(t, s.PID), 0
			var all sync.WaitGroup
			for k := range 8 {
				all.Go(func() {
					c, err := dial()
					if err != nil {
						t.Error(err)
						return
					}
					defer c.Close()
					if k < 4 {
						fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: a\r\n\r\n", []string{"length", "chunks"}[k%2])
						resp, err := http.ReadResponse(bufio.NewReader(c), nil)
						if err != nil {
							t.Error(err)
							return
						}
						h := sha256.New()
						io.CopyN(h, resp.Body, size/4)
						time.Sleep(2 * time.Second)
						if n, err := io.Copy(h, resp.Body); err != nil || !bytes.Equal(h.Sum(nil), want) {
							t.Errorf("download: %d bytes after the pause, %v", n, err)
						}
						return
					}
					r, w := io.Pipe()
					go func() { pour(w, size); w.Close() }()
					req, _ := http.NewRequest("POST", "http://a/", r)
					if k%2 == 0 {
						req.ContentLength = size
					}
					if err := req.Write(c); err != nil {
						t.Error(err)
						return
					}
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Error(err)
						return
					}
					if got, _ := io.ReadAll(resp.Body); string(got) != fmt.Sprintf("%x", want) {
						t.Errorf("upload: %s %s", resp.Status, got)
					}
				})
			}
			done := make(chan bool)
			go func() { all.Wait(); close(done) }()
			for open := true; open; {
				select {
				case <-done:
					open = false
				case <-time.After(50 * time.Millisecond):
					most = max(most, anonymous(t, s.PID))
				}
			}
			t.Logf("%d KiB before, %d KiB at most", before>>10, most>>10)
			return most - before
		}
		// What is held is 4 MB at most, beside what the collector has not come to yet; the bodies are 480.
		t.Run(name, func(t *testing.T) { staysBelow(t, 32<<20, weigh) })
	}
}

// TestHTTPServersComeAndGo kills one of two servers under load and brings it back, beside one that sends
// garbage, one that is silent and one that is well: who asks the last one never notices, and no answer is
// ever another's.
func TestHTTPServersComeAndGo(t *testing.T) {
	ports := lab.FreePorts(t, 8)
	serve := func(addr, name string) *http.Server {
		var ln net.Listener
		lab.Eventually(t, patience, "the port is free", func() bool {
			var err error
			ln, err = net.Listen("tcp", addr)
			return err == nil
		})
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.URL.Path, body)
		})}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
		return srv
	}
	raw := func(addr, say string) {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					io.WriteString(c, say)
					io.Copy(io.Discard, c)
					c.Close()
				}()
			}
		}()
	}
	well := serve(ports[0], "well")
	mortal := serve(ports[1], "mortal")
	serve(ports[2], "other")
	raw(ports[3], "garbage\r\n")
	raw(ports[4], "")
	_ = well
	s := lab.Start(t, nil, "-profile", "bench",
		"-listen", "http://"+ports[5]+"?to="+ports[0],
		"-listen", "http://"+ports[6]+"?to="+ports[1]+","+ports[2],
		"-listen", "http://"+ports[7]+"?upstream-timeout=200ms&to="+ports[3]+","+ports[4])
	var stop atomic.Bool
	var all sync.WaitGroup
	var good, failed [3]atomic.Int64
	for who, addr := range []string{ports[5], ports[6], ports[7]} {
		for w := range 4 {
			all.Go(func() {
				client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableCompression: true}}
				defer client.CloseIdleConnections()
				for i := 0; !stop.Load(); i++ {
					path := fmt.Sprintf("/%d-%d-%d", who, w, i)
					var resp *http.Response
					var err error
					if i%2 == 0 {
						resp, err = client.Get("http://" + addr + path)
					} else {
						resp, err = client.Post("http://"+addr+path, "text/plain", strings.NewReader(path))
					}
					if err != nil {
						if who == 0 {
							t.Errorf("a client of a server that is well: %v", err)
						}
						failed[who].Add(1)
						continue
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					switch want := path + " " + map[int]string{1: path}[i%2]; {
					case err == nil && resp.StatusCode == 200 && string(body) == want:
						good[who].Add(1)
					case who == 0 || err == nil && resp.StatusCode == 200:
						t.Errorf("%s: %s %q %v", path, resp.Status, body, err)
					default:
						failed[who].Add(1)
					}
					if who == 2 {
						time.Sleep(5 * time.Millisecond)
					}
				}
			})
		}
	}
	for range 3 {
		before := good[1].Load()
		lab.Eventually(t, patience, "answers", func() bool { return good[1].Load() > before+100 })
		mortal.Close()
		before = good[1].Load()
		lab.Eventually(t, patience, "the other one answers", func() bool { return good[1].Load() > before+100 })
		mortal = serve(ports[1], "mortal")
	}
	bad := func(m lab.Metrics, status string) float64 {
		return m[`weir_http_relay_errors_total{status="`+status+`"}`]
	}
	lab.Eventually(t, patience, "both sick servers are met, and the one that is well", func() bool {
		m := scrape(t, s)
		return bad(m, "502") > 0 && bad(m, "504") > 0 && good[0].Load() >= 100
	})
	stop.Store(true)
	all.Wait()
	t.Logf("well: %d good; mortal: %d good, %d failed; sick: %d good, %d failed", good[0].Load(), good[1].Load(), failed[1].Load(), good[2].Load(), failed[2].Load())
	if good[2].Load() > 0 || failed[1].Load() > good[1].Load()/5 {
		t.Error("not as it should be")
	}
	if n := scrape(t, s)["weir_panics_total"]; n > 0 {
		t.Errorf("%v panics", n)
	}
	s.Alive(t)
}

// TestHTTPRelayDrains: who has asked is answered before the server stops, in several pieces with pauses.
func TestHTTPRelayDrains(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan bool, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- true
		for _, s := range []string{"one ", "two ", "three"} {
			time.Sleep(1300 * time.Millisecond)
			io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})}
	go srv.Serve(ln)
	defer srv.Close()
	front := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-drain-timeout", "1m", "-listen", "http://"+front+"?to="+ln.Addr().String())
	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	s.Signal(t, syscall.SIGTERM)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if string(body) != "one two three" || err != nil || !resp.Close {
		t.Errorf("%q %v, close %v", body, err, resp.Close)
	}
	if err := s.Wait(patience / 2); err != nil {
		t.Errorf("the server does not stop in order: %v", err)
	}
}

// TestHTTPRelayOutOfDescriptors lets clients wait for answers until there is no descriptor for another
// server connection: they are told 503, the others are answered, and afterwards all is well.
func TestHTTPRelayOutOfDescriptors(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gate := make(chan bool)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-gate
		io.WriteString(w, "well")
	})}
	go srv.Serve(ln)
	defer srv.Close()
	front := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, []string{"bash", "-c", `ulimit -n 256; exec "$@"`, "bash"}, "-listen", "http://"+front+"?to="+ln.Addr().String()+"&max-conns=10000",
		"-source-conn-rate", "0", "-source-conns", "0", "-source-unproven", "0", "-max-unproven", "100000")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	for range 150 {
		if c, err := net.Dial("tcp", front); err == nil {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			open = append(open, c)
		}
	}
	lab.Eventually(t, patience/2, "somebody is told", func() bool { return scrape(t, s)[`weir_http_relay_errors_total{status="503"}`] > 0 })
	time.Sleep(200 * time.Millisecond)
	close(gate)
	answers := map[int]int{}
	for _, c := range open {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			answers[0]++
			continue
		}
		answers[resp.StatusCode]++
		if resp.StatusCode == 503 && resp.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	t.Logf("answers by status: %v", answers)
	// How many are answered is between the loop that accepts and the ones that connect: a client that
	// came before the server connections has the descriptor of one.
	if answers[200] == 0 || answers[503] == 0 || answers[502]+answers[504] > 0 {
		t.Error("not as it should be")
	}
	for _, c := range open {
		c.Close()
	}
	open = nil
	lab.Eventually(t, patience, "served again", func() bool {
		resp, err := http.Get("http://" + front)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == 200
	})
	http.DefaultClient.CloseIdleConnections()
	s.Alive(t)
}
