package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/internal/lab"
)

// TestEveryAnswerIsCounted asks each service for answers of all kinds, reads them, and finds as many in
// weir_http_answers_total: a service that forgets to count one fails here.
func TestEveryAnswerIsCounted(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/none":
			http.NotFound(w, r)
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(103)
			w.WriteHeader(204)
		case "/gone":
			panic(http.ErrAbortHandler)
		case "/ws":
			c, _, _ := http.NewResponseController(w).Hijack()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			c.Close()
		}
	}))
	defer behind.Close()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub", "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := &doors{users: filepath.Join(t.TempDir(), "users")}
	d.weir(t, "user add -scopes read alice")
	at := map[string]string{}
	listen := []string{"-users", d.users, "-loops", "2"}
	ports := lab.FreePorts(t, 8)
	for i, name := range []string{"hello", "files", "uploads", "relay", "dead", "auth", "few", "hasty"} {
		at[name] = ports[i]
		listen = append(listen, "-listen", "http://"+at[name]+"?name="+name+map[string]string{
			"files": "&list=1&files=" + dir, "uploads": "&max-upload=100&uploads=" + dir,
			"relay": "&to=" + strings.TrimPrefix(behind.URL, "http://"), "dead": "&to=127.0.0.1:1",
			"auth": "&auth=required&scope=/whoami=admin", "few": "&source-frame-rate=1&source-frame-burst=2&max-refusals=1", "hasty": "&first-frame-timeout=1s",
		}[name])
	}
	counted := map[string]float64{} // answers read, by "listener class"
	s := lab.Start(t, nil, listen...)

	const host = " HTTP/1.1\r\nHost: a.example\r\n"
	login := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+password)) + "\r\n"
	for _, c := range []struct {
		listener, send string
		want           string // the statuses, interim ones in brackets
	}{
		{"hello", "GET /" + host + "\r\nHEAD /" + host + "\r\nGET /x" + host + "\r\nPOST /" + host + "\r\nGET /whoami" + host + "Connection: close\r\n\r\n", "200 200 404 405 200"},
		{"hello", "POST /echo" + host + "Content-Length: 2\r\n\r\nhiGET / HTTP/1.0\r\n\r\n", "200 200"},
		{"hello", "POST /echo" + host + "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "[100] 200"},
		{"hello", "nonsense\r\n\r\n", "400"},
		{"hasty", "GET /", "408"},
		{"hello", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
		{"files", "GET /file" + host + "\r\nGET /file" + host + "Range: bytes=2-3\r\n\r\nGET /file" + host + "Range: bytes=1-1,3-4\r\n\r\nGET /file" + host + "Range: bytes=90-\r\n\r\nGET /nope" + host + "Connection: close\r\n\r\n", "200 206 206 416 404"},
		{"files", "GET /file" + host + "If-None-Match: *\r\n\r\nGET /file" + host + "If-Match: \"x\"\r\n\r\nGET /sub" + host + "\r\nGET /sub/" + host + "\r\nDELETE /file" + host + "Connection: close\r\n\r\n", "304 412 301 200 405"},
		{"files", "GET /../../etc/passwd" + host + "Connection: close\r\n\r\n", "4"},
		{"uploads", "PUT /new" + host + "Content-Length: 2\r\n\r\nhiPUT /new" + host + "Content-Length: 2\r\n\r\nhiGET /new" + host + "Connection: close\r\n\r\n", "201 409 405"},
		{"uploads", "PUT /big" + host + "Content-Length: 1000\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 1000), "413"},
		{"uploads", "PUT /slow" + host + "Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "[100] 201"},
		{"relay", "GET /" + host + "\r\nGET /none" + host + "\r\nGET /early" + host + "\r\nTRACE /" + host + "Connection: close\r\n\r\n", "200 404 [103] 204 501"},
		{"relay", "GET /gone" + host + "Connection: close\r\n\r\n", "502"},
		{"relay", "GET /ws" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "101"},
		{"relay", "nonsense\r\n\r\n", "400"},
		{"dead", "GET /" + host + "Connection: close\r\n\r\n", "5"},
		{"auth", "GET /" + host + "\r\nGET /" + host + login + "\r\nGET /whoami" + host + login + "\r\nGET /x" + host + login + "Connection: close\r\n\r\n", "401 200 403 404"},
		{"few", strings.Repeat("GET /"+host+"\r\n", 9), "200 200 429 429"},
	} {
		seen := answersTo(t, at[c.listener], c.send)
		var got []string
		for _, status := range seen {
			text := fmt.Sprint(status)
			if status < 200 && status != 101 {
				text = "[" + text + "]"
			} else {
				counted[c.listener+" "+text[:1]]++
			}
			got = append(got, text)
		}
		if g := strings.Join(got, " "); g != c.want && !(len(c.want) == 1 && len(got) == 1 && strings.HasPrefix(g, c.want)) {
			t.Errorf("%s %q: got %s, want %s", c.listener, c.send, g, c.want)
		}
	}
	m := scrape(t, s)
	for name := range at {
		for class := 1; class <= 5; class++ {
			got, ok := m[fmt.Sprintf(`weir_http_answers_total{class="%dxx",listener=%q}`, class, name)]
			if want := counted[fmt.Sprint(name, " ", class)]; !ok || got != want {
				t.Errorf("%s %dxx: %v are counted, %v were read", name, class, got, want)
			}
		}
	}
}

// answersTo sends text and reads the answers until the connection ends, or speaks another protocol.
func answersTo(t *testing.T, addr, text string) (all []int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, text)
	r := bufio.NewReader(c)
	for i := 0; ; i++ {
		method := "GET"
		if strings.HasPrefix(text, "GET /") && i == 1 && strings.Contains(text, "HEAD /") {
			method = "HEAD"
		}
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return all
		}
		all = append(all, resp.StatusCode)
		if resp.StatusCode == 101 {
			return all
		}
		io.Copy(io.Discard, resp.Body)
	}
}
