package gate

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/length"
	"weir/engine"
	"weir/engine/auth/attempts"
	"weir/engine/auth/client"
	"weir/engine/auth/sasl"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/relay"
	"weir/guard"
)

// logins makes a server of frames, or of lines, behind a gate.
func logins(t testing.TB, inner service.Service, lines, secure bool, change func(*sasl.Config, *Logins)) *rig {
	t.Helper()
	r := &rig{}
	r.set.Store(people(t, 4096))
	cfg := sasl.Config{Accounts: r.set.Load}
	l := Logins{}
	if lines {
		cfg.Signing = sasl.SigningOff
	}
	if change != nil {
		change(&cfg, &l)
	}
	var err error
	l.Server, err = sasl.NewServer(cfg)
	must(t, err)
	s := Frames(inner, l)
	if lines {
		s = Lines(inner, l)
	}
	serve(t, r, s, secure, nil)
	return r
}

func credentials(name string, signed bool) sasl.Credentials {
	return sasl.Credentials{Name: name, Password: password, Signed: signed, MinIterations: 4096}
}

// logIn dials and logs in.
func logIn(t testing.TB, r *rig, cred sasl.Credentials, secure bool) (*client.Conn, error) {
	t.Helper()
	cfg := client.Config{Credentials: cred}
	if secure {
		return client.Dial(t.Context(), "frames+tls://"+r.addr, cfg, clientTLS())
	}
	return client.Dial(t.Context(), "frames://"+r.addr, cfg, nil)
}

func TestLoginsOverFrames(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, signs := range []bool{false, true} {
			t.Run(fmt.Sprint("tls ", secure, ", signed ", signs), func(t *testing.T) {
				r := logins(t, echo.Frames(64<<10), false, secure, nil)
				c, err := logIn(t, r, credentials("alice", signs), secure)
				must(t, err)
				defer c.Close()
				for _, size := range []int{1, 2, 100, 4000, 40_000} {
					want := bytes.Repeat([]byte{'x'}, size)
					must(t, c.Send(want))
					if got, err := c.Receive(); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("%d bytes: %d came back, %v", size, len(got), err)
					}
				}
				if r.told(guard.OK, "alice") != 1 || r.Snapshot().Logins != 1 {
					t.Errorf("told %v", r.events)
				}
			})
		}
	}
}

func TestWhoMayNotLogIn(t *testing.T) {
	r := logins(t, echo.Frames(0), false, true, func(_ *sasl.Config, l *Logins) { l.Scope = "write" })
	for _, c := range []struct {
		why   string
		cred  sasl.Credentials
		event guard.Reason
		name  string
	}{
		{"a wrong password", sasl.Credentials{Name: "alice", Password: "wrong", MinIterations: 4096}, guard.ShedAuthFailed, "alice"},
		{"nobody", sasl.Credentials{Name: "nobody", Password: password, MinIterations: 4096}, guard.ShedAuthFailed, "nobody"},
		{"a disabled account", credentials("carol", false), guard.ShedAuthFailed, "carol"},
		{"without the scope", credentials("bob", false), guard.ShedScope, "bob"},
		{"a token without the scope", sasl.Credentials{Token: token}, guard.ShedScope, "alice"},
		{"an expired token", sasl.Credentials{Token: expired}, guard.ShedAuthFailed, ""},
	} {
		if _, err := logIn(t, r, c.cred, true); err == nil {
			t.Errorf("%s is let in", c.why)
		}
		if r.told(c.event, c.name) == 0 {
			t.Errorf("%s is not told of", c.why)
		}
	}
	c, err := logIn(t, r, credentials("alice", false), true)
	must(t, err)
	c.Close()
}

// TestNothingBeforeTheLogin: frames and lines that are no login get an error and the end, and the service
// behind never sees them; nor is its server dialled.
func TestNothingBeforeTheLogin(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	p, err := relay.Open(relay.Config{To: []string{ln.Addr().String()}})
	must(t, err)
	defer p.Close()
	r := logins(t, relay.Lines(p, 100), true, false, nil)
	for _, in := range []string{"GET x\n", "\n", "AUTH\nhello\n", "+ AAAA\n", "AUTH SCRAM-SHA-256 !!!\n", strings.Repeat("x", 3000) + "\n"} {
		c := dial(t, r)
		io.WriteString(c, in)
		got, err := io.ReadAll(c)
		if last := got[bytes.LastIndex(bytes.TrimSuffix(got, []byte("\r\n")), []byte("\n"))+1:]; !bytes.HasPrefix(last, []byte("ERR ")) || err != nil {
			t.Errorf("%.20q: %q, %v", in, got, err)
		}
	}
	if s := r.Snapshot(); s.UpstreamsDialled != 0 {
		t.Errorf("%d dialled", s.UpstreamsDialled)
	}
}

// TestSignedRelay: the server behind gets plain frames, and what it answers is signed.
func TestSignedRelay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	heard := make(chan string, 10)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				head := make([]byte, 4)
				for {
					if _, err := io.ReadFull(c, head); err != nil {
						return
					}
					b := make([]byte, int(head[2])<<8|int(head[3]))
					io.ReadFull(c, b)
					heard <- string(b)
					for _, piece := range length.Append(nil, append([]byte("you said "), b...)) { // a byte at a time
						c.Write([]byte{piece})
					}
					if string(b) == "bye" {
						return
					}
				}
			}()
		}
	}()
	p, err := relay.Open(relay.Config{To: []string{ln.Addr().String()}})
	must(t, err)
	defer p.Close()
	r := logins(t, relay.Frames(p, 1000), false, false, nil)
	c, err := logIn(t, r, credentials("alice", true), false)
	must(t, err)
	for _, text := range []string{"hello", "world", "bye"} {
		must(t, c.Send([]byte(text)))
		if got, err := c.Receive(); err != nil || string(got) != "you said "+text {
			t.Fatalf("%q, %v", got, err)
		}
		if h := <-heard; h != text {
			t.Errorf("the server heard %q", h)
		}
	}
	if _, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestReplayedFrame: a recorded frame, sent again, ends the connection and is told of.
func TestReplayedFrame(t *testing.T) {
	r := logins(t, echo.Frames(0), false, false, nil)
	front, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer front.Close()
	go func() { // in the middle: it sends the last frame twice
		c, err := front.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", r.addr)
		if err != nil {
			return
		}
		go io.Copy(c, s)
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			s.Write(b[:n])
			if n == 4+5+16 {
				s.Write(b[:n])
			}
		}
	}()
	c, err := client.Dial(t.Context(), "frames://"+front.Addr().String(), client.Config{Credentials: credentials("alice", true)}, nil)
	must(t, err)
	must(t, c.Send([]byte("hello")))
	if got, err := c.Receive(); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for r.told(guard.ShedReplay, "alice") == 0 {
		if time.Now().After(deadline) {
			t.Fatal("the replay is not told of")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s := r.Snapshot(); s.Faults[codec.BadSignature] != 1 || s.Shed[guard.ShedReplay] != 1 {
		t.Errorf("%v", s.Faults)
	}
}

// TestGuessingIsLimited: and its owner is not locked out.
func TestGuessingIsLimited(t *testing.T) {
	r := logins(t, echo.Frames(0), false, false, func(_ *sasl.Config, l *Logins) { l.Limiter = attempts.New(attempts.Config{}) })
	c, err := logIn(t, r, credentials("alice", false), false)
	must(t, err)
	c.Close()
	for range 10 {
		if _, err := logIn(t, r, sasl.Credentials{Name: "alice", Password: "wrong", MinIterations: 4096}, false); err == nil {
			t.Fatal("let in")
		}
	}
	if f, l := r.told(guard.ShedAuthFailed, "alice"), r.told(guard.ShedAuthAttempts, "alice"); f != 5 || l != 5 {
		t.Errorf("%d failed, %d limited", f, l)
	}
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	nc, err := other.Dial("tcp", r.addr)
	must(t, err)
	if _, err := client.Login(t.Context(), nc, client.Config{Credentials: credentials("alice", false)}); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

// TestLoginOverLines speaks by hand.
func TestLoginOverLines(t *testing.T) {
	r := logins(t, echo.Lines(100), true, false, func(c *sasl.Config, _ *Logins) { c.PlainTokens = true })
	c := dial(t, r)
	fmt.Fprintf(c, "AUTH\nAUTH TOKEN %s\nhello\n", base64.StdEncoding.EncodeToString([]byte(token)))
	b := bufio.NewReader(c)
	for _, want := range []string{"MECHANISMS SCRAM-SHA-256 TOKEN\r\n", "OK\r\n", "hello\r\n"} {
		if got, err := b.ReadString('\n'); got != want {
			t.Fatalf("%q, %v; want %q", got, err, want)
		}
	}
}

func TestAuthTimeout(t *testing.T) {
	r := &rig{}
	r.set.Store(people(t, 4096))
	server, err := sasl.NewServer(sasl.Config{Accounts: r.set.Load, Signing: sasl.SigningOff})
	must(t, err)
	serve(t, r, Lines(echo.Lines(100), Logins{Server: server}), false, func(c *engine.Config) { c.Listeners[0].AuthTimeout = 300 * time.Millisecond })
	c := dial(t, r)
	begun := time.Now()
	io.WriteString(c, "AUTH\n")
	io.ReadAll(c)
	if d := time.Since(begun); d < 300*time.Millisecond || d > 30*time.Second || r.Snapshot().Shed[guard.ShedAuthTimeout] != 1 {
		t.Errorf("after %v: %v", d, r.events)
	}
}
