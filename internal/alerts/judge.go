package alerts

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"time"

	"weir/guard"
	"weir/internal/events"
)

// Reading is what counters and gauges say at one moment. Counters count from the start.
type Reading struct {
	Shed                             [guard.Reasons]uint64
	Panics, AcceptErrors, EventsLost uint64
	ServersDown                      int
	// Percentages of what there may be, 0 to 100; 0 where there is no limit.
	Descriptors, Connections, Unproven, Buffered float64
}

// Alert is what receivers are told. It is the JSON of the generic form.
type Alert struct {
	ID        string    `json:"id"` // the same at each try
	Time      time.Time `json:"time"`
	Host      string    `json:"host"`
	Rule      string    `json:"rule"`
	Subject   string    `json:"subject"`
	Key       string    `json:"key,omitempty"` // the reason or the account, escaped
	Value     uint64    `json:"value"`
	Threshold uint64    `json:"threshold"`
	Unit      string    `json:"unit,omitempty"` // "%" or nothing
	Window    int64     `json:"window_seconds"`
	Cooldown  int64     `json:"cooldown_seconds"`
	// Suppressed counts what would have been alerts of the rule since its last one, and was not told
	// because mostAtOnce had been.
	Suppressed uint64 `json:"suppressed,omitempty"`
	Text       string `json:"text"` // one sentence
}

// mostAtOnce bounds the alerts of one rule within its cool-down: a flood of accounts must not become
// a flood of alerts.
const mostAtOnce = 10

// judge decides about alerts. It is a function of time and what it is told; not for concurrent use,
// but for fired.
type judge struct {
	host  string
	rules []*ruled
	seen  bool // there was a reading: counters have something to be compared with
}

// ruled is a rule with its state.
type ruled struct {
	rule
	windows []window    // of one counter, or of each reason
	before  []uint64    // the counters at the last reading
	quiet   []time.Time // until when nothing is told, beside windows
	since   time.Time   // since when a share has been as high
	high    bool
	names   accounts // of authFailed

	told       []time.Time // when the last alerts were; at most mostAtOnce
	suppressed uint64
	fired      atomic.Uint64
}

func newJudge(host string, rules []rule) *judge {
	j := &judge{host: host}
	for _, r := range rules {
		n := 1
		if r.subject.name == sheds && r.reason == guard.OK {
			n = guard.Reasons
		}
		s := &ruled{rule: r, before: make([]uint64, n), quiet: make([]time.Time, n)}
		switch {
		case r.subject.name == authFailed:
			s.names = newAccounts(r.window)
		case !r.subject.share:
			for range n {
				s.windows = append(s.windows, newWindow(r.window, int(r.window/time.Second)))
			}
		}
		j.rules = append(j.rules, s)
	}
	return j
}

// read looks at a reading, which comes about once a second.
func (j *judge) read(now time.Time, in *Reading) (all []Alert) {
	for _, r := range j.rules {
		switch {
		case r.subject.name == authFailed:
		case r.subject.share:
			all = r.level(j, now, r.value(in), all)
		default:
			for i := range r.windows {
				reason := r.reason
				if len(r.windows) > 1 {
					reason = guard.Reason(i)
				}
				count := r.count(in, reason)
				rise := count - r.before[i]
				r.before[i] = count
				if !j.seen {
					continue
				}
				if sum := r.windows[i].add(now, rise); sum >= r.threshold {
					key := ""
					if reason != guard.OK {
						key = reason.Label()
					}
					all = r.fire(j, now, &r.quiet[i], key, sum, all)
				}
			}
		}
	}
	j.seen = true
	return all
}

// count is the counter that a rule is about.
func (r *ruled) count(in *Reading, reason guard.Reason) uint64 {
	switch r.subject.name {
	case panics:
		return in.Panics
	case acceptErrs:
		return in.AcceptErrors
	case eventsLost:
		return in.EventsLost
	}
	if reason.Slows() {
		return 0 // slowed is not shed
	}
	return in.Shed[reason]
}

// value is the level that a rule is about.
func (r *ruled) value(in *Reading) float64 {
	switch r.subject.name {
	case descriptors:
		return in.Descriptors
	case connections:
		return in.Connections
	case unproven:
		return in.Unproven
	case buffered:
		return in.Buffered
	}
	return float64(in.ServersDown)
}

// level judges what must last for the window.
func (r *ruled) level(j *judge, now time.Time, value float64, all []Alert) []Alert {
	if high := value >= float64(r.threshold); !high || !r.high {
		r.high, r.since = high, now
	}
	if !r.high || now.Sub(r.since) < r.window {
		return all
	}
	return r.fire(j, now, &r.quiet[0], "", uint64(value), all)
}

// failed counts a failed attempt at an account.
func (j *judge) failed(now time.Time, name string) (all []Alert) {
	for _, r := range j.rules {
		if r.subject.name != authFailed {
			continue
		}
		a := r.names.at(name, now)
		if sum := a.add(now, 1); sum >= r.threshold {
			all = r.fire(j, now, &a.quiet, name, sum, all)
		}
	}
	return all
}

// fire makes an alert, unless it is not yet time for another one.
func (r *ruled) fire(j *judge, now time.Time, quiet *time.Time, key string, value uint64, all []Alert) []Alert {
	if now.Before(*quiet) {
		return all
	}
	*quiet = now.Add(r.coolDown)
	if len(r.told) == mostAtOnce {
		if now.Sub(r.told[0]) < r.coolDown {
			r.suppressed++
			return all
		}
		r.told = append(r.told[:0], r.told[1:]...)
	}
	r.told = append(r.told, now)
	a := Alert{ID: newID(), Time: now.UTC().Truncate(time.Millisecond), Host: j.host, Rule: r.name, Subject: r.subject.name, Key: key,
		Value: value, Threshold: r.threshold, Window: int64(r.window / time.Second), Cooldown: int64(r.coolDown / time.Second), Suppressed: r.suppressed}
	if r.subject.percent() {
		a.Unit = "%"
	}
	r.suppressed = 0
	a.Text = a.sentence(r.subject)
	r.fired.Add(1)
	return append(all, a)
}

func (a *Alert) sentence(s subject) string {
	about, over := "", "within"
	switch {
	case s.name == sheds:
		about = " for " + a.Key
	case s.name == authFailed:
		about = " at the account " + a.Key
	}
	if s.share {
		over = "for"
	}
	text := fmt.Sprintf("%d%s %s%s %s %ds (rule %s: %d%s)", a.Value, a.Unit, s.text, about, over, a.Window, a.Rule, a.Threshold, a.Unit)
	if a.Suppressed > 0 {
		text += fmt.Sprintf("; %d more were not told", a.Suppressed)
	}
	return text
}

// accountName is how an account is counted and told: escaped, and cut.
func accountName(account string) string { return events.Clean(account, maxAccount) }

func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}
