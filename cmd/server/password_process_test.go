package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A person at a terminal types the password twice, and sees nothing of it.
func TestProcessPasswordHasNoEcho(t *testing.T) {
	t.Parallel()
	for _, again := range []string{"correct horse battery", "correct horse buttery"} {
		master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Skip("there are no terminals here: ", err)
		}
		defer master.Close()
		n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
		if err != nil {
			t.Skip("there are no terminals here: ", err)
		}
		if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
			t.Fatal(err)
		}
		slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Skip("there are no terminals here: ", err)
		}
		defer slave.Close()
		file := filepath.Join(t.TempDir(), "users")
		cmd := command(t, "user", "add", "-users", file, "alice")
		cmd.Stdin = slave
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		echo := func() bool {
			tio, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			return err != nil || tio.Lflag&unix.ECHO != 0
		}
		for _, line := range []string{"correct horse battery", again} {
			for i := 0; echo() && i < 2000; i++ {
				time.Sleep(5 * time.Millisecond)
			}
			if _, err := master.WriteString(line + "\n"); err != nil {
				t.Fatal(err)
			}
			// It is read when the terminal has nothing more to give, or when echo has come back.
			for i := 0; i < 2000; i++ {
				left, err := unix.IoctlGetInt(int(slave.Fd()), unix.TIOCINQ)
				if err != nil || left == 0 {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		}
		err = cmd.Wait()
		kill.Stop()
		seen, k := make([]byte, 4096), 0
		ready := []unix.PollFd{{Fd: int32(master.Fd()), Events: unix.POLLIN}}
		if n, _ := unix.Poll(ready, 0); n == 1 {
			k, _ = unix.Read(int(ready[0].Fd), seen)
		}
		if strings.Contains(string(seen[:max(k, 0)]), "horse") {
			t.Errorf("the terminal shows %q", seen[:k])
		}
		if !echo() {
			t.Error("the echo stays off")
		}
		if same := again == "correct horse battery"; same != (err == nil) || !same && !strings.Contains(errs.String(), "weir: the two passwords differ\n") {
			t.Errorf("%v, %s", err, errs.String())
		}
		if !strings.Contains(errs.String(), "Password: ") {
			t.Errorf("%q", errs.String())
		}
	}
}
