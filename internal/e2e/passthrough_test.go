package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/codec/proxyproto"
	"weir/internal/lab"
)

// behindTLS is a TLS server that says its certificate's name in one line and then echoes what it is
// sent, to its end.
type behindTLS struct {
	addr, name string
	cfg        *tls.Config
	proxied    bool // each connection begins with a PROXY header
	ln         net.Listener
	mu         sync.Mutex
	open       []net.Conn
	sources    []string
}

func startBehindTLS(t *testing.T, ca *lab.Authority, addr, name string, proxied bool) *behindTLS {
	b := &behindTLS{addr: addr, name: name, cfg: &tls.Config{Certificates: []tls.Certificate{ca.Issue(name)}}, proxied: proxied}
	b.start(t)
	t.Cleanup(b.kill)
	return b
}

func (b *behindTLS) start(t *testing.T) {
	t.Helper()
	var err error
	if b.ln, err = net.Listen("tcp", b.addr); err != nil {
		t.Fatal(err)
	}
	ln := b.ln
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.open = append(b.open, c)
			b.mu.Unlock()
			go b.serve(c)
		}
	}()
}

func (b *behindTLS) serve(raw net.Conn) {
	defer raw.Close()
	if b.proxied {
		head := make([]byte, 16+12) // version 2, IPv4
		if _, err := io.ReadFull(raw, head); err != nil {
			return
		}
		var d proxyproto.Decoder
		d.Decode(head)
		b.mu.Lock()
		b.sources = append(b.sources, d.Header().Source.String())
		b.mu.Unlock()
	}
	c := tls.Server(raw, b.cfg)
	fmt.Fprintln(c, b.name)
	io.Copy(c, c)
	c.CloseWrite()
}

func (b *behindTLS) kill() {
	b.ln.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.open {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	b.open = nil
}

// asks connects to front for a name and returns what the server behind calls itself; the server's
// certificate must be for the name.
func asks(front, name string, ca *lab.Authority) (*tls.Conn, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg := &tls.Config{ServerName: name, RootCAs: ca.Pool}
	if name == "" {
		cfg.InsecureSkipVerify = true
	}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", front)
	if err != nil {
		return nil, "", err
	}
	c := conn.(*tls.Conn)
	c.SetDeadline(time.Now().Add(patience))
	said := make([]byte, 0, 64)
	for b := make([]byte, 1); len(said) == 0 || said[len(said)-1] != '\n'; said = append(said, b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			c.Close()
			return nil, "", err
		}
	}
	return c, strings.TrimSpace(string(said)), nil
}

// TestTLSPassthrough has Go's, OpenSSL's and curl's clients reach the servers whose names they ask for.
func TestTLSPassthrough(t *testing.T) {
	ca := lab.NewAuthority()
	ports := lab.FreePorts(t, 6)
	front, strict, hasty := ports[0], ports[1], ports[5]
	a := startBehindTLS(t, ca, ports[2], "a.example", false)
	b := startBehindTLS(t, ca, ports[3], "*.b.example", false)
	d := startBehindTLS(t, ca, ports[4], "default.example", false)
	s := lab.Start(t, nil, "-listen", "tls-passthrough://"+front+"?name=front&to=A.example="+a.addr+",*.b.example="+b.addr+",default.example="+d.addr+"&to="+d.addr,
		"-listen", "tls-passthrough://"+hasty+"?to="+a.addr+"&first-frame-timeout=1s",
		"-listen", "tls-passthrough://"+strict+"?to=a.example="+a.addr, "-source-conn-burst", "1000")
	for _, c := range []struct{ name, want string }{{"a.example", "a.example"}, {"A.Example", "a.example"}, {"x.b.example", "*.b.example"}, {"default.example", "default.example"}, {"", "default.example"}} {
		conn, got, err := asks(front, c.name, ca)
		if err != nil || got != c.want {
			t.Fatalf("%q reaches %q, %v; want %s", c.name, got, err, c.want)
		}
		conn.Close()
	}
	var wrongCertificate *tls.CertificateVerificationError
	if _, _, err := asks(front, "other.example", ca); !errors.As(err, &wrongCertificate) {
		t.Errorf("a name without a route is not the default server's: %v", err)
	}

	t.Run("alerts", func(t *testing.T) {
		for _, name := range []string{"other.example", ""} {
			if _, _, err := asks(strict, name, ca); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
				t.Errorf("%q: %v, want unrecognized name", name, err)
			}
		}
		for in, want := range map[string]string{
			"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n": "\x15\x03\x01\x00\x02\x02\x0a", "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00": "\x15\x03\x01\x00\x02\x02\x32",
		} {
			c, err := net.Dial("tcp", strict)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(patience))
			io.WriteString(c, in)
			if got, err := io.ReadAll(c); string(got) != want || err != nil {
				t.Errorf("%q is answered %x, %v", in, got, err)
			}
			c.Close()
		}
		m := scrape(t, s)
		if m.Shed("no-route") != 2 || m[`weir_faults_total{fault="not-tls"}`] != 1 || m[`weir_faults_total{fault="bad-client-hello"}`] != 1 {
			t.Errorf("counted %v, %v, %v", m.Shed("no-route"), m[`weir_faults_total{fault="not-tls"}`], m[`weir_faults_total{fault="bad-client-hello"}`])
		}
		for _, series := range []string{
			`weir_upstream_up{listener="front",route="a.example",server="` + a.addr + `"}`, `weir_upstream_up{listener="front",route="*.b.example",server="` + b.addr + `"}`,
			`weir_upstream_up{listener="front",route="",server="` + d.addr + `"}`,
		} {
			if m[series] != 1 {
				t.Errorf("%s is %v", series, m[series])
			}
		}
	})

	t.Run("openssl", func(t *testing.T) {
		openssl := lab.Need(t, "openssl")
		for name, want := range map[string]string{"a.example": "CN = a.example", "y.x.b.example": "CN = *.b.example", "other.example": "alert number 112"} {
			address := front
			if strings.HasPrefix(want, "alert") {
				address = strict
			}
			cmd := exec.Command(openssl, "s_client", "-connect", address, "-servername", name, "-nameopt", "oneline", "-split_send_frag", "64", "-max_send_frag", "512")
			cmd.Stdin = strings.NewReader("")
			out, _ := cmd.CombinedOutput()
			if !strings.Contains(strings.ReplaceAll(string(out), "CN=", "CN = "), want) {
				t.Errorf("%s: no %q in\n%s", name, want, out)
			}
		}
	})

	t.Run("deadline", func(t *testing.T) {
		hello := firstBytes(t, "a.example")
		before, asked := len(connsOf(a)), 0.
		for _, sent := range []string{"", hello[:len(hello)/2]} {
			var took time.Duration
			for range tries {
				c, err := net.Dial("tcp", hasty)
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(c, sent)
				begun := time.Now()
				c.SetDeadline(begun.Add(patience))
				io.ReadAll(c)
				c.Close()
				asked++
				if took = time.Since(begun); took < 3*time.Second {
					break
				}
			}
			if took > 3*time.Second {
				t.Errorf("after %d bytes a client is kept for %s", len(sent), took)
			}
		}
		if n := scrape(t, s).Shed("first-frame"); n != asked {
			t.Errorf("%v sheds of %v", n, asked)
		}
		if n := len(connsOf(a)); n != before {
			t.Errorf("%d servers were connected to for half a hello", n-before)
		}
	})

	t.Run("drip", func(t *testing.T) {
		hello := firstBytes(t, "a.example")
		c, err := net.Dial("tcp", strict)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.(*net.TCPConn).SetNoDelay(true)
		c.SetDeadline(time.Now().Add(patience))
		for i := range len(hello) {
			io.WriteString(c, hello[i:i+1])
		}
		if got, err := bufio.NewReader(c).Peek(6); err != nil || got[0] != 22 || got[5] != 2 { // ServerHello
			t.Errorf("byte by byte: %x, %v", got, err)
		}
	})

	t.Run("bulk and half-close", func(t *testing.T) {
		const size = 1 << 20
		want := pour(io.Discard, size)
		c, _, err := asks(front, "a.example", ca)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		go func() {
			pour(c, size)
			c.CloseWrite()
			c.NetConn().(*net.TCPConn).CloseWrite()
		}()
		h := sha256.New()
		if n, err := io.Copy(h, c); n != size || err != nil || !bytes.Equal(h.Sum(nil), want) {
			t.Errorf("%d bytes came back, %v", n, err)
		}
	})

	t.Run("killed and restarted", func(t *testing.T) {
		c, _, err := asks(front, "a.example", ca)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a.kill()
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("who was connected notices %v", err)
		}
		if _, _, err := asks(front, "a.example", ca); err == nil || !strings.Contains(err.Error(), "internal error") {
			t.Errorf("with nobody behind: %v", err)
		}
		if _, got, err := asks(front, "x.b.example", ca); err != nil || got != "*.b.example" {
			t.Errorf("another name: %q, %v", got, err)
		}
		if m := scrape(t, s); m.Shed("upstream-connect")+m.Shed("no-upstream") == 0 || m.Shed("upstream-reset") != 1 {
			t.Error("not counted")
		}
		a.start(t)
		lab.Eventually(t, patience, "served again", func() bool {
			c, _, err := asks(front, "a.example", ca)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
	})
	s.Alive(t)
}

func connsOf(b *behindTLS) []net.Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// firstBytes is what a Go client sends first.
func firstBytes(t *testing.T, name string) string {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		client.Close()
	}()
	b := make([]byte, 4096)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestPassthroughBetweenProxies has a PROXY header in front, and one behind.
func TestPassthroughBetweenProxies(t *testing.T) {
	ca := lab.NewAuthority()
	ports := lab.FreePorts(t, 2)
	a := startBehindTLS(t, ca, ports[1], "a.example", true)
	s := lab.Start(t, nil, "-listen", "tls-passthrough://"+ports[0]+"?to=a.example="+a.addr+"&proxy-from=127.0.0.1&proxy-to=v2")
	raw, err := net.Dial("tcp", ports[0])
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	io.WriteString(raw, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
	line, err := bufio.NewReader(tls.Client(raw, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool})).ReadString('\n')
	if err != nil || line != "a.example\n" {
		t.Fatalf("%q, %v", line, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if fmt.Sprint(a.sources) != "[192.0.2.7:4711]" {
		t.Errorf("the server is told of %v", a.sources)
	}
	s.Alive(t)
}

// TestPassthroughBySNI has names stand for their servers themselves: localhost is the only one that
// can be found everywhere, and it is private.
func TestPassthroughBySNI(t *testing.T) {
	ca := lab.NewAuthority()
	ports := lab.FreePorts(t, 3)
	back := startBehindTLS(t, ca, ports[2], "localhost", false)
	_, port, _ := net.SplitHostPort(back.addr)
	s := lab.Start(t, nil, "-listen", "tls-passthrough://"+ports[0]+"?to=sni&names=localhost,*.localhost&sni-private=1&sni-port="+port,
		"-listen", "tls-passthrough://"+ports[1]+"?to=sni&names=localhost&sni-port="+port)
	if _, got, err := asks(ports[0], "localhost", ca); err != nil || got != "localhost" {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := asks(ports[1], "localhost", ca); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("a name that leads inside is followed: %v", err)
	}
	if _, _, err := asks(ports[0], "a.example", ca); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that is not listed: %v", err)
	}
	var worse *tls.CertificateVerificationError
	if _, _, err := asks(ports[0], "x.localhost", ca); err == nil || !errors.As(err, &worse) && !strings.Contains(err.Error(), "internal error") {
		t.Errorf("a name below a star, found or not: %v", err)
	}
	s.Alive(t)
}

// TestPassthroughToOpenSSL has curl talk to openssl s_server.
func TestPassthroughToOpenSSL(t *testing.T) {
	openssl, curl := lab.Need(t, "openssl"), lab.Need(t, "curl")
	ca := lab.NewAuthority()
	ports := lab.FreePorts(t, 2)
	cert, key := ca.Files(t, "a.example")
	_, port, _ := net.SplitHostPort(ports[1])
	server := exec.Command(openssl, "s_server", "-accept", port, "-cert", cert, "-key", key, "-www", "-quiet")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	lab.Eventually(t, patience, "openssl listens", func() bool {
		c, err := net.Dial("tcp", ports[1])
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	lab.Start(t, nil, "-listen", "tls-passthrough://"+ports[0]+"?to=a.example="+ports[1])
	_, port, _ = net.SplitHostPort(ports[0])
	out := run(t, curl, "-sS", "--max-time", "60", "--cacert", ca.File(t), "--resolve", "a.example:"+port+":127.0.0.1", "https://a.example:"+port+"/")
	if !strings.Contains(out, "s_server -accept") {
		t.Errorf("curl gets %.300s", out)
	}
}
