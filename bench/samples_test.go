package bench

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"weir/bench/attack"
	"weir/bench/load"
	"weir/bench/target"
	"weir/bench/victim"
	"weir/bench/watch"
)

func TestSamplesCountFromTheFirstOneOn(t *testing.T) {
	var shed atomic.Int64
	shed.Store(1000) // of an earlier siege
	page := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "weir_shed_total{reason=\"a\"} %d\n", shed.Add(5))
	}))
	var s *sampler
	for range 8 { // on a busy machine the page may come too late
		s = &sampler{counter: watch.NewCounter(page, "weir_shed_total", "reason"), pids: []int{os.Getpid()}, counts: []*attack.Counts{{}}, start: time.Now()}
		s.sample(t.Context())
		s.sample(t.Context())
		if s.missed == 0 {
			break
		}
	}
	first, second := s.samples[0], s.samples[1]
	if *first.Shed != 0 || first.Sheds != nil || *first.CPU != 0 || first.RSSBytes == 0 {
		t.Errorf("first: %+v", first)
	}
	if *second.Shed != 5 || second.Sheds["a"] != 5 || second.CPU == nil || second.AtSecs < first.AtSecs || s.missed != 0 {
		t.Errorf("second: %+v, %v", second, s.why)
	}
}

func TestSamplesTellOnlySoManyReasonsApart(t *testing.T) {
	s := &sampler{}
	s.shed(&Sample{}, map[string]float64{})
	page := map[string]float64{}
	for i := range 10_000 {
		page[fmt.Sprint(i)] = 2
	}
	for range 2 {
		var now Sample
		s.shed(&now, page)
		if len(now.Sheds) != maxSampledReasons+1 || *now.Shed != 20_000 || now.Sheds[otherReasons] != 2*(10_000-maxSampledReasons) {
			t.Errorf("%d reasons, %d in all, %d others", len(now.Sheds), *now.Shed, now.Sheds[otherReasons])
		}
	}
}

func TestCountsOfAnyServerStayPositive(t *testing.T) {
	s := &sampler{}
	s.shed(&Sample{}, map[string]float64{})
	var now Sample
	s.shed(&now, map[string]float64{"a": 9e18, "b": 9e18})
	if *now.Shed != math.MaxInt64 {
		t.Errorf("%d in all", *now.Shed)
	}
	d := &diary{counter: &watch.Counter{}, pages: []reading{{sheds: map[string]float64{}}, {sheds: map[string]float64{"a": 9e18, "b": 9e18}}}}
	o := Outcome{Server: d.stretches([]Phase{{Name: During}}), Attacks: []Struck{{Phase: During}}}
	if c := cost(o, During); c == nil || c.Refused != math.MaxInt64 {
		t.Errorf("the cost is %v", c)
	}
}

func TestPhasesTellOnlySoManyReasonsApart(t *testing.T) {
	page := map[string]float64{}
	for i := range 10_000 {
		page[fmt.Sprint(i)] = float64(1 + i/9_990)
	}
	d := &diary{counter: &watch.Counter{}, pages: []reading{{sheds: map[string]float64{}}, {sheds: page}}}
	got := d.stretches([]Phase{{Name: During}})[0].Sheds
	if len(got) != maxSampledReasons+1 || got["9999"] != 2 || got[otherReasons] != 10_010-20-(maxSampledReasons-10) {
		t.Errorf("%d reasons: %v", len(got), got)
	}
}

// One sample a second, and one at the end; a page that never comes costs its samples and not the run.
func TestSamplingKeepsItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := (&sampler{start: time.Now(), counts: []*attack.Counts{{}}}).run(t.Context())
		time.Sleep(2500 * time.Millisecond)
		samples, remarks := stop()
		if len(samples) != 4 || samples[2].AtSecs != 2 || samples[3].AtSecs != 2.5 || len(remarks) != 0 {
			t.Errorf("%+v, %q", samples, remarks)
		}
	})
	nobody := target.Target{Scheme: target.HTTP, Addr: victim.HTTP(t, http.NotFoundHandler()).Addr, Host: "127.0.0.1", Path: "/"}
	stop := (&sampler{start: time.Now(), counter: watch.NewCounter(nobody, "x", "y"), pids: []int{1 << 30}}).run(t.Context())
	samples, remarks := stop()
	if len(samples) == 0 || samples[0].Shed != nil || samples[0].CPU != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "incomplete") {
		t.Errorf("%+v, %q", samples, remarks)
	}
}

func TestSiegeIsRecordedWithAllThatDoesItAgain(t *testing.T) {
	to := victim.HTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	s := Siege{
		Good: load.Config{Target: to, Rate: 100, Timeout: 20 * time.Second}, Newcomers: &load.Config{Target: to, Rate: 20, Timeout: 20 * time.Second},
		Phases: Usual(600*time.Millisecond, 600*time.Millisecond, 0, []Strike{strike(t, "connection-flood?conns=5&total=5", to)}), PIDs: []int{os.Getpid()},
	}
	o, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if g, n := o.Good.Setup, o.Newcomers.Setup; g.Rate != 100 || g.Conns != 10 || g.Duration != 1200*time.Millisecond || !n.Churn || n.Conns == 0 || n.Timeout != 20*time.Second {
		t.Errorf("set up as %+v, %+v", g, n)
	}
	if len(o.Programs) != 1 || o.Programs[0].PID != os.Getpid() || len(o.Programs[0].Command) == 0 || o.Programs[0].Go == "" {
		t.Errorf("programs: %+v", o.Programs)
	}
	if len(o.Samples) < 3 {
		t.Fatalf("samples: %+v", o.Samples)
	}
	if last := o.Samples[len(o.Samples)-1]; last.Attempts != 5 || last.CPU == nil || *last.CPU == 0 || last.AtSecs < 1.1 {
		t.Errorf("the last sample: %+v", last)
	}
}
