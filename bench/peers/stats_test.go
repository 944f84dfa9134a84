package main

import (
	"slices"
	"testing"
)

func TestSpreadIsMedianAndRange(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want spread
		why  string
	}{
		{nil, spread{}, "of nothing"},
		{[]float64{3}, spread{3, 3, 3, 1}, "of one round"},
		{[]float64{9, 1, 2}, spread{2, 1, 9, 3}, "an outlier does not move it"},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4, 4}, "of an even number the middle two"},
	} {
		if got := spreadOf(c.in); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.why, got, c.want)
		}
	}
}

func TestEachIsFirstInTurn(t *testing.T) {
	all := []string{"a", "b", "c"}
	for round, want := range [][]string{{"a", "b", "c"}, {"b", "c", "a"}, {"c", "a", "b"}, {"a", "b", "c"}} {
		if got := rotated(all, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v, want %v", round, got, want)
		}
	}
	if !slices.Equal(all, []string{"a", "b", "c"}) {
		t.Error("the list itself was changed")
	}
	if rotated([]string(nil), 3) != nil {
		t.Error("of nothing there is nothing")
	}
}

func TestNumbersHaveTheDigitsThatCount(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{micros(0.857), "0.86"}, {micros(8.256), "8.26"}, {micros(10.44), "10.4"}, {micros(281.6), "282"},
		{thousands(547.4), "547"}, {thousands(20_512), "20,500"}, {thousands(1_234_567), "1,230,000"}, {thousands(0), "0"}, {thousands(999.7), "1,000"},
		{percent(100), "100 %"}, {percent(99.97), "99.9 %"}, {percent(98.92), "98.9 %"}, {percent(0), "0 %"},
		{millis(3.14), "3.1 ms"}, {millis(277.3), "277 ms"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
