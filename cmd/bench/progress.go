package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/report"
)

// progress shows how far a run is: one line that is written over on a terminal, a plain line at the start of
// each phase elsewhere. Any goroutine.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	phase    string
	width    int // of the line that stands on the terminal
}

func (c *command) progress() *progress { return &progress{w: c.stderr, terminal: c.terminal} }

func (p *progress) line(at bench.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal {
		if at.Phase != p.phase {
			p.phase = at.Phase
			fmt.Fprintf(p.w, "%s: %.1fs elapsed, %.1fs left\n", at.Phase, at.Elapsed.Seconds(), at.Left.Seconds())
		}
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-6s %5.1fs, %.1fs left", at.Phase, at.Elapsed.Seconds(), at.Left.Seconds())
	clients(&b, "good", at.Good)
	clients(&b, "new", at.Newcomers)
	for _, a := range at.Attacks {
		if a.Attempts > 0 {
			fmt.Fprintf(&b, " | attack %d open, %d begun, %d ended, %d sent", a.Open, a.Attempts, a.Ended(), a.Units)
		}
	}
	text := b.String()
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

// clients adds what a lane saw, if there was one.
func clients(b *strings.Builder, who string, s latency.Summary) {
	if s.ForSecs > 0 {
		fmt.Fprintf(b, " | %s %.0f/s p50 %s p99 %s errors %d", who, s.Goodput, report.Duration(s.P50), report.Duration(s.P99), s.Errors)
	}
}

// end clears the line, so that what is printed next begins on an empty one.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.width))
		p.width = 0
	}
}

// every calls f twice a second, at once the first time, until the returned function is called, which waits for the
// last call to end.
func every(f func()) (stop func()) {
	quit := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			f()
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	})
	return func() { close(quit); done.Wait() }
}
