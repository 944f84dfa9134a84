package gate

import (
	"net"
	"net/http"
	"net/netip"
	"testing"

	"weir/engine/auth/attempts"
	"weir/guard/mono"
	"weir/guard/source"
)

// TestWhoIsRecalledIsFamiliar: the owner's second address shows a password that need not be hashed, and
// has logged in all the same: a flood must not keep it out when it has to be.
func TestWhoIsRecalledIsFamiliar(t *testing.T) {
	limiter := attempts.New(attempts.Config{})
	r := site(t, 10_000, false, func(w *Web) { w.Limiter = limiter })
	for _, from := range []string{"127.0.0.1", "127.0.9.9"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		client := http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
		src, _ := source.Of(netip.MustParseAddr(from))
		if limiter.Knows(src, "alice", mono.Now()) {
			t.Fatalf("%s is known before it has logged in", from)
		}
		for _, pass := range []string{"wrong", password} {
			var resp *http.Response
			for try := 0; try == 0 || resp.StatusCode == 503 && try < 20; try++ { // what is hashed slowly is waited for long
				req, _ := http.NewRequest("GET", "http://"+r.addr+"/", nil)
				req.SetBasicAuth("alice", pass)
				var err error
				if resp, err = client.Do(req); err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			if ok := pass == password; ok != (resp.StatusCode == 200) || ok != limiter.Knows(src, "alice", mono.Now()) {
				t.Errorf("%s, %s: %d, known %v", from, pass, resp.StatusCode, limiter.Knows(src, "alice", mono.Now()))
			}
		}
	}
}
