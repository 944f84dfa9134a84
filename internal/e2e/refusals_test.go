package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestRefusalsKeepTheConnection asks each service of HTTP for more than it may have: what is refused is
// refused on the connection that there is, as often as -max-refusals says.
func TestRefusalsKeepTheConnection(t *testing.T) {
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "well") })}
	go srv.Serve(behind)
	defer srv.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte("<p>hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &doors{users: filepath.Join(t.TempDir(), "users")}
	d.weir(t, "user add alice")
	ca := lab.NewAuthority()
	cert, key := ca.Files(t, "a.example")
	at := lab.FreePorts(t, 6)
	s := lab.Start(t, nil, "-max-refusals", "20", "-source-frame-rate", "1", "-source-frame-burst", "5", "-users", d.users, "-auth-plain",
		"-cert", cert, "-key", key, freeHandshakes,
		"-listen", "http://"+at[0]+"?name=hello", "-listen", "https://"+at[1]+"?name=tls",
		"-listen", "http://"+at[2]+"?name=files&files="+dir, "-listen", "http://"+at[3]+"?name=relay&to="+behind.Addr().String(),
		"-listen", "http://"+at[4]+"?name=auth&auth=required", "-listen", "http://"+at[5]+"?name=once&max-refusals=0")
	for i, tt := range []struct {
		name       string
		first      int // status while there are tokens
		most, from int // refusals, and how many are admitted at least
	}{
		{"hello", 200, 21, 5}, {"tls", 200, 21, 5}, {"files", 200, 21, 5}, {"relay", 200, 21, 5}, {"auth", 401, 21, 5}, {"once", 200, 1, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 5, byte(i+1))}} // each with tokens of its own
			c, err := from.Dial("tcp", at[i])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			if tt.name == "tls" {
				c = tls.Client(c, &tls.Config{ServerName: "a.example", RootCAs: ca.Pool})
			}
			begun := time.Now()
			ask := func() { io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", 60)) }
			go ask()
			r := bufio.NewReader(c)
			seen := map[int]int{}
			for n := 1; ; n++ {
				if n%60 == 50 {
					go ask()
				}
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					if err != io.EOF && err != io.ErrUnexpectedEOF {
						t.Error(err)
					}
					break
				}
				io.Copy(io.Discard, resp.Body)
				seen[resp.StatusCode]++
				if resp.Close != (seen[429] == tt.most) {
					t.Fatalf("%v said to be the last after %v", resp.Close, seen)
				}
			}
			// A token comes each second, and who is admitted may be refused as often again.
			most := tt.from + 1 + int(time.Since(begun).Seconds())
			if seen[tt.first] < tt.from || seen[tt.first] > most || seen[429] < tt.most || seen[429] > tt.most*(seen[tt.first]-tt.from+1) {
				t.Errorf("%v, at most %d are admitted", seen, most)
			}
			if n := scrape(t, s)[fmt.Sprintf(`weir_accepted_total{listener=%q}`, tt.name)]; n != 1 {
				t.Errorf("%v connections", n)
			}
		})
	}
}
