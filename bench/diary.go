package bench

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"weir/bench/latency"
	"weir/bench/watch"
)

// Stretch is what the server said of itself over one phase.
type Stretch struct {
	Name     string           `json:"name"`
	Sheds    map[string]int64 `json:"sheds"` // by reason; nil when not read, which is not the same as empty
	CPU      time.Duration    `json:"cpu_ns,omitempty"`
	Wall     time.Duration    `json:"wall_ns"`             // between the readings
	RSSBytes int64            `json:"rss_bytes,omitempty"` // at its end
}

// Cost puts what both sides paid in relation to what was shed in a phase with attacks.
type Cost struct {
	Phase string `json:"phase"`
	// Refused is how many units the server shed: by its own counters, or if it has none the connections that
	// it refused or ended and the replies that said no, as the attackers saw them.
	Refused   int64  `json:"refused"`
	CountedBy string `json:"counted_by"` // "server" or "attackers"
	// ServerCPU is the server's CPU in the phase above that of the first quiet phase, shared out over what was
	// refused; 0 when it was not read, or there was no quiet phase. It includes what the server spent on attackers it did not refuse, so it
	// is the price of a refusal only when nearly all was refused. AttackerCPU is that of the attackers' threads.
	ServerCPU   time.Duration `json:"server_cpu_per_refused_ns"`
	AttackerCPU time.Duration `json:"attacker_cpu_per_refused_ns"`
}

// diary holds readings of the server, one at each border between phases. Not for concurrent use.
type diary struct {
	counter *watch.Counter
	pids    []int
	pages   []reading
	remarks []string
}

type reading struct {
	at    time.Time
	sheds map[string]float64 // nil when not read
	usage *watch.Usage       // nil when not read
}

func newDiary(c *watch.Counter, pids []int) *diary { return &diary{counter: c, pids: pids} }

// read adds a reading; what fails becomes a remark.
func (d *diary) read(ctx context.Context) {
	r := reading{at: time.Now()}
	if len(d.pids) > 0 {
		u, err := watch.Processes(d.pids)
		if err != nil {
			d.remarks = append(d.remarks, err.Error())
		} else {
			r.usage = &u
		}
	}
	if d.counter != nil {
		sheds, err := d.counter.Read(ctx)
		if err != nil {
			d.remarks = append(d.remarks, err.Error())
		}
		r.sheds = sheds
	}
	d.pages = append(d.pages, r)
}

// readWithin is read with less patience: the next phase is due.
func (d *diary) readWithin(ctx context.Context, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d.read(ctx)
}

func (d *diary) remark(format string, args ...any) {
	d.remarks = append(d.remarks, fmt.Sprintf(format, args...))
}

// stretches returns the differences between neighbouring readings, nil when nothing was to be read.
func (d *diary) stretches(phases []Phase) []Stretch {
	if d.counter == nil && len(d.pids) == 0 {
		return nil
	}
	var out []Stretch
	for i, p := range phases {
		if i+1 >= len(d.pages) {
			break
		}
		a, b := d.pages[i], d.pages[i+1]
		s := Stretch{Name: p.Name, Wall: b.at.Sub(a.at)}
		if a.sheds != nil && b.sheds != nil {
			s.Sheds = fewer(watch.Grown(a.sheds, b.sheds))
		}
		if a.usage != nil && b.usage != nil {
			s.CPU, s.RSSBytes = max(0, b.usage.CPU-a.usage.CPU), b.usage.RSSBytes
		}
		out = append(out, s)
	}
	return out
}

// fewer leaves the [maxSampledReasons] most frequent reasons apart and counts the rest as otherReasons.
func fewer(sheds map[string]int64) map[string]int64 {
	if len(sheds) <= maxSampledReasons {
		return sheds
	}
	out := make(map[string]int64)
	for i, k := range slices.SortedFunc(maps.Keys(sheds), func(a, b string) int {
		return cmp.Or(cmp.Compare(sheds[b], sheds[a]), cmp.Compare(a, b))
	}) {
		if i >= maxSampledReasons {
			out[otherReasons] = watch.Sum(out[otherReasons], sheds[k])
			continue
		}
		out[k] = watch.Sum(out[k], sheds[k])
	}
	return out
}

// cost returns that of the phase of that name, nil when nothing was refused in it.
func cost(o Outcome, phase string) *Cost {
	c := &Cost{Phase: phase, CountedBy: "attackers"}
	var attackers time.Duration
	for _, a := range o.Attacks {
		if a.Phase == phase {
			c.Refused += a.Ended() + a.Bad
			attackers += a.CPU
		}
	}
	var quiet, attacked *Stretch
	for i, s := range o.Server {
		switch {
		case s.Name == phase:
			attacked = &o.Server[i]
		// A phase of no length has readings, too, with next to nothing between them.
		case quiet == nil && s.Wall > 0 && !o.Attacked(s.Name) && lasted(o, s.Name):
			quiet = &o.Server[i]
		}
	}
	if attacked != nil && attacked.Sheds != nil {
		c.CountedBy, c.Refused = "server", 0
		for _, n := range attacked.Sheds {
			c.Refused = watch.Sum(c.Refused, n)
		}
	}
	if c.Refused == 0 {
		return nil
	}
	if attacked != nil && quiet != nil {
		usual := time.Duration(float64(quiet.CPU) * attacked.Wall.Seconds() / quiet.Wall.Seconds())
		c.ServerCPU = max(0, attacked.CPU-usual) / time.Duration(c.Refused)
	}
	c.AttackerCPU = attackers / time.Duration(c.Refused)
	return c
}

// lasted reports whether a phase has a length.
func lasted(o Outcome, phase string) bool {
	return slices.ContainsFunc(o.Good.Phases, func(s latency.Summary) bool { return s.Name == phase && s.ForSecs > 0 })
}

// String is for remarks in logs.
func (c Cost) String() string {
	return fmt.Sprintf("%d shed (counted by the %s), server %v and attacker %v of CPU each", c.Refused, c.CountedBy, c.ServerCPU, c.AttackerCPU)
}
