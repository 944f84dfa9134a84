package attack

import (
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

// In a network namespace of its own, where a whole /64 leads back to lo, and only there, a spray rotates in it.
func TestSprayRotatesInsideAPrefix(t *testing.T) {
	const inside = "BENCH_TEST_IN_NAMESPACE"
	if os.Getenv(inside) == "" {
		c := exec.Command("unshare", "-rn", "sh", "-c",
			`ip link set lo up && ip -6 route add local 2001:db8:7::/64 dev lo || exit 77; exec "$0" -test.run '^TestSprayRotatesInsideAPrefix$' -test.v`, os.Args[0])
		c.Env = append(os.Environ(), inside+"=1")
		out, err := c.CombinedOutput()
		if c.ProcessState == nil || c.ProcessState.ExitCode() == 77 || strings.HasPrefix(string(out), "unshare:") {
			t.Skipf("no network namespace here: %v, %s", err, out)
		}
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	from := map[netip.Addr]bool{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			from[c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()] = true
			mu.Unlock()
			go func() {
				victim.EchoLines(c)
				c.Close()
			}()
		}
	}()
	to := target.Target{Scheme: target.Line, Addr: l.Addr().(*net.TCPAddr).AddrPort()}
	r := storm(t, "spray?first=2001:db8:7::1&per-net=0&conns=20&total=500&sources=500&duration=1m", to)
	mu.Lock()
	defer mu.Unlock()
	if r.Replies != 500 || r.Took > 50*time.Second || len(from) != 500 || !from[netip.MustParseAddr("2001:db8:7::1f4")] {
		t.Errorf("%d sources: %+v", len(from), r)
	}
	// Two /64s, of which one leads here.
	k, o, err := ParseSpec("spray?first=2001:db8:7::1&per-net=250&sources=500")
	if err != nil || k.Check(o, to) == nil {
		t.Errorf("addresses of others passed, %v", err)
	}
}
