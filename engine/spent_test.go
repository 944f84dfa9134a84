package engine

import (
	"runtime"
	"testing"
	"time"
)

// Time in which a goroutine does nothing is not spent; on another thread it counts up to a bound.
func TestSpentIsProcessorTime(t *testing.T) {
	w := begin()
	time.Sleep(200 * time.Millisecond)
	if d := w.spent(); d > mostUnknown {
		t.Errorf("%v spent by sleeping", d)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	w = begin()
	time.Sleep(200 * time.Millisecond)
	if d := w.spent(); d > 20*time.Millisecond {
		t.Errorf("%v spent by sleeping on a thread", d)
	}
	w = begin()
	for until := threadTime() + 30*time.Millisecond; threadTime() < until; {
	}
	if d := w.spent(); d < 30*time.Millisecond {
		t.Errorf("%v of 30 ms", d)
	}
	w = begin()
	time.Sleep(50 * time.Millisecond)
	moved := make(chan time.Duration)
	go func() { moved <- w.spent() }() // this goroutine keeps its thread, so that is another
	if d := <-moved; d != mostUnknown {
		t.Errorf("%v on another thread", d)
	}
}
