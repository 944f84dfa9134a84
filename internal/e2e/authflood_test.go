package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"weir/internal/lab"
)

// guessing begins a flood of 10,000 wrong logins a second from 100 networks, at 100 names of which alice is one, over more
// connections than can wait for their turn. The returned function ends it and returns what bench says of it.
func guessing(t testing.TB, target string) (end func() string) {
	t.Helper()
	cmd := exec.Command(lab.Command(t, "bench"), "attack", "auth-flood", "-target", target, "-rate", "10000", "-sources", "100", "-per-net", "1",
		"-conns", "1000", "-user", "alice", "-duration", "10m")
	var out lab.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return func() string {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("bench: %v", err)
		}
		_, summary, _ := strings.Cut(out.String(), "auth-flood on ")
		return "auth-flood on " + summary
	}
}

// guessingAtAlice begins a flood of 300 wrong logins a second at alice alone, from 100 networks. end ends it.
func guessingAtAlice(t testing.TB, target string) (end func()) {
	t.Helper()
	cmd := exec.Command(lab.Command(t, "bench"), "attack", "auth-flood", "-target", target, "-rate", "300", "-sources", "100", "-per-net", "1",
		"-accounts", "1", "-user", "alice", "-duration", "5m")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { cmd.Process.Kill(); cmd.Wait() })
	t.Cleanup(end)
	return end
}

// p99 asks 200 times a second for a while and returns the 99th percentile of the latencies, from when each was due.
func p99(t testing.TB, length time.Duration, ask func()) time.Duration {
	t.Helper()
	const every = 5 * time.Millisecond
	var took []time.Duration
	for begin, n := time.Now(), 0; ; n++ {
		due := begin.Add(time.Duration(n) * every)
		if due.Sub(begin) > length {
			break
		}
		time.Sleep(time.Until(due))
		ask()
		took = append(took, time.Since(due))
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// TestGuessingLeavesTheOwnerAlone has 10,000 passwords a second guessed, of alice and others, from 100 networks: by SCRAM
// over frames, by Basic over HTTP. Alice, who has logged in before, is served as fast as ever and gets in again at once.
func TestGuessingLeavesTheOwnerAlone(t *testing.T) {
	length := 3 * time.Second
	if testing.Short() {
		length = 2 * time.Second
	}
	d := startDoors(t, []string{"frames", "http"})
	alice := newScram(t, "alice", password)

	byFrames := func() *talk {
		c := d.dial(t, "frames", "")
		if word, err := c.login("SCRAM-SHA-256", alice.NewConversation()); err != nil || word != "OK" {
			t.Fatalf("alice does not get in: %q, %v", word, err)
		}
		return c
	}
	byBasic := func() *talk {
		c := d.dial(t, "http", "")
		get(t, c)
		return c
	}
	for _, way := range []struct {
		scheme string
		enter  func() *talk
		ask    func(testing.TB, *talk)
	}{
		{"frames", byFrames, echo}, {"http", byBasic, get},
	} {
		good := way.enter()
		for try := 1; ; try++ {
			good.SetDeadline(time.Now().Add(4 * patience))
			why := guessed(t, d, good, way.scheme, length, way.enter, way.ask)
			if why == "" {
				break
			}
			if try == tries {
				t.Errorf("%s: %s", way.scheme, why)
				break
			}
			t.Logf("once more: %s: %s", way.scheme, why)
		}
	}
	d.Alive(t)
}

// guessed measures alice before and under a flood, and says what was too much of it: her p99 stays below five times what
// it was. What no machine excuses fails the test at once.
func guessed(t *testing.T, d *doors, good *talk, scheme string, length time.Duration, enter func() *talk, ask func(testing.TB, *talk)) string {
	t.Helper()
	quiet := p99(t, length, func() { ask(t, good) })
	slowestOf := func(n int) (slowest time.Duration) {
		for range n {
			again := time.Now()
			enter().Close()
			slowest = max(slowest, time.Since(again))
		}
		return slowest
	}
	quietLogin := slowestOf(2)
	spent, before := d.CPU(t), scrape(t, d.Server)
	begun := time.Now()
	end := guessing(t, scheme+"://"+d.at[scheme])
	lab.Eventually(t, patience, "the flood has begun", func() bool {
		return scrape(t, d.Server).Shed("auth-attempts") > before.Shed("auth-attempts")+1000
	})
	flooded := p99(t, length, func() { ask(t, good) })
	slowest := slowestOf(5)
	what := end()
	cores := float64(d.CPU(t)-spent) / float64(time.Since(begun))
	m := scrape(t, d.Server)
	t.Logf("%s: p99 %s, before %s: ratio %.1f; alice's slowest of 5 logins took %s; %.2f cores\n%s", scheme, flooded, quiet, float64(flooded)/float64(quiet), slowest, cores, what)

	if !strings.Contains(what, "; 0 good replies") {
		t.Errorf("%s: somebody got in:\n%s", scheme, what)
	}
	if slowest > max(time.Second, 5*quietLogin) {
		return fmt.Sprintf("alice waits %s, %s before", slowest, quietLogin)
	}
	// Hashes take a third of a core at most, however many are asked for; the rest is what 10,000 refusals cost.
	if cores > 1 {
		return fmt.Sprintf("%.2f cores", cores)
	}
	if refused := m.Shed("auth-attempts") + m.Shed("auth-failed") - before.Shed("auth-attempts") - before.Shed("auth-failed"); refused < 1000*length.Seconds() {
		return fmt.Sprintf("%v logins refused", refused)
	}
	// Twice as long is the aim on a machine of its own; here the attacker and others have their share of two cores.
	if flooded > 5*max(quiet, 4*time.Millisecond) {
		return fmt.Sprintf("the good client's p99 is %s, %s before", flooded, quiet)
	}
	return ""
}

// TestGuessingLeavesNewcomersAlone has alice's password guessed from 100 networks until neither what her account has
// is left nor what the networks have at it. Alice gets in from where she has never been, by SCRAM and by Basic, after
// mistakes; and no more guesses were checked than is said.
func TestGuessingLeavesNewcomersAlone(t *testing.T) {
	d := startDoors(t, []string{"frames", "http"})
	alice, mistaken := newScram(t, "alice", password), newScram(t, "alice", "wrong horse battery")
	begun := time.Now()
	const networks = 100
	checked := func() float64 { return scrape(t, d.Server).Shed("auth-failed") }
	guessingAtAlice(t, "frames://"+d.at["frames"])
	lab.Eventually(t, 2*patience, "the networks have nothing left", func() bool {
		m := scrape(t, d.Server)
		return m.Shed("auth-failed") >= 30+networks*3-20 && m.Shed("auth-attempts") > 300
	})
	for _, from := range []string{"127.0.0.1", "127.250.1.1", "127.250.2.1"} {
		for _, try := range []struct {
			s    *scram.Client
			want string
		}{{mistaken, "ERR not authenticated"}, {mistaken, "ERR not authenticated"}, {alice, "OK"}, {alice, "OK"}} {
			if word, err := d.dial(t, "frames", from).login("SCRAM-SHA-256", try.s.NewConversation()); err != nil || word != try.want {
				t.Errorf("from %s: %q, %v, want %q", from, word, err, try.want)
			}
		}
	}
	guessingAtAlice(t, "http://"+d.at["http"])
	before := scrape(t, d.Server).Shed("auth-attempts")
	lab.Eventually(t, patience, "the flood by Basic has begun", func() bool { return scrape(t, d.Server).Shed("auth-attempts") > before+1000 })
	for _, from := range []string{"127.250.3.1", "127.250.4.1"} {
		again := time.Now()
		get(t, d.dial(t, "http", from))
		t.Logf("by Basic from %s in %s", from, time.Since(again))
	}
	n := checked()
	minutes := time.Since(begun).Minutes()
	most := 30 + 6*minutes + networks*(3+3*minutes/60) + 6 + 5 // hers, and for counts that are of a moment later
	if n > most {
		t.Errorf("%v guesses were checked in %.1f minutes, at most %.0f", n, minutes, most)
	} else {
		t.Logf("%v guesses were checked in %.1f minutes, at most %.0f", n, minutes, most)
	}
	d.Alive(t)
}

// echo has a frame sent back.
func echo(t testing.TB, c *talk) {
	t.Helper()
	c.say("hello")
	if text, err := c.hear(); text != "hello" {
		t.Fatalf("%q, %v", text, err)
	}
}

// get has alice's request answered.
func get(t testing.TB, c *talk) {
	t.Helper()
	req, _ := http.NewRequest("GET", "/", nil)
	req.SetBasicAuth("alice", password)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", req.Header.Get("Authorization"))
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("alice is answered %s", resp.Status)
	}
}
