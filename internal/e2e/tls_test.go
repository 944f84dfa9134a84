package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/lab"
)

// secure is a server that also speaks TLS, with a certificate of an authority of the test's for
// localhost.
type secure struct {
	*lab.Server
	https, frames string // host:port
	ca            *lab.Authority
	caFile        string
	cert, key     string // files
}

// freeHandshakes has nobody pay for handshakes: what they cost is measured by the wall's clock, which on a busy machine
// is anything.
const freeHandshakes = "-source-handshake-rate=0"

func startTLS(t testing.TB, flags ...string) *secure {
	t.Helper()
	s := &secure{ca: lab.NewAuthority()}
	s.caFile = s.ca.File(t)
	s.cert, s.key = s.ca.Files(t, "localhost")
	ports := lab.FreePorts(t, 2)
	s.https, s.frames = ports[0], ports[1]
	s.Server = lab.Start(t, nil, append([]string{
		"-listen", "https://" + s.https, "-listen", "frames+tls://" + s.frames, "-cert", s.cert, "-key", s.key,
	}, flags...)...)
	return s
}

// url is the https listener by the name that its certificate has.
func (s *secure) url() string {
	_, port, _ := net.SplitHostPort(s.https)
	return "https://localhost:" + port
}

func (s *secure) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: s.ca.Pool, ServerName: "localhost"}
}

func TestCurlOverTLS(t *testing.T) {
	lab.Need(t, "curl")
	s := startTLS(t, freeHandshakes, "-max-body", "8MiB")
	body := bytes.Repeat([]byte("0123456789abcdef"), 256<<10) // 4 MiB
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(args ...string) string {
		out, _ := exec.Command("curl", append([]string{"-m", "60", "--noproxy", "*", "--cacert", s.caFile}, args...)...).CombinedOutput()
		return string(out)
	}
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"TLS 1.3 and HTTP/1.1 by ALPN", []string{"-sv", s.url() + "/"}, "ALPN: server accepted http/1.1"},
		{"the certificate is good", []string{"-sv", s.url() + "/"}, "SSL certificate verify ok"},
		{"TLS 1.2", []string{"-sv", "--tls-max", "1.2", s.url() + "/"}, "SSL connection using TLSv1.2"},
		{"it is seen by the service", []string{"-s", s.url() + "/whoami"}, `"server_name": "localhost"`},
		{"two requests, one connection", []string{"-sv", s.url() + "/", s.url() + "/whoami"}, "Re-using existing"},
		{"HEAD", []string{"-sI", s.url() + "/"}, "Content-Length: 13"},
		{"a body that is too large", []string{"-si", "-H", "Content-Length: 99999999", "-X", "POST", "-d", "x", s.url() + "/echo"}, "HTTP/1.1 413"},
		{"TLS 1.1 is refused", []string{"-sv", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", s.url() + "/"}, "alert protocol version"},
	} {
		if out := curl(c.args...); !strings.Contains(strings.ToLower(out), strings.ToLower(c.want)) {
			t.Errorf("%s: no %q in\n%s", c.why, c.want, out)
		}
	}
	want := sha256.Sum256(body)
	for _, version := range []string{"1.2", "1.3"} {
		for why, args := range map[string][]string{
			"with Expect": {"-H", "Expect: 100-continue"}, "at once": {"-H", "Expect:"}, "chunked": {"-H", "Transfer-Encoding: chunked"},
		} {
			out, err := exec.Command("curl", append(args, "-sS", "-m", "60", "--noproxy", "*", "--cacert", s.caFile, "--tls-max", version, "--data-binary", "@"+file, s.url()+"/echo")...).Output()
			if err != nil || sha256.Sum256(out) != want {
				t.Errorf("4 MiB over TLS %s, %s: %d bytes came back, %v", version, why, len(out), err)
			}
		}
	}
	if out := curl("-si", strings.Replace(s.url(), "https", "http", 1)+"/"); strings.Contains(out, "200") {
		t.Errorf("plain HTTP on the TLS port: %s", out)
	}
	s.Alive(t)
}

// sClient is openssl s_client under the test's control: what is sent to it, and what it says.
type sClient struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	all strings.Builder
}

func (s *secure) openssl(t testing.TB, args ...string) *sClient {
	t.Helper()
	c := &sClient{t: t, cmd: exec.Command(lab.Need(t, "openssl"), append([]string{"s_client", "-connect", s.frames, "-servername", "localhost", "-CAfile", s.caFile, "-verify_return_error"}, args...)...)}
	c.in, _ = c.cmd.StdinPipe()
	out, _ := c.cmd.StdoutPipe()
	c.cmd.Stderr = c.cmd.Stdout
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(2*patience, func() { c.cmd.Process.Kill() })
	t.Cleanup(func() { timer.Stop(); c.in.Close(); c.cmd.Process.Kill(); c.cmd.Wait() })
	return c
}

// until reads what openssl says up to and including a text.
func (c *sClient) until(text string) string {
	c.t.Helper()
	said, err := c.says(text)
	if err != nil {
		c.t.Fatalf("openssl ended before it said %q:\n%s", text, c.all.String())
	}
	return said
}

// says is until, for an openssl that may end before.
func (c *sClient) says(text string) (string, error) {
	begin := c.all.Len()
	for !strings.Contains(c.all.String()[begin:], text) {
		b, err := c.out.ReadByte()
		if err != nil {
			return "", err
		}
		c.all.WriteByte(b)
	}
	return c.all.String()[begin:], nil
}

// frame sends a frame with a line of text, and waits for its echo.
func (c *sClient) frame(text string) {
	c.t.Helper()
	payload := text + "\n" // openssl sends its input by lines
	io.WriteString(c.in, string(binary.BigEndian.AppendUint32(nil, uint32(len(payload))))+payload)
	c.until(text)
}

func TestOpenSSL(t *testing.T) {
	s := startTLS(t, freeHandshakes)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		c := s.openssl(t, version)
		if said := c.until("Verify return code: 0 (ok)"); !strings.Contains(said, "Protocol  : "+map[string]string{"-tls1_2": "TLSv1.2", "-tls1_3": "TLSv1.3"}[version]) && version == "-tls1_2" {
			t.Errorf("%s: %s", version, said)
		}
		c.frame("hello")
		c.frame("again")
	}

	session := filepath.Join(t.TempDir(), "session")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		c := s.openssl(t, version, "-sess_out", session)
		c.until("Verify return code: 0 (ok)")
		c.frame("first") // a ticket of TLS 1.3 has come by then
		c.in.Close()
		c.cmd.Wait()
		c = s.openssl(t, version, "-sess_in", session)
		c.until("Reused, ")
		c.frame("resumed")
	}
	m := scrape(t, s.Server)
	if m[`weir_tls_handshakes_total{resumed="true",version="1.2"}`] != 1 || m[`weir_tls_handshakes_total{resumed="true",version="1.3"}`] != 1 {
		t.Errorf("resumptions are not counted: %v", m)
	}

	c := s.openssl(t, "-tls1_3")
	c.until("Verify return code: 0 (ok)")
	for range 5 {
		io.WriteString(c.in, "K\n") // new keys, and the server is to change its own
		c.until("KEYUPDATE")
		time.Sleep(50 * time.Millisecond)
		c.frame("after new keys")
		io.WriteString(c.in, "k\n")
		c.until("KEYUPDATE")
		time.Sleep(50 * time.Millisecond)
		c.frame("and again")
	}

	c = s.openssl(t, "-tls1_2")
	c.until("Verify return code: 0 (ok)")
	io.WriteString(c.in, "R\n")
	c.until("RENEGOTIATING")
	out, _ := io.ReadAll(c.out)
	if !bytes.Contains(out, []byte("no renegotiation")) && !bytes.Contains(out, []byte("unexpected message")) && !bytes.Contains(out, []byte("alert")) {
		t.Errorf("renegotiation: %s", out)
	}
	s.Alive(t)
}

// A peer that changes its keys all the time is cut, also when there is data in between; who does it
// now and then is not (TestOpenSSL).
func TestKeyUpdateFlood(t *testing.T) {
	s := startTLS(t, freeHandshakes)
	for _, between := range []string{"", "\x00\x00\x00\x02x\n"} {
		before := scrape(t, s.Server)
		c := s.openssl(t, "-tls1_3")
		c.until("Verify return code: 0 (ok)")
		for range 60 { // openssl takes what it reads at once for one command, or for data
			io.WriteString(c.in, "K\n")
			if _, err := c.says("KEYUPDATE"); err != nil {
				break
			}
			if io.WriteString(c.in, between); between == "" {
				continue
			}
			if _, err := c.says("x\n"); err != nil {
				break
			}
		}
		shed := func(m lab.Metrics) float64 {
			if between != "" { // crypto/tls counts only those in a row
				return m.Shed("tls-records")
			}
			return m.Shed("tls-records") + m.Shed("tls")
		}
		lab.Eventually(t, patience, "it is shed and its connection closed", func() bool {
			m := scrape(t, s.Server)
			return shed(m) == shed(before)+1 && m["weir_connections"] == 0
		})
	}
	s.Alive(t)
}

func TestClientCertificates(t *testing.T) {
	ca := lab.NewAuthority()
	s := startTLS(t, freeHandshakes, "-tls-client-ca", ca.File(t))
	alice := ca.Issue("alice.example")
	stranger := lab.NewAuthority().Issue("mallory.example")
	ask := func(version uint16, certs ...tls.Certificate) (string, error) {
		cfg := s.clientConfig()
		cfg.MinVersion, cfg.MaxVersion, cfg.Certificates = version, version, certs
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}, Timeout: patience}
		resp, err := client.Get(s.url() + "/whoami")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		if said, err := ask(version, alice); err != nil || !strings.Contains(said, `"client": "alice.example"`) {
			t.Errorf("%s: %s, %v", tls.VersionName(version), said, err)
		}
		if _, err := ask(version); err == nil {
			t.Errorf("%s: served without a certificate", tls.VersionName(version))
		}
		if _, err := ask(version, stranger); err == nil {
			t.Errorf("%s: served a stranger", tls.VersionName(version))
		}
	}
	cert, key := ca.Files(t, "bob.example")
	c := s.openssl(t, "-cert", cert, "-key", key)
	c.until("Verify return code: 0 (ok)")
	c.frame("from bob")
	lab.Eventually(t, patience, "the refusals are counted", func() bool { return scrape(t, s.Server).Shed("tls") >= 4 })
}

func TestPythonOverTLS(t *testing.T) {
	s := startTLS(t, freeHandshakes)
	_, port, _ := net.SplitHostPort(s.frames)
	out := run(t, "python3", "-c", `
import socket, ssl, struct, sys
ca, port = sys.argv[1], int(sys.argv[2])
for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
    ctx = ssl.create_default_context(cafile=ca)
    ctx.minimum_version = ctx.maximum_version = version
    with ctx.wrap_socket(socket.create_connection(("127.0.0.1", port), 60), server_hostname="localhost") as c:
        for n in (1, 1000, 16385, 1 << 20):
            data = bytes(range(256)) * (n // 256 + 1)
            c.sendall(struct.pack(">I", n) + data[:n])
            got = b""
            while len(got) < n + 4:
                piece = c.recv(65536)
                assert piece, "ended early"
                got += piece
            assert got == struct.pack(">I", n) + data[:n], n
        c.unwrap()  # close_notify both ways
        print(c.version(), "ok")
`, s.caFile, port)
	if strings.Count(out, "ok") != 2 {
		t.Error(out)
	}
}

// sslscan finds nothing below TLS 1.2 and no weak cipher.
func TestSSLScan(t *testing.T) {
	lab.Need(t, "sslscan")
	s := startTLS(t, "-profile", "bench")
	out := run(t, "sslscan", "--no-colour", "--no-heartbleed", "--timeout=30", s.https)
	for _, want := range []string{"SSLv2     disabled", "SSLv3     disabled", "TLSv1.0   disabled", "TLSv1.1   disabled", "TLSv1.2   enabled", "TLSv1.3   enabled"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	ciphers := 0
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "Preferred ") && !strings.HasPrefix(line, "Accepted ") {
			continue
		}
		ciphers++
		for _, weak := range []string{"RC4", "DES", "CBC", "NULL", "EXP", "MD5", "SHA ", "-SHA\n", "anon", "TLSv1.0", "TLSv1.1"} {
			if strings.Contains(line, weak) {
				t.Errorf("weak: %s", line)
			}
		}
		if strings.Contains(line, "TLSv1.2") && !strings.Contains(line, "ECDHE") {
			t.Errorf("without forward secrecy: %s", line)
		}
	}
	if ciphers < 4 {
		t.Errorf("only %d ciphers were found:\n%s", ciphers, out)
	}
	s.Alive(t)
}

// TestCertificatesAreReloaded replaces the files under load: nobody is dropped, a bad pair is told of
// and ignored, SIGHUP is as good as waiting.
func TestCertificatesAreReloaded(t *testing.T) {
	s := startTLS(t, freeHandshakes, "-source-conn-rate", "0", "-idle-timeout", "10m")
	serialNow := func() string {
		c, err := tls.Dial("tcp", s.frames, s.clientConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	kept, err := tls.Dial("tcp", s.frames, s.clientConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	lives := func() {
		t.Helper()
		frame := append(binary.BigEndian.AppendUint32(nil, 4), "kept"...)
		kept.SetDeadline(time.Now().Add(patience))
		kept.Write(frame)
		got := make([]byte, len(frame))
		if _, err := io.ReadFull(kept, got); err != nil || !bytes.Equal(got, frame) {
			t.Errorf("the connection from before: %q, %v", got, err)
		}
	}
	lives() // its first frame is due soon
	first := serialNow()
	install := func(cert, key string) {
		for from, to := range map[string]string{cert: s.cert, key: s.key} {
			b, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to+".new", b, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(to+".new", to); err != nil {
				t.Fatal(err)
			}
		}
	}
	cert, key := s.ca.Files(t, "localhost")
	install(cert, key)
	s.Signal(t, syscall.SIGHUP)
	lab.Eventually(t, patience, "the new certificate is shown", func() bool { return serialNow() != first })
	second := serialNow()

	// A look between two files may have found a bad pair already.
	failures := func() int { return strings.Count(s.Log(), "certificate_reload_failed") }
	failed := failures()
	cert, _ = s.ca.Files(t, "localhost")
	install(cert, key) // the key of another one
	s.Signal(t, syscall.SIGHUP)
	lab.Eventually(t, patience, "the bad pair is told of", func() bool { return failures() > failed })
	if got := serialNow(); got != second {
		t.Errorf("a bad pair replaced a good one: %s", got)
	}

	cert, key = s.ca.Files(t, "localhost")
	install(cert, key) // and nobody says so
	lab.Eventually(t, patience, "the change is noticed", func() bool { return serialNow() != second })

	lives()
}

// TestIdleTLSConnectionsAreSmall holds 5,000 TLS 1.3 connections that have had an answer.
func TestIdleTLSConnectionsAreSmall(t *testing.T) {
	n := 5_000
	if testing.Short() {
		n = 1_000
	}
	s := startTLS(t, "-profile", "bench", "-first-frame-timeout", "0", "-idle-timeout", "10m")
	cfg := s.clientConfig()
	ask := func() net.Conn {
		c, err := tls.Dial("tcp", s.frames, cfg)
		if err != nil {
			t.Fatal(err)
		}
		frame := append(binary.BigEndian.AppendUint32(nil, 5), "hello"...)
		c.Write(frame)
		if _, err := io.ReadFull(c, make([]byte, len(frame))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	for range 100 { // what is made once
		ask().Close()
	}
	warm := scrape(t, s.Server)
	before := s.RSS(t)
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range n {
		conns = append(conns, ask())
	}
	lab.Eventually(t, patience, "all are open", func() bool { return scrape(t, s.Server)["weir_connections"] == float64(n) })
	resident := func() float64 { return float64(s.RSS(t)-before) / float64(n) }
	atOnce := resident()
	limit := time.Now().Add(patience)
	for resident() > 11<<10 && time.Now().Before(limit) { // the server gives back what handshakes left
		time.Sleep(100 * time.Millisecond)
	}
	each, m := resident(), scrape(t, s.Server)
	heap := (m["go_memstats_heap_inuse_bytes"] - warm["go_memstats_heap_inuse_bytes"]) / float64(n)
	t.Logf("%d idle TLS connections: %.0f B of resident memory each, %.0f at once, %.0f B of heap; %v goroutines", n, each, atOnce, heap, m["go_goroutines"])
	if each > 11<<10 {
		t.Errorf("%.0f B each", each)
	}
	if m["go_goroutines"] > warm["go_goroutines"]+10 {
		t.Errorf("%v goroutines, %v before", m["go_goroutines"], warm["go_goroutines"])
	}
}

// The floods that aim at TLS, from one source and from 200, each in a network of its own: the good
// clients, on a plain and on a TLS connection, and newcomers, hardly notice.
func TestTLSFloods(t *testing.T) {
	for _, attack := range []string{
		"tls-hello?rate=5000&sources=1&conns=5000", "tls-hello?rate=5000&sources=200&per-net=1&conns=10000",
		"tls-handshake?rate=3000&sources=200&per-net=1", "tls-dribble?conns=2000&sources=200&per-net=1&interval=100ms",
	} {
		s := startTLS(t)
		fds := s.Descriptors(t)
		for _, target := range []string{"http://" + s.HTTP + "/", "https://" + s.https + "/"} {
			args := []string{"siege", "-target", "https://" + s.https + "/", "-good-target", target, "-attack", attack, "-rate", "200", "-newcomers", "20",
				"-before", "1s", "-during", "4s", "-after", "1s", "-metrics", "http://" + s.Admin + "/metrics"}
			t.Logf("good client on %s", target)
			besiege(t, args, nil)
		}
		lab.Eventually(t, patience, "descriptors are back where they were", func() bool { return s.Descriptors(t) <= fds+2 })
		lab.Eventually(t, patience, "nobody is unproven, no handshake is open", func() bool {
			m := scrape(t, s.Server)
			return m["weir_unproven_connections"] == 0 && m["weir_tls_handshakes_open"] == 0
		})
		s.Alive(t)
	}
}

// TestProxySpoof: forged PROXY headers are counted for who sent them; a proxy that may send them is
// believed, as curl and haproxy write them.
func TestProxySpoof(t *testing.T) {
	port := lab.FreePorts(t, 1)[0]
	s := lab.Start(t, nil, "-listen", "http://"+port+"?name=edge&proxy-from=127.0.0.1", "-source-conn-rate", "0")
	for _, version := range []string{"1", "2"} {
		before := scrape(t, s)
		out := run(t, lab.Command(t, "bench"), "attack", "proxy-spoof", "-target", "http://"+port+"/", "-version", version,
			"-sources", "20", "-rate", "500", "-total", "500", "-duration", "30s")
		if m := scrape(t, s); m.Shed("proxy-spoof")-before.Shed("proxy-spoof") != 500 || !strings.Contains(out, " 0 good replies") {
			t.Errorf("version %s: %v refused:\n%s", version, m.Shed("proxy-spoof")-before.Shed("proxy-spoof"), out)
		}
	}
	if out := run(t, "curl", "-s", "--noproxy", "*", "--haproxy-protocol", "http://"+port+"/whoami"); !strings.Contains(out, `"source": "127.0.0.1/32"`) {
		t.Errorf("curl: %s", out)
	}

	haproxy := lab.Need(t, "haproxy")
	for _, send := range []string{"send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"} {
		front := lab.FreePorts(t, 1)[0]
		file := filepath.Join(t.TempDir(), "haproxy.cfg")
		os.WriteFile(file, fmt.Appendf(nil, "defaults\n mode tcp\n timeout connect 60s\n timeout client 60s\n timeout server 60s\nlisten front\n bind %s\n server weir %s %s\n", front, port, send), 0o600)
		cmd := exec.Command(haproxy, "-db", "-f", file)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		lab.Eventually(t, patience, "haproxy listens", func() bool {
			c, err := net.Dial("tcp", front)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 7, 7)}}).DialContext}}
		resp, err := client.Get("http://" + front + "/whoami")
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if !strings.Contains(string(b), `"source": "127.0.7.7/32"`) {
			t.Errorf("%s: %s", send, b)
		}
	}
	s.Alive(t)
}
