package files

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"weir/codec"
	"weir/codec/http1"
	"weir/internal/lab"
)

const alphabet = "abcdefghijklmnopqrstuvwxyz"

// reference is what net/http's ServeContent answers about content with the tag and date of another
// answer.
func reference(content, etag, method string, fields []string) (*http.Response, string) {
	req := httptest.NewRequest(method, "/f.txt", nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Etag", etag)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	http.ServeContent(w, req, "f.txt", old, strings.NewReader(content))
	resp := w.Result()
	b, _ := io.ReadAll(resp.Body)
	return resp, string(b)
}

// parts are the parts of a multipart answer, as "Content-Range: body".
func parts(t *testing.T, h http.Header, body string) (list []string) {
	t.Helper()
	_, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	mr := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for {
		p, err := mr.NextRawPart()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%v in %q", err, body)
		}
		b, _ := io.ReadAll(p)
		list = append(list, p.Header.Get("Content-Type")+" "+p.Header.Get("Content-Range")+": "+string(b))
	}
}

// same compares an answer with net/http's about a file with a tag.
func same(t *testing.T, a answer, etag, content, method string, fields []string) {
	t.Helper()
	want, body := reference(content, etag, method, fields)
	if a.StatusCode != want.StatusCode {
		t.Errorf("%v: %d, net/http %d", fields, a.StatusCode, want.StatusCode)
		return
	}
	if want.StatusCode >= 400 {
		if a.Header.Get("Content-Range") != want.Header.Get("Content-Range") {
			t.Errorf("%v: %q, net/http %q", fields, a.Header.Get("Content-Range"), want.Header.Get("Content-Range"))
		}
		return
	}
	if strings.HasPrefix(want.Header.Get("Content-Type"), "multipart/") {
		if a.ContentLength != int64(len(a.body)) {
			t.Errorf("%v: a length of %d for %d bytes", fields, a.ContentLength, len(a.body))
		}
		if got, wanted := fmt.Sprint(parts(t, a.Header, a.body)), fmt.Sprint(parts(t, want.Header, body)); got != wanted {
			t.Errorf("%v: %s, net/http %s", fields, got, wanted)
		}
		return
	}
	if a.body != body {
		t.Errorf("%v: %q, net/http %q", fields, a.body, body)
	}
	for _, name := range []string{"Content-Range", "Content-Length", "Last-Modified", "Content-Type"} {
		if want.StatusCode == 304 { // net/http leaves the date out where there is a tag
			break
		}
		if got, wanted := a.Header.Get(name), want.Header.Get(name); got != wanted {
			t.Errorf("%v: %s %q, net/http %q", fields, name, got, wanted)
		}
	}
}

func TestPreconditionsAreThoseOfNetHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, map[string]string{"f.txt": alphabet}, nil)
	etag := r.ask("GET", "/f.txt").Header.Get("Etag")
	at := func(d time.Duration) string { return old.Add(d).UTC().Format(http.TimeFormat) }
	values := map[string][]string{
		"If-Match":            {"", etag, "W/" + etag, `"other"`, `"a", ` + etag, "*", "rubbish", `"` + strings.Trim(etag, `"`), ""},
		"If-None-Match":       {"", etag, "W/" + etag, `"other"`, `"a",W/"b", W/` + etag, "*", "rubbish", ","},
		"If-Modified-Since":   {"", at(0), at(-time.Second), at(time.Second), "rubbish", old.UTC().Format(time.RFC850), old.UTC().Format(time.ANSIC), at(0)[:28]},
		"If-Unmodified-Since": {"", at(0), at(-time.Second), at(time.Hour), "yesterday"},
		"If-Range":            {"", etag, "W/" + etag, `"other"`, at(0), at(-time.Hour), at(time.Hour), "rubbish"},
		"Range":               {"", "bytes=1-3", "bytes=30-"},
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range"}
	for _, name := range names { // each alone
		for _, v := range values[name] {
			fields := []string{name + ": " + v}
			if name == "If-Range" {
				fields = append(fields, "Range: bytes=2-4")
			}
			if v != "" {
				same(t, r.ask("GET", "/f.txt", fields...), etag, alphabet, "GET", fields)
			}
		}
	}
	for range 1500 { // and together
		var fields []string
		for _, name := range names {
			if v := values[name][rnd.IntN(len(values[name]))]; v != "" {
				fields = append(fields, name+": "+v)
			}
		}
		same(t, r.ask("GET", "/f.txt", fields...), etag, alphabet, "GET", fields)
	}
	if a := r.ask("GET", "/f.txt", `If-Match: "a" ,`+etag+`	, "b"`); a.StatusCode != 200 { // net/http takes no space before a comma
		t.Errorf("white space in a list: %v", a.Response)
	}
	if a := r.ask("HEAD", "/f.txt", "If-None-Match: "+etag); a.StatusCode != 304 || a.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD: %v", a.Response)
	}
	if a := r.ask("HEAD", "/f.txt", "Range: bytes=0-0"); a.StatusCode != 200 || a.ContentLength != 26 {
		t.Errorf("HEAD: Range is for GET only (9110 14.2): %v", a.Response)
	}
	if a := r.ask("GET", "/f.txt", `If-None-Match: "a"`, "If-None-Match: "+etag); a.StatusCode != 304 {
		t.Errorf("two fields are one list: %v", a.Response)
	}
}

func TestRangesAreThoseOfNetHTTP(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, map[string]string{"f.txt": alphabet, "empty.txt": ""}, nil)
	etag := r.ask("GET", "/f.txt").Header.Get("Etag")
	for _, v := range []string{
		"bytes=0-0", "bytes=0-", "bytes=25-", "bytes=25-25", "bytes=25-99", "bytes=26-", "bytes=26-30", "bytes=-1", "bytes=-26", "bytes=-27", "bytes=-99", "bytes=-0", "bytes=3-3,5-5",
		"bytes=0-4, 10-14 ,20-", "bytes=0-4,,10-14", "bytes=,0-4", "bytes=0-1,99-100", "bytes=99-100,200-", "bytes=-1,0-0", "bytes=0-18446744073709551615", "bytes=0-9223372036854775807",
		"bytes=9223372036854775807-", "bytes=1-2,1-2,1-2", "bytes=0-20,5-25", "bytes=0-25,0-25", "Bytes=0-1",
	} {
		fields := []string{"Range: " + v}
		if v == "Bytes=0-1" || v == "bytes=-0" || strings.Contains(v, "18446744073709551615") { // where we follow the RFC, or go further than int64
			continue
		}
		same(t, r.ask("GET", "/f.txt", fields...), etag, alphabet, "GET", fields)
		if a := r.ask("GET", "/empty.txt", fields...); a.StatusCode != 200 || a.body != "" { // net/http: 206 with "bytes 0--1/0" for suffixes
			t.Errorf("%s of nothing: %v", v, a.Response)
		}
	}
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("%d-%d", i, i))
		}
		return strings.Join(list, ",")
	}
	for _, c := range []struct {
		ranges string
		status int
		why    string
	}{
		{"bytes=" + many(maxRanges), 206, ""},
		{"bytes=" + many(maxRanges+1), 200, "too many: the whole file"},
		{"bytes=" + many(1000), 200, "a range bomb"},
		{"bytes=0-" + strings.Repeat(",0-", 12), 200, "together more than the file"},
		{"bytes=0-18446744073709551615", 206, "as far as there is"},
		{"bytes=-0", 416, "no byte"},
		{"BYTES=0-1", 206, "units are case-insensitive (9110 14.1)"},
		{"lines=0-1", 200, "another unit is ignored"},
		{"bytes=2-1", 200, "a range that is none is ignored (9110 14.2)"},
		{"bytes=a-b", 200, ""},
		{"bytes=1", 200, ""},
		{"bytes=1-2-3", 200, ""},
		{"bytes=--1", 200, ""},
		{"bytes=+1-2", 200, ""},
		{"bytes=0x1-2", 200, ""},
		{"bytes=1 -2", 200, ""},
		{"bytes=", 200, ""},
		{"bytes=,", 200, ""},
		{"bytes", 200, ""},
	} {
		a := r.ask("GET", "/f.txt", "Range: "+c.ranges)
		if a.StatusCode != c.status || c.status == 200 && a.body != alphabet {
			t.Errorf("%s: %d %q, want %d: %s", c.ranges, a.StatusCode, a.body, c.status, c.why)
		}
		if a.StatusCode == 416 && a.Header.Get("Content-Range") != "bytes */26" {
			t.Errorf("%s: %q", c.ranges, a.Header.Get("Content-Range"))
		}
	}
	if a := r.ask("GET", "/f.txt", "Range: bytes=0-1", "Range: bytes=3-4"); a.StatusCode != 200 {
		t.Errorf("two Range fields: %d", a.StatusCode)
	}
}

// Parts of a large file arrive whole, whichever way each is sent.
func TestLargeParts(t *testing.T) {
	t.Parallel()
	content := bulk(3 << 20)
	for _, over := range []string{"plain", "TLS"} {
		r := start(t, Config{}, map[string]string{"f.txt": content}, nil)
		if over == "TLS" {
			r = start(t, Config{}, map[string]string{"f.txt": content}, overTLS)
		}
		for _, v := range []string{"bytes=0-9,100000-999999,1000000-1000001,-500000", "bytes=1000000-", "bytes=5-2500000", "bytes=0-40000,50000-90000"} {
			fields := []string{"Range: " + v}
			same(t, r.ask("GET", "/f.txt", fields...), "", content, "GET", fields)
		}
	}
}

// FuzzRange: a header of any sort never asks for a byte that is not there, nor for more in all than
// there is.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5,3-4", "bytes=9223372036854775807-", "bytes=0-18446744073709551616", "bytes=,,1-", "bytes=-"} {
		f.Add(s, int64(26))
	}
	f.Fuzz(func(t *testing.T, v string, size int64) {
		if size < 0 {
			return
		}
		var list [maxRanges]span
		n, ok := rangesOf([]byte(v), size, &list)
		sum := int64(0)
		for _, s := range list[:n] {
			if s.from < 0 || s.from >= s.to || s.to > size {
				t.Errorf("%q of %d: %v", v, size, s)
			}
			sum += s.to - s.from
		}
		if sum > size || !ok && n != 0 {
			t.Errorf("%q of %d: %d bytes, %v", v, size, sum, ok)
		}
	})
}

func TestChoice(t *testing.T) {
	all := brotli | zstandard | gzip
	for _, c := range []struct {
		accept []string
		there  encodings
		want   encodings
	}{
		{nil, all, 0},
		{[]string{""}, all, 0},
		{[]string{"gzip"}, all, gzip},
		{[]string{"GZIP"}, all, gzip},
		{[]string{"x-gzip"}, all, gzip},
		{[]string{"gzip, deflate, br, zstd"}, all, brotli},
		{[]string{"gzip, deflate, br"}, gzip | zstandard, gzip},
		{[]string{"gzip, zstd"}, all, zstandard},
		{[]string{"gzip;q=1, br;q=0.5"}, all, gzip},
		{[]string{"gzip;q=0.500 , br;q=0.501"}, all, brotli},
		{[]string{"gzip;q=0"}, all, 0},
		{[]string{"gzip;q=0.0, *"}, gzip, 0},
		{[]string{"*"}, all, brotli},
		{[]string{"*;q=0"}, all, 0},
		{[]string{"*;q=0, gzip"}, all, gzip},
		{[]string{"br;q=0, *;q=0.1"}, all, zstandard},
		{[]string{"identity;q=1, gzip;q=0.5"}, all, 0},
		{[]string{"identity;q=0.5, gzip;q=0.5"}, all, gzip},
		{[]string{"gzip", "br"}, all, brotli},
		{[]string{"gzip;q=2"}, all, 0},
		{[]string{"gzip;q=x"}, all, 0},
		{[]string{"gzip;q="}, all, 0},
		{[]string{"gzip;q=0.1234"}, all, 0},
		{[]string{"gzip;level=9"}, all, 0},
		{[]string{"deflate"}, all, 0},
		{[]string{"br"}, gzip, 0},
	} {
		head := "GET / HTTP/1.1\r\nHost: a\r\n"
		for _, v := range c.accept {
			head += "Accept-Encoding: " + v + "\r\n"
		}
		r := http1.NewRequest(http1.Limits{})
		if http1.NewDecoder(r).Decode([]byte(head+"\r\n")).Kind != codec.Frame {
			t.Fatal(head)
		}
		if got := choose(r, c.there); got != c.want {
			t.Errorf("%q of %b: %b, want %b", c.accept, c.there, got, c.want)
		}
	}
}

func TestCompressedSiblings(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Index: "index.html"}, map[string]string{
		"a.js": "plain", "a.js.gz": "gzipped", "a.js.br": "brotlied", "a.js.zst": "zstded",
		"old.js": "plain", "old.js.gz": "stale", "alone.js": "plain", "only.js.gz": "gzipped",
		"d/index.html": "index", "d/index.html.gz": "index gzipped", "bad.js": "plain",
	}, nil)
	os.Chtimes(r.path("old.js.gz"), old, old.Add(-time.Second))
	os.Mkdir(r.path("bad.js.gz"), 0o755)
	os.Symlink("/etc/passwd", r.path("bad.js.br"))
	seen := map[string]string{}
	for _, c := range []struct{ target, accept, body, coding, vary string }{
		{"/a.js", "", "plain", "", "Accept-Encoding"},
		{"/a.js", "gzip", "gzipped", "gzip", "Accept-Encoding"},
		{"/a.js", "gzip, br", "brotlied", "br", "Accept-Encoding"},
		{"/a.js", "zstd", "zstded", "zstd", "Accept-Encoding"},
		{"/a.js", "gzip;q=0", "plain", "", "Accept-Encoding"},
		{"/old.js", "gzip", "plain", "", ""},
		{"/alone.js", "gzip", "plain", "", ""},
		{"/bad.js", "gzip, br", "plain", "", ""},
		{"/d/", "gzip", "index gzipped", "gzip", "Accept-Encoding"},
	} {
		for range 2 {
			a := r.ask("GET", c.target, "Accept-Encoding: "+c.accept)
			h := a.Header
			if a.body != c.body || h.Get("Content-Encoding") != c.coding || h.Get("Vary") != c.vary || strings.Contains(h.Get("Content-Type"), "gzip") {
				t.Errorf("%s for %q: %q %v", c.target, c.accept, a.body, h)
			}
			if other, some := seen[h.Get("Etag")]; some && other != c.body {
				t.Errorf("%q and %q have one tag", other, c.body)
			}
			seen[h.Get("Etag")] = c.body
			if b := r.ask("GET", c.target, "Accept-Encoding: "+c.accept, "If-None-Match: "+h.Get("Etag")); b.StatusCode != 304 || b.Header.Get("Vary") != c.vary {
				t.Errorf("%s again: %v", c.target, b.Response)
			}
		}
	}
	if a := r.ask("GET", "/a.js.gz"); a.body != "gzipped" || a.Header.Get("Content-Type") != "application/gzip" || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("asked for by name: %v", a.Header)
	}
	if a := r.ask("GET", "/only.js", "Accept-Encoding: gzip"); a.StatusCode != 404 {
		t.Errorf("a sibling of nothing: %d", a.StatusCode)
	}
	if a := r.ask("GET", "/a.js", "Accept-Encoding: gzip", "Range: bytes=1-3"); a.body != "zip" || a.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a part of the compressed form: %q", a.body)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	tree := map[string]string{"a&b/": "", "z.txt": "", `<img src=x onerror="alert(1)">.html`: "", "javascript:alert(1)": "", ".hidden": "", ".well-known/x": "", "sub/f": "", "ü.txt": ""}
	r := start(t, Config{List: true, Index: "index.html"}, tree, nil)
	os.Symlink("/etc/passwd", r.path("leak"))
	os.Symlink("z.txt", r.path("link"))
	os.WriteFile(r.path("bad\xff"), nil, 0o644)
	os.WriteFile(r.path("line\nbreak"), nil, 0o644)
	os.WriteFile(r.path("con.txt"), nil, 0o644)
	a := r.ask("GET", "/")
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(a.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	want := []string{
		`<li><a href="./.well-known/">.well-known/</a>`, `<li><a href="./a%26b/">a&amp;b/</a>`, `<li><a href="./sub/">sub/</a>`,
		`<li><a href="./%3Cimg%20src%3Dx%20onerror%3D%22alert%281%29%22%3E.html">&lt;img src=x onerror=&#34;alert(1)&#34;&gt;.html</a>`,
		`<li><a href="./javascript%3Aalert%281%29">javascript:alert(1)</a>`, `<li><a href="./link">link</a>`, `<li><a href="./z.txt">z.txt</a>`, `<li><a href="./%C3%BC.txt">ü.txt</a>`,
	}
	if _, list, _ := strings.Cut(a.body, "<ul>\n"); !strings.HasPrefix(list, strings.Join(want, "\n")+"\n</ul>") {
		t.Errorf("got\n%s\nwant\n%s", a.body, strings.Join(want, "\n"))
	}
	if a := r.ask("GET", "/sub/"); !strings.Contains(a.body, `<a href="../">../</a>`) || !strings.Contains(a.body, "<title>/sub/</title>") {
		t.Error(a.body)
	}
	if a := r.ask("HEAD", "/"); a.StatusCode != 200 || a.body != "" || a.ContentLength < 100 {
		t.Errorf("HEAD: %v", a.Response)
	}
	if a := r.ask("GET", "/.git/"); a.StatusCode != 404 {
		t.Errorf("hidden: %d", a.StatusCode)
	}
	for i := range 5000 { // a page is bounded, whatever is in the directory
		os.WriteFile(r.path(fmt.Sprintf("sub/%0200d", i)), nil, 0o644)
	}
	if a := r.ask("GET", "/sub/"); len(a.body) > 256<<10 || !strings.Contains(a.body, "<p>and more: these are ") {
		t.Errorf("%d bytes: %s", len(a.body), a.body[len(a.body)-100:])
	}
}

func TestTypes(t *testing.T) {
	for name, want := range map[string]string{
		"a.HTML": "text/html; charset=utf-8", "a.b.js": "text/javascript; charset=utf-8", "x.tar.gz": "application/gzip", "noext": "application/octet-stream",
		"a.": "application/octet-stream", "a.unknown": "application/octet-stream", "a.svg": "image/svg+xml", "d.x/readme": "application/octet-stream",
	} {
		if got := typeOf(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for ext, ctype := range types {
		if _, _, err := mime.ParseMediaType(ctype); err != nil || ext != strings.ToLower(ext) || ext[0] != '.' {
			t.Errorf("%s: %q: %v", ext, ctype, err)
		}
		if strings.HasPrefix(ctype, "text/") != strings.HasSuffix(ctype, "; charset=utf-8") {
			t.Errorf("%s: %q", ext, ctype)
		}
	}
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	r := start(t, Config{MaxAge: 90*time.Minute + time.Millisecond}, map[string]string{"f": ""}, nil)
	if a := r.ask("GET", "/f"); a.Header.Get("Cache-Control") != "public, max-age=5400" {
		t.Errorf("%v", a.Header)
	}
}

// A file that has just been written to has a weak tag, which becomes strong by itself: two contents
// within one tick of the clock would have the same.
func TestYoungFilesHaveWeakTags(t *testing.T) {
	t.Parallel()
	r := start(t, Config{}, nil, nil)
	var path, etag string
	for try := 0; ; try++ {
		path = fmt.Sprintf("/f%d", try)
		begun := time.Now()
		os.WriteFile(r.path(path), []byte(alphabet), 0o644)
		a := r.ask("GET", path)
		ranged := r.ask("GET", path, "Range: bytes=1-2", "If-Range: "+a.Header.Get("Last-Modified"))
		etag = a.Header.Get("Etag")
		matched := r.ask("GET", path, "If-Match: "+etag)
		if time.Since(begun) > weakFor && try < 50 {
			continue // it may have become old meanwhile
		}
		if !strings.HasPrefix(etag, `W/"`) {
			t.Fatal(etag)
		}
		if ranged.StatusCode != 200 {
			t.Errorf("its date is no better: %d", ranged.StatusCode)
		}
		if matched.StatusCode != 412 {
			t.Errorf("If-Match: %d", matched.StatusCode)
		}
		break
	}
	strong := strings.TrimPrefix(etag, "W/")
	eventually(t, "it is strong", func() bool { return r.ask("GET", path).Header.Get("Etag") == strong })
	if a := r.ask("GET", path, "If-None-Match: "+etag); a.StatusCode != 304 {
		t.Errorf("what a cache has stays good: %d", a.StatusCode)
	}
}

// curl gets what is there: whole, in parts, resumed, with a condition, compressed.
func TestCurl(t *testing.T) {
	t.Parallel()
	curl := lab.Need(t, "curl")
	content := bulk(300_000)
	r := start(t, Config{}, map[string]string{"f.bin": content, "z.txt": "plain text", "d/": ""}, nil)
	run := func(args ...string) string {
		out, err := exec.Command(curl, append([]string{"-sS", "--max-time", "60"}, args...)...).CombinedOutput()
		if err != nil {
			t.Errorf("curl %v: %v: %.200s", args, err, out)
		}
		return string(out)
	}
	url := "http://" + r.addr
	if got := run(url + "/f.bin"); got != content {
		t.Errorf("%d bytes", len(got))
	}
	if got := run("-r", "100-199,1000-1001", url+"/f.bin"); !strings.Contains(got, content[100:200]) || !strings.Contains(got, "Content-Range: bytes 1000-1001/300000") {
		t.Errorf("parts: %d bytes", len(got))
	}
	half := t.TempDir() + "/half"
	os.WriteFile(half, []byte(content[:123_456]), 0o644)
	run("-C", "-", "-o", half, url+"/f.bin")
	if got, _ := os.ReadFile(half); !bytes.Equal(got, []byte(content)) {
		t.Errorf("resumed: %d bytes", len(got))
	}
	out := t.TempDir() + "/z"
	os.WriteFile(out, nil, 0o644)
	if got := run("-z", out, "-w", "%{http_code}", url+"/z.txt"); got != "304" {
		t.Errorf("-z: %q", got)
	}
	if got := run("-I", url+"/z.txt"); !strings.Contains(got, "Content-Length: 10\r\n") {
		t.Errorf("-I: %q", got)
	}
	if got := run("--path-as-is", "-w", " %{http_code}", url+"/../../etc/passwd"); got != "Bad Request\n 400" {
		t.Errorf("--path-as-is: %q", got)
	}
	if got := run("-o", "/dev/null", "-w", "%{redirect_url}", url+"/d"); got != url+"/d/" {
		t.Errorf("redirect: %q", got)
	}
}
