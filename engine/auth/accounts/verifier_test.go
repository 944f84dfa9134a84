package accounts

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// TestSaltedPasswordIsPBKDF2 compares with the standard library.
func TestSaltedPasswordIsPBKDF2(t *testing.T) {
	for _, password := range []string{"x", "correct horse battery", strings.Repeat("long", 300), "naïve 日本"} {
		for _, iterations := range []int{1, 2, politeEvery, politeEvery + 1, 4096} {
			salt := sha256.Sum256([]byte(password))
			want, err := pbkdf2.Key(sha256.New, password, salt[:SaltBytes], iterations, sha256.Size)
			if err != nil {
				t.Fatal(err)
			}
			if got := saltedPassword(password, salt[:SaltBytes], iterations); !bytes.Equal(got, want) {
				t.Errorf("%.10s, %d: %x, want %x", password, iterations, got, want)
			}
		}
	}
}

func BenchmarkSaltedPassword(b *testing.B) {
	salt := make([]byte, SaltBytes)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			saltedPassword("correct horse battery", salt, Iterations)
		}
	})
	b.Run("crypto/pbkdf2", func(b *testing.B) {
		for b.Loop() {
			_, _ = pbkdf2.Key(sha256.New, "correct horse battery", salt, Iterations, sha256.Size)
		}
	})
}

// TestHashingLetsOthersRun has one processor: whoever waits for it has a turn every few thousand iterations, and not only when Go's
// scheduler loses patience after 10 ms.
func TestHashingLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	turns, end := 0, make(chan bool)
	var over atomic.Bool
	go func() {
		for !over.Load() {
			turns++
			runtime.Gosched()
		}
		close(end)
	}()
	const iterations = 400_000
	saltedPassword("correct horse battery", make([]byte, SaltBytes), iterations)
	over.Store(true)
	<-end
	if least := iterations / politeEvery / 2; turns < least {
		t.Errorf("%d turns, want %d", turns, least)
	}
}
