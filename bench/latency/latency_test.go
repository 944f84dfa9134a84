package latency

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestOutcomesBelongToThePhaseTheyWereDueIn(t *testing.T) {
	r, err := New([]Phase{{"before", 0, time.Second}, {"during", time.Second, 3 * time.Second}, {"after", 3 * time.Second, 4 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r.OK(time.Duration(i)*10*time.Millisecond, time.Millisecond)
	}
	r.OK(time.Second, 5*time.Second) // due as the attack began, answered after the run
	r.Fail(2999*time.Millisecond, Timeout)
	r.Fail(3*time.Second, Cut)
	r.OK(4*time.Second, time.Millisecond) // outside
	s := r.Summary()
	if s[0].OK != 100 || s[0].Goodput != 100 || s[0].Errors != 0 {
		t.Errorf("before: %+v", s[0])
	}
	if d := s[0].P50 - time.Millisecond; d < -time.Microsecond || d > 2*time.Microsecond {
		t.Errorf("before: p50 %v", s[0].P50)
	}
	if s[1].OK != 1 || s[1].Goodput != 0.5 || s[1].Failed["timeout"] != 1 || s[1].Max < 5*time.Second {
		t.Errorf("during: %+v", s[1])
	}
	if r.Errors() != 2 {
		t.Errorf("%d errors", r.Errors())
	}
	if s[2].OK != 0 || s[2].Failed["cut"] != 1 || s[2].Max != 0 {
		t.Errorf("after: %+v", s[2])
	}
	line := r.Timeline()
	if len(line) != 8 || line[0].OK != 50 || line[1].OK != 50 || line[2].OK != 1 || line[5].Errors != 1 || line[6].Errors != 1 {
		t.Errorf("timeline: %+v", line)
	}
	if at := r.At(1100 * time.Millisecond); at.OK != 50 {
		t.Errorf("last whole slice: %+v", at)
	}
}

func TestPhasesThatOverlapAreRefused(t *testing.T) {
	for _, p := range [][]Phase{nil, {{"a", 0, 2}, {"b", 1, 3}}, {{"a", 2, 1}}, {{"a", -1, 1}}} {
		if _, err := New(p); err == nil {
			t.Errorf("%v passed", p)
		}
	}
}

func TestSpread(t *testing.T) {
	var a, b, empty Spread
	if a.Range() != (Range{}) {
		t.Error("an empty spread has a range")
	}
	for i := 1; i <= 100; i++ {
		b.Add(time.Duration(i) * time.Millisecond)
	}
	b.Add(-time.Second)
	a.Merge(&b)
	a.Merge(&empty)
	a.Add(time.Hour)
	r := a.Range()
	if r.Count != 102 || r.Min != 0 || r.Max < MaxTracked || r.P50 < 49*time.Millisecond || r.P50 > 52*time.Millisecond {
		t.Errorf("%+v", r)
	}
	if b.Range().Count != 101 {
		t.Error("merging changed its source")
	}
}

// What several wrote, went through JSON and was merged is what one would have written.
func TestMergedIsWhatOneWouldHaveSeen(t *testing.T) {
	phases := []Phase{{"a", 0, time.Second}, {"b", time.Second, 3 * time.Second}}
	whole, _ := New(phases)
	var wholeLag Spread
	sum, _ := New(phases)
	var sumLag Spread
	for part := range 3 {
		r, _ := New(phases)
		var lag Spread
		for i := part; i < 3000; i += 3 {
			due, took := time.Duration(i)*time.Millisecond, time.Duration(i*i)*time.Microsecond
			if i%7 == 0 {
				r.Fail(due, Cut)
				whole.Fail(due, Cut)
				continue
			}
			r.OK(due, took)
			whole.OK(due, took)
			lag.Add(took)
			wholeLag.Add(took)
		}
		text, err := json.Marshal(struct {
			R *Recorder
			S Spread
		}{r, lag})
		if err != nil {
			t.Fatal(err)
		}
		var copied struct {
			R Recorder
			S Spread
		}
		if err := json.Unmarshal(text, &copied); err != nil {
			t.Fatal(err)
		}
		if err := sum.Merge(&copied.R); err != nil {
			t.Fatal(err)
		}
		sumLag.Merge(&copied.S)
	}
	if got, want := sum.Summary(), whole.Summary(); !reflect.DeepEqual(got, want) {
		t.Errorf("merged %+v, want %+v", got, want)
	}
	if got, want := sum.Timeline(), whole.Timeline(); !reflect.DeepEqual(got, want) {
		t.Errorf("merged timeline %+v, want %+v", got, want)
	}
	if sumLag.Range() != wholeLag.Range() {
		t.Errorf("merged spread %+v, want %+v", sumLag.Range(), wholeLag.Range())
	}
	other, _ := New(phases[:1])
	if sum.Merge(other) == nil {
		t.Error("recorders of different phases were merged")
	}
	for _, text := range []string{"{}", `{"phases":[{"Name":"a","From":0,"To":1}]}`, `{"phases":[{"To":1}],"by_phase":[{"took":"AAAA"}],"by_slice":[{}]}`} {
		if json.Unmarshal([]byte(text), new(Recorder)) == nil {
			t.Errorf("%s passed", text)
		}
	}
}

func TestARunThatEndedEarlyHasTheRatesOfItsTime(t *testing.T) {
	r, _ := New([]Phase{{"a", 0, time.Second}, {"b", time.Second, 2 * time.Second}, {"c", 2 * time.Second, 3 * time.Second}})
	for i := range 150 {
		r.OK(time.Duration(i)*10*time.Millisecond, time.Millisecond)
	}
	got := Until(1500*time.Millisecond, r.Summary())
	if len(got) != 3 || got[0].Goodput != 100 || got[1].Goodput != 100 || got[1].ForSecs != 0.5 || got[2].Goodput != 0 || got[2].ForSecs != 0 {
		t.Errorf("%+v", got)
	}
	if line := Until(1200*time.Millisecond, r.Timeline()); len(line) != 3 || line[1].Goodput != 100 || line[2].ForSecs > 0.21 {
		t.Errorf("%+v", line)
	}
	if line := Until(time.Hour, r.Timeline()); len(line) != 6 {
		t.Errorf("%+v", line)
	}
}

func BenchmarkOK(b *testing.B) {
	r, _ := New([]Phase{{"run", 0, time.Minute}})
	b.ReportAllocs()
	for b.Loop() {
		r.OK(time.Second, time.Millisecond)
	}
}
