package guard

import (
	"math/rand/v2"
	"testing"
	"time"

	"weir/guard/mono"
	"weir/guard/wheel"
)

// late is how late a deadline may be met beyond the time between turns.
const late = 2 * wheel.Tick

func testLimits() Limits {
	return Limits{
		FirstFrameTimeout: 5 * time.Second, FrameTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second,
		WriteTimeout: 30 * time.Second, MinRate: 240, MinRateGrace: 5 * time.Second,
	}
}

func TestDeadlines(t *testing.T) {
	type step struct {
		at time.Duration
		do func(l *Loop, id ID)
	}
	s := func(sec float64, do func(l *Loop, id ID)) step { return step{time.Duration(sec * 1e9), do} }
	phase := func(p Phase) func(*Loop, ID) { return func(l *Loop, id ID) { l.Phase(id, p) } }
	read := func(n int) func(*Loop, ID) { return func(l *Loop, id ID) { l.Read(id, n) } }
	every := func(from, to, gap float64, do func(*Loop, ID)) (out []step) {
		for x := from; x <= to; x += gap {
			out = append(out, s(x, do))
		}
		return out
	}
	lim := testLimits()
	noFirst, noRate, mortal := lim, lim, lim
	noFirst.FirstFrameTimeout = 0
	noRate.MinRate, noRate.MinRateGrace = 0, 0
	mortal.Lifetime = 60 * time.Second
	for _, c := range []struct {
		why    string
		lim    Limits
		steps  []step
		reason Reason
		end    float64 // seconds; 0 = lives on
	}{
		{"connect and send nothing", lim, nil, ShedFirstFrame, 5},
		{"bytes do not extend the first deadline", lim, every(0.1, 30, 0.1, read(100)), ShedFirstFrame, 5},
		{"a head in First neither", lim, append([]step{s(1, phase(Head))}, every(1.1, 30, 0.1, read(100))...), ShedFirstFrame, 5},
		{"beginning again in First neither", lim, every(0.5, 30, 0.5, phase(Head)), ShedFirstFrame, 5},
		{"a fast frame in First goes on", lim, append([]step{s(1, phase(Frame))}, every(1.1, 60, 0.1, read(100))...), OK, 0},
		{"a frame in First that is a head after all", lim, append([]step{s(1, phase(Frame)), s(2, phase(Head))}, every(1.1, 60, 0.1, read(100))...), ShedFirstFrame, 5},
		{"without a first deadline a head has the frame's", noFirst, append([]step{s(1, phase(Head))}, every(1.1, 60, 0.1, read(100))...), ShedFrame, 11},
		{"idle", lim, []step{s(1, phase(Idle))}, ShedIdle, 76},
		{"refused from the start: nothing is admitted in time", lim, every(0.5, 30, 0.5, (*Loop).Declined), ShedFirstFrame, 5},
		{"refused from the start, heads in pieces", lim, append(every(0.5, 30, 0.5, phase(Head)), every(0.7, 30, 0.5, (*Loop).Declined)...), ShedFirstFrame, 5},
		{"refused from the start, without a first deadline", noFirst, append([]step{s(1, phase(Head))}, every(2, 60, 0.5, (*Loop).Declined)...), OK, 0},
		{"refused after one was admitted: idle from then on", lim, []step{s(1, phase(Idle)), s(2, phase(Head)), s(3, (*Loop).Declined)}, ShedIdle, 78},
		{"idle, re-armed", lim, []step{s(1, phase(Idle)), s(50, phase(Idle))}, ShedIdle, 125},
		{"a head is never extended", lim, append([]step{s(1, phase(Idle)), s(2, phase(Head))}, every(2.1, 60, 0.1, read(1000))...), ShedFrame, 12},
		{"a slow head falls below the minimum rate", lim, []step{s(1, phase(Idle)), s(2, phase(Head)), s(3, read(1))}, ShedSlowSender, 7.004},
		{"a frame at 10 KB/s is extended", lim, append([]step{s(1, phase(Idle)), s(2, phase(Frame))}, every(2.1, 60, 0.1, read(1000))...), OK, 0},
		{"a frame that stops is not", lim, append([]step{s(1, phase(Idle)), s(2, phase(Frame))}, every(2.1, 20, 0.1, read(1000))...), ShedSlowSender, 24.9},
		{"without a minimum rate a frame is never extended", noRate, append([]step{s(1, phase(Idle)), s(2, phase(Frame))}, every(2.1, 60, 0.1, read(1000))...), ShedFrame, 12},
		{"a body has no end but the minimum rate", lim, append([]step{s(1, phase(Body))}, every(1.1, 200, 0.1, read(30))...), OK, 0},
		{"slowloris in a body", lim, append([]step{s(1, phase(Body))}, every(2, 200, 10, read(1))...), ShedSlowSender, 6.004},
		{"busy asks nothing", lim, []step{s(1, phase(Busy))}, OK, 0},
		{"closing lingers for 5 s at most", lim, []step{s(1, phase(Closing))}, ShedLinger, 6},
		{"busy ends with the lifetime", mortal, []step{s(1, phase(Busy))}, ShedLifetime, 60},
		{"frames do not prolong life", mortal, every(1, 300, 1, phase(Idle)), ShedLifetime, 60},
		{"a write stalls", lim, []step{s(1, phase(Busy)), s(2, (*Loop).Owe), s(2, func(l *Loop, id ID) { l.Drained(id, 1<<20) })}, ShedSlowReader, 7},
		{"a write stalls without a minimum rate", noRate, []step{s(1, phase(Busy)), s(2, (*Loop).Owe), s(20, (*Loop).Owe)}, ShedWriteStall, 32},
		{"progress puts off the stall", noRate, append([]step{s(1, phase(Busy)), s(2, (*Loop).Owe)}, every(3, 100, 1, func(l *Loop, id ID) { l.Drained(id, 1) })...), ShedWriteStall, 130},
		{"a byte a second is too slow a reader", lim, append([]step{s(1, phase(Busy)), s(2, (*Loop).Owe)}, every(3, 100, 1, func(l *Loop, id ID) { l.Drained(id, 1) })...), ShedSlowReader, 7.02},
		{"settled owes nothing", lim, []step{s(1, phase(Busy)), s(2, (*Loop).Owe), s(6, (*Loop).Settled)}, OK, 0},
		{"a pause stops idle", lim, []step{s(1, phase(Idle)), s(11, (*Loop).Pause), s(111, (*Loop).Resume)}, ShedIdle, 176},
		{"a pause stops the minimum rate", lim, []step{s(1, phase(Body)), s(3, (*Loop).Pause), s(4, (*Loop).Pause), s(103, (*Loop).Resume), s(104, (*Loop).Resume)}, ShedSlowSender, 106},
		{"a pause stops a head", lim, append([]step{s(1, phase(Idle)), s(2, phase(Head)), s(6, (*Loop).Pause), s(56, (*Loop).Resume)}, every(2.1, 5, 0.1, read(1000))...), ShedSlowSender, 60},
		{"a phase begins during a pause", lim, []step{s(1, (*Loop).Pause), s(20, phase(Idle)), s(50, (*Loop).Resume)}, ShedIdle, 125},
		{"what is owed runs during a pause", lim, []step{s(1, phase(Idle)), s(1, (*Loop).Pause), s(2, (*Loop).Owe)}, ShedSlowReader, 7},
		{"life runs during a pause", mortal, []step{s(1, phase(Idle)), s(1, (*Loop).Pause)}, ShedLifetime, 60},
	} {
		r := newRig(t, Config{MaxConns: 4}, c.lim)
		id := r.admit("192.0.2.1")
		const turn = 5 * time.Millisecond
		end := 300 * time.Second
		if n := len(c.steps); c.end == 0 && n > 0 && c.steps[n-1].at > 20*time.Second {
			end = c.steps[n-1].at
		}
		for now, steps := turn, c.steps; now <= end && len(r.ended) == 0; now += turn {
			r.at(now)
			for i := 0; i < len(steps); i++ { // steps may come out of order
				if len(r.ended) == 0 && steps[i].at <= now && steps[i].at > now-turn {
					steps[i].do(r.l, id)
				}
			}
		}
		got, some := r.ended[id]
		if !some && c.end == 0 {
			continue
		}
		want := time.Duration(c.end * 1e9)
		spread := turn + late
		if c.reason == ShedIdle {
			spread += time.Second
		}
		if d := r.when[id].Sub(start); got != c.reason || d < want-turn && c.end != 7.02 || d > want+spread+turn {
			t.Errorf("%s: %v at %v, want %v at %v", c.why, got, r.when[id].Sub(start), c.reason, want)
		}
	}
}

// model is a connection's deadlines in whole nanoseconds, slow and obvious.
type model struct {
	live, paused, owing        bool
	phase                      Phase
	head, frame                bool
	proven, declined           bool
	read, in, write, out, life mono.Time // 0 = none
	since                      mono.Time
	base                       mono.Time // read before it was extended
	sum                        int64
	pausedAt                   mono.Time
}

// Random calls in random order on many connections: nothing is ended early, everything is ended in
// time, by the right kind of reason, and what has not passed is left alone.
func TestDeadlinesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 8))
	lim := Limits{
		FirstFrameTimeout: 700 * time.Millisecond, FrameTimeout: 1200 * time.Millisecond, IdleTimeout: 2 * time.Second,
		WriteTimeout: 900 * time.Millisecond, MinRate: 1000, MinRateGrace: 400 * time.Millisecond, Lifetime: 20 * time.Second,
	}
	const conns = 60
	r := newRig(t, Config{MaxConns: conns}, lim)
	g := mono.Time(lim.MinRateGrace)
	byteTime := mono.Time(time.Second / 1000)
	jitter := mono.Time(lim.IdleTimeout / 16)
	ms := make([]model, conns)
	now := start
	steps, ends := 100_000, 0
	if testing.Short() || raceEnabled {
		steps = 20_000
	}
	begin := func(m *model, d time.Duration) {
		m.read = now + mono.Time(d)
		m.base = m.read
	}
	ask := func(m *model) { m.since, m.sum, m.in = now, 0, now+g }
	unpause := func(m *model) {
		if m.paused {
			d := now - m.pausedAt
			if m.read != 0 {
				m.read += d
				m.base += d
			}
			if m.in != 0 {
				m.in += d
			}
			m.since += d
			m.pausedAt = now
		}
	}
	for step := range steps {
		now += mono.Time(rnd.IntN(int(30 * time.Millisecond)))
		if rnd.IntN(500) == 0 {
			now += mono.Time(rnd.IntN(int(900 * time.Millisecond)))
		}
		before := r.l.Now()
		r.l.Turn(now)
		turn := now - before
		next := r.l.Next()
		done := false
		for !done {
			done = r.l.Expire(1+rnd.IntN(50), func(id ID, got Reason) {
				m := &ms[id]
				due := mono.Time(0)
				switch got {
				case ShedFirstFrame, ShedFrame, ShedIdle, ShedLinger:
					due = m.read
					if m.head || m.declined { // a frame, put off or not, that turned out to be a head, or was refused
						due = m.base
					}
					if m.paused {
						due = 0
					}
				case ShedSlowSender:
					due = m.in
					if m.paused {
						due = 0
					}
				case ShedWriteStall:
					due = m.write
				case ShedSlowReader:
					due = m.out
				case ShedLifetime:
					due = m.life
				}
				if due == 0 || due > now {
					t.Fatalf("seed %d step %d: conn %d ended with %v %v early: %+v", seed, step, id, got, due.Sub(now), *m)
				}
				if next == 0 || next > now {
					t.Fatalf("seed %d step %d: %v, but Next said %v", seed, step, got, next.Sub(now))
				}
				ends++
				r.l.Gone(id)
				*m = model{}
			})
		}
		for id := range ms {
			m := &ms[id]
			if !m.live {
				continue
			}
			limit := now - turn - mono.Time(late) - mono.Time(5*time.Millisecond)
			slack := mono.Time(0)
			if m.phase == Idle {
				slack = jitter
			}
			// A frame at the minimum rate has a later deadline than its first.
			if (m.phase == Frame || m.phase == First && m.frame) && m.read != 0 && !m.paused && m.read <= now {
				if until := m.since + mono.Time(m.sum)*byteTime; until > now {
					m.read = until
				}
			}
			for i, d := range []mono.Time{m.read + slack, m.in, m.write, m.out, m.life} {
				if d > slack && d < limit && !(i < 2 && m.paused) {
					t.Fatalf("seed %d step %d: conn %d should have ended %v ago (%d): %+v", seed, step, id, now.Sub(d), i, *m)
				}
			}
		}
		for range rnd.IntN(6) {
			id := ID(rnd.IntN(conns))
			m := &ms[id]
			if !m.live {
				got, reason := r.l.Admit(r.p, addrOf(uint32(step)))
				if reason != OK {
					t.Fatal(reason)
				}
				ms[got] = model{live: true, read: now + mono.Time(lim.FirstFrameTimeout), base: now + mono.Time(lim.FirstFrameTimeout), life: now + mono.Time(lim.Lifetime)}
				continue
			}
			switch rnd.IntN(13) {
			case 12:
				if m.phase == Closing {
					break
				}
				r.l.Declined(id)
				if !m.proven {
					if m.phase != First {
						unpause(m)
						m.phase = First
						begin(m, lim.FirstFrameTimeout)
					} else if m.frame {
						m.read = max(m.read, m.since+mono.Time(m.sum)*byteTime)
					}
					m.head, m.frame, m.in, m.declined = false, false, 0, true
					break
				}
				unpause(m)
				m.phase, m.head, m.frame, m.in, m.declined = Idle, false, false, 0, false
				begin(m, lim.IdleTimeout)
			case 0, 1, 2, 3:
				ph := []Phase{Idle, Idle, Head, Frame, Body, Busy, Closing}[rnd.IntN(7)]
				r.l.Phase(id, ph)
				unpause(m)
				if m.phase == First && (ph == Head || ph == Frame) {
					if !m.head && !m.frame {
						ask(m)
					}
					if m.frame && ph == Head { // it may have been put off by all it had
						m.read = max(m.read, m.since+mono.Time(m.sum)*byteTime)
					}
					m.head, m.frame = ph == Head, ph == Frame
					break
				}
				m.phase, m.head, m.frame, m.in, m.read, m.declined = ph, false, false, 0, 0, false
				m.proven = m.proven || ph == Idle || ph == Body || ph == Busy
				switch ph {
				case Idle:
					begin(m, lim.IdleTimeout)
				case Head, Frame:
					begin(m, lim.FrameTimeout)
					ask(m)
				case Body:
					ask(m)
				case Closing:
					begin(m, lim.WriteTimeout)
				}
			case 4, 5, 6:
				n := rnd.IntN(800)
				r.l.Read(id, n)
				m.sum += int64(n)
				base := now
				if m.paused {
					base = m.pausedAt
				}
				if m.in != 0 && n > 0 {
					m.in = min(m.in+mono.Time(n)*byteTime, base+g)
				}
			case 7:
				r.l.Pause(id)
				if !m.paused {
					m.paused, m.pausedAt = true, now
				}
			case 8:
				r.l.Resume(id)
				unpause(m)
				m.paused = false
			case 9:
				r.l.Owe(id)
				if !m.owing {
					m.owing, m.write, m.out = true, now+mono.Time(lim.WriteTimeout), now+g
				}
			case 10:
				n := rnd.IntN(800)
				r.l.Drained(id, n)
				if m.owing && n > 0 {
					m.write, m.out = now+mono.Time(lim.WriteTimeout), min(m.out+mono.Time(n)*byteTime, now+g)
				}
			case 11:
				r.l.Settled(id)
				m.owing, m.write, m.out = false, 0, 0
			}
		}
	}
	if ends < steps/100 {
		t.Errorf("only %d ended", ends)
	}
	open := 0
	for i := range ms {
		if ms[i].live {
			open++
		}
	}
	if open != r.g.Open() {
		t.Errorf("%d open, model %d", r.g.Open(), open)
	}
}

// A crowd that fell silent together is spread over the jitter, and none is early.
func TestIdleIsSpread(t *testing.T) {
	r := newRig(t, Config{MaxConns: 5000}, testLimits())
	for i := range 5000 {
		id, _ := r.l.Admit(r.p, addrOf(uint32(i)))
		r.l.Phase(id, Idle)
	}
	most := 0
	for now := 74 * time.Second; now < 78*time.Second; now += 10 * time.Millisecond {
		before := len(r.ended)
		r.at(now)
		if n := len(r.ended) - before; n > 0 && now < 75*time.Second {
			t.Fatalf("%d ended at %v", n, now)
		} else {
			most = max(most, n)
		}
	}
	if len(r.ended) != 5000 || most > 5000/20 {
		t.Errorf("%d ended, up to %d in a tick", len(r.ended), most)
	}
}

func TestProbeComesFirst(t *testing.T) {
	r := newRig(t, Config{}, testLimits())
	id := r.admit("192.0.2.1")
	r.l.Phase(id, Busy)
	r.l.Owe(id)
	asked := 0
	r.l.Probe = func(id ID, reason Reason) {
		if asked++; asked <= 3 {
			if reason != ShedSlowReader {
				t.Errorf("asked about %v", reason)
			}
			r.l.Drained(id, 1<<20) // the kernel's buffer has drained meanwhile
		}
	}
	r.run(10*time.Millisecond, 60*time.Second)
	if asked != 4 || r.ended[id] != ShedSlowReader {
		t.Fatalf("asked %d times, ended with %v", asked, r.ended[id])
	}
	if d := r.when[id].Sub(start); d < 20*time.Second || d > 20200*time.Millisecond {
		t.Errorf("ended at %v, want 20s", d)
	}
}

// A connection that is not ended is asked about every tick, and counted once.
func TestNotEndedIsAskedAgain(t *testing.T) {
	r := newRig(t, Config{}, testLimits())
	id := r.admit("192.0.2.1")
	asked := 0
	for now := time.Duration(0); now < 6*time.Second; now += 5 * time.Millisecond {
		r.l.Turn(start + mono.Time(now))
		r.l.Expire(10, func(got ID, reason Reason) {
			if got != id || reason != ShedFirstFrame {
				t.Error(got, reason)
			}
			asked++
		})
	}
	if n := r.l.Counts(); asked < 55 || asked > 61 || n.Shed[ShedFirstFrame] != 1 {
		t.Errorf("asked %d times, counted %d", asked, n.Shed[ShedFirstFrame])
	}
}

// A process that was stopped for a minute asks what has arrived meanwhile before it takes a peer
// for slow, and then counts a second of the minute; deadlines that are not rates have passed.
func TestOurStallIsNotTheirs(t *testing.T) {
	r := newRig(t, Config{}, testLimits())
	body, other, head := r.admit("192.0.2.1"), r.admit("192.0.2.3"), r.admit("192.0.2.2")
	r.l.Phase(body, Body)
	r.l.Phase(head, Idle)
	r.l.Phase(head, Head)
	r.l.Probe = func(id ID, _ Reason) {
		if id == body && r.l.Now() == start+mono.Time(61*time.Second) {
			r.l.Read(id, 1000)
		}
	}
	r.run(10*time.Millisecond, time.Second)
	r.l.Phase(other, Body)
	r.at(61 * time.Second)
	if _, gone := r.ended[body]; gone || r.ended[head] != ShedFrame {
		t.Fatalf("%v", r.ended)
	}
	// Due at 5 s, 1000 bytes are 4.2 s more, and the loop's clock stands at 6 s.
	r.run(10*time.Millisecond, 64*time.Second)
	if _, gone := r.ended[body]; gone {
		t.Error("1000 bytes are four seconds")
	}
	r.run(10*time.Millisecond, 65*time.Second)
	if r.ended[body] != ShedSlowSender {
		t.Error("and not more")
	}
}

// An idle loop that sleeps until Next wakes a handful of times and ends everything in time.
func TestSleepingUntilNext(t *testing.T) {
	lim := testLimits()
	lim.Lifetime = 10 * time.Minute
	r := newRig(t, Config{}, lim)
	want := map[ID]Reason{}
	for i, p := range []Phase{First, Idle, Head, Body, Busy, Closing} {
		id, _ := r.l.Admit(r.p, addrOf(uint32(i)))
		if p != First {
			r.l.Phase(id, Idle)
			r.l.Phase(id, p)
		}
		want[id] = []Reason{ShedFirstFrame, ShedIdle, ShedSlowSender, ShedSlowSender, ShedLifetime, ShedLinger}[i]
	}
	wakes := 0
	for {
		next := r.l.Next()
		if next == 0 {
			break
		}
		if next <= r.l.Now() {
			t.Fatal("Next is in the past after Expire")
		}
		r.at(next.Sub(start))
		if wakes++; wakes > 100 {
			t.Fatal("wakes and wakes")
		}
	}
	for id, reason := range want {
		if r.ended[id] != reason {
			t.Errorf("%d: %v, want %v", id, r.ended[id], reason)
		}
	}
	if d := r.l.Now().Sub(start); d < 10*time.Minute || d > 12*time.Minute {
		t.Errorf("all was over at %v", d)
	}
	t.Logf("%d wakes in %v", wakes, r.l.Now().Sub(start))
}

// Many short pauses freeze the time they take and no more.
func TestManyShortPauses(t *testing.T) {
	r := newRig(t, Config{}, testLimits())
	id := r.admit("192.0.2.1")
	r.l.Phase(id, Idle)
	r.l.Phase(id, Head)
	open := time.Duration(0)
	for now := time.Duration(0); len(r.ended) == 0; {
		now += 300 * time.Microsecond
		open += 300 * time.Microsecond
		r.at(now)
		if len(r.ended) > 0 {
			break
		}
		r.l.Read(id, 100)
		r.l.Pause(id)
		now += 200 * time.Microsecond
		r.at(now)
		r.l.Resume(id)
	}
	if r.ended[id] != ShedFrame || open < 10*time.Second || open > 10*time.Second+50*time.Millisecond {
		t.Errorf("%v after %v of reading, want 10s", r.ended[id], open)
	}
}

// Time goes on in half wraps of every word there is.
func TestYears(t *testing.T) {
	r := newRig(t, Config{}, testLimits())
	for range 200 {
		d := r.l.Now().Sub(start) + 13*24*time.Hour + 7*time.Hour
		r.at(d)
		id := r.admit("192.0.2.1")
		r.l.Phase(id, Idle)
		r.at(d + 74900*time.Millisecond)
		if len(r.ended) != 0 {
			t.Fatalf("early after %v", d)
		}
		r.at(d + 76100*time.Millisecond)
		if r.ended[id] != ShedIdle {
			t.Fatalf("late after %v", d)
		}
		clear(r.ended)
	}
}
