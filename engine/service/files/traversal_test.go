package files

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write testdata/traversal.txt")

const marker = "MARKER: this file is outside of the root"

// corpus is every way to write a path that we know to have led somebody out of a root: two dots in
// many codings, separators in many codings, at several depths, and what follows them; and single ones
// of other sorts. testdata/traversal.txt lists it.
func corpus() (list []string) {
	dots := []string{
		"..", "%2e%2e", "%2E%2e", ".%2e", "%2e.", "%252e%252e", "%25252e%25252e", "%c0%ae%c0%ae", "%c0.%c0.", "%e0%80%ae%e0%80%ae",
		"%f0%80%80%ae%f0%80%80%ae", "%ef%bc%8e%ef%bc%8e", "%uff0e%uff0e", "%u002e%u002e", "0x2e0x2e", "....", "...", ".%00.", "..%00", "%2e%2e%00",
		"..;", "..%3b", "..%20", "..%09", "..%0d%0a", "..%01", "..%7f", ".%20.", "%e2%80%a5", "..%e2%80%8b",
	}
	separators := []string{
		"/", "%2f", "%2F", "\\", "%5c", "%5C", "%252f", "%255c", "%25252f", "%c0%af", "%c1%9c", "%e0%80%af", "%c0%5c", "%ef%bc%8f", "%e2%88%95",
		"%u2215", "//", "/./", "/%2e/", "/;/", "%00/", "/%00", "0x2f",
	}
	seen := map[string]bool{}
	add := func(path string) {
		if !seen[path] {
			seen[path] = true
			list = append(list, path)
		}
	}
	for _, d := range dots {
		for _, s := range separators {
			for depth := 1; depth <= 3; depth++ {
				up := strings.Repeat(d+s, depth)
				add("/" + up + "secret.txt")
				add("/d/" + up + "secret.txt")
			}
			add("/" + strings.Repeat(d+s, 12) + "etc" + s + "passwd")
			add("/d" + s + d + s + d + s + "secret.txt")
		}
		add("/" + d)
		add("/d/" + d + "/" + d)
		add("/d/" + d + "/" + d + "/")
		add("/in.txt/" + d + "/" + d + "/secret.txt")
	}
	for _, path := range []string{
		"//etc/passwd", "///etc/passwd", "/%2fetc/passwd", "/%2fetc%2fpasswd", "/%5cetc%5cpasswd", "/\\etc\\passwd", "/file:///etc/passwd", "/file:/etc/passwd",
		"/etc/passwd", "/etc/passwd%00", "/etc/passwd%00.html", "/in.txt%00", "/in.txt%00.html", "/%00", "/%00/etc/passwd", "/%0a/etc/passwd",
		"/out/secret.txt", "/out", "/out/", "/abs", "/abs/", "/abs/passwd", "/up/secret.txt", "/up/", "/deep/up/secret.txt", "/loop", "/loop/x", "/chain/secret.txt", "/secret-link",
		"/d/fd-link", "/proc-link", "/proc/self/environ", "/proc/self/fd/0", "/dev/fd/0", "/dev/null", "/dev/zero", "/dev/stdin",
		"/C:/Windows/win.ini", "/C:%5cWindows%5cwin.ini", "/c:..%5csecret.txt", "/%5c%5cserver%5cshare", "//server/share", "/%5c%5c.%5cGLOBALROOT", "/%5c%5c%3f%5cC:%5c",
		"/con", "/CON", "/con.txt", "/nul", "/NUL.html", "/aux", "/prn", "/com1", "/COM9.log", "/lpt1", "/lpt9.txt", "/conin$", "/CONOUT$", "/d/con", "/d/aux.h", "/con%20", "/con%20.txt",
		"/in.txt::$DATA", "/in.txt:stream", "/in.txt%3a%3a$DATA", "/d::$INDEX_ALLOCATION", "/d:$i30:$INDEX_ALLOCATION", "/in.txt.", "/in.txt%20", "/in.txt%2e", "/in~1.txt", "/INTXT~1",
		"/.", "/./", "/%2e", "/%2e/", "/./in.txt", "/d/.", "/d/./", "/d/%2e/x", "/.//..//secret.txt",
		"/~root/.profile", "/~/secret.txt", "/%7eroot/", "/$HOME/secret.txt", "/%24%7BHOME%7D/secret.txt", "/`id`", "/|id", "/%7cid", "/*", "/%2a", "/?/../secret.txt/%2e%2e", "/%3f/../secret.txt",
		"/.hidden", "/%2ehidden", "/.git/config", "/d/.env", "/d/%2eenv", "/.htaccess", "/.ssh/id_rsa", "/.well-known/../../secret.txt", "/.well-known/.hidden",
		"/" + strings.Repeat("a", 256), "/" + strings.Repeat("%61", 300), "/" + strings.Repeat("d/", 2000), "/" + strings.Repeat("../", 1000) + "etc/passwd", "/" + strings.Repeat("%2e%2e/", 500) + "etc/passwd",
		"/fifo", "/socket", "/d/../fifo", "http://weir.test/../secret.txt", "http://weir.test/%2e%2e/secret.txt", "http://weir.test//etc/passwd", "http://weir.test/\\..\\secret.txt",
	} {
		add(path)
	}
	return list
}

// outside makes a root with what leads out of it, and secrets around it.
func outside(t testing.TB) (root string) {
	t.Helper()
	top := t.TempDir()
	root = filepath.Join(top, "a", "root")
	if err := os.MkdirAll(filepath.Join(root, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret.txt", "a/secret.txt", "a/root-secret/secret.txt"} {
		p := filepath.Join(top, secret)
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(marker), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.MkdirAll(filepath.Join(root, "deep"), 0o755)
	os.MkdirAll(filepath.Join(root, ".git"), 0o755)
	for link, to := range map[string]string{
		"out": "../../..", "abs": "/etc", "up": "..", "deep/up": "../..", "loop": "loop", "chain": "deep/up", "secret-link": "../secret.txt",
		"proc-link": "/proc/self/environ", "d/fd-link": "/proc/self/fd/0",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{
		"in.txt": "inside", "d/f.txt": "inside", ".hidden": marker + " (hidden)", ".git/config": marker + " (hidden)", "d/.env": marker + " (hidden)",
	} {
		if err := os.WriteFile(filepath.Join(root, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return root
}

func TestTraversal(t *testing.T) {
	t.Parallel()
	all := corpus()
	if len(all) < 200 {
		t.Fatalf("only %d", len(all))
	}
	const name = "testdata/traversal.txt"
	text := strings.Join(all, "\n") + "\n"
	if *update {
		os.MkdirAll("testdata", 0o755)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, _ := os.ReadFile(name); string(b) != text {
		t.Errorf("%s is old: run go test ./engine/service/files -update", name)
	}
	for _, cfg := range []Config{{Index: "index.html"}, {Index: "index.html", List: true, DotFiles: true}} {
		t.Run(fmt.Sprintf("dotfiles=%v", cfg.DotFiles), func(t *testing.T) {
			t.Parallel()
			cfg.Dir = outside(t)
			r := start(t, cfg, nil, nil)
			var c net.Conn
			var br *bufio.Reader
			statuses := map[int]int{}
			for _, path := range all {
				for range 2 { // the second one may come from the cache
					if c == nil {
						c = r.dial()
						br = bufio.NewReader(c)
					}
					a, err := exchange(c, br, "GET", path)
					if err != nil {
						t.Fatalf("%s: %v", path, err)
					}
					if a.Close {
						c.Close()
						c = nil
					}
					statuses[a.StatusCode]++
					visible := cfg.DotFiles && strings.Contains(a.body, "hidden")
					if strings.Contains(a.body, marker) && !visible || strings.Contains(a.body, "root:") || strings.Contains(a.body, "root-secret") || strings.Contains(a.body, "PATH=") {
						t.Errorf("%s: %d: %.100q", path, a.StatusCode, a.body)
					}
					switch code := a.StatusCode; {
					case code == 400 || code == 404 || code == 403 || code == 414 || code == 431:
					case code == 200 && (visible || path == "/?/../secret.txt/%2e%2e" && cfg.List): // the root, whatever is behind the question mark
					case code == 301 && strings.HasPrefix(a.Header.Get("Location"), "/d/") && cfg.DotFiles:
					default:
						t.Errorf("%s: %d %v", path, code, a.Header)
					}
				}
			}
			if statuses[400] < 200 || statuses[404] < 200 {
				t.Errorf("%v", statuses)
			}
			if a := r.ask("GET", "/in.txt"); a.body != "inside" {
				t.Errorf("and what is inside: %d", a.StatusCode)
			}
		})
	}
}

// What is neither a file nor a directory is never opened: opening a FIFO would wait for its other end,
// opening a device does what the device does.
func TestSpecialFilesAreNotOpened(t *testing.T) {
	t.Parallel()
	r := start(t, Config{Dir: outside(t), Index: "fifo"}, nil, nil)
	if err := unix.Mknod(r.path("null"), syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Logf("without a device: %v", err)
	}
	os.Symlink("fifo", r.path("fifo-link"))
	for _, path := range []string{"/fifo", "/fifo-link", "/socket", "/null", "/"} {
		begin := time.Now()
		if a := r.ask("GET", path); a.StatusCode != 404 || time.Since(begin) > time.Minute {
			t.Errorf("%s: %d after %s", path, a.StatusCode, time.Since(begin))
		}
	}
	// A writer that does not wait finds no reader, so nobody has opened it.
	if fd, err := unix.Open(r.path("fifo"), unix.O_WRONLY|unix.O_NONBLOCK, 0); err != unix.ENXIO {
		unix.Close(fd)
		t.Errorf("the FIFO is open: %v", err)
	}
	if n := r.site.Stats(); n.Opened != 0 {
		t.Errorf("%d opened", n.Opened)
	}
}

// A name that is swapped between a file, a link out of the root, a FIFO and a directory while it is
// asked for gives the file, or nothing.
func TestSwappedWhileBeingOpened(t *testing.T) {
	t.Parallel()
	root := outside(t)
	cfg := Config{Dir: root, Index: "index.html"}
	r := start(t, cfg, nil, nil)
	stop := make(chan struct{})
	done := make(chan struct{})
	swap := func(name string, make func(path string) error) {
		tmp := r.path("." + name)
		os.RemoveAll(tmp)
		if make(tmp) == nil {
			if err := os.Rename(tmp, r.path(name)); err != nil { // a directory in the way
				os.RemoveAll(r.path(name))
				os.Rename(tmp, r.path(name))
			}
		}
	}
	go func() {
		defer close(done)
		forms := []func(path string) error{
			func(p string) error { return os.WriteFile(p, []byte("inside"), 0o644) },
			func(p string) error { return os.Symlink("../secret.txt", p) },
			func(p string) error { return unix.Mkfifo(p, 0o644) },
			func(p string) error { return os.Symlink("/etc/passwd", p) },
			func(p string) error { return os.Mkdir(p, 0o755) },
			func(p string) error { return os.Symlink("in.txt", p) },
		}
		dirs := []func(path string) error{
			func(p string) error {
				os.Mkdir(p, 0o755)
				return os.WriteFile(p+"/secret.txt", []byte("inside"), 0o644)
			},
			func(p string) error { return os.Symlink("..", p) },
			func(p string) error { return os.Symlink("../root-secret", p) },
		}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			swap("swap", forms[i%len(forms)])
			swap("dir", dirs[i%len(dirs)])
		}
	}()
	// Different spellings of a query do not make different keys, so the cache is emptied by its age:
	// look behind its back, at the same functions that it uses.
	o := newOpener(r.site, nil)
	statuses := map[int]int{}
	begun := time.Now()
	for n := 0; time.Since(begun) < 2*time.Second || (statuses[200] == 0 || statuses[404] == 0) && time.Since(begun) < time.Minute; n++ {
		for _, key := range []string{"swap", "dir/secret.txt"} {
			res := r.site.load(o, key, nil, 0)
			e := res.entry
			if e.kind != found {
				statuses[e.status]++
				continue
			}
			statuses[200]++
			b := make([]byte, 100)
			k, _ := unix.Pread(e.file.fd, b, 0)
			if got := string(b[:max(k, 0)]); got != "inside" && got != "" {
				t.Fatalf("%s: %q", key, got)
			}
			res.drop()
		}
		if n%50 == 0 {
			if a := r.ask("GET", "/swap"); strings.Contains(a.body, marker) || strings.Contains(a.body, "root:") {
				t.Fatalf("%d %q", a.StatusCode, a.body)
			}
		}
	}
	close(stop)
	<-done
	if statuses[200] == 0 || statuses[404] == 0 {
		t.Errorf("nothing was raced: %v", statuses)
	}
	t.Log(statuses)
}

// FuzzPath: whatever a path is, what is left of it stays below the root by its letters alone.
func FuzzPath(f *testing.F) {
	for i, path := range corpus() {
		if i%40 == 0 {
			f.Add(path, false)
		}
	}
	f.Fuzz(func(t *testing.T, path string, dotFiles bool) {
		var scratch []byte
		key, status := clean([]byte(path), &scratch, dotFiles)
		if status != 0 {
			if status != 400 && status != 404 && status != 414 {
				t.Errorf("%q: %d", path, status)
			}
			return
		}
		name := strings.TrimSuffix(string(key), "/")
		if name != "" && !filepath.IsLocal(name) || strings.ContainsAny(name, "\x00\\\r\n") || strings.Contains("/"+string(key), "//") || len(key) > maxPath {
			t.Errorf("%q: %q", path, key)
		}
		if !dotFiles && strings.Contains(strings.TrimPrefix("/"+name, "/.well-known"), "/.") {
			t.Errorf("%q: %q is hidden", path, key)
		}
		want := string(key)
		again := append([]byte("/"), appendEscaped(nil, key)...)
		if back, status := clean(again, &scratch, dotFiles); status != 0 || string(back) != want {
			t.Errorf("%q: escaped again: %q %d", path, back, status)
		}
	})
}
