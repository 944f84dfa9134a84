package events

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

// A file that was reopened, as on each SIGHUP, still does not fill the disk.
func TestFileIsRotatedAfterReopen(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFile(filepath.Join(dir, "weir.log"), 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	line := append(bytes.Repeat([]byte{'x'}, 1<<16), '\n')
	for range 3 {
		if err := f.WriteLine(zapcore.InfoLevel, line); err != nil {
			t.Fatal(err)
		}
		if err := f.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 { // 6 MiB
		if i%10 == 0 {
			time.Sleep(2 * time.Millisecond) // old ones of one millisecond count as one
		}
		if err := f.WriteLine(zapcore.InfoLevel, line); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 2 || len(files) > 3 {
		t.Errorf("%d files, want the log and up to 2 old ones", len(files))
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes, %v", file.Name(), info.Size(), err)
		}
	}
}

// full is a disk with room for so many bytes.
type full struct {
	room int
	took bytes.Buffer
}

func (f *full) Write(p []byte) (int, error) {
	n := min(len(p), f.room)
	f.room -= n
	f.took.Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// A line that did not fit does not swallow the one behind it.
func TestFullDiskCutsOneLineOnly(t *testing.T) {
	disk := &full{room: 8}
	out := Writer(disk)
	for i, line := range []string{"one\n", "two two\n", "three\n", "four\n", "five\n"} {
		if i == 3 {
			disk.room = 100
		}
		if err := out.WriteLine(zapcore.InfoLevel, []byte(line)); (err == nil) != (i == 0 || i > 2) {
			t.Error(line, err)
		}
	}
	if got := disk.took.String(); got != "one\ntwo \nfour\nfive\n" {
		t.Errorf("%q", got)
	}
}
