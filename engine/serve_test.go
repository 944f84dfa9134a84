package engine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/codec/length"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
	"weir/guard"
)

// serve starts an engine with one listener on a free port of 127.0.0.1 and stops it when the test
// ends. change may adjust the configuration.
func serve(t testing.TB, s service.Service, maxIn int, change func(*Config)) (*Engine, string) {
	t.Helper()
	cfg := Config{
		Loops: 1, DrainTimeout: time.Second, Guard: guard.DefaultConfig(),
		Listeners: []Listener{{
			Name: "test", Network: "tcp", Address: "127.0.0.1:0", Service: s, MaxIn: maxIn, Limits: DefaultLimits(),
		}},
	}
	cfg.Guard.MaxConns = 1000
	if change != nil {
		change(&cfg)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		e.Stop(ctx)
	})
	return e, e.Addrs()[0].String()
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(3 * time.Minute))
	return c.(*net.TCPConn)
}

func TestHelloAnswersNetHTTP(t *testing.T) {
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, nil)
	for range 3 {
		resp, err := http.Get("http://" + addr + "/")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != "hello, world!" || resp.StatusCode != 200 {
			t.Fatalf("%d %q", resp.StatusCode, b)
		}
	}
	body := strings.Repeat("weir ", 200_000)
	for _, length := range []int64{int64(len(body)), -1} {
		req, _ := http.NewRequest("PUT", "http://"+addr+"/echo", io.NopCloser(strings.NewReader(body)))
		req.ContentLength = length
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != body {
			t.Fatalf("length %d: %d bytes came back, %v", length, len(b), err)
		}
	}
}

// TestFramesLargerThanMaxOut sends frames that exceed what may be queued, and reads late: all of
// it comes back, in order, through the pause and resume of a held unit.
func TestFramesLargerThanMaxOut(t *testing.T) {
	_, addr := serve(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) { c.Listeners[0].MaxOut = 16 << 10 })
	c := dial(t, addr)
	var want bytes.Buffer
	for i := range 20 {
		p := bytes.Repeat([]byte{byte('a' + i)}, 1+i*50_000)
		want.Write(length.Append(nil, p))
	}
	go func() { c.Write(want.Bytes()); c.CloseWrite() }()
	time.Sleep(100 * time.Millisecond)
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d of %d bytes came back, %v", len(got), want.Len(), err)
	}
}

func TestLines(t *testing.T) {
	_, addr := serve(t, echo.Lines(100), 102, nil)
	c := dial(t, addr)
	fmt.Fprintf(c, "one\ntwo\r\nthr")
	r := bufio.NewReader(c)
	for _, want := range []string{"one\r\n", "two\r\n"} {
		if got, err := r.ReadString('\n'); got != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	fmt.Fprintf(c, "ee\nbad\x00line\n")
	rest, err := io.ReadAll(r)
	if string(rest) != "three\r\nERR the line holds a bare CR or a NUL\r\n" || err != nil {
		t.Fatalf("%q, %v", rest, err)
	}
}
