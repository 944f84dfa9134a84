package gate

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/engine/auth/attempts"
	"weir/guard/mono"
	"weir/guard/source"
)

// A rule cannot be got around by asking for the same thing in another way.
func TestRulesFitWhatIsTheSame(t *testing.T) {
	for _, c := range []struct {
		rule, method, path string
		fits               bool
	}{
		{"GET:/x=read", "HEAD", "/x", true}, // the length, the time and the tag of what GET answers
		{"HEAD:/x=read", "GET", "/x", false},
		{"PUT:/x=read", "HEAD", "/x", false},
		{"PUT:/x=read", "put", "/x", true}, // there are servers that take it for PUT
		{"GET:/x=read", "Head", "/x", true},
		{"/=read", "OPTIONS", "*", true},
		{"/=read", "CONNECT", "", true},
		{"/x=read", "OPTIONS", "*", false},
		{"OPTIONS:/=read", "OPTIONS", "*", true},
	} {
		w := Web{Rules: rules(t, c.rule)}
		if needed, fit, clear := w.needs([]byte(c.method), []byte(c.path)); fit != c.fits || !clear || fit != (fmt.Sprint(needed) == "[read]") {
			t.Errorf("%s, %s %q: %v %v %v", c.rule, c.method, c.path, needed, fit, clear)
		}
	}
}

// Who has a password can write it in any number of ways. They are one password, so that they cost one hash.
func TestFormsOfAPasswordAreHashedOnce(t *testing.T) {
	hasher := new(Hasher)
	r := site(t, 4096, false, func(w *Web) { w.Hasher = hasher })
	if status, _, _ := ask(t, r, "GET", "/", basic("alice", password)); status != 200 {
		t.Fatal(status)
	}
	hasher.strange.Store(true) // whatever has to be hashed now waits, and is 503
	for _, form := range []func(*http.Request){basic("alice", "correct\u00a0horse"), basic("alice", "cor\u00adrect horse"), basic("\uff41lice", password)} {
		if status, _, _ := askOnce(t, r, "GET", "/", form); status != 200 {
			t.Errorf("%d", status)
		}
	}
}

// A client that does not wait for its password to be hashed has not failed: or an impatient one would
// lock its owner out.
func TestWhoDoesNotWaitHasNotFailed(t *testing.T) {
	hasher := new(Hasher)
	r := site(t, 200_000, false, func(w *Web) {
		w.Hasher, w.Limiter = hasher, attempts.New(attempts.Config{Pair: attempts.Rate{Tokens: 1, Per: time.Hour, Burst: 2}})
	})
	var text strings.Builder
	req, err := http.NewRequest("GET", "http://x/", nil)
	must(t, err)
	req.SetBasicAuth("alice", password)
	must(t, req.Write(&text))
	for range 3 {
		for !hasher.free(stranger) || !hasher.free(familiar) {
			time.Sleep(time.Millisecond)
		}
		c := dial(t, r)
		_, err := io.WriteString(c, text.String())
		must(t, err)
		for end := time.Now().Add(30 * time.Second); !hasher.strange.Load() && !hasher.familiar.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nothing is hashed")
			}
		}
		must(t, c.(*net.TCPConn).SetLinger(0)) // a reset
		c.Close()
	}
	for !hasher.free(stranger) || !hasher.free(familiar) {
		time.Sleep(time.Millisecond)
	}
	if status, _, _ := ask(t, r, "GET", "/", basic("alice", password)); status != 200 {
		t.Error(status)
	}
}

// Strangers who wait take no place of a source that has logged in to the account.
func TestStrangersWhoWaitPushNobodyOut(t *testing.T) {
	for try := 0; ; try++ {
		answer, waited := amongStrangers(t)
		if answer != "HTTP/1.1 200" && waited > queueFor*3/4 && try < 8 {
			continue // so long does nobody wait
		}
		if answer != "HTTP/1.1 200" {
			t.Errorf("%s after %s", answer, waited)
		}
		return
	}
}

// amongStrangers has one who has logged in come when all places of strangers are taken and two passwords are hashed, of which
// one is done then, and returns what he is answered and how long he had to wait until then.
func amongStrangers(t *testing.T) (string, time.Duration) {
	hasher, limiter := new(Hasher), attempts.New(attempts.Config{})
	r := site(t, 4096, false, func(w *Web) { w.Hasher, w.Limiter = hasher, limiter })
	owner := netip.MustParseAddr("127.0.0.200")
	src, _ := source.Of(owner)
	limiter.Met(src, "alice", mono.Now())
	hasher.strange.Store(true)
	hasher.familiar.Store(true) // both hash something
	send := func(from, name, password string) net.Conn {
		t.Helper()
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", r.addr)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %s\r\n\r\n", base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
		must(t, err)
		return c
	}
	for i := range mostQueued + mostOfSource {
		send(fmt.Sprintf("127.0.1.%d", i/mostOfSource+1), "bob", "wrong")
	}
	time.Sleep(200 * time.Millisecond)
	came := time.Now()
	c := send(owner.String(), "alice", password)
	time.Sleep(200 * time.Millisecond)
	hasher.release(familiar)
	waited := time.Since(came)
	answer := make([]byte, 12)
	_, err := io.ReadFull(c, answer)
	must(t, err)
	return string(answer), waited
}
