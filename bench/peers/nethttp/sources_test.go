package main

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestSourcesHaveTheirRateAndTheMapItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSources(10, 2, 3)
		for i, want := range []bool{true, true, false} {
			if got := s.allow("a"); got != want {
				t.Errorf("request %d: %v", i+1, got)
			}
		}
		time.Sleep(100 * time.Millisecond)
		if !s.allow("a") {
			t.Error("the bucket did not fill")
		}
		for i := range 2 {
			if !s.allow(fmt.Sprint(i)) {
				t.Error("a newcomer was refused with room for it")
			}
		}
		if s.allow("one too many") {
			t.Error("the map grew beyond its bound")
		}
		time.Sleep(forgetAfter + time.Second)
		if !s.allow("later") || len(s.by) != 1 {
			t.Errorf("%d are remembered", len(s.by))
		}
	})
}
