package budget

import (
	"testing"
	"time"

	"weir/guard/mono"
)

// run sends size bytes every gap and returns when the peer was too slow, or 0.
func run(p Pace, size int, gap, end time.Duration, at time.Duration) time.Duration {
	const start = Service(1e12)
	d := p.Start(start)
	for now := time.Duration(0); now <= end; now += time.Millisecond {
		if d != 0 && Service(d) <= start+Service(now) {
			return now
		}
		if now >= at && now%gap == 0 {
			d = p.Push(d, size, start+Service(now))
		}
	}
	return 0
}

func TestMinimumRate(t *testing.T) {
	p := NewPace(240, 5*time.Second)
	for _, c := range []struct {
		why          string
		size         int
		gap, end, at time.Duration
		from, to     time.Duration // when it ends; 0 = never
	}{
		{"slowloris, a byte in ten seconds, ends at the grace", 1, 10 * time.Second, time.Minute, time.Second, 5 * time.Second, 5020 * time.Millisecond},
		{"300 B/s lives", 30, 100 * time.Millisecond, 10 * time.Minute, 0, 0, 0},
		{"200 B/s does not", 20, 100 * time.Millisecond, 10 * time.Minute, 0, 6 * time.Second, 40 * time.Second},
		{"50 MB at once buy no more than the grace", 50 << 20, time.Hour, time.Hour, 0, 5 * time.Second, 5 * time.Second},
	} {
		got := run(p, c.size, c.gap, c.end, c.at)
		if c.to == 0 && got != 0 || c.to != 0 && (got < c.from || got > c.to) {
			t.Errorf("%s: ended at %v", c.why, got)
		}
	}
}

func TestNothingIsAsked(t *testing.T) {
	p := NewPace(0, 0)
	if d := p.Push(p.Start(5), 10, 6); d != 0 || p.Asks() || p.Time(100) != 0 {
		t.Error("a zero Pace asks for something")
	}
	if Due(0).Pause(7) != 0 || Due(0).Resume(7) != 0 {
		t.Error("pausing starts something")
	}
}

func TestPauseCostsNothing(t *testing.T) {
	p := NewPace(1000, 2*time.Second)
	d := p.Start(100)
	d = d.Pause(100 + Service(time.Second)).Resume(Service(time.Hour))
	if left := time.Duration(d) - time.Hour; left != time.Second {
		t.Errorf("%v left, want 1s", left)
	}
	over := Due(50).Pause(100) // already too slow: stays so
	if over != 1 {
		t.Errorf("%v left of nothing", over)
	}
	paused := p.Push(Due(time.Second).Pause(0), 500, 0)
	if paused != Due(1500*time.Millisecond) {
		t.Errorf("bytes during a pause: %v", paused)
	}
}

func TestServiceClock(t *testing.T) {
	s := func(x float64) mono.Time { return mono.Time(x * 1e9) }
	var c Clock
	c.Turn(s(100), 0)
	begin := c.Now()
	for _, step := range []struct {
		now, next float64
		want      time.Duration
		why       string
	}{
		{100.5, 0, 500 * time.Millisecond, "an ordinary turn"},
		{99, 0, 500 * time.Millisecond, "time does not go back"},
		{160, 0, 1500 * time.Millisecond, "a minute's stall counts a second"},
		{170, 170, 11500 * time.Millisecond, "a sleep until the next deadline counts"},
		{200, 172, 14500 * time.Millisecond, "a stall after a sleep counts a second more"},
		{260, 150, 15500 * time.Millisecond, "a deadline that had passed is no sleep"},
	} {
		c.Turn(s(step.now), s(step.next))
		if got := time.Duration(c.Now() - begin); got != step.want {
			t.Errorf("at %v: %v, want %v: %s", step.now, got, step.want, step.why)
		}
	}
}

func BenchmarkPush(b *testing.B) {
	p := NewPace(240, 5*time.Second)
	d, now := p.Start(1), Service(1)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		d = p.Push(d, 700, now)
	}
	sink = d
}

var sink Due
