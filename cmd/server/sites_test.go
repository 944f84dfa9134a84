package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	static "weir/engine/service/files"
)

func TestFilesAreWired(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	s := mustResolve(t, "-listen=http://:1?name=a&list=1&dotfiles=1&index=off&max-age=1h", "-listen=http://:2?name=b&index=x.html", "-listen=frames://:3", "-files="+dir, "-max-open-files=100")
	at, err := openSites(s)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	want := []string{"files", "files", "echo"}
	for i, l := range wire(s, nil, at, nil, nil, nil).Listeners {
		if l.Service.Name() != want[i] {
			t.Errorf("%s: %s", l.Name, l.Service.Name())
		}
	}
	if n := at.stats(); n.Limit != 100 {
		t.Errorf("%d files may be open", n.Limit)
	}
	if a := s.listeners[0].limits; !a.list || !a.dotFiles || a.index != "off" || a.maxAge != time.Hour {
		t.Errorf("%+v", a)
	}
	plain := mustResolve(t, "-listen=http://:1", "-listen=http://:2", "-listen=frames://:3")
	if got := s.engine.FDReserve - plain.engine.FDReserve; got != 100 {
		t.Errorf("%d descriptors are reserved for files", got)
	}
}

func TestUploadsAreWired(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	s := mustResolve(t, "-listen=http://:1?name=a", "-listen=http://:2?name=b&max-upload=1MiB&source-upload-rate=2MiB", "-listen=frames://:3?name=c&uploads="+dir+"&files="+dir,
		"-listen=frames://:4?name=d", "-uploads="+dir, "-overwrite", "-max-uploads=10")
	at, err := openSites(s)
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	want := []string{"files", "files", "files", "echo"}
	for i, l := range wire(s, nil, at, nil, nil, nil).Listeners {
		if l.Service.Name() != want[i] {
			t.Errorf("%s: %s", l.Name, l.Service.Name())
		}
	}
	n := at.stats().Uploads
	if n.Limit != 10 || n.Quota != 10<<30 || len(n.Ends) != int(static.Outcomes) {
		t.Errorf("%+v", n)
	}
	plain := mustResolve(t, "-listen=http://:1", "-listen=http://:2", "-listen=frames://:3", "-listen=frames://:4")
	if got := s.engine.FDReserve - plain.engine.FDReserve - s.maxOpenFiles; got != 20 {
		t.Errorf("%d descriptors are reserved for uploads", got)
	}
	if uploadSources(s) != 2*2*uploadPlaces*8 {
		t.Errorf("%d bytes for sources", uploadSources(s))
	}
}

func TestUploadsNeedADirectoryThatCanBeWritten(t *testing.T) {
	clean(t)
	if err := storable(t.TempDir(), true); err != nil {
		t.Error(err)
	}
	if err := storable("/nosuch", true); err != nil {
		t.Errorf("that it is not there is told by who opens it: %v", err)
	}
	if _, err := os.Stat("/proc/self"); err != nil {
		t.Skip("no /proc")
	}
	s := mustResolve(t, "-listen=http://:1?uploads=/proc")
	const want = "-listen http://:1?uploads=/proc: uploads: no file can be made in /proc: "
	if _, err := openSites(s); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("at start: %v", err)
	}
	if err := checkSites(s); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("-check: %v", err)
	}
	if os.Geteuid() == 0 {
		return // may write anywhere else
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := storable(dir, true); err == nil {
		t.Error("a directory that is not to be written")
	}
}

// What a source may store holds for all its addresses together, and comes back with time.
func TestStoreBudget(t *testing.T) {
	b := newStoreBudget(&uploading{rate: 1 << 20, burst: 1 << 30}, 32, 64)
	at := netip.MustParseAddr
	for _, c := range []struct {
		peer string
		n    int64
		want bool
	}{
		{"192.0.2.1", 1<<30 + 1, false},
		{"192.0.2.1", 1 << 29, true},
		{"::ffff:192.0.2.1", 1<<29 - 4<<20, true},
		{"192.0.2.1", 1 << 29, false},
		{"192.0.2.2", 1 << 29, true},
		{"2001:db8::1", 1 << 29, true},
		{"2001:db8::2", 1<<29 + 4<<20, false},
		{"2001:db8:0:1::2", 1 << 29, true},
	} {
		if got := b.spend(at(c.peer), c.n); got != c.want {
			t.Errorf("%s %d: %v", c.peer, c.n, got)
		}
	}
	if !b.spend(netip.Addr{}, 1<<40) {
		t.Error("who has no address has no limit of its own")
	}
}

// The outcomes are a closed list, which the manual explains.
func TestOutcomesAreExplained(t *testing.T) {
	page, err := os.ReadFile(operations)
	if err != nil {
		t.Fatal(err)
	}
	for o := range static.Outcomes {
		if !strings.Contains(string(page), "| `"+o.String()+"` |") {
			t.Errorf("%s is not in %s", o, operations)
		}
	}
}

func TestFilesThatWouldDoNothing(t *testing.T) {
	clean(t)
	for args, want := range map[string]string{
		"-list":                               "-list: nothing is served without -files",
		"-dotfiles":                           "-dotfiles: nothing is served without -files",
		"-index=x":                            "-index: nothing is served without -files",
		"-max-age=1h":                         "-max-age: nothing is served without -files",
		"-hsts=1h":                            "-hsts: it is for https:// listeners only, and there is none; add one, or leave this out",
		"-hsts=1h -files=. -listen=http://:1": "-hsts: it is for https:// listeners only, and there is none; add one, or leave this out",
		"-hsts=500ms":                         "-hsts 500ms: must be a duration such as 75s, 0 (off) or 1s to 17520h",
		"-listen=http://:1?files=.&hsts=1h":   "hsts 1h: is for https:// only",
		"-listen=https://:1?hsts=1h -tls-self-signed":          "hsts 1h: nothing is sent over https without files=DIRECTORY",
		"-files=. -listen=frames://:1":                         "-files: no listener speaks HTTP",
		"-uploads=. -listen=frames://:1?files=.":               "-uploads: no listener speaks HTTP",
		"-overwrite":                                           "-overwrite: nothing is stored without -uploads",
		"-listen=http://:1?files=.&max-upload=1":               "max-upload 1: nothing is stored without uploads=DIRECTORY",
		"-listen=http://:1?uploads=.&index=x":                  "index x: nothing is served without files=DIRECTORY",
		"-listen=http://:1?uploads=.&source-upload-burst=1MiB": "source-upload-burst must be at least max-upload",
		"-listen=frames://:1?files=.&max-frame=100":            "files over frames need a max-frame of 512 or more",
		"-listen=frames://:1?files=.&to=127.0.0.1:2":           "leave out one of the two",
		"-listen=http://:1?list=1":                             "-listen http://:1?list=1: list true: nothing is served without files=DIRECTORY",
		"-listen=http://:1?files=. -listen=http://:2?index=x":  "-listen http://:2?index=x: index x: nothing is served without files=DIRECTORY",
	} {
		g, err := parse(strings.Fields(args))
		if err == nil {
			_, err = resolve(g, machine{cpus: 2, descriptors: 20000, memory: 1 << 30})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	_, err := openSites(mustResolve(t, "-listen=http://:1?files="+filepath.Join(t.TempDir(), "nope")))
	if err == nil || !strings.HasPrefix(err.Error(), "-listen http://:1?files=") || !strings.HasSuffix(err.Error(), ": no such file or directory") {
		t.Errorf("no directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	os.WriteFile(file, nil, 0o600)
	if _, err := openSites(mustResolve(t, "-listen=http://:1?files="+file)); err == nil || !strings.HasSuffix(err.Error(), ": not a directory") {
		t.Errorf("a file: %v", err)
	}
}
