package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weir/engine/service"
	"weir/engine/service/relay"
	"weir/guard"
)

// behindTLS is behind with a TLS server.
func behindTLS(t testing.TB, cfg *tls.Config, f func(*tls.Conn)) string {
	t.Helper()
	cfg = cfg.Clone()
	if len(cfg.Certificates) == 0 {
		cfg.Certificates = []tls.Certificate{testCert()}
	}
	return behind(t, func(c *net.TCPConn) { f(tls.Server(c, cfg)) })
}

// serveRelayTLS relays bytes to TLS servers.
func serveRelayTLS(t testing.TB, cfg *tls.Config, change func(*Config), to ...string) (*Engine, string) {
	t.Helper()
	return serve(t, relay.Bytes(pool(t, relay.Config{To: to, TLS: cfg})), 64<<10, func(c *Config) {
		unlimited(c)
		if change != nil {
			change(c)
		}
	})
}

func echoesTLS(c *tls.Conn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// TestRelayToTLS: both ways intact, both versions, resumed, from plain and from TLS clients, with the
// server's records cut anywhere.
func TestRelayToTLS(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, dripped := range []bool{false, true} {
			t.Run(fmt.Sprint(tls.VersionName(version), dripped), func(t *testing.T) {
				resumed := make(chan bool, 10)
				server := &tls.Config{Certificates: []tls.Certificate{testCert()}, MinVersion: version, MaxVersion: version}
				to := behind(t, func(tc *net.TCPConn) {
					var raw net.Conn = tc
					if dripped {
						raw = byByte{tc}
					}
					c := tls.Server(raw, server)
					if c.Handshake() == nil {
						resumed <- c.ConnectionState().DidResume
					}
					echoesTLS(c)
				})
				e, addr := serveRelayTLS(t, clientTLS(0), nil, to)
				size := 3 << 20
				if dripped {
					size = 20 << 10
				}
				sent := make([]byte, size)
				rand.NewChaCha8([32]byte{1}).Read(sent)
				for i := range 3 {
					c := dial(t, addr)
					go func() { c.Write(sent); c.CloseWrite() }()
					got, err := io.ReadAll(c)
					if err != nil || !bytes.Equal(got, sent) {
						t.Fatalf("%d of %d bytes came back, %v", len(got), len(sent), err)
					}
					if r := <-resumed; r != (i > 0) {
						t.Errorf("connection %d resumed: %v", i, r)
					}
				}
				noUpstreams(t, e)
			})
		}
	}
	t.Run("TLS on both sides", func(t *testing.T) {
		to := behindTLS(t, &tls.Config{}, echoesTLS)
		e, addr := serveTLS(t, relay.Bytes(pool(t, relay.Config{To: []string{to}, TLS: clientTLS(0)})), 64<<10, nil)
		c := dialTLS(t, addr, clientTLS(0))
		sent := bytes.Repeat([]byte("0123456789abcdef"), 100000)
		go func() { c.Write(sent); c.CloseWrite() }()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		c.Close()
		noUpstreams(t, e)
	})
	t.Run("a server that speaks first, behind a PROXY header", func(t *testing.T) {
		to := behind(t, func(tc *net.TCPConn) {
			line := make([]byte, 0, 100)
			for b := make([]byte, 1); len(line) < 100 && !bytes.HasSuffix(line, []byte("\r\n")); line = append(line, b[0]) {
				if _, err := tc.Read(b); err != nil {
					break
				}
				if bytes.HasSuffix(append(line, b[0]), []byte("\r\n")) {
					line = append(line, b[0])
					break
				}
			}
			c := tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
			fmt.Fprintf(c, "welcome %s", line)
			c.Close()
		})
		_, addr := serve(t, relay.Bytes(pool(t, relay.Config{To: []string{to}, TLS: clientTLS(0), ProxyTo: 1})), 64<<10, nil)
		c := dial(t, addr)
		want := fmt.Sprintf("welcome PROXY TCP4 127.0.0.1 127.0.0.1 %d ", c.LocalAddr().(*net.TCPAddr).Port)
		if got, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(got, []byte(want)) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	})
}

// TestRelayTrustsNobodyElse: a certificate that is not the server's, or nobody's, is no server.
func TestRelayTrustsNobodyElse(t *testing.T) {
	heard := make(chan []byte, 10)
	to := behindTLS(t, &tls.Config{}, func(c *tls.Conn) { b, _ := io.ReadAll(c); heard <- b })
	for _, c := range []struct {
		why string
		cfg *tls.Config
		to  string
	}{
		{"another name", &tls.Config{RootCAs: testCA().Pool, ServerName: "other.test"}, to},
		{"the address instead of a name", &tls.Config{RootCAs: testCA().Pool}, to},
		{"another CA", &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "weir.test"}, to},
		{"not TLS at all", clientTLS(0), behind(t, func(c *net.TCPConn) { io.WriteString(c, "SSH-2.0-x\r\n"); io.Copy(io.Discard, c) })},
		{"an end in the middle", clientTLS(0), behind(t, func(c *net.TCPConn) { c.Read(make([]byte, 100)) })},
		{"a handshake without end", clientTLS(0), behind(t, func(c *net.TCPConn) {
			record := append([]byte{22, 3, 3, 0x10, 0}, make([]byte, 4096)...)
			record[5], record[6], record[7] = 2, 0xff, 0xff // a hello of 16 MB
			for range 100 {
				if _, err := c.Write(record); err != nil {
					return
				}
			}
		})},
	} {
		t.Run(c.why, func(t *testing.T) {
			told := make(chan string, 10)
			e, addr := serveRelayTLS(t, c.cfg, func(cfg *Config) { cfg.Events = func(e Event) { told <- e.Detail } }, c.to)
			if conn, err := net.Dial("tcp", addr); err == nil { // else the reset was there before it could be told that it is connected
				defer conn.Close()
				io.WriteString(conn, "secret")
				if got, err := io.ReadAll(conn); len(got) > 0 || !wasReset(err) {
					t.Errorf("%q, %v", got, err)
				}
			} else if !wasReset(err) {
				t.Error(err)
			}
			noUpstreams(t, e)
			if d := <-told; !strings.HasPrefix(d, "tls: ") || len(d) < 20 || len(told) > 0 {
				t.Errorf("told %q, and %d more", d, len(told))
			}
			if s := snap(e); s.UpstreamEnds[service.EndTLS] == 0 || s.UpstreamsConnected != 0 || s.Shed[guard.ShedUpstreamConnect] != 1 {
				t.Errorf("ends %v, shed %v", s.UpstreamEnds, s.Shed[guard.ShedUpstreamConnect])
			}
		})
	}
	select {
	case b := <-heard:
		if len(b) > 0 {
			t.Errorf("it heard %q", b)
		}
	case <-time.After(time.Second):
	}
}

// TestServerCutOff: without a close_notify what a server has sent is not taken for all.
func TestServerCutOff(t *testing.T) {
	to := behind(t, func(tc *net.TCPConn) {
		c := tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
		io.WriteString(c, "half of it")
		tc.CloseWrite()
		io.Copy(io.Discard, tc)
	})
	e, addr := serveRelayTLS(t, clientTLS(0), nil, to)
	c := dial(t, addr)
	if got, err := io.ReadAll(c); string(got) != "half of it" || !wasReset(err) {
		t.Errorf("%q, %v", got, err)
	}
	noUpstreams(t, e)
}

// TestSilentHandshake: a server that accepts and says nothing is given up in time, and the clients of
// others notice nothing.
func TestSilentHandshake(t *testing.T) {
	to := behind(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	p := pool(t, relay.Config{To: []string{to}, TLS: clientTLS(0), ConnectTimeout: 300 * time.Millisecond})
	e, addr := serve(t, relay.Bytes(p), 64<<10, unlimited)
	begun := time.Now()
	c := dial(t, addr)
	if _, err := io.ReadAll(c); !wasReset(err) || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	// One goes in the middle of a step.
	for range 20 {
		dial(t, addr).Close()
	}
	noUpstreams(t, e)
}

// TestManyHandshakesWithServers: one that has begun goes on, though all workers are busy with others.
func TestManyHandshakesWithServers(t *testing.T) {
	var conns atomic.Int64
	to := behind(t, func(tc *net.TCPConn) {
		answers(func() net.Conn {
			return tls.Server(tc, &tls.Config{Certificates: []tls.Certificate{testCert()}})
		}, &conns)
	})
	_, e, addr := serveSharer(t, to, func(a *sharer) { a.to.TLS, a.to.Timeout = clientTLS(0), time.Minute })
	var all sync.WaitGroup
	for range 60 {
		c := dial(t, addr)
		all.Go(func() {
			defer c.Close()
			io.WriteString(c, "x\n")
			if got, err := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(got, "x ") || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	all.Wait()
	if n := snap(e).UpstreamEnds[service.EndBusy]; n != 0 {
		t.Errorf("%d were given up", n)
	}
}
