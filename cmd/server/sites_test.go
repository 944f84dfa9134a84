package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
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

func TestFilesThatWouldDoNothing(t *testing.T) {
	clean(t)
	for args, want := range map[string]string{
		"-list":                        "-list: nothing is served without -files",
		"-dotfiles":                    "-dotfiles: nothing is served without -files",
		"-index=x":                     "-index: nothing is served without -files",
		"-max-age=1h":                  "-max-age: nothing is served without -files",
		"-files=. -listen=frames://:1": "-files: no listener speaks HTTP",
		"-listen=http://:1?list=1":     "-listen http://:1?list=1: list true: nothing is served without files=DIRECTORY",
		"-listen=http://:1?files=. -listen=http://:2?index=x": "-listen http://:2?index=x: index x: nothing is served without files=DIRECTORY",
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
