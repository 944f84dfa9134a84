package files

import (
	"testing"
	"time"
)

// TestBrowsersAreToComeByTLS: every answer over HTTP says so, whatever it is, and once.
func TestBrowsersAreToComeByTLS(t *testing.T) {
	t.Parallel()
	tree := map[string]string{"a": "hello", "b.gz": "zipped", "b": "unzipped", "d/": "", "d/x": "x", "e/index.html": "e"}
	for _, c := range []struct {
		hsts time.Duration
		want string
	}{{0, ""}, {time.Second - 1, ""}, {time.Second, "max-age=1"}, {365*24*time.Hour + time.Second/2, "max-age=31536000"}} {
		r := start(t, Config{HSTS: c.hsts, List: true, Index: "index.html", Uploads: Uploads{Dir: t.TempDir(), Max: 100, Quota: 1 << 20}}, tree, overTLS)
		for _, q := range []struct {
			method, target string
			status         int
			fields         []string
		}{
			{"GET", "/a", 200, nil}, {"HEAD", "/a", 200, nil}, {"GET", "/a", 304, []string{"If-Modified-Since: " + old.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}},
			{"GET", "/a", 206, []string{"Range: bytes=1-2"}}, {"GET", "/a", 206, []string{"Range: bytes=0-0,2-3"}}, {"GET", "/a", 416, []string{"Range: bytes=9-"}},
			{"GET", "/a", 412, []string{"If-Match: \"x\""}}, {"GET", "/b", 200, []string{"Accept-Encoding: gzip"}}, {"GET", "/d/", 200, nil}, {"GET", "/d", 301, nil},
			{"GET", "/e/", 200, nil}, {"GET", "/none", 404, nil}, {"GET", "/%2e%2e/x", 400, nil}, {"DELETE", "/a", 405, nil},
			{"PUT", "/new", 201, []string{"Content-Length: 0"}}, {"PUT", "/large", 413, []string{"Content-Length: 1000"}}, {"PUT", "/d/", 409, []string{"Content-Length: 0"}},
		} {
			a := r.ask(q.method, q.target, q.fields...)
			got := a.Header.Values("Strict-Transport-Security")
			if n := len(got); a.StatusCode != q.status || n > 1 || (n == 1) != (c.want != "") || n == 1 && got[0] != c.want {
				t.Errorf("%v: %s %s %v: %d, %q; want %d, %q", c.hsts, q.method, q.target, q.fields, a.StatusCode, got, q.status, c.want)
			}
			if a.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: may be sniffed", q.method, q.target)
			}
		}
	}
}
