package events

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func TestFileIsRotatedAndReopened(t *testing.T) {
	name := filepath.Join(t.TempDir(), "weir.log")
	f, err := OpenFile(name, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSink(f, nil)
	log := zap.New(CleanCore(s.Core(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zap.InfoLevel)))
	line := strings.Repeat("x", 400)
	for range 12 {
		for range 900 { // under a MiB, and less than the queue holds
			log.Info(line)
		}
		for len(s.lines) > 0 {
		}
	}
	s.Close(testPatience)
	f.Close()
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "*"))
	if len(files) != 3 || s.Dropped() != 0 {
		t.Errorf("%d dropped, files %q", s.Dropped(), files)
	}
	for _, file := range files {
		if fi, err := os.Stat(file); err != nil || fi.Size() > 1<<20 || fi.Mode().Perm() != 0o640 {
			t.Errorf("%s: %d bytes, %v, %v", file, fi.Size(), fi.Mode(), err)
		}
		b, _ := os.ReadFile(file)
		for l := range strings.Lines(string(b)) {
			if !json.Valid([]byte(l)) {
				t.Fatalf("%s: %q", file, l)
			}
		}
	}

	// Somebody else rotates it.
	f, err = OpenFile(name, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	write := func(text string) {
		if err := f.WriteLine(zap.InfoLevel, []byte(text+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	write("before")
	os.Rename(name, name+".1")
	write("still the old one")
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	write("after")
	was, _ := os.ReadFile(name + ".1")
	is, _ := os.ReadFile(name)
	if !strings.HasSuffix(string(was), "before\nstill the old one\n") || string(is) != "after\n" {
		t.Errorf("%.50q and %.50q", was[max(0, len(was)-50):], is)
	}

	if _, err := OpenFile(t.TempDir(), 1, 1); err == nil {
		t.Error("a directory is taken")
	}
}

const testPatience = 10e9

// TestSyslogAndJournal checks what is sent, at sockets of our own in place of the machine's, in a
// process that has a /dev/log and a /run/systemd of its own.
func TestSyslogAndJournal(t *testing.T) {
	if os.Getenv("WEIR_TEST_SYSLOG") == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root: sockets are mounted over the machine's")
		}
		if _, err := exec.LookPath("unshare"); err != nil {
			t.Skip("needs unshare")
		}
		cmd := exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs none /run && mount -t tmpfs none /dev 2>/dev/null && exec "$0" -test.run TestSyslogAndJournal -test.v`, os.Args[0])
		cmd.Env = append(os.Environ(), "WEIR_TEST_SYSLOG=1")
		out, err := cmd.CombinedOutput()
		if strings.Contains(string(out), "unshare failed") || strings.Contains(string(out), "permission denied") {
			t.Skipf("no namespace of its own here: %s", out)
		}
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if _, err := Syslog(); err == nil {
		t.Error("a syslog where there is none")
	}
	if _, err := Journal(); err == nil {
		t.Error("a journal where there is none")
	}
	listen := func(name string) *net.UnixConn {
		os.MkdirAll(filepath.Dir(name), 0o755)
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	dev, journal := listen("/dev/log"), listen("/run/systemd/journal/socket")
	read := func(c *net.UnixConn) string {
		b := make([]byte, 4096)
		n, err := bufio.NewReader(c).Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	for _, c := range []struct {
		level              zapcore.Level
		severity, priority string
	}{{zap.DebugLevel, "<31>", "7"}, {zap.InfoLevel, "<30>", "6"}, {zap.WarnLevel, "<28>", "4"}, {zap.ErrorLevel, "<27>", "3"}} {
		out, err := Syslog()
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteLine(c.level, []byte("a line\n")); err != nil {
			t.Error(err)
		}
		if got := read(dev); !strings.HasPrefix(got, c.severity) || !strings.Contains(got, "weir[") || !strings.HasSuffix(strings.TrimSpace(got), "a line") {
			t.Errorf("%q", got)
		}
		out, err = Journal()
		if err != nil {
			t.Fatal(err)
		}
		if err := out.WriteLine(c.level, []byte("a line\n")); err != nil {
			t.Error(err)
		}
		if got := read(journal); !strings.Contains(got, "PRIORITY="+c.priority+"\n") || !strings.Contains(got, "MESSAGE=a line\n") || !strings.Contains(got, "SYSLOG_IDENTIFIER=weir\n") {
			t.Errorf("%q", got)
		}
	}
}
