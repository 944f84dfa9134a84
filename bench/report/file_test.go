package report

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	old, link := at("old"), at("link")
	if os.WriteFile(old, []byte("old"), 0o600) != nil || os.Symlink("old", link) != nil || os.Mkdir(at("folder"), 0o700) != nil {
		t.Fatal("no files")
	}
	for _, path := range []string{old, link, at("new"), os.DevNull} {
		if err := Writable(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "old" {
		t.Errorf("asking changed it to %q, %v", b, err)
	}
	for _, path := range []string{"", at("folder"), at("no/such"), filepath.Join(old, "below"), "/proc/new", "/proc/version"} {
		if Writable(path) == nil || Put(path, []byte("x")) == nil {
			t.Errorf("%q can be written", path)
		}
	}
	if Put("/dev/full", []byte("x")) == nil {
		t.Error("a full disk took it")
	}
	if err := Put(link, []byte("new")); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "new" {
		t.Errorf("through the link it became %q, %v", b, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
	if info, err := os.Stat(old); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("everybody may read it: %v, %v", info, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 3 {
		t.Errorf("left behind: %v, %v", all, err)
	}
}
