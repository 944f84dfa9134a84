package files

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weir/guard"
)

// around is what lies beside the root, and what is hidden in it: names and contents.
func around(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	top := filepath.Dir(filepath.Dir(root))
	err := filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		inside := filepath.IsLocal(rel) && rel != "."
		if inside && !strings.Contains("/"+rel, "/.") && rel != "fifo" && rel != "socket" && d.Type()&os.ModeSymlink == 0 {
			return nil
		}
		what := d.Type().String()
		switch {
		case d.Type()&os.ModeSymlink != 0:
			to, _ := os.Readlink(p)
			what += to
		case d.Type().IsRegular():
			b, _ := os.ReadFile(p)
			what += fmt.Sprintf("%x", sha256.Sum256(b))
		}
		all[p] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func sameAround(t testing.TB, before, after map[string]string) {
	t.Helper()
	for p, what := range before {
		if after[p] != what {
			t.Errorf("%s was %s and is %s", p, what, after[p])
		}
	}
	for p, what := range after {
		if before[p] == "" {
			t.Errorf("%s is new: %s", p, what)
		}
	}
}

// TestTraversalByPut writes to every path of the corpus, with leave to replace what is there: nothing outside
// of the root is made or changed, nor what is hidden, nor what is no file.
func TestTraversalByPut(t *testing.T) {
	t.Parallel()
	for _, dotFiles := range []bool{false, true} {
		t.Run(fmt.Sprintf("dotfiles=%v", dotFiles), func(t *testing.T) {
			t.Parallel()
			root := outside(t)
			if dotFiles { // they may be written to then
				for _, name := range []string{".hidden", ".git", "d/.env"} {
					os.RemoveAll(filepath.Join(root, name))
				}
			}
			before := around(t, root)
			r := start(t, Config{Dir: root, DotFiles: dotFiles, Uploads: Uploads{Dir: root, Overwrite: true, Slots: NewSlots(1000)}}, nil, nil)
			var c net.Conn
			var br *bufio.Reader
			statuses := map[int]int{}
			for _, path := range append(corpus(), "/"+tempPrefix+"x", "/d/"+newTemp(), "/%2eweir-upload-x", "/.WEIR-upload-x") {
				if c == nil {
					c = r.dial()
					br = bufio.NewReader(c)
				}
				a, err := putOn(c, br, path, "MARK")
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				if a.Close {
					c.Close()
					c = nil
				}
				statuses[a.StatusCode]++
				switch code := a.StatusCode; {
				case code == 400 || code == 404 || code == 403 || code == 409 || code == 414 || code == 431:
				case code == 201 || code == 200: // what looks like a way out and is the plain name of a file
					var body string
					fmt.Sscanf(a.body, `{"path":%q`, &body)
					name, _ := url.PathUnescape(body)
					if b, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(b) != "MARK" || !filepath.IsLocal(name[1:]) {
						t.Errorf("%s: stored as %s: %v", path, name, err)
					}
				default:
					t.Errorf("%s: %d %v", path, code, a.Header)
				}
			}
			eventually(t, "all have ended", func() bool { return r.site.UploadStats().Open == 0 })
			after := around(t, root)
			if dotFiles {
				for p := range after {
					if before[p] == "" && strings.HasPrefix(p, root+"/") && !strings.Contains(strings.ToLower(p), tempPrefix) {
						delete(after, p)
					}
				}
			}
			sameAround(t, before, after)
			if n := r.snapshot().Shed[guard.ShedTraversal]; n < uint64(statuses[400])/2 { // others are refused by the parser
				t.Errorf("%d of %d are told of", n, statuses[400])
			}
			if statuses[400] < 200 || statuses[404] < 100 {
				t.Errorf("%v", statuses)
			}
			t.Log(statuses)
		})
	}
}

// TestTraversalByFrames asks for and writes to every path of the corpus, as it stands there and decoded.
func TestTraversalByFrames(t *testing.T) {
	t.Parallel()
	root := outside(t)
	before := around(t, root)
	r := start(t, Config{Dir: root, MaxFrame: 1 << 20, Uploads: Uploads{Dir: root, Overwrite: true, Slots: NewSlots(1000)}}, nil, nil)
	k := r.framed()
	codes := map[string]int{}
	for _, path := range corpus() {
		forms := []string{path}
		if plain, err := url.PathUnescape(path); err == nil && plain != path {
			forms = append(forms, plain)
		}
		for _, form := range forms {
			if !strings.Contains(form, "/") {
				continue
			}
			ok, data, _ := k.get("GET " + form)
			if strings.Contains(data, "MARKER") || strings.Contains(data, "root:") || strings.Contains(data, "PATH=") {
				t.Errorf("GET %q: %.100q", form, data)
			}
			codes["GET "+ok[:min(len(ok), 7)]]++
			if a := k.ask("STAT " + form); strings.HasPrefix(a, "OK file") && !strings.HasPrefix(a, "OK file 4 ") { // what this test has written
				t.Errorf("STAT %q: %q", form, a)
			}
			a := k.ask("PUT 4 " + form)
			if codes["PUT "+a[:min(len(a), 7)]]++; strings.HasPrefix(a, "SEND") {
				k.send("\x00MARK")
				if a = k.next(); !strings.HasPrefix(a, "OK ") && !strings.HasPrefix(a, "ERR ") {
					t.Errorf("PUT %q: %q", form, a)
				}
			}
		}
	}
	eventually(t, "all have ended", func() bool { return r.site.UploadStats().Open == 0 })
	sameAround(t, before, around(t, root))
	if n := r.snapshot().Shed[guard.ShedTraversal]; n < 12_000 { // but for what does not begin with a slash
		t.Errorf("%d are told of", n)
	}
	if codes["GET ERR 400"] < 200 || codes["PUT ERR 400"] < 200 {
		t.Error(codes)
	}
	t.Log(codes)
}

// A name and a directory are swapped for links out of the root, FIFOs and directories while they are written
// to: what is outside stays as it is, and no worker waits for a FIFO.
func TestSwappedWhileBeingWrittenTo(t *testing.T) {
	t.Parallel()
	root := outside(t)
	r := start(t, Config{Dir: root, Uploads: Uploads{Dir: root, Overwrite: true, Slots: NewSlots(1000)}}, nil, nil)
	os.MkdirAll(filepath.Join(root, "swapped"), 0o755)
	before := around(t, root)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		forms := []func(p string) error{
			func(p string) error { return os.Symlink("../secret.txt", p) },
			func(p string) error { return unix.Mkfifo(p, 0o644) },
			func(p string) error { return os.Symlink("..", p) },
			func(p string) error { return os.Mkdir(p, 0o755) },
			func(p string) error { return os.Symlink("/etc", p) },
			func(p string) error { return os.WriteFile(p, nil, 0o644) },
			func(p string) error { return os.Symlink("../root-secret", p) },
			func(p string) error { return os.Mkdir(p, 0o755) },
		}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			for _, name := range []string{"swapped", "name"} {
				p := filepath.Join(root, name)
				tmp := fmt.Sprint(p, "-", i)
				if forms[i%len(forms)](tmp) == nil {
					if os.Rename(tmp, p) != nil {
						os.RemoveAll(p)
						os.Rename(tmp, p)
					}
				}
			}
		}
	}()
	statuses := map[int]int{}
	for begun := time.Now(); time.Since(begun) < 2*time.Second || (statuses[201] == 0 || statuses[409] == 0) && time.Since(begun) < time.Minute; {
		for _, target := range []string{"/swapped/secret.txt", "/swapped/new.txt", "/name"} {
			begin := time.Now()
			statuses[r.put(target, "MARK").StatusCode]++
			if time.Since(begin) > time.Minute {
				t.Fatalf("%s: %s", target, time.Since(begin))
			}
		}
	}
	close(stop)
	<-done
	eventually(t, "all have ended", func() bool { return r.site.UploadStats().Open == 0 })
	os.RemoveAll(filepath.Join(root, "swapped"))
	os.RemoveAll(filepath.Join(root, "name"))
	after := around(t, root)
	for p := range after {
		if strings.HasPrefix(p, root+"/swapped") || strings.HasPrefix(p, root+"/name") {
			delete(after, p)
		}
	}
	sameAround(t, before, after)
	if statuses[201] == 0 || statuses[409] == 0 {
		t.Errorf("nothing was raced: %v", statuses)
	}
	t.Log(statuses)
}
