package usercmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/engine/auth/accounts"
	"weir/internal/say"
)

// run runs a command with something piped in.
func run(t *testing.T, piped string, args ...string) (stdout string, err error) {
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
	err = Run(args, r, &out, &errs)
	if errs.Len() > 0 {
		t.Errorf("%q: stderr has %q", args, errs.String())
	}
	return out.String(), err
}

func TestAccountsFromBeginningToEnd(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	ok := func(piped string, args ...string) string {
		t.Helper()
		out, err := run(t, piped, append(args, "-users", file)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
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
	if _, err := run(t, "correct horse battery", "user", "add", "-users", file, "alice"); err != nil {
		t.Fatal(err)
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
	const typed, other = true, false
	for _, c := range []struct {
		piped string
		args  string
		typed bool // the command line is wrong
		want  string
	}{
		{"", "user frob", typed, `"user frob": no such command; weir user -help tells more`},
		{"", "user list", typed, `"user list": needs -users FILE; weir user -help tells more`},
		{"", "user add -users " + file, typed, `"user add": is followed by -users FILE [-scopes LIST] NAME; weir user -help tells more`},
		{"", "user add -users " + file + " carol secret", typed, `"user add": is followed by -users FILE [-scopes LIST] NAME; weir user -help tells more`},
		{"", "user del -users " + file + " -scopes x alice", typed, `-scopes: no such flag; -help lists them`},
		{"", "user add -users " + file + " carol", other, "no password was given: type it at a terminal, or pipe it in as one line"},
		{"\n", "user passwd -users " + file + " alice", other, "no password was given"},
		{"short", "user add -users " + file + " carol", other, "the password must have at least 12 characters"},
		{"correct horse battery\nstaple\n", "user add -users " + file + " carol", other, "the password must be one line of at most 1024 bytes"},
		{strings.Repeat("x", 2000), "user add -users " + file + " carol", other, "a password is 1 to 1024 bytes"},
		{"correct horse battery", "user add -users " + file + " alice", other, "there is an account alice already"},
		{"correct horse battery", "user add -users " + file + " a:b", other, "a name is 1 to 128 bytes of visible characters"},
		{"correct horse battery", "user add -scopes a,,b -users " + file + " carol", other, "a scope is 1 to 64 letters"},
		{"correct horse battery", "user passwd -users " + file + " carol", other, "there is no account carol"},
		{"correct horse battery", "user passwd -users " + file + "x alice", other, "accounts " + file + "x: there is no such file"},
		{"", "token issue -users " + file + " carol ci", other, "there is no account carol"},
		{"", "token issue -users " + file + " -scopes admin alice ci", other, "account alice lacks the scope admin"},
		{"", "token issue -users " + file + " -expires soon alice ci", typed, "-expires soon: must be a duration such as 720h"},
		{"", "token revoke -users " + file + " alice ci", other, "account alice has no token ci"},
		{"", "user list -users " + open, other, "accounts " + open + ": others may read or write it (mode 0644): chmod 600 it"},
		{"", "user list -users " + torn, other, "accounts " + torn + ": line 3: must be user NAME"},
		{"", "user del -users " + torn + " alice", other, "accounts " + torn + ": line 3: must be user NAME"},
	} {
		_, err := run(t, c.piped, strings.Fields(c.args)...)
		var wrong *say.WrongValue
		var usage *say.UsageError
		if isTyped := errors.As(err, &wrong) || errors.As(err, &usage); err == nil || isTyped != c.typed || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, for the command line %v", c.args, err, isTyped)
		}
	}
}
