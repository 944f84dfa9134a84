package gate

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine/auth/accounts"
	"weir/engine/auth/attempts"
	"weir/engine/service/hello"
	"weir/guard"
)

// site serves hello behind a gate.
func site(t testing.TB, iterations int, secure bool, change func(*Web)) *rig {
	t.Helper()
	r := &rig{}
	r.set.Store(people(t, iterations))
	w := Web{Accounts: r.set.Load, Hasher: new(Hasher)}
	if change != nil {
		change(&w)
	}
	serve(t, r, HTTP(hello.New(hello.Config{}), w), secure, nil)
	return r
}

func rules(t testing.TB, texts ...string) (list []Rule) {
	t.Helper()
	for _, text := range texts {
		r, err := ParseRule(text)
		must(t, err)
		list = append(list, r)
	}
	return list
}

// ask asks again while the answer is 503: on a busy machine a hash takes long, and the next one waits for twice as long.
func ask(t testing.TB, r *rig, method, target string, change func(*http.Request)) (status int, body string, h http.Header) {
	t.Helper()
	for range 20 {
		if status, body, h = askOnce(t, r, method, target, change); status != 503 {
			break
		}
	}
	return status, body, h
}

func askOnce(t testing.TB, r *rig, method, target string, change func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(method, "http://"+r.addr+target, nil)
	must(t, err)
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b), resp.Header
}

func basic(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header["Authorization"] = values }
}

func TestHTTPCredentials(t *testing.T) {
	r := site(t, 4096, false, func(w *Web) { w.Rules = rules(t, "read", "PUT:/=write", "/whoami=write") })
	for _, c := range []struct {
		why            string
		method, target string
		change         func(*http.Request)
		status         int
		event          guard.Reason
		account        string
	}{
		{"no credentials", "GET", "/", nil, 401, 0, ""},
		{"a password", "GET", "/", basic("alice", password), 200, guard.OK, "alice"},
		{"the same again", "GET", "/", basic("alice", password), 200, 0, ""},
		{"a wrong one", "GET", "/", basic("alice", "wrong"), 401, guard.ShedAuthFailed, "alice"},
		{"nobody's", "GET", "/", basic("nobody", password), 401, guard.ShedAuthFailed, "nobody"},
		{"one with a colon", "GET", "/", basic("alice", "a:b"), 401, guard.ShedAuthFailed, "alice"},
		{"a disabled account", "GET", "/", basic("carol", password), 401, guard.ShedAuthFailed, "carol"},
		{"an account without the scope", "GET", "/", basic("bob", password), 403, guard.ShedScope, "bob"},
		{"a token", "GET", "/", bearer(token), 200, guard.OK, "alice"},
		{"a scheme in other letters", "GET", "/", header("BEARER  " + token), 200, 0, ""},
		{"a token without the scope", "PUT", "/echo", bearer(token), 403, guard.ShedScope, "alice"},
		{"a password with it", "PUT", "/echo", basic("alice", password), 200, 0, ""},
		{"an expired token", "GET", "/", bearer(expired), 401, guard.ShedAuthFailed, ""},
		{"a part of a token", "GET", "/", bearer(token[:40]), 401, guard.ShedAuthFailed, ""},
		{"an empty one", "GET", "/", header("Bearer"), 401, guard.ShedAuthFailed, ""},
		{"another scheme", "GET", "/", header("Digest x=y"), 401, guard.ShedAuthFailed, ""},
		{"two", "GET", "/", header("Bearer "+token, "Bearer "+token), 401, guard.ShedAuthFailed, ""},
		{"base64 that is none", "GET", "/", header("Basic !!!"), 401, guard.ShedAuthFailed, ""},
		{"too long", "GET", "/", header("Basic " + strings.Repeat("AAAA", 1000)), 401, guard.ShedAuthFailed, ""},
		{"a path with its own scope", "GET", "/whoami", bearer(token), 403, guard.ShedScope, "alice"},
		{"the same in capitals", "GET", "/WHOAMI", bearer(token), 403, guard.ShedScope, "alice"},
		{"the same encoded", "GET", "/%77hoami", bearer(token), 403, guard.ShedScope, "alice"},
		{"dots", "GET", "/x/../whoami", bearer(token), 400, 0, ""},
		{"encoded dots", "GET", "/x/%2e%2e/whoami", bearer(token), 400, 0, ""},
		{"an encoded slash", "GET", "/x%2fwhoami", bearer(token), 400, 0, ""},
		{"two slashes", "GET", "//whoami", bearer(token), 400, 0, ""},
		{"twice encoded", "GET", "/%2577hoami", bearer(token), 400, 0, ""},
		{"a backslash", "GET", "/%5cwhoami", bearer(token), 400, 0, ""},
		{"a parameter", "GET", "/x;y/whoami", bearer(token), 400, 0, ""},
		{"HEAD", "HEAD", "/", nil, 401, 0, ""},
	} {
		before := r.told(c.event, c.account)
		status, body, h := ask(t, r, c.method, c.target, c.change)
		if status != c.status {
			t.Errorf("%s: %d %s", c.why, status, body)
		}
		if c.event != 0 || c.account != "" {
			if got := r.told(c.event, c.account); got == before && got < 20 { // events are sampled
				t.Errorf("%s: not told of", c.why)
			}
		}
		if challenges := fmt.Sprint(h["Www-Authenticate"]); (status == 401) != strings.Contains(challenges, "Basic realm=\"weir\", charset=\"UTF-8\"") ||
			(status == 403) != strings.Contains(challenges, "insufficient_scope") {
			t.Errorf("%s: %s", c.why, challenges)
		}
	}
}

// TestHTTPFraming: what is refused takes nothing of the next request, and no refused request's body is one.
func TestHTTPFraming(t *testing.T) {
	r := site(t, 4096, false, nil)
	c := dial(t, r)
	auth := "Authorization: Bearer " + token + "\r\n"
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"+
		"GET / HTTP/1.1\r\nHost: x\r\n"+auth+"\r\n"+
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"+auth+"\r\nhello"+
		"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"+auth+"\r\n3\r\nabc\r\n0\r\n\r\n"+
		"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n"+auth+"\r\n"+strings.Repeat(" ", 100))
	b := bufio.NewReader(c)
	for i, want := range []struct {
		status int
		body   string
	}{{401, "Unauthorized\n"}, {200, "hello, world!"}, {200, "hello"}, {200, "abc"}, {401, "Unauthorized\n"}} {
		resp, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want.status || string(body) != want.body {
			t.Errorf("answer %d: %d %q", i, resp.StatusCode, body)
		}
		if i == 4 && !resp.Close {
			t.Error("the connection is not closed behind a body that is not wanted")
		}
	}
	if rest, err := io.ReadAll(b); len(rest) > 0 || err != nil {
		t.Errorf("behind it: %q, %v", rest, err)
	}

	c = dial(t, r)
	io.WriteString(c, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if got, _ := io.ReadAll(c); !bytes.HasPrefix(got, []byte("HTTP/1.1 401 ")) {
		t.Errorf("a body is asked for: %q", got)
	}
}

func TestHTTPOptional(t *testing.T) {
	r := site(t, 4096, false, func(w *Web) { w.Optional, w.Rules = true, rules(t, "/whoami=read") })
	for target, want := range map[string]int{"/": 200, "/echo": 200, "/whoami": 401, "/whoami/x": 401, "/nothing": 404} {
		if status, _, _ := ask(t, r, "GET", target, nil); status != want {
			t.Errorf("%s: %d, want %d", target, status, want)
		}
	}
}

func TestHTTPCertificates(t *testing.T) {
	r := site(t, 4096, true, func(w *Web) { w.Rules = rules(t, "read") })
	for name, want := range map[string]int{"alice": 200, "bob": 403, "carol": 401, "mallory": 401} {
		cfg := clientTLS()
		cfg.Certificates = []tls.Certificate{authority().Issue(name)}
		c := http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
		resp, err := c.Get("https://" + r.addr + "/")
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
}

// TestPasswordChangesCountAtOnce: what was right is asked of the set in force.
func TestPasswordChangesCountAtOnce(t *testing.T) {
	r := site(t, 4096, false, nil)
	if status, _, _ := ask(t, r, "GET", "/", basic("alice", password)); status != 200 {
		t.Fatal(status)
	}
	r.set.Store(people(t, 5000)) // other verifiers, the same password
	if status, _, _ := ask(t, r, "GET", "/", basic("alice", password)); status != 200 {
		t.Errorf("%d: hashed anew", status)
	}
	empty, err := accounts.Parse([]byte("weir-accounts 1 decoy=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"))
	must(t, err)
	r.set.Store(empty)
	for _, change := range []func(*http.Request){basic("alice", password), bearer(token)} {
		if status, _, _ := ask(t, r, "GET", "/", change); status != 401 {
			t.Errorf("%d for an account that has gone", status)
		}
	}
}

// TestBasicFlood: wrong passwords from many sources are hashed one at a time with pauses, what does not
// fit is shed, and who has logged in before gets in at once.
func TestBasicFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	r := site(t, 600_000, false, func(w *Web) { w.Limiter = attempts.New(attempts.Config{}) })
	if status, _, _ := ask(t, r, "GET", "/", basic("alice", password)); status != 200 {
		t.Fatal(status)
	}
	until := time.Now().Add(4 * time.Second)
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for i := range 50 {
		all.Go(func() {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i))}}
			client := http.Client{Transport: &http.Transport{DialContext: d.DialContext}}
			for n := 0; time.Now().Before(until); n++ {
				req, _ := http.NewRequest("GET", "http://"+r.addr+"/", nil)
				req.SetBasicAuth("alice", fmt.Sprint("guess ", i, n))
				resp, err := client.Do(req)
				if err != nil {
					continue
				}
				resp.Body.Close()
				mu.Lock()
				answers[resp.StatusCode]++
				mu.Unlock()
			}
			client.CloseIdleConnections()
		})
	}
	time.Sleep(500 * time.Millisecond)
	var slowest time.Duration
	for n := range 5 {
		r.set.Store(people(t, 600_001+n)) // as if the password were new: it must be hashed again
		begun := time.Now()
		if status, body, _ := askOnce(t, r, "GET", "/", basic("alice", password)); status != 200 {
			t.Errorf("time %d: the owner gets %d %s", n, status, body)
		}
		slowest = max(slowest, time.Since(begun))
		time.Sleep(200 * time.Millisecond)
	}
	all.Wait()
	if answers[200] > 0 || answers[401] > 25 || answers[503] == 0 {
		t.Errorf("answers %v", answers)
	}
	reported := false // which of the refused are told of is up to the sampling
	r.mu.Lock()
	for _, e := range r.events {
		reported = reported || e.Reason == guard.ShedAuthAttempts && e.Account == "alice"
	}
	r.mu.Unlock()
	if !reported {
		t.Error("nobody is told of those that were refused")
	}
	t.Logf("answers %v; the owner's slowest login %v", answers, slowest)
}

// TestParallelFirstLogins: a browser's six connections need one hash.
func TestParallelFirstLogins(t *testing.T) {
	var good atomic.Int32
	for range 8 { // nobody waits for long, and on a busy machine one hash takes long
		good.Store(0)
		r := site(t, 100_000, false, func(w *Web) { w.Limiter = attempts.New(attempts.Config{}) })
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				if status, _, _ := askOnce(t, r, "GET", "/", basic("alice", password)); status == 200 {
					good.Add(1)
				}
			})
		}
		if all.Wait(); good.Load() == 6 {
			return
		}
	}
	t.Errorf("%d of 6 are in", good.Load())
}

// TestTheRequestThatWaited: while a password is hashed other clients ask for other things, and then each is
// given what it has asked for.
func TestTheRequestThatWaited(t *testing.T) {
	r := site(t, 100_000, false, func(w *Web) { w.Optional, w.Rules = true, rules(t, "/whoami=read") })
	stop := make(chan bool)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				ask(t, r, "GET", "/other", nil)
			}
		}
	})
	if status, body, _ := ask(t, r, "GET", "/whoami", basic("alice", password)); status != 200 || !strings.Contains(body, "listener") {
		t.Errorf("%d %s", status, body)
	}
	close(stop)
	all.Wait()
}

func TestRules(t *testing.T) {
	for text, want := range map[string]Rule{
		"read":                {Scope: "read"},
		"upload:write":        {Scope: "upload:write"},
		"/admin=root":         {Prefix: "/admin", Scope: "root"},
		"/=x":                 {Prefix: "/", Scope: "x"},
		"PUT:/a/b=upload:put": {Method: "PUT", Prefix: "/a/b", Scope: "upload:put"},
	} {
		if got, err := ParseRule(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "a,b", "-", "/x", "/x=", "x=y", "put:/x=y", ":/x=y", "/../x=y", "//=y", "/%61=y", "/a=b=c", "/a;b=c"} {
		if r, err := ParseRule(text); err == nil {
			t.Errorf("%q is %+v", text, r)
		}
	}
}
