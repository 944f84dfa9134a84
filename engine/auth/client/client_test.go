package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/engine/auth/sasl"
)

func alice(signed bool) Config {
	return Config{Credentials: sasl.Credentials{Name: "alice", Password: "correct horse", Signed: signed, MinIterations: 4096}}
}

func bearer(signed bool) Config {
	return Config{Credentials: sasl.Credentials{Token: token, Signed: signed}}
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestLoginAndFrames(t *testing.T) {
	serverTLS, clientTLS, _ := certified(t)
	old := serverTLS.Clone()
	old.MaxVersion = tls.VersionTLS12
	for _, c := range []struct {
		why       string
		tls       *tls.Config
		cfg       Config
		mechanism string
	}{
		{"plain", nil, alice(false), sasl.Scram},
		{"plain, signed", nil, alice(true), sasl.Scram},
		{"TLS 1.3", serverTLS, alice(false), sasl.ScramPlus},
		{"TLS 1.3, signed", serverTLS, alice(true), sasl.ScramPlus},
		{"TLS 1.2, signed", old, alice(true), sasl.ScramPlus},
		{"a token", serverTLS, bearer(false), sasl.Token},
		{"a token, signed", serverTLS, bearer(true), sasl.Token},
		{"a token, signed, TLS 1.2", old, bearer(true), sasl.Token},
	} {
		s := serve(t, &server{tls: c.tls})
		scheme := "frames://"
		if c.tls != nil {
			scheme = "frames+tls://"
		}
		conn, err := Dial(within(t), scheme+s.addr, c.cfg, clientTLS)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		r := <-s.results
		if r.Account != "alice" || r.Mechanism != c.mechanism || r.Signed != c.cfg.Signed || conn.Signed() != r.Signed {
			t.Errorf("%s: %+v", c.why, r)
		}
		for _, msg := range [][]byte{[]byte("hello"), []byte("hello"), bytes.Repeat([]byte("x"), 50_000)} {
			must(t, conn.Send(msg))
			if got, err := conn.Receive(); err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%s: %d bytes, %v", c.why, len(got), err)
			}
		}
		conn.Close()
	}
}

func TestWhoIsNotLetIn(t *testing.T) {
	wrong := alice(false)
	wrong.Password = "wrong"
	nobody := alice(false)
	nobody.Name = "nobody"
	for _, cfg := range []Config{wrong, nobody} {
		_, err := Dial(within(t), "frames://"+serve(t, &server{}).addr, cfg, nil)
		var denial *sasl.Denial
		if !errors.As(err, &denial) || denial.Text != sasl.Denied.Error() {
			t.Errorf("%v", err)
		}
	}
	if _, err := Dial(within(t), "frames://"+serve(t, &server{}).addr, bearer(false), nil); !has(err, "not sent without TLS") {
		t.Errorf("%v", err)
	}
	few := alice(false)
	few.MinIterations = 0
	if _, err := Dial(within(t), "frames://"+serve(t, &server{}).addr, few, nil); !has(err, "asks for 4096 iterations") {
		t.Errorf("%v", err)
	}
	if _, err := Dial(within(t), "http://127.0.0.1", alice(false), nil); !has(err, "must be frames://") {
		t.Errorf("%v", err)
	}
}

// A man in the middle with a certificate that the client trusts relays the login word for word: the
// binding tells.
func TestARelayedLoginFails(t *testing.T) {
	serverTLS, clientTLS, _ := certified(t)
	s := serve(t, &server{tls: serverTLS})
	ln, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS)
	must(t, err)
	defer ln.Close()
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := tls.Dial("tcp", s.addr, clientTLS)
			if err != nil {
				nc.Close()
				return
			}
			go func() { _, _ = io.Copy(up, nc); up.Close() }()
			go func() { _, _ = io.Copy(nc, up); nc.Close() }()
		}
	}()
	if _, err := Dial(within(t), "frames+tls://"+ln.Addr().String(), alice(false), clientTLS); !has(err, sasl.Denied.Error()) {
		t.Errorf("%v", err)
	}
	careless := alice(false)
	careless.Unbound = true
	c, err := Dial(within(t), "frames+tls://"+ln.Addr().String(), careless, clientTLS)
	must(t, err) // what the binding is for
	c.Close()
}

func TestAlteredFramesAreNoticed(t *testing.T) {
	s := serve(t, &server{mangle: func(f []byte) []byte { f[0] ^= 1; return f }})
	c, err := Dial(within(t), "frames://"+s.addr, alice(true), nil)
	must(t, err)
	defer c.Close()
	must(t, c.Send([]byte("hello")))
	for range 2 {
		if got, err := c.Receive(); err != ErrSignature || got != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestTheContextEndsALogin(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // that never answers
	must(t, err)
	defer ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	if _, err := Dial(ctx, "frames://"+ln.Addr().String(), alice(false), nil); err == nil || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

func TestLargeFramesAreRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _, _ = b.Write([]byte{0xff, 0xff, 0xff, 0xff}) }()
	if _, err := (&Conn{nc: a, max: 100}).Receive(); !has(err, "more than 100") {
		t.Errorf("%v", err)
	}
}

// The example in Python is a third implementation of the exchange and of the signed frames.
func TestThePythonExample(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	serverTLS, _, ca := certified(t)
	run := func(env string, args ...string) (string, error) {
		cmd := exec.CommandContext(within(t), python, append([]string{"../../../docs/examples/client.py"}, args...)...)
		cmd.Env = append(os.Environ(), env, "PYTHONDONTWRITEBYTECODE=1", "PYTHONIOENCODING=utf-8")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	plain, secure := serve(t, &server{}), serve(t, &server{tls: serverTLS})
	altering := serve(t, &server{mangle: func(f []byte) []byte { f[len(f)-1] ^= 1; return f }})
	for _, c := range []struct {
		why, env string
		args     []string
		want     string
		ok       bool
	}{
		{"plain", "WEIR_PASSWORD=correct horse", []string{"frames://" + plain.addr, "--user", "alice", "hello", "again"}, "hello\nagain\n", true},
		{"signed", "WEIR_PASSWORD=correct horse", []string{"frames://" + plain.addr, "--user", "alice", "--signed", "hello", "grüße"}, "hello\ngrüße\n", true},
		{"forms of letters", "WEIR_PASSWORD=correct\u00a0hor\u00adse", []string{"frames://" + plain.addr, "--user", "\uff41lice", "hello"}, "hello\n", true},
		{"TLS, signed", "WEIR_PASSWORD=correct horse", []string{"frames+tls://" + secure.addr, "--cafile", ca, "--user", "alice", "--signed", "hello"}, "hello\n", true},
		{"a token", "WEIR_TOKEN=" + token, []string{"frames+tls://" + secure.addr, "--cafile", ca, "hello"}, "hello\n", true},
		{"a token in the clear", "WEIR_TOKEN=" + token, []string{"frames://" + plain.addr, "hello"}, "over TLS only", false},
		{"wrong", "WEIR_PASSWORD=wrong", []string{"frames://" + plain.addr, "--user", "alice", "hello"}, "client: " + sasl.Denied.Error(), false},
		{"altered on the way", "WEIR_PASSWORD=correct horse", []string{"frames://" + altering.addr, "--user", "alice", "--signed", "hello"}, "not what the server has sent", false},
	} {
		if c.args[len(c.args)-1] != "" && strings.Contains(c.env, "PASSWORD") {
			c.args = append([]string{"--min-iterations", "4096"}, c.args...)
		}
		out, err := run(c.env, c.args...)
		if (err == nil) != c.ok || c.ok && out != c.want || !strings.Contains(out, c.want) {
			t.Errorf("%s: %v\n%s", c.why, err, out)
		}
	}
	if out, err := run("WEIR_PASSWORD=correct horse", "frames://"+plain.addr, "--user", "alice", "hello"); err == nil || !strings.Contains(out, "asks for 4096 iterations") {
		t.Errorf("few iterations: %v %s", err, out)
	}
}

func ExampleDial() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := Dial(ctx, "frames+tls://weir.example:7000", Config{Credentials: sasl.Credentials{
		Name: "alice", Password: os.Getenv("WEIR_PASSWORD"), Signed: true,
	}}, nil)
	if err != nil {
		return // *sasl.Denial: the server says no
	}
	defer c.Close()
	_ = c.Send([]byte("hello"))
	_, _ = c.Receive()
}
