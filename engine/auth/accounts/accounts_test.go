package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
)

// quick makes a verifier that takes a millisecond.
func quick(t testing.TB, password string) Verifier {
	t.Helper()
	v, err := newVerifier(password, minIterations)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// begun makes a file with alice (read, write), bob (disabled) and two tokens of alice.
func begun(t testing.TB) (path, token, old string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "users")
	err := Edit(path, true, func(d *Draft) (err error) {
		must(t, d.Add("alice", quick(t, "correct horse"), []string{"read", "write"}))
		must(t, d.Add("bob", quick(t, "battery staple"), nil))
		must(t, d.Change("bob", func(a *Account) { a.Disabled = true }))
		if token, err = d.Issue("alice", "ci", []string{"read"}, noon, time.Time{}); err != nil {
			return err
		}
		old, err = d.Issue("alice", "short", nil, noon, noon.Add(time.Hour))
		return err
	})
	must(t, err)
	return path, token, old
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayLogIn(t *testing.T) {
	path, token, short := begun(t)
	s, err := ReadFile(path)
	must(t, err)
	for _, c := range []struct {
		name, password string
		want           bool
		why            string
	}{
		{"alice", "correct horse", true, "right"},
		{"\uff41lice", "correct horse", true, "a full-width a is an a"},
		{"alice", "correct\u00a0horse", true, "a no-break space is a space"},
		{"alice", "battery staple", false, "another's"},
		{"bob", "battery staple", false, "disabled"},
		{"Alice", "correct horse", false, "upper case is another name"},
		{"carol", "correct horse", false, "unknown"},
		{"al\x00ice", "correct horse", false, "no name at all"},
		{"alice", "", false, "nothing"},
		{"alice", "correct\nhorse", false, "control characters"},
	} {
		l, ok := s.CheckPassword(c.name, c.password)
		if ok != c.want || ok && (l.Account != "alice" || !l.Has("write") || l.Token != "") {
			t.Errorf("%q %q: %+v, %v: %s", c.name, c.password, l, ok, c.why)
		}
	}
	for _, c := range []struct {
		shown string
		at    time.Duration
		want  bool
		why   string
	}{
		{token, 0, true, "right"},
		{token, 1e5 * time.Hour, true, "it never expires"},
		{short, time.Hour - 1, true, "until its end"},
		{short, time.Hour, false, "not at its end"},
		{token[:len(token)-1], 0, false, "cut"},
		{token + "A", 0, false, "longer"},
		{strings.ToUpper(token), 0, false, "another"},
		{"", 0, false, "nothing"},
	} {
		l, ok := s.Token([]byte(c.shown), noon.Add(c.at))
		if ok != c.want || ok && l.Account != "alice" {
			t.Errorf("%+v, %v: %s", l, ok, c.why)
		}
	}
	if l, _ := s.Token([]byte(token), noon); !l.Has("read") || l.Has("write") || l.Token != "ci" {
		t.Errorf("scopes of the token: %+v", l)
	}
}

func TestTokensAreRecognisedAndNotStored(t *testing.T) {
	path, token, _ := begun(t)
	if len(token) != TokenBytes || !strings.HasPrefix(token, TokenPrefix) {
		t.Errorf("%q", token)
	}
	text, err := os.ReadFile(path)
	must(t, err)
	hash := sha256.Sum256([]byte(token))
	if strings.Contains(string(text), token[len(TokenPrefix):]) || !strings.Contains(string(text), hex.EncodeToString(hash[:])) {
		t.Errorf("the file holds the token, or not its hash:\n%s", text)
	}
}

func TestWhatTheAccountLosesItsTokensLose(t *testing.T) {
	path, token, _ := begun(t)
	must(t, Edit(path, false, func(d *Draft) error {
		return d.Change("alice", func(a *Account) { a.Scopes = []string{"write"} })
	}))
	s, err := ReadFile(path)
	must(t, err)
	if l, ok := s.Token([]byte(token), noon); !ok || l.Has("read") || l.Has("write") {
		t.Errorf("%+v, %v", l, ok)
	}
	must(t, Edit(path, false, func(d *Draft) error {
		return d.Change("alice", func(a *Account) { a.Disabled = true })
	}))
	if s, err = ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if l, ok := s.Token([]byte(token), noon); ok {
		t.Errorf("disabled, and yet %+v", l)
	}
}

func TestUnknownNamesHaveASaltThatStays(t *testing.T) {
	path, _, _ := begun(t)
	s, err := ReadFile(path)
	must(t, err)
	carol, may := s.Verifier("carol")
	dave, _ := s.Verifier("dave")
	alice, _ := s.Verifier("alice")
	if may || carol.Salt == dave.Salt || carol.Iterations != alice.Iterations {
		t.Errorf("carol %+v, dave %+v, alice %+v", carol, dave, alice)
	}
	must(t, Edit(path, false, func(d *Draft) error { return d.Add("erin", quick(t, "x"), nil) }))
	if s, err = ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.Verifier("carol"); again != carol {
		t.Error("the salt of an unknown name changes")
	}
	if wide, _ := s.Verifier("\uff43arol"); wide != carol {
		t.Error("forms of one name have different salts")
	}
	if bob, may := s.Verifier("bob"); may || bob.Iterations != minIterations {
		t.Errorf("bob %+v %v", bob, may)
	}
}

func TestStillIsNoAfterAnythingChanged(t *testing.T) {
	path, _, _ := begun(t)
	s, err := ReadFile(path)
	must(t, err)
	v, _ := s.Verifier("alice")
	if l, ok := s.Still("alice", &v); !ok || l.Account != "alice" {
		t.Fatal("no login")
	}
	for _, c := range []struct {
		why    string
		change func(*Draft) error
	}{
		{"another password", func(d *Draft) error {
			return d.Change("alice", func(a *Account) { a.Verifier = quick(t, "new") })
		}},
		{"disabled", func(d *Draft) error {
			return d.Change("alice", func(a *Account) { a.Verifier, a.Disabled = v, true })
		}},
		{"deleted", func(d *Draft) error { _, err := d.Delete("alice"); return err }},
	} {
		must(t, Edit(path, false, c.change))
		if s, err = ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if _, ok := s.Still("alice", &v); ok {
			t.Errorf("%s, and still a login", c.why)
		}
	}
	if len(s.Tokens()) != 0 {
		t.Error("tokens outlive their account")
	}
}

func TestNamesAreFitForALogLine(t *testing.T) {
	for _, name := range []string{"", "a b", "a\tb", "a\nb", "a:b", "a\\b", "a\"b", "a=b", "a,b", "a\u202eb", "\u3164", "a\ufe00\u2060",
		"a\U000e0100", "\x1b[31m", "\xff", strings.Repeat("a", 129), "\u0627a", "\u00ad"} {
		p, err := PrepareName(name)
		if err == nil && strings.ContainsFunc(p, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
			t.Errorf("%q is let through as %q", name, p)
		}
		if err == nil && p != "a" { // what is mapped to nothing leaves a
			t.Errorf("%q is let through as %q", name, p)
		}
	}
	for name, want := range map[string]string{"alice": "alice", "I\u00adX": "IX", "\u2168": "IX", "jürgen@example": "jürgen@example", "ju\u0308rgen": "jürgen"} {
		if p, err := PrepareName(name); p != want || err != nil {
			t.Errorf("%q: %q, %v", name, p, err)
		}
	}
	if p, err := PreparePassword("\u2168\u00adx "); p != "IXx " || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := PreparePassword("hunter2\x07"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
}

func TestWrongLinesAreNamed(t *testing.T) {
	path, _, _ := begun(t)
	b, err := os.ReadFile(path)
	must(t, err)
	good := string(b)
	lines := strings.SplitAfter(good, "\n")
	verifier := strings.Fields(lines[1])[3]
	for _, c := range []struct{ text, want string }{
		{"", "is empty"},
		{"# only\n", "has no first line"},
		{strings.TrimSuffix(good, "\n"), "may be cut short"},
		{strings.Join(lines[1:], ""), "line 1: must be weir-accounts 1"},
		{strings.Replace(good, "accounts 1", "accounts 2", 1), "line 1: must be weir-accounts 1"},
		{good + lines[0], "line 6: must begin with user"},
		{good + lines[1], "line 6: this name has an account already"},
		{good + lines[3], "line 6: this account has a token with this label already"},
		{good + strings.Replace(lines[3], " ci ", " ci2 ", 1), "line 6: this token is in the file already"},
		{good + strings.Replace(lines[3], "alice", "carol", 1), "line 6: the token's account is not"},
		{good + "user carol scopes=- " + verifier + " maybe\n", "line 6: must be user NAME"},
		{good + "user  carol scopes=- " + verifier + "\n", "line 6: must be user NAME"},
		{good + "user \uff43arol scopes=- " + verifier + "\n", "line 6: the name must be written"},
		{good + "user carol scopes= " + verifier + "\n", "line 6: a scope is"},
		{good + "user carol scopes=a,a " + verifier + "\n", "line 6: a scope is named twice"},
		{good + "user carol scopes=- " + strings.Replace(verifier, "$4096", "$4095", 1) + "\n", "iterations must be"},
		{good + "user carol scopes=- " + strings.Replace(verifier, "$4096", "$04096", 1) + "\n", "iterations must be"},
		{good + "user carol scopes=- " + strings.Replace(verifier, "-256", "-1", 1) + "\n", "the verifier must be"},
		{good + "user carol scopes=- " + verifier[:len(verifier)-1] + "\n", "keys must be 32 bytes"},
		{good + "user carol\x00 scopes=- " + verifier + "\n", "line 6: has control characters"},
		{good + strings.TrimSuffix(lines[1], "\n") + "\r\n", "line 6: has control characters"},
		{good + "#" + strings.Repeat("x", 4096) + "\nuser x\n", "line 7"},
		{good + "user " + strings.Repeat("x", 4096) + "\n", "line 6: is longer"},
		{strings.Replace(good, "expires=2", "expires=tomorrow2", 1), "line 5: expires= must be"},
		{strings.Replace(good, "created=2", "created=+2", 1), "line 4: created= must be"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v, want %s", c.text[:min(len(c.text), 40)], err, c.want)
		}
	}
	s, err := Parse([]byte("# ours\n\n" + good + "# end\n"))
	if err != nil || len(s.Accounts()) != 2 || len(s.Tokens()) != 2 {
		t.Errorf("comments: %v", err)
	}
}

func TestEditKeepsCommentsAndRefusesNonsense(t *testing.T) {
	path, _, _ := begun(t)
	b, _ := os.ReadFile(path)
	must(t, os.WriteFile(path, append([]byte("# ours, 2026\n"), b...), 0o600))
	for what, change := range map[string]func(*Draft) error{
		"twice":     func(d *Draft) error { return d.Add("alice", quick(t, "x"), nil) },
		"no such":   func(d *Draft) error { _, err := d.Delete("carol"); return err },
		"no token":  func(d *Draft) error { return d.Revoke("alice", "none") },
		"bad name":  func(d *Draft) error { return d.Add("a\nb", quick(t, "x"), nil) },
		"bad scope": func(d *Draft) error { return d.Add("carol", quick(t, "x"), []string{"a b"}) },
		"not his": func(d *Draft) error {
			_, err := d.Issue("alice", "x", []string{"admin"}, noon, time.Time{})
			return err
		},
		"past":        func(d *Draft) error { _, err := d.Issue("alice", "x", nil, noon, noon); return err },
		"label":       func(d *Draft) error { _, err := d.Issue("alice", "a b", nil, noon, time.Time{}); return err },
		"label twice": func(d *Draft) error { _, err := d.Issue("alice", "ci", nil, noon, time.Time{}); return err },
	} {
		if err := Edit(path, false, change); err == nil {
			t.Errorf("%s passes", what)
		}
	}
	must(t, Edit(path, false, func(d *Draft) error { return d.Revoke("alice", "ci") }))
	after, _ := os.ReadFile(path)
	if !strings.HasPrefix(string(after), "# ours, 2026\nweir-accounts 1 ") || strings.Contains(string(after), " ci ") {
		t.Errorf("got\n%s", after)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAFileThatIsNotBegunIsNotLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users")
	if err := Edit(path, true, func(*Draft) error { return errors.New("no") }); err == nil || err.Error() != "no" {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("left: %v", err)
	}
	if err := Edit(path, false, func(*Draft) error { return nil }); err == nil {
		t.Error("made without create")
	}
}

// A name that has no account costs as much as one that has: the fastest of a few tries says what it takes.
func TestUnknownNamesCostTheSame(t *testing.T) {
	path, _, _ := begun(t)
	s, err := ReadFile(path)
	must(t, err)
	fastest := func(name string) time.Duration {
		least := time.Hour
		for range 20 {
			began := time.Now()
			if _, ok := s.CheckPassword(name, "wrong"); ok {
				t.Fatal(name)
			}
			least = min(least, time.Since(began))
		}
		return least
	}
	for _, name := range []string{"carol", "bob", "a b"} {
		var took, known time.Duration
		for range 8 { // others may be at work while one of the two is measured
			took, known = fastest(name), fastest("alice")
			if took >= known/2 && took <= known*2 {
				break
			}
		}
		if took < known/2 || took > known*2 {
			t.Errorf("%q: %v, a known one %v", name, took, known)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	var text strings.Builder
	text.WriteString(headerLine([32]byte{}) + "\n")
	v := quick(b, "x")
	for i := range MaxUsers {
		a := Account{Name: fmt.Sprint("user", i), Scopes: []string{"read", "write"}, Verifier: v}
		text.WriteString(a.line() + "\n")
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse([]byte(text.String())); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTwoWritersLoseNothing(t *testing.T) {
	path, _, _ := begun(t)
	v := quick(t, "x")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if err := Edit(path, true, func(d *Draft) error { return d.Add(fmt.Sprint("user", i), v, nil) }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, err := ReadFile(path); err != nil || len(s.Accounts()) != 18 {
		t.Errorf("%v", err)
	}
}

func TestFilesThatOthersMayReadAreRefused(t *testing.T) {
	path, _, _ := begun(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		must(t, os.Chmod(path, mode))
		_, err := ReadFile(path)
		if err == nil || !strings.Contains(err.Error(), "chmod 600") || !strings.Contains(err.Error(), path) {
			t.Errorf("%v: %v", mode, err)
		}
		if err := Edit(path, false, func(*Draft) error { return nil }); err == nil {
			t.Errorf("%v: edited", mode)
		}
	}
	must(t, os.Chmod(path, 0o600))
	if os.Geteuid() == 0 {
		must(t, os.Chown(path, 12345, 12345))
		if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("another's: %v", err)
		}
	}
	if _, err := ReadFile(t.TempDir()); err == nil {
		t.Error("a directory is read")
	}
	if _, err := ReadFile(path + "x"); err == nil || !strings.Contains(err.Error(), "there is no such file") {
		t.Errorf("%v", err)
	}
}

func TestReloadIsWholeOrNothing(t *testing.T) {
	path, token, _ := begun(t)
	var told []error
	s, err := Open(Config{Path: path, Every: -1, Tell: func(_ *Set, err error) { told = append(told, err) }})
	must(t, err)
	defer s.Close()
	before := s.Set()
	text, _ := os.ReadFile(path)
	must(t, os.WriteFile(path, append(text, "user\n"...), 0o600))
	if changed, err := s.Reload(); changed || err == nil || s.Set() != before {
		t.Errorf("half a file: %v, %v", changed, err)
	}
	var wrong *ParseError
	if len(told) != 1 || !errors.As(told[0], &wrong) || wrong.Line != 6 {
		t.Errorf("told %v", told)
	}
	for range 3 { // the same again is not told again
		_, _ = s.look(false)
	}
	if len(told) != 1 {
		t.Errorf("told %v", told)
	}
	must(t, os.WriteFile(path, text, 0o600))
	if changed, err := s.look(false); changed || err != nil {
		t.Errorf("as before: %v, %v", changed, err)
	}
	must(t, Edit(path, false, func(d *Draft) error { return d.Revoke("alice", "ci") }))
	if changed, err := s.look(false); !changed || err != nil {
		t.Fatalf("changed %v, %v", changed, err)
	}
	if _, ok := s.Set().Token([]byte(token), noon); ok {
		t.Error("a revoked token logs in")
	}
	must(t, os.Chmod(path, 0o644))
	if _, err := s.Reload(); err == nil {
		t.Error("a file that others may read is taken")
	}
}

func TestWatching(t *testing.T) {
	path, _, _ := begun(t)
	told := make(chan *Set, 8)
	s, err := Open(Config{Path: path, Every: 5 * time.Millisecond, Tell: func(set *Set, err error) { told <- set }})
	must(t, err)
	defer s.Close()
	must(t, Edit(path, false, func(d *Draft) error { return d.Add("carol", quick(t, "x"), nil) }))
	select {
	case set := <-told:
		if set != s.Set() || len(set.Accounts()) != 3 {
			t.Error("another set")
		}
	case <-time.After(time.Minute):
		t.Fatal("not noticed")
	}
}

func TestDefaultIterations(t *testing.T) {
	v, err := NewVerifier("x")
	if err != nil || v.Iterations != 600_000 {
		t.Fatal(v, err)
	}
	if again, err := parseVerifier(v.String()); err != nil || again != v {
		t.Errorf("%v", err)
	}
}

// FuzzParse holds that what is read is written the same, and that nothing panics.
func FuzzParse(f *testing.F) {
	path, _, _ := begun(f)
	text, _ := os.ReadFile(path)
	f.Add(string(text))
	f.Add("weir-accounts 1 decoy=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n#\n\ntoken a b scopes=- created= expires=- hash=\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse([]byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		lines := strings.Split(text, "\n")
		for i := range s.accounts {
			a := &s.accounts[i]
			if got := lines[s.lines["user "+a.Name]-1]; got != a.line() {
				t.Errorf("read %q, written %q", got, a.line())
			}
		}
		for i := range s.tokens {
			k := &s.tokens[i]
			if got := lines[s.lines["token "+k.Account+" "+k.Label]-1]; got != k.line() {
				t.Errorf("read %q, written %q", got, k.line())
			}
		}
	})
}

// A link may be there before its file, and stays a link.
func TestEditMakesTheFileOfALink(t *testing.T) {
	dir := t.TempDir()
	link, target := filepath.Join(dir, "link"), filepath.Join(dir, "target")
	must(t, os.Symlink("target", link))
	if err := Edit(link, true, func(*Draft) error { return errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("an edit that failed leaves an empty file")
	}
	must(t, Edit(link, true, func(*Draft) error { return nil }))
	if st, err := os.Lstat(link); err != nil || st.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is none any more", err)
	}
	if _, err := ReadFile(target); err != nil {
		t.Error(err)
	}
}
