package watch

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/bench/target"
	"weir/bench/victim"
)

const page = `# HELP weir_shed_total What was shed.
# TYPE weir_shed_total counter
weir_shed_total{reason="source_conns"} 12
weir_shed_total{reason="first \"frame\"",listener="a"} 1e3
weir_shed_total{reason="first \"frame\"",listener="b"} 5 1700000000000
weir_shed_total{listener="no reason"} 7
# TYPE weir_connections gauge
weir_connections 3
untyped_total{reason="x"} 9
# TYPE h histogram
h_bucket{le="+Inf"} 1
h_sum 2
h_count 1
`

func TestParse(t *testing.T) {
	long := strings.Repeat("x", 20_000)
	for _, c := range []struct {
		name, in, counter string
		want              map[string]float64
	}{
		{"the counter", page, "weir_shed_total", map[string]float64{"source_conns": 12, `first "frame"`: 1005}},
		{"without a type", page, "untyped_total", map[string]float64{"x": 9}},
		{"a counter without the label", page, "weir_connections", map[string]float64{}},
		{"no such counter", page, "nothing", map[string]float64{}},
		{"a label that is a terminal's", "a{reason=\"x\x1b[2J\\ny\u202e\"} 1\n", "a", map[string]float64{"x?[2J?y?": 1}},
		{"long labels", "a{reason=\"" + long + "1\"} 1\na{reason=\"" + long + "2\"} 2\n", "a", map[string]float64{long[:80] + "...": 3}},
		{"an empty page", "", "weir_shed_total", map[string]float64{}},
	} {
		got, err := parse(strings.NewReader(c.in), c.counter, "reason")
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, %v", c.name, got, err)
		}
	}
	for _, in := range []string{"<html>no metrics here</html>", "weir_shed_total{reason=\"x\" 1\n"} {
		if got, err := parse(strings.NewReader(in), "weir_shed_total", "reason"); err == nil {
			t.Errorf("%q: passed as %v", in, got)
		}
	}
}

func TestReadFromAServer(t *testing.T) {
	status := http.StatusOK
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.Redirect(w, r, "/metrics", http.StatusFound)
			return
		}
		w.WriteHeader(status)
		io.WriteString(w, page)
	}))
	root := NewCounter(to, "weir_shed_total", "reason")
	if _, err := root.Read(t.Context()); err == nil {
		t.Error("a redirect was followed, or passed for a page")
	}
	to.Path = "/metrics"
	c := NewCounter(to, "weir_shed_total", "reason")
	if got, err := c.Read(t.Context()); err != nil || got["source_conns"] != 12 {
		t.Errorf("%v, %v", got, err)
	}
	status = http.StatusServiceUnavailable
	if _, err := c.Read(t.Context()); err == nil {
		t.Error("a page that is no page passed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Read(ctx); err == nil {
		t.Error("read on after its context ended")
	}
	away := target.Target{Scheme: target.HTTP, Addr: netip.MustParseAddrPort("192.0.2.1:80"), Host: "127.0.0.1", Path: "/"}
	if _, err := NewCounter(away, "x", "y").Read(t.Context()); err == nil || !strings.Contains(err.Error(), "not a loopback") {
		t.Errorf("outside loopback: %v", err)
	}
}

func TestGrown(t *testing.T) {
	got := Grown(map[string]float64{"a": 1, "b": 5, "gone": 3}, map[string]float64{"a": 4, "b": 5, "new": 2})
	if !reflect.DeepEqual(got, map[string]int64{"a": 3, "new": 2}) {
		t.Error(got)
	}
}

func TestOwnProcess(t *testing.T) {
	a, err := Processes([]int{os.Getpid()})
	if err != nil {
		t.Skip(err)
	}
	b, begun := a, time.Now()
	for err == nil && time.Since(begun) < 30*time.Second && b.CPU-a.CPU < 10*time.Millisecond { // it works, and not always at once
		for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		}
		b, err = Processes([]int{os.Getpid()})
	}
	if err != nil || b.CPU-a.CPU < 10*time.Millisecond || b.RSSBytes < 1<<20 {
		t.Errorf("%+v, then %+v, %v", a, b, err)
	}
	if _, err := Processes([]int{os.Getpid(), 1 << 30}); err == nil {
		t.Error("a process that is not there passed")
	}
}

func TestStatOfAProcessWithAnOddName(t *testing.T) {
	rest := " S 1 2 3 4 5 6 7 8 9 10 70 30 11 12"
	if n, err := parseStat(fmt.Sprintf("12 (a) b (c)%s", rest)); n != 100 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, s := range []string{"", "12 a b", "12 (a) S 1 2", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x y 1"} {
		if _, err := parseStat(s); err == nil {
			t.Errorf("%q passed", s)
		}
	}
}

func TestCountsBeyondAllBoundsStayPositive(t *testing.T) {
	for _, c := range []struct {
		after, before float64
		want          map[string]int64
	}{
		{9e18, 0, map[string]int64{"a": 9e18}}, {1e19, 0, map[string]int64{"a": math.MaxInt64}}, {math.Inf(1), 0, map[string]int64{"a": math.MaxInt64}},
		{math.Inf(1), math.Inf(1), map[string]int64{}}, {math.NaN(), 0, map[string]int64{}}, {0, 9e18, map[string]int64{}}, {0.5, 0, map[string]int64{}},
	} {
		if got := Grown(map[string]float64{"a": c.before}, map[string]float64{"a": c.after}); !reflect.DeepEqual(got, c.want) {
			t.Errorf("from %v to %v: %v, want %v", c.before, c.after, got, c.want)
		}
	}
	if got := Sum(9e18, 9e18); got != math.MaxInt64 {
		t.Errorf("sum %d", got)
	}
	if got := Sum(math.MaxInt64-1, 1); got != math.MaxInt64 {
		t.Errorf("sum %d", got)
	}
}
