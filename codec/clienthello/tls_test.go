package clienthello

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// wire is one end of a connection in memory: it gives in, then the end of the stream, and collects
// what is written.
type wire struct {
	in  *strings.Reader
	out strings.Builder
}

func (w *wire) Read(p []byte) (int, error)       { return w.in.Read(p) }
func (w *wire) Write(p []byte) (int, error)      { return w.out.Write(p) }
func (*wire) Close() error                       { return nil }
func (*wire) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (*wire) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (*wire) SetDeadline(time.Time) error        { return nil }
func (*wire) SetReadDeadline(t time.Time) error  { return nil }
func (*wire) SetWriteDeadline(t time.Time) error { return nil }

// helloOf is what crypto/tls's client sends first.
func helloOf(t testing.TB, config *tls.Config) string {
	t.Helper()
	w := &wire{in: strings.NewReader("")}
	if err := tls.Client(w, config).Handshake(); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return w.out.String()
}

var errEnough = errors.New("the hello was read")

// serverReads gives in to crypto/tls's server and returns what it understood, or nil when it did
// not accept the hello.
func serverReads(in string) (info *tls.ClientHelloInfo) {
	tls.Server(&wire{in: strings.NewReader(in)}, &tls.Config{
		GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
			info = i
			return nil, errEnough
		},
	}).Handshake()
	return info
}

// agrees checks that h says what crypto/tls understood.
func agrees(h Hello, info *tls.ClientHelloInfo) error {
	if string(h.RawServerName) != info.ServerName {
		return fmt.Errorf("name %q, crypto/tls: %q", h.RawServerName, info.ServerName)
	}
	if name := string(h.ServerName); name != "" && name != strings.ToLower(info.ServerName) {
		return fmt.Errorf("host name %q, crypto/tls: %q", name, info.ServerName)
	}
	var alpn []string
	for name := range h.ALPN.All() {
		alpn = append(alpn, string(name))
	}
	if !slices.Equal(alpn, info.SupportedProtos) {
		return fmt.Errorf("ALPN %q, crypto/tls: %q", alpn, info.SupportedProtos)
	}
	for _, name := range alpn {
		if !h.ALPN.Has(name) {
			return fmt.Errorf("%q is not in ALPN %q", name, alpn)
		}
	}
	if ech := slices.Contains(info.Extensions, extECH); ech != h.ECH {
		return fmt.Errorf("ECH %v, crypto/tls: %v", h.ECH, ech)
	}
	version := uint16(0)
	for _, v := range info.SupportedVersions {
		if v>>8 == 3 {
			version = max(version, v)
		}
	}
	if !slices.Contains(info.Extensions, extSupportedVersions) {
		// crypto/tls reports what legacy_version could mean and caps it later; it leaves out SSL 3.0.
		if version = min(version, tls12); version == 0 && h.Version == 0x0300 {
			version = 0x0300
		}
	}
	if version != h.Version {
		return fmt.Errorf("version %04x, crypto/tls: %04x", h.Version, version)
	}
	return nil
}

// echConfigs is a list of one ECHConfig with a fresh X25519 key (draft-ietf-tls-esni-18, 4).
func echConfigs(t testing.TB, publicName string) []byte {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	config := "\x07" + u16(0x0020) + vec(2, string(key.PublicKey().Bytes())) +
		vec(2, u16(0x0001)+u16(0x0001)) + "\x20" + vec(1, publicName) + vec(2, "")
	return []byte(vec(2, u16(0xfe0d)+vec(2, config)))
}

// clients are configurations of crypto/tls and the beginning of what feed says of their hellos.
func clients(t testing.TB) []struct {
	why, want string
	config    *tls.Config
} {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("protocol-%03d", i)
	}
	long := strings.Repeat("a.", 126) + "a"
	return []struct {
		why, want string
		config    *tls.Config
	}{
		{"defaults: TLS 1.3 and a post-quantum key share", "0304 example.com to 1", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com"}},
		{"capitals", "0304 example.com to 1", &tls.Config{InsecureSkipVerify: true, ServerName: "EXAMPLE.com"}},
		{"no name", "0304 to 1", &tls.Config{InsecureSkipVerify: true}},
		{"an address is no name", "0304 to 1", &tls.Config{InsecureSkipVerify: true, ServerName: "127.0.0.1"}},
		{"the longest name", "0304 " + long + " to 1", &tls.Config{InsecureSkipVerify: true, ServerName: long}},
		{"a name that is none", `0304 raw "a b" to 1`, &tls.Config{InsecureSkipVerify: true, ServerName: "a b"}},
		{"ALPN", `0304 example.com alpn "h2" alpn "http/1.1" to 1`, &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", NextProtos: []string{"h2", "http/1.1"}}},
		{"much ALPN", `0304 example.com alpn "protocol-000" alpn "protocol-001" `, &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", NextProtos: many}},
		{"TLS 1.2 alone", "0303 example.com to ", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MaxVersion: tls.VersionTLS12}},
		{"TLS 1.0 alone", "0301 example.com to ", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
		{"TLS 1.0 to 1.3", "0304 example.com to ", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MinVersion: tls.VersionTLS10}},
		{"TLS 1.3 alone", "0304 example.com to ", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", MinVersion: tls.VersionTLS13}},
		{"a small key share", "0304 example.com to 2", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", CurvePreferences: []tls.CurveID{tls.X25519}}},
		{"P-521", "0304 example.com to 3", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", CurvePreferences: []tls.CurveID{tls.CurveP521}}},
		{"ML-KEM-1024", "0304 example.com to 1", &tls.Config{InsecureSkipVerify: true, ServerName: "example.com", CurvePreferences: []tls.CurveID{tls.SecP384r1MLKEM1024}}},
		{"ECH: the name is the front's", "0304 front.example ech to 1", &tls.Config{InsecureSkipVerify: true, ServerName: "secret.example", MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: echConfigs(t, "front.example")}},
	}
}

func TestHellosOfCryptoTLS(t *testing.T) {
	for _, c := range clients(t) {
		in := helloOf(t, c.config)
		got, _ := feed(t, 0, in)
		if !strings.HasPrefix(got, c.want) || !strings.HasSuffix(got, fmt.Sprintf(" to %d", len(in))) {
			t.Errorf("%s: %s, want %s of %d", c.why, got, c.want, len(in))
		}
		sameHoweverSplit(t, 0, in, got, c.why)
		m := in[5:]
		for _, cut := range []string{in, every(1, m), every(100, m), records(m, 3, 60)} {
			var d Decoder
			d.Decode([]byte(cut))
			info := serverReads(cut)
			if info == nil {
				t.Fatalf("%s: crypto/tls does not read its own hello", c.why)
			}
			if err := agrees(d.Hello(), info); err != nil {
				t.Errorf("%s: %v", c.why, err)
			}
		}
	}
}

// A session that is resumed sends its ticket and pre_shared_key, after a real handshake.
func TestHelloOfAResumedSession(t *testing.T) {
	cert := selfSigned(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := &tls.Config{ServerName: "example.com", InsecureSkipVerify: true, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
		l, err := net.Listen("tcp", "127.0.0.1:0") // net.Pipe has no buffer: both ends would write
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			far, err := l.Accept()
			if err != nil {
				done <- err
				return
			}
			server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}})
			_, err = io.WriteString(server, "hello")
			done <- errors.Join(err, server.Close())
		}()
		client, err := tls.Dial("tcp", l.Addr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(client); err != nil { // takes the ticket too
			t.Fatal(err)
		}
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Fatal(err)
		}
		client.Close() // may find the server gone
		in := helloOf(t, config)
		if got, _ := feed(t, 0, in); got != fmt.Sprintf("%04x example.com to %d", version, len(in)) {
			t.Errorf("%04x: %s", version, got)
		}
		var d Decoder
		d.Decode([]byte(in))
		info := serverReads(in)
		if info == nil {
			t.Fatalf("%04x: not accepted", version)
		}
		if err := agrees(d.Hello(), info); err != nil {
			t.Errorf("%04x: %v", version, err)
		}
		if resumed := slices.Contains(info.Extensions, extPreSharedKey); resumed != (version == tls.VersionTLS13) {
			t.Errorf("%04x: pre_shared_key %v", version, resumed)
		}
	}
}

// captures are hellos of other clients, as testdata keeps them: a comment, then hexadecimal.
func captures(t testing.TB) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(paths) == 0 {
		t.Fatal(err, paths)
	}
	all := map[string]string{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, digits, _ := strings.Cut(string(text), "\n")
		b, err := hex.DecodeString(strings.ReplaceAll(digits, "\n", ""))
		if err != nil {
			t.Fatal(path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".hex")] = string(b)
	}
	return all
}

func TestCapturedHellos(t *testing.T) {
	long := ""
	for i := range 60 {
		long += fmt.Sprintf(` alpn "protocol-%02d"`, i)
	}
	want := map[string]string{
		"openssl-tls13":     `0304 example.com alpn "h2" alpn "http/1.1"`,
		"openssl-tls12":     "0303 example.com",
		"openssl-tls10":     "0301 example.com",
		"openssl-noname":    "0304",
		"openssl-ip":        `0304 raw "127.0.0.1"`,
		"openssl-fragments": "0304 example.com" + long,
		"curl-h2":           `0304 www.example.com alpn "h2" alpn "http/1.1"`,
	}
	all := captures(t)
	if len(all) != len(want) {
		t.Errorf("%d captures, %d expected", len(all), len(want))
	}
	for name, in := range all {
		sameHoweverSplit(t, 0, in, fmt.Sprintf("%s to %d", want[name], len(in)), name)
		var d Decoder
		d.Decode([]byte(in))
		if info := serverReads(in); info == nil {
			t.Errorf("%s: not accepted by crypto/tls", name)
		} else if err := agrees(d.Hello(), info); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
