package accounts

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Account is one account, as the file has it.
type Account struct {
	Name     string
	Scopes   []string
	Disabled bool
	Verifier Verifier
}

// Token is what is kept of a bearer token.
type Token struct {
	Account string
	Label   string // tells the tokens of one account apart
	Scopes  []string
	Created time.Time
	Expires time.Time // zero for never
	Hash    [sha256.Size]byte
}

// Login is who somebody has proved to be, and what that lets them do. Its slices are shared: read only.
type Login struct {
	Account string
	Scopes  []string
	Token   string // the label of the token that was shown, "" after a password
	// Expires is when the token does, zero for never and after a password.
	Expires time.Time
	proof   [sha256.Size]byte // StoredKey, or the token's hash; zero when there was neither
}

// Kept is what to keep of a login to ask Set.Good of it later: a copy without its scopes, that keeps no Set in
// memory.
func (l Login) Kept() Login {
	l.Account, l.Token, l.Scopes = strings.Clone(l.Account), strings.Clone(l.Token), nil
	return l
}

// Has reports whether the login has a scope.
func (l *Login) Has(scope string) bool { return slices.Contains(l.Scopes, scope) }

// Set is all accounts and tokens of one reading of the file. It never changes: any goroutine. What it
// returns is shared with others: read only.
type Set struct {
	accounts []Account
	byName   map[string]int
	tokens   []Token
	byHash   map[uint64]int // by the first 8 bytes; parse refuses two that share them
	granted  [][]string     // of each token, what its account has too

	decoyKey        [32]byte
	decoyIterations int
	serial          uint64
	lines           map[string]int // of "user NAME" and "token NAME LABEL", for Draft
}

var serials atomic.Uint64

// Serial tells Sets apart: no two of one process have the same, and none has 0.
func (s *Set) Serial() uint64 { return s.serial }

// Accounts are in the file's order. Do not change them.
func (s *Set) Accounts() []Account { return s.accounts }

// Tokens are in the file's order. Do not change them.
func (s *Set) Tokens() []Token { return s.tokens }

// Verifier returns what to check a login of name against, and whether it may succeed. A name without an
// account gets a decoy, always the same for one name, that no password fits; a disabled one has its own
// verifier and may not succeed. name need not be prepared. It takes the same steps either way.
func (s *Set) Verifier(name string) (v Verifier, may bool) {
	prepared, err := PrepareName(name)
	if err != nil {
		prepared = name
	}
	v = s.decoy(prepared)
	i, known := s.byName[prepared]
	if !known || err != nil {
		return v, false
	}
	return s.accounts[i].Verifier, !s.accounts[i].Disabled
}

// decoy is the verifier of a name that has none. Its iterations are those that most accounts have.
func (s *Set) decoy(name string) (v Verifier) {
	copy(v.Salt[:], mac(s.decoyKey[:], "salt\x00", name))
	copy(v.StoredKey[:], mac(s.decoyKey[:], "stored\x00", name))
	copy(v.ServerKey[:], mac(s.decoyKey[:], "server\x00", name))
	v.Iterations = s.decoyIterations
	return v
}

// Still returns the login of an account that has proved itself against v, if it is still there,
// enabled, and has the same password: a set may have been replaced since the login began.
func (s *Set) Still(name string, v *Verifier) (Login, bool) {
	prepared, err := PrepareName(name)
	i, known := s.byName[prepared]
	if err != nil || !known {
		return Login{}, false
	}
	a := &s.accounts[i]
	if a.Disabled || subtle.ConstantTimeCompare(a.Verifier.StoredKey[:], v.StoredKey[:]) != 1 {
		return Login{}, false
	}
	return Login{Account: a.Name, Scopes: a.Scopes, proof: a.Verifier.StoredKey}, true
}

// Good returns what has become of a login by password or token, at the wall clock's now: what it lets do by this Set,
// and whether it is still one: its account is there, enabled, and has the same password; or its token is there,
// and has not expired. l may be of any earlier Set. No other kind of login is good.
func (s *Set) Good(l *Login, now time.Time) (Login, bool) {
	if l.Token != "" {
		return s.byTokenHash(l.proof, now)
	}
	return s.Still(l.Account, &Verifier{StoredKey: l.proof})
}

// Named returns the login of an account that somebody has proved to be in another way, by a certificate,
// if it is there and enabled.
func (s *Set) Named(name string) (Login, bool) {
	prepared, err := PrepareName(name)
	i, known := s.byName[prepared]
	if err != nil || !known || s.accounts[i].Disabled {
		return Login{}, false
	}
	return Login{Account: s.accounts[i].Name, Scopes: s.accounts[i].Scopes}, true
}

// CheckPassword checks a password that was sent as such (HTTP Basic, MQTT). It computes 600,000
// iterations, 0.1 to 0.3 s of a core, for known and unknown names alike: on workers only, and
// behind package attempts.
func (s *Set) CheckPassword(name, password string) (Login, bool) {
	v, may := s.Verifier(name)
	prepared, err := PreparePassword(password)
	stored, _, err2 := v.keys(prepared)
	same := subtle.ConstantTimeCompare(stored[:], v.StoredKey[:]) == 1
	if !same || !may || err != nil || err2 != nil {
		return Login{}, false
	}
	return s.Still(name, &v)
}

// Token returns the login of who shows a bearer token at the wall clock's now. Unknown, expired and
// revoked ones, and those of accounts that are disabled, are all the same no. Anything may be
// shown: it is hashed whatever it looks like, and the hash, which nobody can choose, is compared in
// constant time.
func (s *Set) Token(shown []byte, now time.Time) (Login, bool) {
	return s.byTokenHash(sha256.Sum256(shown), now)
}

func (s *Set) byTokenHash(hash [sha256.Size]byte, now time.Time) (Login, bool) {
	var t Token
	i, found := s.byHash[binary.BigEndian.Uint64(hash[:])]
	if found {
		t = s.tokens[i]
	}
	same := subtle.ConstantTimeCompare(hash[:], t.Hash[:]) == 1
	a, known := s.byName[t.Account]
	if !found || !same || !known || s.accounts[a].Disabled || t.Expired(now) {
		return Login{}, false
	}
	return Login{Account: t.Account, Scopes: s.granted[i], Token: t.Label, Expires: t.Expires, proof: hash}, true
}

// Expired reports whether the token's time has passed at now. There is no grace: one clock issues
// and checks.
func (t *Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// TokenPrefix begins every token, so that people, logs and scanners of source code recognise one.
const TokenPrefix = "weir_"

// TokenBytes is the length of a token: the prefix and 256 random bits in base64url.
const TokenBytes = len(TokenPrefix) + 43

func tokenOf(random [32]byte) string {
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}
