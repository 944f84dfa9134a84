// Package pebble is for tests: it runs Pebble, Let's Encrypt's small ACME server, on free ports of
// 127.0.0.1, with a DNS server beside it for which every name is 127.0.0.1. Its certificates are good
// for nothing else. Nothing but tests imports it.
package pebble

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weir/internal/lab"
)

// CA is a running Pebble.
type CA struct {
	// Directory is the URL of its directory, CAFile the root that its own certificate is checked
	// against: -acme-directory and -acme-ca.
	Directory, CAFile string

	manage string // HOST:PORT
	client *http.Client
	cmds   []*exec.Cmd
	log    lab.Buffer
	once   sync.Once
}

// Start runs a Pebble that validates domains at address, 127.0.0.1:PORT, until the test ends. The names in
// refuse it issues nothing for. The test is skipped where Pebble is not installed, and fails in CI.
func Start(t testing.TB, address string, refuse ...string) *CA {
	t.Helper()
	server, dns := lab.Need(t, "pebble"), lab.Need(t, "pebble-challtestsrv")
	dir := t.TempDir()
	free := lab.FreePorts(t, 4)
	c := &CA{Directory: "https://" + free[0] + "/dir", CAFile: filepath.Join(dir, "ca.pem"), manage: free[1]}
	roots := c.makeCertificate(t, dir)
	c.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}

	config := map[string]any{"pebble": map[string]any{
		"listenAddress": free[0], "managementListenAddress": free[1],
		"certificate": c.CAFile, "privateKey": filepath.Join(dir, "ca.key"),
		"httpPort": 1, "tlsPort": portNumber(t, address), "domainBlocklist": refuse, "keyAlgorithm": "ecdsa",
		"retryAfter": map[string]int{"authz": 1, "order": 1},
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(t, dns, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dnsserver", free[2], "-management", free[3],
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	c.run(t, server, "-config", file, "-dnsserver", free[2])
	t.Cleanup(func() {
		c.Stop()
		if t.Failed() {
			t.Logf("pebble said:\n%s", c.log.String())
		}
	})
	lab.Eventually(t, 20*time.Second, "pebble answers", func() bool {
		resp, err := c.client.Get(c.Directory)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == 200
	})
	return c
}

// Roots are what its certificates are checked against. They differ each time it starts.
func (c *CA) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	resp, err := c.client.Get("https://" + c.manage + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(content) {
		t.Fatalf("pebble's root: %v", err)
	}
	return pool
}

// Stop ends it, as when a CA is down. The end of the test does that too.
func (c *CA) Stop() {
	c.once.Do(func() {
		for _, cmd := range c.cmds {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

func (c *CA) run(t testing.TB, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1") // it dawdles on purpose
	cmd.Stdout, cmd.Stderr = &c.log, &c.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.cmds = append(c.cmds, cmd)
}

// makeCertificate writes what the directory is served with, and returns it as its own root.
func (c *CA) makeCertificate(t testing.TB, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "pebble's directory"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"ca.pem": {Type: "CERTIFICATE", Bytes: der}, "ca.key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return pool
}

func portNumber(t testing.TB, address string) (n int) {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = fmt.Sscan(port, &n)
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}
