package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/internal/events"
)

func TestRetriesUntilItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		var ids []string
		begun := time.Now()
		a := begin(t, Config{URLs: []string{"https://a.example/x"}}, func(r *http.Request) (*http.Response, error) {
			at = append(at, time.Since(begun))
			var al Alert
			if err := json.NewDecoder(r.Body).Decode(&al); err != nil {
				t.Error(err)
			}
			ids = append(ids, al.ID)
			if len(at) < 4 {
				return answer(500)
			}
			return answer(204)
		})
		a.send([]Alert{{ID: "1"}})
		time.Sleep(time.Minute)
		a.Close(time.Second)
		if got := delivered(a); got != "[{https://a.example 1 0 0}]" {
			t.Error(got)
		}
		if len(at) != 4 || fmt.Sprint(ids) != "[1 1 1 1]" {
			t.Fatalf("tries at %v of %v", at, ids)
		}
		for i := range 3 {
			if d, most := at[i+1]-at[i], time.Second<<i; d < most/2 || d > most {
				t.Errorf("waits %s after try %d", d, i+1)
			}
		}
	})
}

func TestWhatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	for code, want := range map[int]int{400: 1, 401: 1, 404: 1, 302: 1, 307: 1, 408: tries, 429: tries, 500: tries, 503: tries} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			a := begin(t, Config{URLs: []string{"https://a.example/x"}}, func(*http.Request) (*http.Response, error) { n++; return answer(code) })
			a.send([]Alert{{}})
			time.Sleep(time.Hour)
			a.Close(time.Second)
			if n != want || delivered(a) != "[{https://a.example 0 1 0}]" {
				t.Errorf("%d: %d tries, %s", code, n, delivered(a))
			}
		})
	}
}

func TestRetryAfterIsHeededAndBounded(t *testing.T) {
	for after, want := range map[string]time.Duration{"30": 30 * time.Second, "86400": maxWait, "10000000000": maxWait, "99999999999999999999": maxWait, "-5": time.Second / 2, "soon": time.Second / 2} {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			a := begin(t, Config{URLs: []string{"https://a.example/x"}}, func(*http.Request) (*http.Response, error) {
				if at = append(at, time.Now()); len(at) > 1 {
					return answer(200)
				}
				resp, _ := answer(429)
				resp.Header.Set("Retry-After", after)
				return resp, nil
			})
			a.send([]Alert{{}})
			time.Sleep(10 * time.Minute)
			a.Close(time.Second)
			if len(at) != 2 || at[1].Sub(at[0]) < want || at[1].Sub(at[0]) > max(want, time.Second) {
				t.Errorf("Retry-After %s: tries at %v", after, at)
			}
		})
	}
}

// TestDeadReceiverCostsNothing has one receiver that never answers beside a good one, more alerts than
// its queue holds, and an end that does not wait for it.
func TestDeadReceiverCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := begin(t, Config{URLs: []string{"https://dead.example/x", "https://good.example/x"}}, func(r *http.Request) (*http.Response, error) {
			if r.Host == "dead.example" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(200)
		})
		begun := time.Now()
		for range queueLen + 10 {
			a.send([]Alert{{}})
			synctest.Wait()
		}
		if time.Since(begun) != 0 {
			t.Error("somebody waited")
		}
		if got := delivered(a); got != fmt.Sprintf("[{https://dead.example 0 0 9} {https://good.example %d 0 0}]", queueLen+10) {
			t.Error(got)
		}
		begun = time.Now()
		a.Close(2 * time.Second)
		if took := time.Since(begun); took > 2250*time.Millisecond {
			t.Errorf("the end takes %s", took)
		}
		synctest.Wait()
		if got := delivered(a); !strings.HasPrefix(got, fmt.Sprintf("[{https://dead.example 0 %d 9}", queueLen+1)) {
			t.Errorf("at the end: %s", got)
		}
	})
}

func TestTheEndFlushesWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		a := begin(t, Config{URLs: []string{"https://a.example/x"}}, func(*http.Request) (*http.Response, error) {
			n++
			time.Sleep(100 * time.Millisecond)
			if n == 1 {
				return answer(500) // and it waits to try again
			}
			return answer(200)
		})
		for range 4 {
			a.send([]Alert{{}})
		}
		time.Sleep(200 * time.Millisecond)
		begun := time.Now()
		a.Close(5 * time.Second)
		if took := time.Since(begun); took > 500*time.Millisecond || delivered(a) != "[{https://a.example 4 0 0}]" {
			t.Errorf("%s, after %s", delivered(a), took)
		}
	})
}

// TestNoSecretIsLogged fails in every way with a URL that is a secret, and looks for it.
func TestNoSecretIsLogged(t *testing.T) {
	const secret = "5ecret"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "user" || p != "pw-"+secret {
			t.Errorf("credentials %q %q", u, p)
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case strings.HasPrefix(r.URL.Path, "/hangup"):
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(r.URL.Path, "/endless"):
			w.WriteHeader(400)
			for range 1000 {
				w.Write(make([]byte, 32<<10))
			}
		default:
			w.WriteHeader(403)
			io.WriteString(w, secret+r.URL.String())
		}
	}))
	s.Config.ErrorLog = nil
	defer s.Close()
	ln, _ := net.Listen("tcp", "127.0.0.1:0")
	ln.Close()
	var urls []string
	for _, path := range []string{"/moved/" + secret, "/hangup/" + secret, "/endless/" + secret, "/" + secret + "?token=" + secret} {
		urls = append(urls, "http://user:pw-"+secret+"@"+strings.TrimPrefix(s.URL, "http://")+path)
	}
	urls = append(urls, "http://user:pw-"+secret+"@"+ln.Addr().String()+"/"+secret, "https://user:pw-"+secret+"@"+strings.TrimPrefix(s.URL, "http://")+"/"+secret)

	var out bytes.Buffer
	log := zap.New(events.CleanCore(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)))
	outcomes, err := Test(Config{URLs: urls})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range outcomes {
		if o.Err == nil {
			t.Errorf("%s took it", o.Receiver)
		}
		fmt.Fprintln(&out, o.Receiver, o.Err)
	}
	a, err := prepare(Config{URLs: urls, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	close(a.sender.stop) // one try each
	a.send([]Alert{{Rule: "sheds"}})
	for _, r := range a.receivers {
		r.run(a.sender)
	}
	a.cancel()
	fmt.Fprintln(&out, delivered(a))
	for _, bad := range []string{"ftp://" + secret, "https://", "https:///" + secret, "://" + secret, "https://a\x00b/" + secret, "https://a/#" + secret} {
		err := CheckURL(bad)
		if err == nil {
			t.Errorf("%q is taken", bad)
		}
		fmt.Fprintln(&out, err)
	}
	if strings.Contains(out.String(), secret) || strings.Contains(out.String(), "user") {
		t.Errorf("it is there:\n%s", &out)
	}
	if n := strings.Count(out.String(), `"event":"alert_failed"`); n != len(urls) {
		t.Errorf("%d failures are logged of %d:\n%s", n, len(urls), &out)
	}
}

func TestSlowReceiverTimesOut(t *testing.T) {
	a, err := prepare(Config{URLs: []string{"http://a.example/"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.cancel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	a.sender.client = newClient(50 * time.Millisecond)
	a.receivers[0].url = s.URL
	var timeout net.Error
	if again, err := a.receivers[0].post(a.sender, nil); again != 0 || !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("%v, %v", again, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a.sender.ctx = ctx
	if _, err := a.receivers[0].post(a.sender, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
