package engine

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/length"
	"weir/engine/service"
	"weir/engine/service/echo"
	"weir/engine/service/hello"
	"weir/guard"
)

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// Messages of one byte to 4 MiB go both ways, in both versions, as HTTP bodies that stream.
func TestTLSCarriesHTTP(t *testing.T) {
	_, addr := serveTLS(t, hello.New(hello.Config{}), 16<<10, nil)
	for _, v := range versions {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS(v)}}
		defer client.CloseIdleConnections()
		for _, n := range []int{0, 1, 1000, 16<<10 + 1, 200_000, 4 << 20} {
			body := bytes.Repeat([]byte("weir"), (n+3)/4)[:n]
			resp, err := client.Post("https://"+addr+"/echo", "text/plain", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s, %d bytes: %d came back, %v", tls.VersionName(v), n, len(got), err)
			}
		}
	}
}

// TestTLSFramesLargerThanMaxOut is TestFramesLargerThanMaxOut, encrypted.
func TestTLSFramesLargerThanMaxOut(t *testing.T) {
	for _, v := range versions {
		_, addr := serveTLS(t, echo.Frames(1<<20), 1<<20+4, func(c *Config) { c.Listeners[0].MaxOut = 16 << 10 })
		c := dialTLS(t, addr, clientTLS(v))
		var want bytes.Buffer
		for i := range 20 {
			want.Write(length.Append(nil, bytes.Repeat([]byte{byte('a' + i)}, 1+i*50_000)))
		}
		go func() { c.Write(want.Bytes()); c.CloseWrite() }()
		time.Sleep(100 * time.Millisecond)
		got, err := io.ReadAll(c) // ends well only with close_notify
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%s: %d of %d bytes came back, %v", tls.VersionName(v), len(got), want.Len(), err)
		}
	}
}

// Handshake and data in one-byte writes.
func TestTLSByteByByte(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	for _, v := range versions {
		c := tls.Client(byByte{dial(t, addr)}, clientTLS(v))
		frame := length.Append(nil, []byte("dripped"))
		for range 3 {
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(frame))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, frame) {
				t.Fatalf("%s: %q, %v", tls.VersionName(v), got, err)
			}
		}
		c.Close()
	}
	eventually(t, "all is given back", func() bool { s := snap(e); return s.Conns == 0 && s.Buffered == 0 && s.HandshakesOpen == 0 })
	s := snap(e)
	if s.Handshakes[TLS12] != 1 || s.Handshakes[TLS13] != 1 || s.HandshakesBegun != 2 || s.Unproven != 0 {
		t.Errorf("%+v", s)
	}
}

// A peer that says it is done, with close_notify, is answered in full and told when we are; one that
// ends the stream without it as well.
func TestTLSHalfClose(t *testing.T) {
	_, addr := serveTLS(t, handler{func(c service.Conn, cmd string) {
		c.Work(func() { time.Sleep(20 * time.Millisecond) }, func() { c.WriteString(strings.Repeat("answer", 8_000)) })
	}}, 100, nil)
	for _, v := range versions {
		for _, polite := range []bool{true, false} {
			raw := dial(t, addr)
			c := tls.Client(raw, clientTLS(v))
			io.WriteString(c, "question\n")
			if polite {
				c.CloseWrite()
			}
			raw.CloseWrite()
			got, err := io.ReadAll(c)
			if err != nil || string(got) != strings.Repeat("answer", 8_000) {
				t.Errorf("%s, polite %v: %d bytes, %v", tls.VersionName(v), polite, len(got), err)
			}
		}
	}
}

func TestTLSTellsTheService(t *testing.T) {
	server := &tls.Config{NextProtos: []string{"http/1.1"}, ClientCAs: testCA().Pool, ClientAuth: tls.VerifyClientCertIfGiven}
	_, addr := serve(t, hello.New(hello.Config{}), 16<<10, tlsWith(server, nil))
	cache := tls.NewLRUClientSessionCache(8)
	for i, want := range []struct {
		version  uint16
		name     string
		resumed  bool
		protocol string
	}{
		{tls.VersionTLS13, "alice.test", false, "http/1.1"}, {tls.VersionTLS13, "alice.test", true, "http/1.1"},
		{tls.VersionTLS12, "alice.test", false, ""}, {tls.VersionTLS13, "", false, ""},
	} {
		cfg := clientTLS(want.version)
		if want.name != "" {
			cfg.Certificates = []tls.Certificate{testCA().Issue(want.name)}
			if want.version == tls.VersionTLS13 {
				cfg.ClientSessionCache = cache
			}
		}
		if want.protocol != "" {
			cfg.NextProtos = []string{"h2", want.protocol}
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
		resp, err := client.Get("https://" + addr + "/whoami")
		if err != nil {
			t.Fatal(err)
		}
		var told struct {
			TLS struct {
				Version, Protocol, Client string
				Cipher                    string `json:"cipher_suite"`
				Server                    string `json:"server_name"`
				Resumed                   bool
			}
		}
		err = json.NewDecoder(resp.Body).Decode(&told)
		resp.Body.Close()
		if got := told.TLS; err != nil || got.Client != want.name || got.Resumed != want.resumed || got.Protocol != want.protocol ||
			got.Version != tls.VersionName(want.version) || got.Server != "weir.test" || got.Cipher == "" {
			t.Errorf("%d: %+v, %v", i, got, err)
		}
	}
}

// A connection by which a CA checks a domain (RFC 8737) is over with its handshake, and no service
// sees it.
func TestTLSChallengeConnectionsEndWithTheHandshake(t *testing.T) {
	e, addr := serve(t, handler{func(service.Conn, string) { t.Error("a service was asked") }}, 100, tlsWith(&tls.Config{NextProtos: []string{acmeProtocol}}, nil))
	for _, v := range versions {
		cfg := clientTLS(v)
		cfg.NextProtos = []string{acmeProtocol}
		c := dialTLS(t, addr, cfg)
		if b, err := io.ReadAll(c); len(b) != 0 || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	}
	eventually(t, "they are gone", func() bool { return snap(e).Conns == 0 })
	if s := snap(e); s.Handshakes[TLS12]+s.Handshakes[TLS13] != 2 || s.Listeners[0].Frames != 0 {
		t.Errorf("%+v", s)
	}
}

func TestTLSRefusals(t *testing.T) {
	server := &tls.Config{MinVersion: tls.VersionTLS13, ClientCAs: testCA().Pool, ClientAuth: tls.RequireAndVerifyClientCert, NextProtos: []string{"http/1.1"}}
	e, addr := serve(t, hello.New(hello.Config{}), 16<<10, tlsWith(server, nil))
	good := clientTLS(0)
	good.Certificates = []tls.Certificate{testCA().Issue("alice.test")}
	for _, c := range []struct {
		why    string
		change func(*tls.Config)
		alert  string
	}{
		{"an old version", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "protocol version"},
		{"no certificate", func(c *tls.Config) { c.Certificates = nil }, "certificate required"},
		{"no protocol in common", func(c *tls.Config) { c.NextProtos = []string{"h2"} }, "no application protocol"},
	} {
		cfg := good.Clone()
		c.change(cfg)
		conn := tls.Client(dial(t, addr), cfg)
		err := conn.Handshake()
		if err == nil {
			_, err = conn.Read(make([]byte, 1)) // TLS 1.3: the server judges after our Finished
		}
		if err == nil || !strings.Contains(err.Error(), c.alert) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
	for _, bytes := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\x80\x2e\x01\x00\x02", "SSH-2.0-x\r\n", "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", "\x16\x03\x01\xff\xff"} {
		c := dial(t, addr)
		io.WriteString(c, bytes)
		if n := ends(t, c); n > 7 {
			t.Errorf("%q: %d bytes of answer, want one alert at most", bytes, n)
		}
	}
	eventually(t, "all have gone", func() bool { return snap(e).Conns == 0 })
	s := snap(e)
	if s.HandshakesFailed != 3 || s.Shed[guard.ShedTLS] != 3 || s.Shed[guard.ShedMalformed] != 5 || s.Faults[codec.NotTLS] < 3 {
		t.Errorf("%d failed, %d and %d shed, faults %v", s.HandshakesFailed, s.Shed[guard.ShedTLS], s.Shed[guard.ShedMalformed], s.Faults)
	}
}

func roundTrip(t testing.TB, c net.Conn) {
	t.Helper()
	frame := length.Append(nil, []byte("round trip"))
	if _, err := c.Write(frame); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, frame) {
		t.Fatalf("%q, %v", got, err)
	}
}

// Writes from another connection's wake are encrypted for whom they are, in order, and so is what is
// written to a connection that is closed from there.
func TestTLSChat(t *testing.T) {
	var room []service.Conn
	e, addr := serveTLS(t, handler{func(c service.Conn, cmd string) {
		switch cmd {
		case "join":
			room = append(room, c)
			c.WriteString("joined\n")
		case "kick":
			for _, other := range room {
				other.WriteString("bye\n")
				other.Close()
			}
		default:
			for _, other := range room {
				other.WriteString(cmd + "\n")
			}
		}
	}}, 100, nil)
	op := dialTLS(t, addr, clientTLS(0))
	members := []net.Conn{dialTLS(t, addr, clientTLS(tls.VersionTLS12)), dialTLS(t, addr, clientTLS(0))}
	want := "joined\n"
	for _, c := range members {
		io.WriteString(c, "join\n")
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Fatalf("%q, %v", got, err)
		}
	}
	want = ""
	for i := range 500 {
		line := fmt.Sprintf("message %d\n", i)
		io.WriteString(op, line)
		want += line
	}
	io.WriteString(op, "kick\n")
	for _, c := range members {
		if got, err := io.ReadAll(c); err != nil || string(got) != want+"bye\n" {
			t.Fatalf("%d bytes, want %d, %v", len(got), len(want)+4, err)
		}
		c.Close()
	}
	eventually(t, "gone and nothing held", func() bool { s := snap(e); return s.Conns == 1 && s.Buffered == 0 })
}

// Tampered bytes are answered with an alert, and nothing of them is served.
func TestTLSTampering(t *testing.T) {
	e, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	for _, v := range versions {
		raw := dial(t, addr)
		c := tls.Client(raw, clientTLS(v))
		roundTrip(t, c)
		raw.Write([]byte("\x17\x03\x03\x00\x20" + strings.Repeat("x", 32)))
		_, err := c.Read(make([]byte, 1))
		if err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("%s: %v", tls.VersionName(v), err)
		}
	}
	eventually(t, "both are counted", func() bool { return snap(e).Shed[guard.ShedTLS] == 2 })
}

// A frame and a record that is wrong in one segment: the alert is the last word, and it arrives.
func TestTLSAlertArrivesBehindAFrame(t *testing.T) {
	_, addr := serveTLS(t, echo.Frames(1000), 1004, nil)
	for _, v := range versions {
		raw := dial(t, addr)
		w := &prefixed{Conn: raw}
		c := tls.Client(w, clientTLS(v))
		roundTrip(t, c)
		hold := &kept{}
		w.Conn = hold
		c.Write(length.Append(nil, []byte("in front of it")))
		raw.Write(append(hold.b, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32)...))
		w.Conn = raw
		if _, err := io.ReadAll(c); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
			t.Errorf("%s: %v", tls.VersionName(v), err)
		}
	}
}

// kept keeps what is written.
type kept struct {
	net.Conn
	b []byte
}

func (h *kept) Write(p []byte) (int, error) { h.b = append(h.b, p...); return len(p), nil }
