package gate

import (
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine/auth/attempts"
	"weir/guard/mono"
)

// TestANewcomerWaitsForOneOfEachNetwork: 30 networks show wrong passwords of any number of names, more than can be hashed; who
// comes from another is in as soon as each of them had one turn, and others of those networks still have some.
func TestANewcomerWaitsForOneOfEachNetwork(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const networks = 30
	r := site(t, 20_000, false, func(w *Web) { w.Limiter = attempts.New(attempts.Config{}) })
	stop := make(chan bool)
	defer close(stop)
	var wrong atomic.Int64
	ask := func(from net.IP, name, password string) int {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
		client := http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
		req, _ := http.NewRequest("GET", "http://"+r.addr+"/", nil)
		req.SetBasicAuth(name, password)
		resp, err := client.Do(req)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for i := range 4 * networks {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if ask(net.IPv4(127, 0, byte(1+i%networks), byte(1+i/networks)), fmt.Sprint("name", i, "-", n), "wrong") == 401 {
					wrong.Add(1)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	begun := time.Now()
	for wrong.Load() < 2*networks {
		if time.Sleep(10 * time.Millisecond); time.Since(begun) > 3*time.Minute {
			t.Fatalf("%d were hashed in three minutes", wrong.Load())
		}
	}
	first := time.Since(begun)
	for n := range 3 {
		was, again := wrong.Load(), time.Now()
		for ask(net.IPv4(127, 250, byte(n), 1), "alice", password) != 200 {
			if time.Since(again) > 3*time.Minute {
				t.Fatal("alice does not get in")
			}
		}
		if others := wrong.Load() - was; others > 5 {
			t.Errorf("alice waits for %d others", others)
		} else {
			t.Logf("alice waits %s, for %d others; %d before took %s", time.Since(again), others, 2*networks, first)
		}
		r.set.Store(people(t, 20_001+n)) // as if the password were new
	}
	was := wrong.Load()
	for end := time.Now().Add(3 * time.Minute); wrong.Load() == was; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("others wait for ever")
		}
	}
}

// TestAFourthIsForAll: newcomers go first, and do not keep everybody else out.
func TestAFourthIsForAll(t *testing.T) {
	h := new(Hasher)
	h.newcomers.Store(1)
	went := 0
	for n := range 8 {
		if r := stranger; h.begin(r) {
			went++
			if n%4 != 3 {
				t.Errorf("a stranger goes as number %d", n)
			}
			h.end(r, mono.Now())
		} else if r := newcomer; h.begin(r) {
			h.end(r, mono.Now())
		} else {
			t.Fatalf("nobody goes as number %d", n)
		}
		h.next.Store(0)
	}
	if went != 2 || !h.free(newcomer) || h.free(stranger) {
		t.Errorf("%d strangers of 8", went)
	}
	h.newcomers.Store(0)
	if !h.free(stranger) {
		t.Error("a stranger waits for nobody")
	}
}
