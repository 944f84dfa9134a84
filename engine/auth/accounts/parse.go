package accounts

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// What a file may have. A line of a user is about 200 bytes, so a full house is some 40 MiB in memory.
const (
	MaxFile   = 32 << 20 // bytes
	MaxUsers  = 100_000
	MaxTokens = 100_000
	maxLine   = 4096
	maxScopes = 32
)

const header = "weir-accounts 1 decoy="

// ParseError is what is wrong with a file's text. It quotes no secret.
type ParseError struct {
	Line int // from 1
	What string
}

func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.What) }

var errEmpty = errors.New("is empty; weir user add makes an account")

// Parse reads the text of a file. Its errors are a *ParseError for the first wrong line, or one of the
// whole.
func Parse(text []byte) (*Set, error) {
	switch {
	case len(text) == 0:
		return nil, errEmpty
	case len(text) > MaxFile:
		return nil, errors.New("is larger than 32 MiB")
	case text[len(text)-1] != '\n':
		return nil, errors.New("its last line does not end: it may be cut short")
	}
	p := &parsing{set: &Set{serial: serials.Add(1), byName: map[string]int{}, byHash: map[uint64]int{}, lines: map[string]int{}}}
	counts := map[int]int{}
	for line := range bytes.Lines(text) {
		p.line++
		if err := p.record(string(line[:len(line)-1])); err != nil {
			return nil, &ParseError{p.line, err.Error()}
		}
	}
	s := p.set
	if !p.begun {
		return nil, errors.New("has no first line that begins with weir-accounts 1")
	}
	s.decoyIterations = Iterations
	for i := range s.accounts {
		n := s.accounts[i].Verifier.Iterations
		if counts[n]++; counts[n] > counts[s.decoyIterations] {
			s.decoyIterations = n
		}
	}
	return s, nil
}

type parsing struct {
	set   *Set
	line  int
	begun bool
}

func (p *parsing) record(line string) error {
	switch {
	case line == "" || line[0] == '#':
		return nil
	case len(line) > maxLine:
		return errors.New("is longer than 4096 bytes")
	case !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("has control characters or is no UTF-8")
	}
	f := strings.Split(line, " ")
	switch {
	case !p.begun:
		key, ok := strings.CutPrefix(line, header)
		if !ok || !decode(p.set.decoyKey[:], key) {
			return errors.New("must be weir-accounts 1 decoy=, and 32 bytes in base64")
		}
		p.begun = true
		return nil
	case f[0] == "user":
		return p.user(f)
	case f[0] == "token":
		return p.token(f)
	}
	return errors.New("must begin with user, token or #")
}

func (p *parsing) user(f []string) error {
	if len(f) < 4 || len(f) > 5 || len(f) == 5 && f[4] != "disabled" {
		return errors.New("must be user NAME scopes=LIST verifier=VERIFIER, and disabled or nothing, with one space between")
	}
	a := Account{Name: f[1], Disabled: len(f) == 5}
	if name, err := PrepareName(f[1]); err != nil {
		return err
	} else if name != f[1] {
		return errors.New("the name must be written in its prepared form (SASLprep)")
	}
	if _, twice := p.set.byName[a.Name]; twice {
		return errors.New("this name has an account already")
	}
	var err error
	if a.Scopes, err = scopesOf(f[2]); err != nil {
		return err
	}
	v, ok := strings.CutPrefix(f[3], "verifier=")
	if !ok {
		return errors.New("verifier= must come after the scopes")
	}
	if a.Verifier, err = parseVerifier(v); err != nil {
		return err
	}
	if len(p.set.accounts) == MaxUsers {
		return errors.New("there are more than 100000 accounts")
	}
	p.set.byName[a.Name] = len(p.set.accounts)
	p.set.accounts = append(p.set.accounts, a)
	p.set.lines["user "+a.Name] = p.line
	return nil
}

func (p *parsing) token(f []string) error {
	if len(f) != 7 {
		return errors.New("must be token NAME LABEL scopes=LIST created=TIME expires=TIME hash=HEX, with one space between")
	}
	t := Token{Account: f[1], Label: f[2]}
	owner, known := p.set.byName[t.Account]
	if !known {
		return errors.New("the token's account is not in a line above")
	}
	if err := checkWord("label", t.Label); err != nil {
		return err
	}
	key := "token " + t.Account + " " + t.Label
	if p.set.lines[key] != 0 {
		return errors.New("this account has a token with this label already")
	}
	var err error
	if t.Scopes, err = scopesOf(f[3]); err != nil {
		return err
	}
	if t.Created, err = timeOf(f[4], "created"); err != nil {
		return err
	}
	if f[5] != "expires=-" {
		if t.Expires, err = timeOf(f[5], "expires"); err != nil {
			return err
		}
	}
	digits, ok := strings.CutPrefix(f[6], "hash=")
	hash, err := hex.DecodeString(digits)
	if !ok || err != nil || len(hash) != len(t.Hash) || strings.ToLower(digits) != digits {
		return errors.New("hash= must be followed by 64 digits of lower-case hex")
	}
	copy(t.Hash[:], hash)
	place := binary.BigEndian.Uint64(hash)
	if _, twice := p.set.byHash[place]; twice {
		return errors.New("this token is in the file already")
	}
	if len(p.set.tokens) == MaxTokens {
		return errors.New("there are more than 100000 tokens")
	}
	var granted []string
	for _, scope := range t.Scopes {
		if slices.Contains(p.set.accounts[owner].Scopes, scope) {
			granted = append(granted, scope)
		}
	}
	p.set.byHash[place] = len(p.set.tokens)
	p.set.tokens = append(p.set.tokens, t)
	p.set.granted = append(p.set.granted, granted)
	p.set.lines[key] = p.line
	return nil
}

func scopesOf(field string) ([]string, error) {
	list, ok := strings.CutPrefix(field, "scopes=")
	if !ok {
		return nil, errors.New("scopes= is missing or out of place")
	}
	return ParseScopes(list)
}

// ParseScopes reads a list of scopes with commas between; "-" is none.
func ParseScopes(list string) ([]string, error) {
	if list == "-" {
		return nil, nil
	}
	scopes := strings.Split(list, ",")
	if len(scopes) > maxScopes {
		return nil, errors.New("there may be 32 scopes at most")
	}
	for i, scope := range scopes {
		if err := checkWord("scope", scope); err != nil {
			return nil, err
		}
		if slices.Contains(scopes[:i], scope) {
			return nil, errors.New("a scope is named twice")
		}
	}
	return scopes, nil
}

func formatScopes(scopes []string) string {
	if len(scopes) == 0 {
		return "-"
	}
	return strings.Join(scopes, ",")
}

// checkWord is for scopes and labels.
func checkWord(what, w string) error {
	ok := len(w) >= 1 && len(w) <= 64 && w[0] != '-'
	for i := range len(w) {
		c := w[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._:/-", c) >= 0)
	}
	if !ok {
		return errors.New("a " + what + " is 1 to 64 letters, digits and . _ : / -, not first -")
	}
	return nil
}

func timeOf(field, key string) (time.Time, error) {
	text, ok := strings.CutPrefix(field, key+"=")
	t, err := time.Parse(time.RFC3339, text)
	if !ok || err != nil || t.Format(time.RFC3339) != text || !strings.HasSuffix(text, "Z") {
		return t, errors.New(key + "= must be followed by a time such as 2027-01-31T12:00:00Z")
	}
	return t, nil
}

func (a *Account) line() string {
	s := "user " + a.Name + " scopes=" + formatScopes(a.Scopes) + " verifier=" + a.Verifier.String()
	if a.Disabled {
		s += " disabled"
	}
	return s
}

func (t *Token) line() string {
	expires := "-"
	if !t.Expires.IsZero() {
		expires = t.Expires.UTC().Format(time.RFC3339)
	}
	return "token " + t.Account + " " + t.Label + " scopes=" + formatScopes(t.Scopes) + " created=" + t.Created.UTC().Format(time.RFC3339) +
		" expires=" + expires + " hash=" + hex.EncodeToString(t.Hash[:])
}

func headerLine(key [32]byte) string { return header + base64.StdEncoding.EncodeToString(key[:]) }
