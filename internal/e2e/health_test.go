package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestServersThatDoNotServe has one of two servers begin to answer 500, as one does whose database has gone: it
// takes connections as before. Once it is out no client meets it, and when it is well it is back.
func TestServersThatDoNotServe(t *testing.T) {
	type server struct {
		*httptest.Server
		sick           atomic.Bool
		checks, served atomic.Int64
	}
	start := func(name string) *server {
		s := &server{}
		s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("User-Agent") == "weir-health" {
				if s.checks.Add(1); r.URL.Path != "/healthz" || r.Host != s.Listener.Addr().String() {
					t.Errorf("a check of %s asks %s for %s", name, r.Host, r.URL)
				}
			} else {
				s.served.Add(1)
			}
			if s.sick.Load() {
				http.Error(w, "weir: \x1b[31mforged\"}\n", 500)
				return
			}
			io.WriteString(w, name)
		}))
		s.Start()
		t.Cleanup(s.Close)
		return s
	}
	sick, well := start("a"), start("b")
	back := []string{sick.Listener.Addr().String(), well.Listener.Addr().String()}
	ports := lab.FreePorts(t, 2)
	how := "?to=" + strings.Join(back, ",") + "&health=http&health-path=/healthz&health-interval=100ms&health-fall=6&health-rise=2" // a check has a second: one of six in a row that is in time keeps a server in
	s := lab.Start(t, nil, "-profile", "bench", "-listen", "http://"+ports[0]+how, "-listen", "tcp://"+ports[1]+how)

	var strict, stop atomic.Bool // strict: no 500 may come
	var good, bad atomic.Int64
	var all sync.WaitGroup
	for _, front := range ports {
		for range 2 {
			all.Go(func() {
				for keep := false; !stop.Load(); keep = !keep {
					must := strict.Load()
					transport := &http.Transport{DisableKeepAlives: !keep}
					resp, err := (&http.Client{Timeout: patience, Transport: transport}).Get("http://" + front + "/x")
					if err != nil {
						t.Errorf("a client: %v", err)
						return
					}
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					transport.CloseIdleConnections()
					switch {
					case resp.StatusCode == 200:
						good.Add(1)
					case must:
						t.Errorf("%s: a client of a server that is out: %s", front, resp.Status)
						return
					default:
						bad.Add(1)
					}
					time.Sleep(2 * time.Millisecond)
				}
			})
		}
	}
	defer all.Wait()
	defer stop.Store(true)
	up := func(want float64) func() bool {
		return func() bool {
			m := scrape(t, s)
			for name, v := range m {
				if strings.HasPrefix(name, "weir_upstream_up{") && strings.Contains(name, back[0]) && v != want {
					return false
				}
			}
			return true
		}
	}
	for range 2 {
		before := sick.served.Load()
		lab.Eventually(t, patience, "both serve", func() bool { return sick.served.Load() > before+50 && well.served.Load() > 50 })
		sick.sick.Store(true)
		lab.Eventually(t, patience, "it is out", up(0))
		strict.Store(true)
		out, served := good.Load(), sick.served.Load()
		lab.Eventually(t, patience, "the other one serves", func() bool { return good.Load() > out+200 })
		if n := sick.served.Load() - served; n > 4 { // requests that were on their way
			t.Errorf("%d requests have come to it", n)
		}
		strict.Store(false)
		checks := sick.checks.Load()
		lab.Eventually(t, patience, "it is checked further", func() bool { return sick.checks.Load() > checks+3 })
		sick.sick.Store(false)
		lab.Eventually(t, patience, "it is back", up(1))
	}
	if bad.Load() == 0 {
		t.Error("no client has seen it fail: it never was in use")
	}
	for _, want := range []string{`"upstream_down"`, `"checks are answered 500"`, `"upstream_up"`} {
		lab.Eventually(t, patience, "the log has 4 times "+want, func() bool { return strings.Count(s.Log(), want) == 4 })
	}
	if strings.Contains(s.Log(), "forged") {
		t.Error("the log has words of the server")
	}
	s.Alive(t)
}

// TestNobodyForgesTheLogByAHealthCheck has servers answer checks with what would be log lines and escapes.
func TestNobodyForgesTheLogByAHealthCheck(t *testing.T) {
	const forged = "\x1b[2J\r\n{\"level\":\"info\",\"event\":\"forged\"}\r\n"
	var to []string
	for _, text := range []string{forged, "HTTP/1.1 500 " + forged + "\r\n", "HTTP/1.1 200 OK\r\n" + forged, "HTTP/1.1 500 Oops\r\nX: y\r\n\r\n" + forged} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
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
					defer c.Close()
					if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
						io.WriteString(c, text)
					}
				}()
			}
		}()
		to = append(to, ln.Addr().String())
	}
	front := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-log-format", "json", "-listen", fmt.Sprintf("http://%s?to=%s&health=http&health-interval=100ms", front, strings.Join(to, ",")))
	lab.Eventually(t, patience, "all are out", func() bool { return strings.Count(s.Log(), `"upstream_down"`) == len(to) })
	checkLog(t, s.Log())
	if strings.Contains(s.Log(), "forged") {
		t.Errorf("the log has words of the servers: %s", s.Log())
	}
	s.Alive(t)
}
