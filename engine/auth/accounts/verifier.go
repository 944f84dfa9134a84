package accounts

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"runtime"
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
	v.StoredKey, v.ServerKey = v.keys(password)
	return v, nil
}

// keys are RFC 5802's StoredKey and ServerKey of a prepared password.
func (v *Verifier) keys(password string) (stored, server [sha256.Size]byte) {
	salted := saltedPassword(password, v.Salt[:], v.Iterations)
	stored = sha256.Sum256(mac(salted, "Client Key"))
	copy(server[:], mac(salted, "Server Key"))
	return stored, server
}

// politeEvery is after how many iterations of PBKDF2 others have their turn: about 1.4 ms. crypto/pbkdf2 computes for 0.1 s
// without a pause, and a loop that wakes beside it waits until Go's scheduler takes the processor away, 10 ms later. With one
// processor and guesses all the time the p99 of who is logged in was 42 ms, and is 6 ms. 256 made that 1.2 ms, but the hash
// itself then took seconds: a loop that has had its turn keeps the processor until the runtime sees that it sleeps.
const politeEvery = 8192

// saltedPassword is RFC 5802's Hi: PBKDF2 with HMAC-SHA-256 and one block of output. It lets others run in between.
func saltedPassword(password string, salt []byte, iterations int) []byte {
	h := hmac.New(sha256.New, []byte(password))
	h.Write(salt)
	h.Write([]byte{0, 0, 0, 1})
	u := h.Sum(nil)
	sum := bytes.Clone(u)
	for i := 1; i < iterations; i++ {
		if i%politeEvery == 0 {
			runtime.Gosched()
		}
		h.Reset()
		h.Write(u)
		u = h.Sum(u[:0])
		subtle.XORBytes(sum, sum, u)
	}
	return sum
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
