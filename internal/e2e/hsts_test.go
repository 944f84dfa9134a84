package e2e

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"weir/internal/lab"
)

// TestOnlyTLSSaysThatTLSIsToBeUsed gives -hsts to all listeners, of which one is plain.
func TestOnlyTLSSaysThatTLSIsToBeUsed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	ports := lab.FreePorts(t, 3)
	s := lab.Start(t, nil, "-tls-self-signed", freeHandshakes, "-files", dir, "-hsts", "1h", "-listen", "http://"+ports[0], "-listen", "https://"+ports[1], "-listen", "https://"+ports[2]+"?hsts=0")
	client := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for url, want := range map[string]string{"http://" + ports[0]: "", "https://" + ports[1]: "max-age=3600", "https://" + ports[2]: ""} {
		resp, err := client.Get(url + "/a")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Strict-Transport-Security"); resp.StatusCode != 200 || got != want {
			t.Errorf("%s: %s, %q; want %q", url, resp.Status, got, want)
		}
	}
	s.Alive(t)
}
