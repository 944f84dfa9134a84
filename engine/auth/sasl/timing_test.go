package sasl

import (
	"crypto/sha256"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/engine/auth/accounts"
)

// What is measured: two kinds of tries, interleaved at random, 10,000 of each; of each kind the
// slowest tenth is cut off (what the machine did meanwhile), and Welch's t of the rest says whether
// the means differ. |t| > 4.5 is what dudect (Reparaz, Balasch and Verbauwhede, 2017) takes for a
// leak, a chance of 1 in 100,000 when there is none. With 10,000 tries it finds differences of a
// few nanoseconds, of a cache line more; no network carries those: Crosby, Wallach and Riedi (2009)
// could tell apart 100 ns on a LAN and 15 µs across the Internet. So a difference must also be of
// 100 ns and 1 % of a try, and show in each of three rounds with the same sign.
const (
	tries      = 10_000
	greatestT  = 4.5
	greatestNs = 100
	rounds     = 3
)

// differ measures two kinds of tries and reports whether they can be told apart.
func differ(t *testing.T, kinds [2]func() time.Duration) bool {
	t.Helper()
	sign := 0
	for round := range rounds {
		stat, diff, mean := welch(kinds)
		t.Logf("round %d: t = %.1f, difference %.0f ns of %.0f ns", round+1, stat, diff, mean)
		s := 1
		if diff < 0 {
			s = -1
		}
		if math.Abs(stat) <= greatestT || math.Abs(diff) < max(greatestNs, mean/100) || sign == -s {
			return false
		}
		sign = s
	}
	return true
}

func welch(kinds [2]func() time.Duration) (t, diff, mean float64) {
	var took [2][]float64
	left := [2]int{tries, tries}
	for left[0]+left[1] > 0 {
		k := 0
		if rand.IntN(left[0]+left[1]) >= left[0] {
			k = 1
		}
		left[k]--
		took[k] = append(took[k], float64(kinds[k]()))
	}
	var m, v [2]float64
	for k := range took {
		slices.Sort(took[k])
		kept := took[k][:tries*9/10]
		for _, x := range kept {
			m[k] += x / float64(len(kept))
		}
		for _, x := range kept {
			v[k] += (x - m[k]) * (x - m[k]) / float64(len(kept)-1) / float64(len(kept))
		}
	}
	diff = m[0] - m[1]
	return diff / math.Sqrt(v[0]+v[1]), diff, (m[0] + m[1]) / 2
}

// guess is a login with a wrong password, without the client's own work: both steps of the server
// are measured.
func guess(t *testing.T, s *Server, name string) func() time.Duration {
	one := encode("AUTH "+Scram, "n,,n="+name+",r=abcdefghijklmnop")
	return func() time.Duration {
		x := s.Begin(nil, nil)
		began := time.Now()
		out, _, err := x.Step(one)
		took := time.Since(began)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := decode(string(out[2:]))
		nonce, _, _ := strings.Cut(first, ",")
		two := encode("+", "c=biws,"+nonce+",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
		began = time.Now()
		_, _, err = x.Step(two)
		took += time.Since(began)
		if err != Denied {
			t.Fatal(err)
		}
		return took
	}
}

func shows(t *testing.T, s *Server, token string) func() time.Duration {
	msg := encode("AUTH "+Token, token)
	return func() time.Duration {
		x := s.Begin(channel(1), nil)
		began := time.Now()
		_, _, err := x.Step(msg)
		took := time.Since(began)
		if err != Denied {
			t.Fatal(err)
		}
		return took
	}
}

func TestTimeTellsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("measures 10,000 tries several times")
	}
	if raceEnabled {
		t.Skip("the race detector's own time is ten times what is measured: make test runs this once more without it")
	}
	people := map[string]string{"user": "pencil", "off051": "pencil"}
	for i := range 100 {
		people[fmt.Sprintf("name%02d", i)] = "pencil"
	}
	set := setOf(t, people)
	s := serverOf(t, Config{Accounts: func() *accounts.Set { return set }})
	nearly := goodToken[:len(goodToken)-1] + "B"
	other := "weir_" + strings.Repeat("z", len(goodToken)-5)
	foreign := strings.Repeat("z", len(goodToken))
	for _, c := range []struct {
		why  string
		a, b func() time.Duration
	}{
		{"a known name and an unknown one", guess(t, s, "name50"), guess(t, s, "nome50")},
		{"an enabled account and a disabled one", guess(t, s, "name51"), guess(t, s, "off051")},
		{"a token but for its last letter and another", shows(t, s, nearly), shows(t, s, other)},
		{"a token's prefix and another one", shows(t, s, other), shows(t, s, foreign)},
	} {
		if differ(t, [2]func() time.Duration{c.a, c.b}) {
			t.Errorf("%s can be told apart by time", c.why)
		}
	}
	// The control: two SHA-256 of 1 KiB more, about 1.5 µs, must be found.
	plain, block := guess(t, s, "name50"), make([]byte, 1024)
	slower := func() time.Duration {
		took := plain()
		began := time.Now()
		for range 2 {
			block[0] = sha256.Sum256(block)[0]
		}
		return took + time.Since(began)
	}
	found := false
	for range 3 {
		found = found || differ(t, [2]func() time.Duration{plain, slower})
	}
	if !found {
		t.Skip("too much else goes on here: the measurement does not find what is there")
	}
}
