package accounts

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// Iterations of PBKDF2 with HMAC-SHA-256: what OWASP's Password Storage Cheat Sheet advises since
// 2023. They cost the client 0.1 to 0.3 s a login, the server nothing with SCRAM, and a worker as
// much in CheckPassword.
const Iterations = 600_000

// What a verifier may have. 4,096 is RFC 7677's least; ten million would take a client seconds. All
// salts have one length, PostgreSQL's, so that the length says nothing about whether there is an
// account.
const (
	minIterations = 4096
	maxIterations = 10_000_000
	SaltBytes     = 16
)

// Verifier is what is kept of a password. It lets one check a login, not log in.
type Verifier struct {
	Salt       [SaltBytes]byte
	Iterations int
	StoredKey  [sha256.Size]byte // SHA-256 of the key that a client proves to have
	ServerKey  [sha256.Size]byte // what the server proves to have
}

// NewVerifier makes a verifier with a random salt. The password need not be prepared. It takes as
// long as Iterations do: not on a loop.
func NewVerifier(password string) (Verifier, error) { return newVerifier(password, Iterations) }

func newVerifier(password string, iterations int) (v Verifier, err error) {
	if password, err = PreparePassword(password); err != nil {
		return v, err
	}
	rand.Read(v.Salt[:]) // never fails, see crypto/rand
	v.Iterations = iterations
	v.StoredKey, v.ServerKey, err = v.keys(password)
	return v, err
}

// keys are RFC 5802's StoredKey and ServerKey of a prepared password.
func (v *Verifier) keys(password string) (stored, server [sha256.Size]byte, err error) {
	salted, err := pbkdf2.Key(sha256.New, password, v.Salt[:], v.Iterations, sha256.Size)
	if err != nil {
		return stored, server, err
	}
	stored = sha256.Sum256(mac(salted, "Client Key"))
	copy(server[:], mac(salted, "Server Key"))
	return stored, server, nil
}

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

const mechanism = "SCRAM-SHA-256"

// String is the verifier as the file has it.
func (v *Verifier) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return mechanism + "$" + strconv.Itoa(v.Iterations) + ":" + b64(v.Salt[:]) + "$" + b64(v.StoredKey[:]) + ":" + b64(v.ServerKey[:])
}

// parseVerifier reads what String writes, and nothing else. Its errors do not quote the keys.
func parseVerifier(s string) (v Verifier, err error) {
	name, rest, _ := strings.Cut(s, "$")
	factors, keys, ok := strings.Cut(rest, "$")
	count, salt, ok1 := strings.Cut(factors, ":")
	stored, server, ok2 := strings.Cut(keys, ":")
	if name != mechanism || !ok || !ok1 || !ok2 {
		return v, errors.New("the verifier must be SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY")
	}
	n, err := strconv.Atoi(count)
	if err != nil || strconv.Itoa(n) != count || n < minIterations || n > maxIterations {
		return v, errors.New("the verifier's iterations must be 4096 to 10000000")
	}
	v.Iterations = n
	if !decode(v.Salt[:], salt) {
		return v, errors.New("the verifier's salt must be 16 bytes in base64")
	}
	if !decode(v.StoredKey[:], stored) || !decode(v.ServerKey[:], server) {
		return v, errors.New("the verifier's keys must be 32 bytes in base64 each")
	}
	return v, nil
}

// decode reads exactly len(dst) bytes of base64 as it is written, with nothing beside.
func decode(dst []byte, s string) bool {
	if len(s) != base64.StdEncoding.EncodedLen(len(dst)) || strings.ContainsAny(s, "\r\n") {
		return false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	return err == nil && copy(dst, b) == len(dst) && len(b) == len(dst)
}
