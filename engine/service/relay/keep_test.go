package relay

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestLasting(t *testing.T) {
	for _, c := range []struct {
		in   string
		want time.Duration
		keep bool
		why  string
	}{
		{"timeout=5", 4 * time.Second, true, "a second for the way"},
		{"Timeout = 5 , max=100", 4 * time.Second, true, "names in any case, blanks"},
		{"max=100,timeout=2", time.Second, true, "in any place"},
		{"timeout=1", 500 * time.Millisecond, true, "half of it at most"},
		{"timeout=0", 0, false, "not at all"},
		{"max=100", 0, true, "not said"},
		{"", 0, true, "not said"},
		{"timeout", 0, true, "no number"},
		{"timeout=-1", 0, true, "no number"},
		{"timeout=5.5", 0, true, "no number"},
		{"timeout=1000000", 0, true, "too many digits: for longer than we do"},
		{"xtimeout=5", 0, true, "another option"},
	} {
		if d, keep := lasting([]byte(c.in)); d != c.want || keep != c.keep {
			t.Errorf("%q: %v, %v; %s", c.in, d, keep, c.why)
		}
	}
}

// TestKeptAsLongAsTheServerSays: a connection is not used any more shortly before its server ends it.
func TestKeptAsLongAsTheServerSays(t *testing.T) {
	for _, c := range []struct {
		field string
		conns int
		why   string
	}{
		{"", 1, "it has not said"},
		{"Keep-Alive: timeout=1\r\n", 2, "half a second is over"},
		{"Keep-Alive: timeout=20\r\n", 1, "long enough"},
		{"Keep-Alive: timeout=0\r\n", 3, "never"},
	} {
		t.Run(c.field, func(t *testing.T) {
			t.Parallel()
			for try := 0; ; try++ {
				b := serveBehind(t, answering(func(r *http.Request, _ []byte) string {
					return "HTTP/1.1 200 OK\r\n" + c.field + "Content-Length: 2\r\n\r\nok"
				}))
				f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, to(b), nil)
				conn := f.dial(t)
				br := bufio.NewReader(conn)
				var took time.Duration // of the two that come at once
				for i, begun := 0, time.Now(); i < 3; i++ {
					if i == 2 {
						took = time.Since(begun)
						time.Sleep(600 * time.Millisecond)
					}
					resp, _ := ask(t, conn, br, "POST", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
					if resp.StatusCode != 200 || resp.Header.Get("Keep-Alive") != "" {
						t.Error(resp.Status, resp.Header)
					}
				}
				n := len(b.recorded())
				if n != c.conns && took > 400*time.Millisecond && try < 20 {
					continue // half a second may have been over between those two
				}
				if n != c.conns {
					t.Errorf("%d connections; %s", n, c.why)
				}
				break
			}
		})
	}
}

// TestRequestsThatMeetTheEnd come at the moment at which their server ends the kept connection. A GET is
// answered always. A POST is done once or not at all, and answered when its server has answered.
func TestRequestsThatMeetTheEnd(t *testing.T) {
	const tries = 200
	var conns atomic.Int64
	var mu sync.Mutex
	done := map[string]int{}
	b := serveBehind(t, func(c net.Conn, br *bufio.Reader) {
		conns.Add(1)
		for n := 0; ; n++ {
			if n > 0 { // a new one always has the time for a request
				c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			}
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			mu.Lock()
			done[r.URL.Path]++
			mu.Unlock()
			writeAnswer(c, r.URL.Path)
		}
	})
	f := relayTo(t, HTTPConfig{MaxIdle: 4, Idle: time.Minute}, to(b), nil)
	c := f.dial(t)
	br := bufio.NewReader(c)
	refused, again := 0, 0
	wait := 5 * time.Millisecond
	for i := range tries {
		was := conns.Load()
		for until := time.Now().Add(wait); time.Now().Before(until); { // more exact than a timer
		}
		path, method := fmt.Sprintf("/%d", i), []string{"GET", "POST"}[i%2]
		resp, body := ask(t, c, br, method, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", method, path))
		mu.Lock()
		n := done[path]
		mu.Unlock()
		switch {
		case resp.StatusCode == 200 && body == path && (n == 1 || method == "GET"):
		case resp.StatusCode == 502 && method == "POST" && n <= 1:
			refused++
		default:
			t.Errorf("%s %s: %s %q, done %d times", method, path, resp.Status, body, n)
		}
		if conns.Load() == was && resp.StatusCode == 200 { // nearer to the end, or away from it
			again++
			wait += 10 * time.Microsecond
		} else {
			wait -= 10 * time.Microsecond
		}
	}
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < tries; i += 2 {
		if n := done[fmt.Sprintf("/%d", i)]; n > 1 {
			t.Errorf("POST %d was done %d times", i, n)
		}
	}
	t.Logf("%d of %d POSTs met the end, %d requests went over a kept connection; %+v", refused, tries/2, again, f.h.Counts())
}
