package acme

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each case is a place as it could be found, and what Open says of it, "" for nothing. Check must say the
// same, and make nothing.
func TestTheCacheIsItsOwnersOnly(t *testing.T) {
	const ca = "https://ca.example/dir"
	sub := func(root string) string {
		c, err := cacheFor(root, ca)
		if err != nil {
			t.Fatal(err)
		}
		return c.dir
	}
	mkdir := func(path string, mode os.FileMode) {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	isRoot := os.Getuid() == 0
	for _, c := range []struct {
		make func(root string)
		want string
		why  string
		skip bool
	}{
		{func(string) {}, "", "nothing is there yet", false},
		{func(root string) { mkdir(root, 0o700) }, "", "its owner's", false},
		{func(root string) { mkdir(sub(root), 0o700) }, "", "and so is what is in it", false},
		{func(root string) { mkdir(root+".real", 0o700); link(root+".real", root) }, "", "the operator may use links", false},
		{func(root string) { mkdir(root, 0o750) }, "it is open to others, with mode 0750", "a group", false},
		{func(root string) { mkdir(root, 0o702) }, "it is open to others, with mode 0702", "everybody", false},
		{func(root string) { mkdir(sub(root), 0o755) }, filepath.Base(sub("")) + " in it is open to others, with mode 0755", "inside", false},
		{func(root string) { mkdir(root, 0o700); mkdir(root+".real", 0o700); link(root+".real", sub(root)) }, "in it is a link", "nobody has asked for that one", false},
		{func(root string) { link(root+".nowhere", root) }, "", "a link to nowhere", false},
		{func(root string) { mkdir(root, 0o500) }, "may not be used by this user", "nothing can be made there", isRoot},
		{func(root string) { mkdir(filepath.Dir(root), 0o500) }, "may not be used by this user", "nor above", isRoot},
		{func(root string) {
			mkdir(root, 0o700)
			if err := os.Chown(root, 4711, -1); err != nil {
				t.Fatal(err)
			}
		}, "it belongs to another user (4711, and this one is 0)", "somebody else's", !isRoot},
	} {
		if c.skip {
			continue
		}
		root := filepath.Join(t.TempDir(), "above", "cache")
		if err := os.MkdirAll(filepath.Dir(root), 0o700); err != nil {
			t.Fatal(err)
		}
		c.make(root)
		there := func() string { _, err := os.Lstat(sub(root)); return fmt.Sprint(err) }
		before := there()
		checked := checkCache(root, ca)
		if there() != before {
			t.Errorf("%s: Check has made something", c.why)
		}
		_, err := openCache(root, ca)
		if c.why == "a link to nowhere" { // mkdir says that it is there
			if err == nil || checked == nil {
				t.Errorf("%s: %v, checked %v", c.why, err, checked)
			}
			continue
		}
		for _, err := range []error{err, checked} {
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.why, err, c.want)
			}
		}
		if err != nil {
			continue
		}
		for _, dir := range []string{root, sub(root)} {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %s is %v, %v", c.why, dir, info.Mode(), err)
			}
		}
	}
}
