package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"weir/bench"
	"weir/bench/latency"
	"weir/bench/report"
)

// plainEvery is the time between two lines of progress where there is no terminal.
const plainEvery = 5 * time.Second

// progress shows how far a run is: a view that is drawn again in place on a terminal, elsewhere a plain line at the start
// of each phase and every few seconds. There are no colours, so that there is nothing for NO_COLOR to say. Any
// goroutine.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	size     func() (columns, rows int) // of the terminal, asked at each drawing: it may have changed

	started bool
	phase   string        // of the last plain line
	at      time.Duration // likewise
	drawn   []string      // what stands on the terminal
}

func (c *command) progress() *progress {
	term := os.Getenv("TERM")
	return &progress{w: c.stderr, terminal: c.terminal && term != "" && term != "dumb", size: func() (int, int) { return terminalSize(c.stderr) }}
}

// line shows where a run is.
func (p *progress) line(at bench.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal {
		p.draw(view(at))
		return
	}
	if p.started && at.Phase == p.phase && at.Elapsed-p.at < plainEvery {
		return
	}
	p.started, p.phase, p.at = true, at.Phase, at.Elapsed
	fmt.Fprintln(p.w, plain(at))
}

// draw writes lines over those that stand there, in one write, so that it does not flicker.
func (p *progress) draw(lines []string) {
	columns, rows := p.size()
	// The last column stays free: some terminals go to the next line when it is written to, others do not.
	if room := max(rows-1, 1); room == 1 {
		lines = lines[:1]
	} else if len(lines) > room {
		lines = append(lines[:room-1:room-1], fmt.Sprintf("  and %d more lines: the terminal is too low", len(lines)-room+1))
	}
	var b strings.Builder
	b.WriteString(p.home(columns))
	p.drawn = p.drawn[:0]
	for _, text := range lines {
		text = strings.TrimRight(text[:min(len(text), max(columns-1, 1))], " ")
		p.drawn = append(p.drawn, text)
		b.WriteString(text + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	io.WriteString(p.w, b.String())
}

// home goes to where the view begins. A terminal that became narrower may have broken its lines in two or more.
func (p *progress) home(columns int) string {
	up := 0
	for _, text := range p.drawn {
		up += 1 + max(len(text)-1, 0)/max(columns, 1)
	}
	if up == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", up)
}

// end takes the view away, so that what is printed next stands where it stood.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.drawn) > 0 {
		columns, _ := p.size()
		io.WriteString(p.w, p.home(columns)+"\x1b[J")
		p.drawn = nil
	}
}

// view is what a terminal shows, a line for each who takes part. All of it is ASCII: a byte is a column. What matters
// most stands left and above, as small terminals cut the rest off.
func view(at bench.Progress) []string {
	head := at.Phase
	if at.Of > 0 {
		head = fmt.Sprintf("[%d/%d] %s, %s left", at.Number, at.Of, at.Phase, clock(at.PhaseLeft))
	}
	lines := []string{fmt.Sprintf("%s | %s elapsed, %s left in all", head, clock(at.Elapsed), clock(at.Left))}
	names := len("server sheds")
	for _, a := range at.Attacks {
		names = max(names, len(a.Name))
	}
	add := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("  %-*s  ", names, name)+fmt.Sprintf(format, args...))
	}
	client := func(name string, s latency.Summary, total int64) {
		if s.ForSecs > 0 {
			add(name, "%6.0f/s  p50 %-6s p99 %-6s  errors %d, %d in all", s.Goodput, report.Duration(s.P50), report.Duration(s.P99), s.Errors, max(total, s.Errors))
		}
	}
	client("good client", at.Good, at.GoodErrors)
	client("newcomers", at.Newcomers, at.NewErrors)
	if s := at.Sheds; s != nil {
		add("server sheds", "%6.0f/s  %d in all", s.PerSecond, s.Total)
	}
	for _, a := range at.Attacks {
		add(a.Name, "%d open, %d begun, %d ended, %d sent", a.Open, a.Attempts, a.Ended(), a.Units)
	}
	return lines
}

// plain is one line of name=value for people and programs: times as Go writes them, what is not known left out.
func plain(at bench.Progress) string {
	var b strings.Builder
	fmt.Fprintf(&b, "phase=%s", word(at.Phase))
	if at.Of > 0 {
		fmt.Fprintf(&b, " number=%d of=%d", at.Number, at.Of)
	}
	fmt.Fprintf(&b, " elapsed=%s left=%s", clock(at.Elapsed), clock(at.Left))
	client := func(name string, s latency.Summary, total int64) {
		if s.ForSecs == 0 {
			return
		}
		fmt.Fprintf(&b, " %s.rate=%.0f", name, s.Goodput)
		if s.OK > 0 {
			fmt.Fprintf(&b, " %s.p50=%s %s.p99=%s", name, report.Duration(s.P50), name, report.Duration(s.P99))
		}
		fmt.Fprintf(&b, " %s.errors=%d %s.errors_all=%d", name, s.Errors, name, max(total, s.Errors))
	}
	client("good", at.Good, at.GoodErrors)
	client("new", at.Newcomers, at.NewErrors)
	for _, a := range at.Attacks {
		fmt.Fprintf(&b, " %s.open=%d %s.begun=%d %s.ended=%d %s.sent=%d", a.Name, a.Open, a.Name, a.Attempts, a.Name, a.Ended(), a.Name, a.Units)
	}
	if s := at.Sheds; s != nil {
		fmt.Fprintf(&b, " shed.rate=%.0f shed.all=%d", s.PerSecond, s.Total)
	}
	return b.String()
}

// word puts a name in quotes when it would not be one word otherwise.
func word(name string) string {
	if strings.ContainsAny(name, " =\"") {
		return `"` + name + `"`
	}
	return name
}

// clock writes a time with tenths of a second.
func clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
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
