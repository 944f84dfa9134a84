package tlsio

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func echo(plain []byte) []byte { return plain }

// Messages of one byte to 4 MiB come back whole, in both versions, however the bytes are cut.
func TestEchoInPieces(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, piece := range []int{1, 7, 1000, 64 << 10} {
			t.Run(fmt.Sprintf("%s/%d", tls.VersionName(version), piece), func(t *testing.T) {
				r, pipe := newRig(t, serverConfig(nil), piece, echo)
				ended := make(chan struct{})
				go func() { defer close(ended); r.run() }()
				client := tls.Client(pipe, clientConfig(func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }))
				sizes := []int{1, 2, 100, 16 << 10, 16<<10 + 1, 100_000, 4 << 20}
				if piece == 1 {
					sizes = sizes[:4]
				} else if piece < 1000 || testing.Short() {
					sizes = sizes[:6]
				}
				for _, n := range sizes {
					sent, got := make([]byte, n), make([]byte, n)
					for i := range sent {
						sent[i] = byte(rand.Uint32())
					}
					go client.Write(sent)
					if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(sent, got) {
						t.Fatalf("%d bytes: %v", n, err)
					}
				}
				if err := client.Close(); err != nil {
					t.Error(err)
				}
				<-ended
				if r.err != io.EOF {
					t.Errorf("ended with %v, want close_notify", r.err)
				}
				if r.steps > 4 {
					t.Errorf("%d steps for a handshake of few records in %d pieces", r.steps, piece)
				}
				if r.idle != 1 && version == tls.VersionTLS13 || r.idle > 1 { // close_notify itself
					t.Errorf("%d records without data", r.idle)
				}
			})
		}
	}
}

// A client's first data may come in the same segment as its Finished.
func TestDataBehindFinished(t *testing.T) {
	got := make(chan string, 1)
	r, pipe := newRig(t, serverConfig(nil), 64<<10, func(p []byte) []byte { got <- string(p); return nil })
	client := tls.Client(&gathering{Conn: pipe}, clientConfig(nil))
	go r.run()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	client.Write([]byte("early"))
	client.NetConn().(*gathering).flush()
	if s := <-got; s != "early" {
		t.Errorf("%q", s)
	}
}

// A peer that has said it sends no more is answered in full, and hears when we have finished.
func TestHalfClose(t *testing.T) {
	var asked []byte
	r, pipe := newRig(t, serverConfig(nil), 64<<10, func(p []byte) []byte { asked = append(asked, p...); return nil })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer r.net.Close()
		b := make([]byte, 64<<10)
		for r.err == nil {
			n, err := r.net.Read(b)
			if err != nil {
				t.Error(err)
				return
			}
			r.pending = append(r.pending, b[:n]...)
			r.wake()
			r.net.Write(r.out)
			r.out = r.out[:0]
		}
		if err := r.c.Seal(bytes.Repeat(asked, 1000), &r.out); err != nil {
			t.Error(err)
		}
		r.c.CloseWrite(&r.out)
		if err := r.c.Seal([]byte("more"), &r.out); err == nil {
			t.Error("sealed after close_notify")
		}
		r.net.Write(r.out)
	}()
	client := tls.Client(pipe, clientConfig(nil))
	io.WriteString(client, "question")
	client.CloseWrite()
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != strings.Repeat("question", 1000) {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
	<-ended
}

func TestResumptionAndState(t *testing.T) {
	server := serverConfig(func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
	cache := tls.NewLRUClientSessionCache(4)
	for _, resumed := range []bool{false, true} {
		r, pipe := newRig(t, server, 64<<10, echo)
		go r.run()
		client := tls.Client(pipe, clientConfig(func(c *tls.Config) { c.ClientSessionCache, c.NextProtos = cache, []string{"http/1.1"} }))
		client.Write([]byte("x"))
		if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		s := r.c.State()
		if s.DidResume != resumed || s.NegotiatedProtocol != "http/1.1" || s.ServerName != "test" || s.Version != tls.VersionTLS13 {
			t.Errorf("resumed %v: %+v", resumed, s)
		}
		client.Close()
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		why    string
		server func(*tls.Config)
		in     string
		alert  byte
	}{
		{"not TLS", nil, "GET / HTTP/1.1\r\n", 0},
		{"an alert instead of a hello", nil, "\x15\x03\x01\x00\x02\x02\x28", 0},
		{"application data instead of a hello", nil, "\x17\x03\x01\x00\x01a", 0},
		{"a length that no record has", nil, "\x16\x03\x01\xff\xff", 22},
		{"an empty handshake record", nil, "\x16\x03\x01\x00\x00", 10},
		{"a handshake message that is none", nil, "\x16\x03\x01\x00\x04\x63\x00\x00\x00", 10},
	} {
		h := NewHandshake(serverConfig(c.server), nil, nil)
		n, _ := Whole([]byte(c.in))
		var out []byte
		if !h.Step([]byte(c.in)[:n], &out) || h.Err() == nil {
			t.Errorf("%s: the handshake goes on", c.why)
			h.Abort()
			continue
		}
		if c.alert == 0 && len(out) > 7 || c.alert != 0 && (len(out) != 7 || out[0] != 21 || out[6] != c.alert) {
			t.Errorf("%s: answered %x", c.why, out)
		}
		if !h.Step(nil, &out) {
			t.Errorf("%s: done is not for good", c.why)
		}
	}
}

// Tampering with any byte of a record, and sending one twice, ends the connection with an alert, and
// nothing of it is given out.
func TestTampering(t *testing.T) {
	const n = 5 + 1 + 1 + 16 // header, data, type, tag
	for at := range n + 1 {
		c, client, sealed := established(t)
		client.Write([]byte("y"))
		in := slices.Clone(sealed.take())
		if len(in) != n {
			t.Fatalf("a record of %d bytes", len(in))
		}
		if at < n {
			in[at] ^= 1
		} else {
			in = append(in, in...)
		}
		var out []byte
		plain, o := c.Open(nil, append(in, make([]byte, 300)...), 100, &out) // what a longer length asks for is there
		if want := at / n; o.Err == nil || o.Err == io.EOF || len(plain) != want {
			t.Errorf("byte %d: %q, %v", at, plain, o.Err)
		}
		if len(out) < 7 {
			t.Errorf("byte %d: no alert", at)
		}
		if err := c.Seal([]byte("z"), &out); err == nil {
			t.Errorf("byte %d: it goes on", at)
		}
	}
}

func TestAbortLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	hello := helloOf(t)
	var parked []*Handshake
	for i := range 100 {
		h := NewHandshake(serverConfig(nil), nil, nil)
		if i%2 == 0 {
			var out []byte
			if h.Step(hello, &out) || len(out) < 100 {
				t.Fatalf("done at once: %v, %d bytes", h.Err(), len(out))
			}
		}
		parked = append(parked, h)
	}
	runtime.LockOSThread() // as event loops do
	defer runtime.UnlockOSThread()
	for _, h := range parked {
		h.Abort()
		h.Abort()
		if !h.Done() || h.Err() != ErrAborted {
			t.Fatalf("%v %v", h.Done(), h.Err())
		}
	}
	for end := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestPanicComesThrough(t *testing.T) {
	h := NewHandshake(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("ouch") }}, nil, nil)
	defer func() {
		if p := recover(); p != "ouch" || !h.Done() {
			t.Errorf("recovered %v, done %v", p, h.Done())
		}
		h.Abort()
	}()
	var out []byte
	h.Step(helloOf(t), &out)
	t.Error("no panic")
}

func TestWhole(t *testing.T) {
	record := func(n int) string {
		return "\x17\x03\x03" + string([]byte{byte(n >> 8), byte(n)}) + strings.Repeat("x", n)
	}
	for _, c := range []struct {
		b        string
		n, lacks int
		why      string
	}{
		{"", 0, 5, "nothing: a header is lacking"},
		{"\x17\x03", 0, 3, "part of a header"},
		{record(10)[:5], 0, 10, "a header"},
		{record(10)[:14], 0, 1, "all but a byte"},
		{record(10), 15, 5, "one"},
		{record(10) + record(3), 23, 5, "two"},
		{record(10) + record(3)[:6], 15, 2, "one and a part"},
		{record(0), 5, 5, "an empty one"},
		{"\x17\x03\x03\x48\x00", 0, 16<<10 + 2<<10, "the longest there is"},
		{"\x17\x03\x03\x48\x01", 5, 5, "one that is too long is whole with its header"},
		{"GET /", 5, 5, "so is what is no record"},
		{"\x17\x04\x03\x00\x10", 5, 5, "nor a version"},
	} {
		if n, lacks := Whole([]byte(c.b)); n != c.n || lacks != c.lacks {
			t.Errorf("%s: %d, %d; want %d, %d", c.why, n, lacks, c.n, c.lacks)
		}
	}
}

// Open stops after the records it may open, and goes on where it stopped.
func TestOpenStopsAtItsBound(t *testing.T) {
	c, client, sealed := established(t)
	for i := range 10 {
		client.Write([]byte{byte('a' + i)})
	}
	in := slices.Clone(sealed.take())
	var got, out []byte
	for turn := 1; len(in) > 0; turn++ {
		var o Opened
		got, o = c.Open(got, in, 3, &out)
		if o.Err != nil || o.Records > 3 || len(got) != min(3*turn, 10) {
			t.Fatalf("turn %d: %+v, %q", turn, o, got)
		}
		in = in[o.Used:]
	}
	if string(got) != "abcdefghij" {
		t.Errorf("%q", got)
	}
}
