package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"weir/engine"
	"weir/guard"
	"weir/internal/events"
	"weir/internal/lab"
)

func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"a=shed:1000/10s/5m":           "a shed 1000 10s 5m0s",
		"a=shed:1/1s":                  "a shed 1 1s 5m0s",
		"a-1_b=shed.source-conns:2/1m": "a-1_b shed/source-conns 2 1m0s 5m0s",
		"a=descriptors:90%/10s/24h":    "a descriptors 90 10s 24h0m0s",
		"a=auth-failed:20/60s":         "a auth-failed 20 1m0s 5m0s",
		"a=servers-down:1/10s":         "a servers-down 1 10s 5m0s",
		"a=off":                        "a off",
	} {
		r, off, err := parseRule(text)
		got := fmt.Sprintf("%s %s %d %s %s", r.name, r.subject.name, r.threshold, r.window, r.coolDown)
		if r.reason != guard.OK {
			got = strings.Replace(got, "shed", "shed/"+r.reason.Label(), 1)
		}
		if off {
			got = r.name + " off"
		}
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "=shed:1/1s", "A=shed:1/1s", "a=", "a=on", "a=shed", "a=shed:", "a=shed:1", "a=shed:1/", "a=shed:0/1s", "a=shed:-1/1s", "a=shed:01/1s", "a=shed:+1/1s",
		"a=shed:1%/1s", "a=shed:1000000001/1s", "a=shed:1/0s", "a=shed:1/1500ms", "a=shed:1/11m", "a=shed:1/1s/", "a=shed:1/1s/0s", "a=shed:1/1s/25h", "a=shed:1/1s/1s/1s", "a=shed.ok:1/1s", "a=shed.x:1/1s",
		"a=shed.conn-bytes:1/1s", "a=descriptors:90/1s", "a=descriptors:101%/1s", "a=descriptors:0%/1s", "a=bananas:1/1s", "a=shed: 1/1s", "a=shed:1/10", "a=shed:1e3/1s", strings.Repeat("a", 41) + "=shed:1/1s"} {
		if err := CheckRule(text); err == nil || !strings.HasPrefix(err.Error(), "must be NAME=") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
	all, err := parseRules([]string{"sheds=shed:5/1s", "panics=off", "more=shed.idle:7/1s"})
	names := []string{}
	for _, r := range all {
		names = append(names, fmt.Sprint(r.name, " ", r.threshold))
	}
	if err != nil || fmt.Sprint(names) != "[sheds 5 accounts 20 descriptors 90 servers 1 more 7]" {
		t.Errorf("%v, %v", names, err)
	}
	for _, list := range [][]string{{"x=off"}, {"a=shed:1/1s", "a=shed:2/1s"}, {"panics=off", "panics=off"}} {
		if CheckRules(list) == nil {
			t.Errorf("%v is taken", list)
		}
	}
	many := []string{}
	for i := range maxRules {
		many = append(many, fmt.Sprintf("r%d=shed:1/1s", i))
	}
	if CheckRules(many) == nil {
		t.Error("any number of rules is taken")
	}
}

// model is window done slowly.
type model map[int64]uint64

func TestWindowIsTheSumOfItsUnits(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	w, m, now := newWindow(10*time.Second, 10), model{}, time.Unix(1000, 0)
	for i := range 10_000 {
		now = now.Add(time.Duration(r.IntN(3)) * time.Second)
		if r.IntN(100) == 0 {
			now = now.Add(time.Duration(r.IntN(40)) * time.Second)
		}
		n := uint64(r.IntN(5))
		m[now.Unix()] += n
		want := uint64(0)
		for s := now.Unix() - 9; s <= now.Unix(); s++ {
			want += m[s]
		}
		if got := w.add(now, n); got != want {
			t.Fatalf("seed %d, step %d: %d, want %d", seed, i, got, want)
		}
	}
	if w.add(now, 1<<40); w.sum < 1<<31 || w.add(now.Add(time.Hour), 0) != 0 {
		t.Error("a number beyond 32 bits")
	}
}

// rig is a judge whose time is moved by hand.
type rig struct {
	t   *testing.T
	j   *judge
	now time.Time
	in  Reading
}

func newRig(t *testing.T, rules ...string) *rig {
	t.Helper()
	for _, d := range Defaults {
		if name, _, _ := strings.Cut(d, "="); !slices.ContainsFunc(rules, func(r string) bool { return strings.HasPrefix(r, name+"=") }) {
			rules = append(rules, name+"=off")
		}
	}
	list, err := parseRules(rules)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, j: newJudge("host", list), now: time.Unix(1000, 0)}
	r.wants("") // the first reading is what others are compared with
	return r
}

// wants reads after a second and compares what is told: "rule key value".
func (r *rig) wants(want string) {
	r.t.Helper()
	r.now = r.now.Add(time.Second)
	if got := told(r.j.read(r.now, &r.in)); got != want {
		r.t.Errorf("at %d s: told %q, want %q", r.now.Unix()-1001, got, want)
	}
}

func told(all []Alert) string {
	var list []string
	for _, a := range all {
		list = append(list, fmt.Sprintf("%s %s %d", a.Rule, a.Key, a.Value))
	}
	return strings.Join(list, ", ")
}

func TestShedsOfOneReason(t *testing.T) {
	r := newRig(t, "sheds=shed:100/10s/30s", "idle=shed.idle:5/2s")
	r.in.Shed[guard.ShedSourceConns] = 60
	r.wants("")
	r.in.Shed[guard.ShedFirstFrame] = 60 // another reason
	r.in.Shed[guard.SlowConnBytes] = 10_000
	r.wants("")
	r.in.Shed[guard.ShedSourceConns] = 99
	r.wants("")
	r.in.Shed[guard.ShedSourceConns] = 100
	r.wants("sheds source-conns 100")
	for range 29 {
		r.in.Shed[guard.ShedSourceConns] += 50
		r.wants("") // it is told
	}
	r.in.Shed[guard.ShedSourceConns] += 50
	r.wants("sheds source-conns 500")
	r.in.Shed[guard.ShedIdle] = 5
	r.wants("idle idle 5")
	for range 60 {
		r.wants("")
	}
	r.in.Shed[guard.ShedSourceConns] += 99 // the window has passed
	r.wants("")
	if n := r.j.rules[0].fired.Load(); n != 2 {
		t.Errorf("%d were counted", n)
	}
}

func TestWhatWasCountedBeforeTheStartIsNoRise(t *testing.T) {
	list, _ := parseRules(nil)
	j := newJudge("", list)
	in := Reading{Panics: 7}
	in.Shed[guard.ShedIdle] = 1 << 40
	if got := told(j.read(time.Unix(1, 0), &in)); got != "" {
		t.Error(got)
	}
}

func TestLevelsMustLast(t *testing.T) {
	r := newRig(t, "descriptors=descriptors:90%/3s/10s", "servers=servers-down:2/1s/1m")
	r.in.Descriptors = 95.5
	r.wants("")
	r.wants("")
	r.in.Descriptors = 89.9
	r.wants("")
	r.in.Descriptors = 90
	r.wants("")
	r.wants("")
	r.wants("")
	r.wants("descriptors  90")
	for range 9 {
		r.wants("")
	}
	r.wants("descriptors  90")
	r.in.Descriptors, r.in.ServersDown = 0, 2
	r.wants("")
	r.wants("servers  2")
}

func TestFailuresAtOneAccount(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:20/60s/5m")
	fail := func(name string, n int) string {
		var all []string
		for range n {
			r.now = r.now.Add(time.Second)
			if s := told(r.j.failed(r.now, name)); s != "" {
				all = append(all, s)
			}
		}
		return strings.Join(all, ", ")
	}
	if got := fail("alice", 19) + fail("bob", 19); got != "" {
		t.Error(got)
	}
	if got := fail("bob", 30); got != "accounts bob 20" {
		t.Error(got)
	}
	if got := fail("alice", 19); got != "" { // the first are more than a minute ago
		t.Error(got)
	}
	r.now = r.now.Add(5 * time.Minute)
	if got := fail("bob", 20); got != "accounts bob 20" {
		t.Error(got)
	}
}

// TestMadeUpAccountsDoNotHideOne has somebody guess at one account below a flood of made-up names.
func TestMadeUpAccountsDoNotHideOne(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:20/60s/5m")
	var all []string
	for i := range 30_000 {
		r.now = r.now.Add(time.Millisecond)
		if s := told(r.j.failed(r.now, fmt.Sprint("made-up-", i))); s != "" {
			all = append(all, s)
		}
		if i%100 == 0 {
			if s := told(r.j.failed(r.now, "alice")); s != "" {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 || slices.ContainsFunc(all, func(s string) bool { return !strings.HasPrefix(s, "accounts alice ") }) {
		t.Errorf("told %v", all)
	}
	if n := len(r.j.rules[0].names.byName); n != mostAccounts {
		t.Errorf("%d places", n)
	}
}

func TestManyAccountsAreNoFloodOfAlerts(t *testing.T) {
	r := newRig(t, "accounts=auth-failed:1/60s/5m")
	for i := range 100 {
		got := r.j.failed(r.now, fmt.Sprint("a", i))
		if (len(got) == 1) != (i < mostAtOnce) {
			t.Errorf("account %d: %v", i, got)
		}
	}
	r.now = r.now.Add(5 * time.Minute)
	got := r.j.failed(r.now, "b")
	if len(got) != 1 || got[0].Suppressed != 90 || !strings.Contains(got[0].Text, "90 more were not told") {
		t.Errorf("%+v", got)
	}
}

// trip is an http.RoundTripper for bubbles, where there is no network.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(code int) (*http.Response, error) {
	return &http.Response{StatusCode: code, Body: http.NoBody, Header: http.Header{}}, nil
}

// begin is Open with a transport of the test's.
func begin(t *testing.T, cfg Config, f trip) *Alerts {
	t.Helper()
	a, err := prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.sender.client.Transport = f
	for _, r := range a.receivers {
		a.sending.Go(func() { r.run(a.sender) })
	}
	return a
}

func delivered(a *Alerts) string {
	_, all := a.Stats()
	return fmt.Sprint(all)
}

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
	for after, want := range map[string]time.Duration{"30": 30 * time.Second, "86400": maxWait, "-5": time.Second / 2, "soon": time.Second / 2} {
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

// TestWatch has the whole of it, but for the network: counters that rise, and events about accounts.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var in Reading
		var got []string
		a := begin(t, Config{URLs: []string{"slack+https://a.example/x"}, Host: "edge-1"}, func(r *http.Request) (*http.Response, error) {
			b, _ := io.ReadAll(r.Body)
			mu.Lock()
			got = append(got, string(b))
			mu.Unlock()
			return answer(200)
		})
		a.Watch(func() Reading { mu.Lock(); defer mu.Unlock(); return in })
		time.Sleep(1500 * time.Millisecond)
		mu.Lock()
		in.Shed[guard.ShedSourceConns] = 5000
		mu.Unlock()
		time.Sleep(time.Second)
		for range 25 {
			a.Tell(engine.Event{Reason: guard.ShedAuthFailed, Account: "<!channel>\n\x1b[2J&"})
			a.Tell(engine.Event{Reason: guard.ShedIdle, Account: "bob"})
			a.Tell(engine.Event{Reason: guard.OK, Account: "bob"})
			a.Tell(engine.Event{Reason: guard.ShedAuthFailed})
		}
		time.Sleep(time.Second)
		a.Close(time.Second)
		want := []string{
			`{"text":"edge-1: 5000 connections were refused or ended for source-conns within 10s (rule sheds: 1000)"}`,
			`{"text":"edge-1: 20 attempts to authenticate failed at the account \u0026lt;!channel\u0026gt;\\n\\x1b[2J\u0026amp; within 60s (rule accounts: 20)"}`,
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		rules, _ := a.Stats()
		if fmt.Sprint(rules) != "[{sheds 1} {accounts 1} {descriptors 0} {panics 0} {servers 0}]" {
			t.Error(rules)
		}
	})
}

// TestSignatureByThePage has the few lines of docs/operations.md verify what a receiver got.
func TestSignatureByThePage(t *testing.T) {
	python := lab.Need(t, "python3")
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, ok := strings.Cut(string(page), "```python\n")
	code, _, ok2 := strings.Cut(code, "```")
	if !ok || !ok2 {
		t.Fatal("the page has no Python")
	}
	type taken struct {
		head http.Header
		body []byte
	}
	got := make(chan taken, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- taken{r.Header, b}
	}))
	defer s.Close()
	const secret = "0123456789abcdef"
	all, err := Test(Config{URLs: []string{s.URL + "/hook"}, Secret: []byte(secret), Host: "edge-1", Agent: "weir/v1"})
	if err != nil || len(all) != 1 || all[0].Err != nil {
		t.Fatal(all, err)
	}
	in := <-got
	if in.head.Get("User-Agent") != "weir/v1" || in.head.Get("Content-Type") != "application/json" {
		t.Error(in.head)
	}
	verify := func(body, at, signature string) string {
		cmd := exec.Command(python, "-c", code+"\nimport sys\nprint(verify(sys.argv[1].encode(), sys.stdin.buffer.read(), sys.argv[2], sys.argv[3]))", secret, at, signature)
		cmd.Stdin = strings.NewReader(body)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	at, signature := in.head.Get(headerTime), in.head.Get(headerSignature)
	for _, c := range []struct{ body, at, signature, want string }{
		{string(in.body), at, signature, "True"},
		{string(in.body) + " ", at, signature, "False"},
		{string(in.body), at[:len(at)-1], signature, "False"},
		{string(in.body), at, signature[:len(signature)-1], "False"},
		{string(in.body), "1000", "sha256=" + sign([]byte(secret), "1000", in.body), "False"}, // too old
	} {
		if got := verify(c.body, c.at, c.signature); got != c.want {
			t.Errorf("%q %s %s: %s, want %s", c.body, c.at, c.signature, got, c.want)
		}
	}
	if _, err := prepare(Config{URLs: []string{s.URL}, Secret: []byte("short")}); err == nil {
		t.Error("a short secret is taken")
	}
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

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(path, []byte("0123456789abcdef\r\n\n"), 0o600)
	if b, err := ReadSecret(path); string(b) != "0123456789abcdef" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	os.WriteFile(path, []byte("0123456789abcde\n"), 0o600)
	if _, err := ReadSecret(path); err == nil || strings.Contains(err.Error(), "0123") {
		t.Error(err)
	}
	if _, err := ReadSecret(path + "x"); err == nil {
		t.Error("no file")
	}
}
