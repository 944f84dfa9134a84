package files

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"weir/engine"
)

func bulk(n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	r.Read(b)
	return string(b)
}

// Files of many sizes arrive whole, plain and over TLS, one after the other on one connection and
// pipelined.
func TestEveryByteArrives(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 100, copyBytes - 1, copyBytes, copyBytes + 1, 48 << 10, 48<<10 + 1, 64 << 10, 200_000, sendBytes, sendBytes + 1, 3<<20 + 7}
	tree := map[string]string{}
	for _, n := range sizes {
		tree[fmt.Sprintf("%d.bin", n)] = bulk(n)
	}
	for _, over := range []string{"plain", "TLS"} {
		t.Run(over, func(t *testing.T) {
			t.Parallel()
			change := func(*engine.Config) {}
			if over == "TLS" {
				change = overTLS
			}
			r := start(t, Config{}, tree, change)
			c := r.dial()
			br := bufio.NewReader(c)
			for range 2 {
				for _, n := range sizes {
					name := fmt.Sprintf("%d.bin", n)
					a, err := exchange(c, br, "GET", "/"+name)
					if err != nil || a.StatusCode != 200 || a.body != tree[name] {
						t.Fatalf("%s: %v %v, %d bytes", name, err, a.Response, len(a.body))
					}
				}
			}
			go func() {
				for range 3 {
					for _, n := range sizes {
						fmt.Fprintf(c, "GET /%d.bin HTTP/1.1\r\nHost: a\r\n\r\nHEAD /%d.bin HTTP/1.1\r\nHost: a\r\n\r\n", n, n)
					}
				}
			}()
			for range 3 {
				for _, n := range sizes {
					name := fmt.Sprintf("%d.bin", n)
					a, err := readAnswer(br, "GET")
					if err != nil || a.StatusCode != 200 || a.body != tree[name] {
						t.Fatalf("pipelined %s: %v %v, %d bytes", name, err, a.Response, len(a.body))
					}
					if a, err = readAnswer(br, "HEAD"); err != nil || a.ContentLength != int64(n) {
						t.Fatalf("HEAD %s: %v %v", name, err, a.Response)
					}
				}
			}
			if n := r.site.Stats(); n.Opened != uint64(len(sizes)) || n.Open != int64(len(sizes)) {
				t.Errorf("%+v", n)
			}
		})
	}
}

// Many small files in one write are answered in order, with few calls.
func TestPipelinedRequests(t *testing.T) {
	t.Parallel()
	tree := map[string]string{}
	for i := range 50 {
		tree[fmt.Sprintf("f%d", i)] = strings.Repeat(fmt.Sprint(i, " "), i)
	}
	r := start(t, Config{}, tree, nil)
	c := r.dial()
	const n = 5000
	go func() {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "GET /f%d HTTP/1.1\r\nHost: a\r\n\r\n", i%50)
		}
		io.WriteString(c, b.String())
	}()
	br := bufio.NewReader(c)
	for i := range n {
		a, err := readAnswer(br, "GET")
		if err != nil || a.body != tree[fmt.Sprintf("f%d", i%50)] {
			t.Fatalf("%d: %v %q", i, err, a.body)
		}
	}
	if w := r.snapshot().Writes; w > n/4 {
		t.Errorf("%d writes for %d answers", w, n)
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Index: "index.html"}, map[string]string{
		"a.html": "hello", "empty": "", "d/index.html": "index", "d/e/": "", "ä b+c;d.txt": "umlaut", "x.js": "js",
		".hidden": "no", "d/.git/config": "no", ".well-known/security.txt": "yes",
	}, nil)
	for _, c := range []struct {
		method, target string
		status         int
		want, why      string
	}{
		{"GET", "/a.html", 200, "hello", ""},
		{"HEAD", "/a.html", 200, "", ""},
		{"GET", "/a.html?x=1#", 400, "", "the parser takes no fragments"},
		{"GET", "/a.html?x=../..", 200, "hello", "a query is not a path"},
		{"GET", "http://weir.test/a.html", 200, "hello", "absolute form"},
		{"GET", "/%61%2Ehtml", 200, "hello", "encoded"},
		{"GET", "/%C3%A4%20b+c;d.txt", 200, "umlaut", "a plus is a plus"},
		{"GET", "/empty", 200, "", ""},
		{"GET", "/", 403, "Forbidden\n", "no index, and listing is off"},
		{"GET", "/d/", 200, "index", ""},
		{"GET", "/d", 301, "Moved Permanently\n", ""},
		{"GET", "/d/e/", 403, "Forbidden\n", ""},
		{"GET", "/a.html/", 404, "Not Found\n", "a file is no directory"},
		{"GET", "/a.html/b", 404, "Not Found\n", ""},
		{"GET", "/nope", 404, "Not Found\n", ""},
		{"HEAD", "/nope", 404, "", ""},
		{"GET", "//a.html", 404, "Not Found\n", "an empty component"},
		{"GET", "/d//index.html", 404, "Not Found\n", ""},
		{"GET", "/.hidden", 404, "Not Found\n", ""},
		{"GET", "/d/.git/config", 404, "Not Found\n", ""},
		{"GET", "/.well-known/security.txt", 200, "yes", ""},
		{"GET", "/./a.html", 400, "Bad Request\n", ""},
		{"GET", "/d/../a.html", 400, "Bad Request\n", "also when it stays inside"},
		{"GET", "/d/%2e%2E/a.html", 400, "Bad Request\n", ""},
		{"GET", "/a.html%00", 400, "Bad Request\n", ""},
		{"GET", "/d%2findex.html", 400, "Bad Request\n", ""},
		{"GET", "/d%5cindex.html", 400, "Bad Request\n", ""},
		{"GET", "/%ff", 400, "Bad Request\n", "not UTF-8"},
		{"GET", "/con.html", 404, "Not Found\n", "a device of Windows"},
		{"GET", "/" + strings.Repeat("x", 256), 404, "Not Found\n", "no name is longer than 255"},
		{"GET", "/" + strings.Repeat("x/", 2001), 414, "URI Too Long\n", "longer than a system call takes"},
		{"POST", "/a.html", 405, "Method Not Allowed\n", ""},
		{"DELETE", "/a.html", 405, "Method Not Allowed\n", ""},
		{"OPTIONS", "*", 405, "Method Not Allowed\n", ""},
		{"get", "/a.html", 405, "Method Not Allowed\n", "methods are case-sensitive"},
	} {
		a := r.ask(c.method, c.target)
		if a.StatusCode != c.status || a.StatusCode != 400 && a.body != c.want {
			t.Errorf("%s %s: %d %q, want %d %q: %s", c.method, c.target, a.StatusCode, a.body, c.status, c.want, c.why)
		}
		if a.StatusCode == 405 && a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: Allow %q", c.target, a.Header.Get("Allow"))
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" && !strings.Contains(c.target, "#") {
			t.Errorf("%s %s: may be sniffed", c.method, c.target)
		}
	}
	a := r.ask("GET", "/a.html")
	if h := a.Header; h.Get("Content-Type") != "text/html; charset=utf-8" || h.Get("Cache-Control") != "no-cache" ||
		h.Get("Last-Modified") != old.UTC().Format(http.TimeFormat) || h.Get("Accept-Ranges") != "bytes" || !strings.HasPrefix(h.Get("Etag"), `"`) || h.Get("Vary") != "" {
		t.Errorf("%v", h)
	}
}

// Where a redirect leads is a path on this host, whatever was asked for.
func TestRedirectsStayHere(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, map[string]string{"d/": "", "a b/ü\"<>/": "", "evil.example/": ""}, nil)
	for target, want := range map[string]string{
		"/d":                             "/d/",
		"/d?q=//x&y=%0d%0a":              "/d/?q=//x&y=%0d%0a",
		"/a%20b":                         "/a%20b/",
		"/a%20b/%C3%BC%22%3C%3E":         "/a%20b/%C3%BC%22%3C%3E/",
		"/evil.example":                  "/evil.example/",
		"//evil.example":                 "",
		"//evil.example/..":              "",
		"/%2fevil.example":               "",
		"/%5cevil.example":               "",
		"/\\evil.example":                "",
		"http://weir.test//evil.example": "",
		"/d%0d%0aX: y":                   "",
	} {
		if a := r.ask("GET", target); a.Header.Get("Location") != want {
			t.Errorf("%s: %d, Location %q, want %q", target, a.StatusCode, a.Header.Get("Location"), want)
		}
	}
}

// A body that comes with a GET is thrown away, and the next request is found behind it.
func TestRequestsWithBodies(t *testing.T) {
	t.Parallel()
	r := start(t, Config{MaxBody: 1000}, map[string]string{"a": "first", "b": bulk(100_000)}, nil)
	c := r.dial()
	br := bufio.NewReader(c)
	for range 2 {
		for _, target := range []string{"/a", "/b", "/nope", "/nope"} {
			body := "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
			if _, err := exchange(c, br, "GET", target, fmt.Sprintf("Content-Length: %d\r\nX-Y: z\r\n\r\n%s%s", len(body), body, "GET /a HTTP/1.1\r\nHost: x")); err != nil {
				t.Fatal(err)
			}
			if a, err := readAnswer(br, "GET"); err != nil || a.body != "first" {
				t.Fatalf("%s: %v %q", target, err, a.body)
			}
		}
	}
	if a := r.ask("GET", "/a", "Content-Length: 5", "Expect: 100-continue"); a.body != "first" || !a.Close {
		t.Errorf("%+v", a.Response)
	}
	if a := r.ask("GET", "/a", "Content-Length: 1001"); a.StatusCode != 413 {
		t.Errorf("%+v", a.Response)
	}
}

func TestConnectionCloses(t *testing.T) {
	t.Parallel()
	big := bulk(2 << 20)
	r := start(t, Config{}, map[string]string{"big": big}, nil)
	for _, head := range []string{"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /big HTTP/1.0\r\n\r\n"} {
		c := r.dial()
		io.WriteString(c, head)
		all, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(all), big) || !strings.Contains(string(all[:500]), "Connection: close\r\n") {
			t.Errorf("%d bytes, %v", len(all), err)
		}
	}
}

// A file that changes is noticed within a second or two, whichever way it changes; what is under way goes
// on as it began.
func TestChangesAreNoticed(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, map[string]string{"f": "one", "g": bulk(30 << 20), "gone": "x"}, patient)
	before := r.ask("GET", "/f")
	r.ask("GET", "/gone")
	if r.ask("GET", "/new").StatusCode != 404 {
		t.Fatal("new")
	}
	c := r.dial()
	io.WriteString(c, "GET /g HTTP/1.1\r\nHost: a\r\n\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	was := sha256.Sum256([]byte(bulk(30 << 20)))
	os.WriteFile(r.path("tmp"), []byte("two"), 0o644)
	os.Rename(r.path("tmp"), r.path("f"))
	os.WriteFile(r.path("tmp"), []byte("other"), 0o644)
	os.Rename(r.path("tmp"), r.path("g"))
	os.Remove(r.path("gone"))
	os.WriteFile(r.path("new"), []byte("new"), 0o644)
	eventually(t, "all four are noticed", func() bool {
		return r.ask("GET", "/f").body == "two" && r.ask("GET", "/g").body == "other" && r.ask("GET", "/gone").StatusCode == 404 && r.ask("GET", "/new").body == "new"
	})
	if after := r.ask("GET", "/f"); after.Header.Get("Etag") == before.Header.Get("Etag") {
		t.Error("the same tag")
	}
	h := sha256.New()
	if _, err := io.Copy(h, resp.Body); err != nil || [32]byte(h.Sum(nil)) != was {
		t.Errorf("what was under way: %v", err)
	}
	c.Close()
	eventually(t, "nothing but what is there is open", func() bool { return r.site.Stats().Open == 3 })
}

// A root that is a link is followed when it points elsewhere.
func TestRootIsReplaced(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	for _, v := range []string{"v1", "v2"} {
		os.Mkdir(top+"/"+v, 0o755)
		os.WriteFile(top+"/"+v+"/f", []byte(v), 0o644)
	}
	os.Symlink("v1", top+"/now")
	r := start(t, Config{Dir: top + "/now"}, nil, nil)
	if a := r.ask("GET", "/f"); a.body != "v1" {
		t.Fatal(a.body)
	}
	os.Symlink("v2", top+"/next")
	os.Rename(top+"/next", top+"/now")
	eventually(t, "the new root is served", func() bool { return r.ask("GET", "/f").body == "v2" })
	os.Remove(top + "/now")
	time.Sleep(10 * time.Millisecond)
	if a := r.ask("GET", "/f"); a.body != "v2" {
		t.Errorf("while there is none: %d", a.StatusCode)
	}
}
