package accounts

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Draft is a file's text while Edit changes it. Each change is parsed as a reader would before it
// counts. Not for concurrent use.
type Draft struct {
	lines []string
	set   *Set
}

func newDraft(text []byte, create bool) (*Draft, error) {
	if len(text) == 0 && create {
		var key [32]byte
		rand.Read(key[:])
		text = []byte(headerLine(key) + "\n")
	}
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	return &Draft{strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), s}, nil
}

func (d *Draft) text() string { return strings.Join(d.lines, "\n") + "\n" }

// Set is what the draft says now.
func (d *Draft) Set() *Set { return d.set }

// take makes lines the draft's, when they can be read.
func (d *Draft) take(lines []string) error {
	s, err := Parse([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		return err
	}
	d.lines, d.set = lines, s
	return nil
}

// put replaces the line of a record, or appends a new one.
func (d *Draft) put(key, line string) error {
	lines := slices.Clone(d.lines)
	if at := d.set.lines[key]; at > 0 {
		lines[at-1] = line
	} else {
		lines = append(lines, line)
	}
	return d.take(lines)
}

func (d *Draft) account(name string) (Account, error) {
	prepared, err := PrepareName(name)
	if err != nil {
		return Account{}, err
	}
	i, known := d.set.byName[prepared]
	if !known {
		return Account{}, fmt.Errorf("there is no account %s", prepared)
	}
	return d.set.accounts[i], nil
}

// Add makes an account. Its verifier is of NewVerifier.
func (d *Draft) Add(name string, v Verifier, scopes []string) error {
	prepared, err := PrepareName(name)
	if err != nil {
		return err
	}
	if _, known := d.set.byName[prepared]; known {
		return fmt.Errorf("there is an account %s already", prepared)
	}
	a := Account{Name: prepared, Scopes: scopes, Verifier: v}
	return d.put("user "+prepared, a.line())
}

// Change lets f change an account, but for its name.
func (d *Draft) Change(name string, f func(*Account)) error {
	a, err := d.account(name)
	if err != nil {
		return err
	}
	prepared := a.Name
	f(&a)
	a.Name = prepared
	return d.put("user "+prepared, a.line())
}

// Delete removes an account and its tokens, and returns how many those were.
func (d *Draft) Delete(name string) (tokens int, err error) {
	a, err := d.account(name)
	if err != nil {
		return 0, err
	}
	gone := map[int]bool{d.set.lines["user "+a.Name]: true}
	for i := range d.set.tokens {
		if t := &d.set.tokens[i]; t.Account == a.Name {
			gone[d.set.lines["token "+t.Account+" "+t.Label]] = true
		}
	}
	var lines []string
	for i, line := range d.lines {
		if !gone[i+1] {
			lines = append(lines, line)
		}
	}
	return len(gone) - 1, d.take(lines)
}

// Issue makes a token and returns it: this is the only time that it can be seen. A scope that the
// account lacks is refused; no expiry is the zero Time.
func (d *Draft) Issue(name, label string, scopes []string, now, expires time.Time) (string, error) {
	a, err := d.account(name)
	if err != nil {
		return "", err
	}
	if err := checkWord("label", label); err != nil {
		return "", err
	}
	for _, scope := range scopes {
		if !slices.Contains(a.Scopes, scope) {
			return "", fmt.Errorf("account %s lacks the scope %s", a.Name, scope)
		}
	}
	if !expires.IsZero() && !expires.After(now) {
		return "", errors.New("the token would be expired already")
	}
	key := "token " + a.Name + " " + label
	if d.set.lines[key] != 0 {
		return "", fmt.Errorf("account %s has a token %s already", a.Name, label)
	}
	var random [32]byte
	rand.Read(random[:])
	token := tokenOf(random)
	t := Token{Account: a.Name, Label: label, Scopes: scopes, Created: now, Expires: expires, Hash: sha256.Sum256([]byte(token))}
	return token, d.put(key, t.line())
}

// Revoke removes a token.
func (d *Draft) Revoke(name, label string) error {
	a, err := d.account(name)
	if err != nil {
		return err
	}
	at := d.set.lines["token "+a.Name+" "+label]
	if at == 0 {
		return fmt.Errorf("account %s has no token %s", a.Name, label)
	}
	return d.take(slices.Delete(slices.Clone(d.lines), at-1, at))
}
