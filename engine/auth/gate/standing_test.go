package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/codec"
	"weir/engine/auth/accounts"
	"weir/engine/auth/client"
	"weir/engine/auth/sasl"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/files"
	"weir/engine/service/relay"
	"weir/guard"
	"weir/guard/mono"
)

// crowd is a file of accounts in which alice and bob may read, with the password given for alice, and alice has a token that expires when
// it is said.
func crowd(t testing.TB, password string, expires time.Time) string {
	t.Helper()
	b64 := base64.StdEncoding.EncodeToString
	verifier := func(password string) string {
		c, err := scram.SHA256.NewClient("x", password, "")
		must(t, err)
		salt := []byte("0123456789abcdef")
		cred, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: 4096})
		must(t, err)
		return fmt.Sprintf("SCRAM-SHA-256$4096:%s$%s:%s", b64(salt), b64(cred.StoredKey), b64(cred.ServerKey))
	}
	return fmt.Sprintf("weir-accounts 1 decoy=%s\nuser alice scopes=read verifier=%s\nuser bob scopes=read verifier=%s\n"+
		"token alice t scopes=read created=2026-01-01T00:00:00Z expires=%s hash=%x\n",
		b64(make([]byte, 32)), verifier(password), verifier("another horse"), expires.UTC().Format(time.RFC3339), sha256.Sum256([]byte(token)))
}

func setOf(t testing.TB, text string) *accounts.Set {
	t.Helper()
	s, err := accounts.Parse([]byte(text))
	must(t, err)
	return s
}

// TestLoginsEndWithWhatTheyRestOn: whoever is logged in is not any more, from the next frame on, when the token or the account
// has gone or changed, and goes on when others have.
func TestLoginsEndWithWhatTheyRestOn(t *testing.T) {
	later := time.Now().Add(time.Hour).Truncate(time.Second)
	was := crowd(t, password, later)
	without := func(line string) func(string) string {
		return func(s string) string { return regexp.MustCompile(`(?m)^`+line+`.*\n`).ReplaceAllString(s, "") }
	}
	for _, c := range []struct {
		why      string
		change   func(string) string
		password guard.Reason // of who has shown a password; OK: goes on
		token    guard.Reason
		detail   string
	}{
		{"nothing", func(s string) string { return s + "# nothing\n" }, guard.OK, guard.OK, ""},
		{"others", without("user bob"), guard.OK, guard.OK, ""},
		{"the token is revoked", without("token alice"), guard.OK, guard.ShedAuthFailed, "revoked"},
		{"the token has expired", func(s string) string {
			return strings.Replace(s, later.UTC().Format(time.RFC3339), "2026-01-02T00:00:00Z", 1)
		}, guard.OK, guard.ShedAuthFailed, "revoked"},
		{"the account is removed", func(s string) string { return without("token alice")(without("user alice")(s)) }, guard.ShedAuthFailed, guard.ShedAuthFailed, "revoked"},
		{"the account is disabled", func(s string) string {
			return regexp.MustCompile(`(user alice .*)\n`).ReplaceAllString(s, "$1 disabled\n")
		}, guard.ShedAuthFailed, guard.ShedAuthFailed, "revoked"},
		{"the password is changed", func(string) string { return crowd(t, "new horse battery", later) }, guard.ShedAuthFailed, guard.OK, "revoked"},
		{"the scope is taken away", func(s string) string { return strings.Replace(s, "alice scopes=read", "alice scopes=-", 1) }, guard.ShedScope, guard.ShedScope, "read"},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := logins(t, echo.Frames(0), false, true, func(_ *sasl.Config, l *Logins) { l.Scope = "read" })
			r.set.Store(setOf(t, was))
			ways := []struct {
				cred sasl.Credentials
				want guard.Reason
			}{{credentials("alice", false), c.password}, {credentials("alice", true), c.password}, {sasl.Credentials{Token: token}, c.token}, {sasl.Credentials{Token: token, Signed: true}, c.token}}
			var conns []*client.Conn
			for _, w := range ways {
				nc, err := logIn(t, r, w.cred, true)
				must(t, err)
				defer nc.Close()
				conns = append(conns, nc)
				must(t, nc.Send([]byte("before")))
				if got, err := nc.Receive(); err != nil || string(got) != "before" {
					t.Fatalf("%q, %v", got, err)
				}
			}
			r.set.Store(setOf(t, c.change(was)))
			ended := map[guard.Reason]int{}
			for i, w := range ways {
				must(t, conns[i].Send([]byte("after")))
				got, err := conns[i].Receive()
				if goes := err == nil && string(got) == "after"; goes != (w.want == guard.OK) || !goes && !errors.Is(err, io.EOF) {
					t.Errorf("way %d: %q, %v; want %v", i, got, err, w.want)
				}
				ended[w.want]++
			}
			for reason, n := range ended {
				if reason != guard.OK && r.told(reason, "alice") != n {
					t.Errorf("%d told of as %v, want %d: %v", r.told(reason, "alice"), reason, n, r.events)
				}
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, e := range r.events {
				if e.Reason != guard.OK && e.Detail != c.detail {
					t.Errorf("told %+v", e)
				}
			}
		})
	}
}

// TestATokenEndsItsSession: when its time comes, without anything having changed.
func TestATokenEndsItsSession(t *testing.T) {
	wall := atomic.Pointer[time.Time]{}
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	wall.Store(&at)
	r := logins(t, echo.Lines(100), true, false, func(c *sasl.Config, _ *Logins) {
		c.PlainTokens, c.Now = true, func() time.Time { return *wall.Load() }
	})
	r.set.Store(setOf(t, crowd(t, password, at.Add(3*time.Second))))
	c := dial(t, r)
	begun := time.Now()
	fmt.Fprintf(c, "AUTH TOKEN %s\nhello\n", base64.StdEncoding.EncodeToString([]byte(token)))
	var got bytes.Buffer
	for range 10_000 {
		if _, err := io.WriteString(c, "x\n"); err != nil {
			break
		}
		b := make([]byte, 100)
		n, err := c.Read(b)
		got.Write(b[:n])
		if err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if d := time.Since(begun); d < 2900*time.Millisecond || d > 30*time.Second {
		t.Errorf("it ended after %s", d)
	}
	if !strings.HasPrefix(got.String(), "OK\r\nhello\r\nx\r\n") || !strings.HasSuffix(got.String(), "x\r\nERR not logged in any more\r\n") {
		t.Errorf("%q", got.String())
	}
	if r.told(guard.ShedAuthFailed, "alice") != 1 || r.events[len(r.events)-1].Detail != "expired" {
		t.Errorf("told %+v", r.events)
	}
}

// TestLoggedOutInTheProtocolsWords: a service that answers in frames of its own says it in one, and behind a relay the server
// is left.
func TestLoggedOutInTheProtocolsWords(t *testing.T) {
	later := time.Now().Add(time.Hour)
	f, err := files.New(files.Config{Dir: t.TempDir(), MaxFrame: 4096})
	must(t, err)
	defer f.Close()
	r := logins(t, f, false, false, func(c *sasl.Config, _ *Logins) { c.Signing = sasl.SigningOff })
	r.set.Store(setOf(t, crowd(t, password, later)))
	c, err := logIn(t, r, credentials("alice", false), false)
	must(t, err)
	r.set.Store(setOf(t, crowd(t, "new horse battery", later)))
	must(t, c.Send([]byte("GET /x")))
	if got, err := c.Receive(); err != nil || !bytes.HasPrefix(got, []byte("ERR 403 ")) || !bytes.Contains(got, []byte("not logged in any more")) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("behind it %q, %v", got, err)
	}

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	first, heard := make(chan bool, 1), make(chan string, 1)
	go func() {
		s, err := ln.Accept()
		if err != nil {
			return
		}
		before := make([]byte, len("\x00\x00\x00\x06before"))
		n, _ := io.ReadFull(s, before)
		first <- true
		all, _ := io.ReadAll(s)
		heard <- string(append(before[:n], all...))
	}()
	p, err := relay.Open(relay.Config{To: []string{ln.Addr().String()}})
	must(t, err)
	defer p.Close()
	r = logins(t, relay.Frames(p, 1000), false, false, nil)
	r.set.Store(setOf(t, crowd(t, password, later)))
	c, err = logIn(t, r, credentials("alice", true), false)
	must(t, err)
	must(t, c.Send([]byte("before")))
	<-first
	r.set.Store(setOf(t, crowd(t, "new horse battery", later)))
	must(t, c.Send([]byte("after")))
	if got, err := c.Receive(); err == nil {
		t.Errorf("after it: %q", got)
	}
	if got := <-heard; got != "\x00\x00\x00\x06before" {
		t.Errorf("the server has heard %q", got)
	}
}

// still is a connection of which nothing is asked but the time.
type still struct {
	service.Conn
	now mono.Time
}

func (c *still) Now() time.Duration { return time.Duration(c.now) }

// taken is a session that takes all that it is served.
type taken struct{ service.Session }

func (taken) Serve(_ service.Conn, u codec.Unit) int { return len(u.Data) }

func standingSession(t testing.TB) (*textSession, *still) {
	t.Helper()
	set := setOf(t, crowd(t, password, time.Now().Add(time.Hour)))
	server, err := sasl.NewServer(sasl.Config{Accounts: func() *accounts.Set { return set }})
	must(t, err)
	login, ok := set.Token([]byte(token), time.Now())
	if !ok {
		t.Fatal("no login")
	}
	s := &textSession{o: &textOpener{text: text{cfg: Logins{Server: server}}}, inner: taken{}, kept: &standing{login: login.Kept()}}
	return s, &still{now: mono.Time(time.Hour)}
}

func TestAFrameAllocatesNothing(t *testing.T) {
	s, c := standingSession(t)
	u := codec.Unit{Kind: codec.Frame, Data: []byte("hello")}
	if n := testing.AllocsPerRun(1000, func() {
		if s.Serve(c, u) != 5 {
			t.Fatal("not taken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStanding(b *testing.B) {
	s, c := standingSession(b)
	u := codec.Unit{Kind: codec.Frame, Data: []byte("hello")}
	b.ReportAllocs()
	for b.Loop() {
		s.Serve(c, u)
	}
}
