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

	"weir/engine/auth/accounts"
)

// accountsRun runs a command in this process with something piped in.
func accountsRun(t *testing.T, piped string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(piped); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var out, errs bytes.Buffer
	code = runAccounts(args, r, &out, &errs)
	return out.String(), errs.String(), code
}

func TestAccountsFromBeginningToEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	ok := func(piped string, args ...string) string {
		t.Helper()
		out, errs, code := accountsRun(t, piped, append(args, "-users", file)...)
		if code != exitOK || errs != "" {
			t.Fatalf("%q: %d, %s", args, code, errs)
		}
		return out
	}
	set := func() *accounts.Set {
		t.Helper()
		s, err := accounts.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ok("correct horse battery\n", "user", "add", "-scopes", "read,write", "alice")
	ok("correct horse battery", "user", "add", "bob")
	if l, in := set().CheckPassword("alice", "correct horse battery"); !in || !l.Has("write") {
		t.Errorf("%+v, %v", l, in)
	}
	token := strings.TrimSuffix(ok("", "token", "issue", "alice", "ci", "-scopes", "read"), "\n")
	if l, in := set().Token([]byte(token), time.Now()); !in || !l.Has("read") || l.Has("write") {
		t.Errorf("%q: %+v, %v", token, l, in)
	}
	forever := strings.TrimSuffix(ok("", "token", "issue", "-expires", "never", "alice", "all"), "\n")
	if l, in := set().Token([]byte(forever), time.Now().AddDate(99, 0, 0)); !in || !l.Has("write") {
		t.Errorf("%+v, %v", l, in)
	}
	ok("", "user", "disable", "bob")
	for _, want := range []string{"alice  enabled   read,write  2       600000", "bob    disabled  -           0       600000"} {
		if list := ok("", "user", "list"); !strings.Contains(list, want) {
			t.Errorf("got\n%swant %s", list, want)
		}
	}
	if list := ok("", "token", "list", "alice"); !strings.Contains(list, "alice    ci     read        ") || strings.Contains(list, token) || !strings.Contains(list, "never") {
		t.Errorf("got\n%s", list)
	}
	ok("", "token", "revoke", "alice", "ci")
	if _, in := set().Token([]byte(token), time.Now()); in {
		t.Error("revoked, and yet in")
	}
	ok("another long password\r\n", "user", "passwd", "alice")
	if _, in := set().CheckPassword("alice", "another long password"); !in {
		t.Error("the new password does not log in")
	}
	ok("", "user", "scopes", "alice", "-")
	ok("", "user", "enable", "bob")
	if s := set(); len(s.Accounts()[0].Scopes) != 0 || s.Accounts()[1].Disabled {
		t.Errorf("%+v", s.Accounts())
	}
	ok("", "user", "del", "alice")
	if s := set(); len(s.Accounts()) != 1 || len(s.Tokens()) != 0 {
		t.Errorf("%+v", s.Accounts())
	}
}

func TestAccountsSayWhatIsWrongInOneLine(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users")
	if _, errs, code := accountsRun(t, "correct horse battery", "user", "add", "-users", file, "alice"); code != exitOK {
		t.Fatal(errs)
	}
	open := filepath.Join(dir, "open")
	text, _ := os.ReadFile(file)
	if err := os.WriteFile(open, text, 0o644); err != nil {
		t.Fatal(err)
	}
	torn := filepath.Join(dir, "torn")
	if err := os.WriteFile(torn, append(text, "user x\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		piped string
		args  string
		code  int
		want  string
	}{
		{"", "user frob", exitUsage, `weir: "user frob": no such command; weir user -help tells more`},
		{"", "user list", exitUsage, `weir: "user list": needs -users FILE; weir user -help tells more`},
		{"", "user add -users " + file, exitUsage, `weir: "user add": is followed by -users FILE [-scopes LIST] NAME; weir user -help tells more`},
		{"", "user add -users " + file + " carol secret", exitUsage, `weir: "user add": is followed by -users FILE [-scopes LIST] NAME; weir user -help tells more`},
		{"", "user del -users " + file + " -scopes x alice", exitUsage, `weir: -scopes: no such flag; -help lists them`},
		{"short", "user add -users " + file + " carol", exitFailed, "weir: the password must have at least 12 characters"},
		{"correct horse battery\nstaple\n", "user add -users " + file + " carol", exitFailed, "weir: the password must be one line of at most 1024 bytes"},
		{strings.Repeat("x", 2000), "user add -users " + file + " carol", exitFailed, "weir: a password is 1 to 1024 bytes"},
		{"correct horse battery", "user add -users " + file + " alice", exitFailed, "weir: there is an account alice already"},
		{"correct horse battery", "user add -users " + file + " a:b", exitFailed, "weir: a name is 1 to 128 bytes of visible characters"},
		{"correct horse battery", "user add -scopes a,,b -users " + file + " carol", exitFailed, "weir: a scope is 1 to 64 letters"},
		{"correct horse battery", "user passwd -users " + file + " carol", exitFailed, "weir: there is no account carol"},
		{"correct horse battery", "user passwd -users " + file + "x alice", exitFailed, "weir: accounts " + file + "x: there is no such file"},
		{"", "token issue -users " + file + " carol ci", exitFailed, "weir: there is no account carol"},
		{"", "token issue -users " + file + " -scopes admin alice ci", exitFailed, "weir: account alice lacks the scope admin"},
		{"", "token issue -users " + file + " -expires soon alice ci", exitUsage, "weir: -expires soon: must be a duration such as 720h"},
		{"", "token revoke -users " + file + " alice ci", exitFailed, "weir: account alice has no token ci"},
		{"", "user list -users " + open, exitFailed, "weir: accounts " + open + ": others may read or write it (mode 0644): chmod 600 it"},
		{"", "user list -users " + torn, exitFailed, "weir: accounts " + torn + ": line 3: must be user NAME"},
		{"", "user del -users " + torn + " alice", exitFailed, "weir: accounts " + torn + ": line 3: must be user NAME"},
	} {
		_, errs, code := accountsRun(t, c.piped, strings.Fields(c.args)...)
		if code != c.code || !strings.HasPrefix(errs, c.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d, %s", c.args, code, errs)
		}
	}
}

func TestAccountsHelp(t *testing.T) {
	for _, args := range [][]string{{"user"}, {"token"}, {"user", "-help"}, {"token", "issue", "-help"}} {
		out, _, code := accountsRun(t, "", args...)
		if code != exitOK {
			t.Errorf("%q: %d", args, code)
		}
		golden(t, "help-accounts.txt", []byte(out))
	}
}

func accountsTable() string {
	var b strings.Builder
	b.WriteString("| command | what it does |\n|---|---|\n")
	for i := range accountCommands {
		c := &accountCommands[i]
		fmt.Fprintf(&b, "| `%s` | %s. |\n", c.usage(), c.help)
	}
	return b.String()
}

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
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
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
