package alerts

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/guard"
)

// What a rule can be about.
const (
	sheds       = "shed"        // sheds of one reason; "shed.REASON" of that one
	authFailed  = "auth-failed" // failed attempts to authenticate at one account
	panics      = "panics"      // handlers that failed
	acceptErrs  = "accept-errors"
	eventsLost  = "events-lost"
	descriptors = "descriptors" // open files, of those that there may be
	connections = "connections" // likewise, and so on
	unproven    = "unproven"
	buffered    = "buffered"
	serversDown = "servers-down" // servers behind that are down
)

// subject describes what a rule can be about.
type subject struct {
	name  string
	share bool   // a percentage that must last for the window; else a number within it
	text  string // "%d ... within the window"
}

var subjects = []subject{
	{sheds, false, "connections were refused or ended"},
	{authFailed, false, "attempts to authenticate failed"},
	{panics, false, "handlers failed: a bug, perhaps found by an attacker"},
	{acceptErrs, false, "connections could not be accepted"},
	{eventsLost, false, "security events were lost: the log is slow"},
	{serversDown, true, "servers behind are down"}, // a level as well, in numbers
	{descriptors, true, "of the file descriptors are in use"},
	{connections, true, "of the connections that there may be are open"},
	{unproven, true, "of the unproven connections that there may be are open"},
	{buffered, true, "of the bytes that may be held are held"},
}

// Defaults are the rules in force without any.
var Defaults = []string{
	"sheds=shed:1000/10s/5m",
	"accounts=auth-failed:20/60s/5m",
	"descriptors=descriptors:90%/10s/5m",
	"panics=panics:1/10s/5m",
	"servers=servers-down:1/10s/5m",
}

const (
	maxRules    = 32
	maxWindow   = 10 * time.Minute // a ring has a number for each second of it
	maxCoolDown = 24 * time.Hour
	coolDown    = 5 * time.Minute // when a rule does not say
	maxNumber   = 1_000_000_000
)

// rule is one line as parsed.
type rule struct {
	name      string
	subject   subject
	reason    guard.Reason // of sheds; OK is each of them
	threshold uint64       // that many or more
	window    time.Duration
	coolDown  time.Duration
}

// CheckRule says what is wrong with one rule: NAME=SUBJECT:NUMBER/WINDOW[/COOLDOWN], or NAME=off.
func CheckRule(text string) error {
	_, _, err := parseRule(text)
	return err
}

// parseRule reads one rule. off tells that the name has none.
func parseRule(text string) (r rule, off bool, err error) {
	name, rest, ok := strings.Cut(text, "=")
	wrong := func(format string, args ...any) (rule, bool, error) {
		return rule{}, false, fmt.Errorf("must be NAME=SUBJECT:NUMBER/WINDOW/COOLDOWN such as sheds=shed:1000/10s/5m, or NAME=off: "+format, args...)
	}
	switch {
	case !ok:
		return wrong("there is no =")
	case len(name) < 1 || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
		return wrong("the name has 1 to 40 of a-z, 0-9, dash and underscore")
	case rest == "off":
		return rule{name: name}, true, nil
	}
	r = rule{name: name, coolDown: coolDown}
	about, limits, ok := strings.Cut(rest, ":")
	if !ok {
		return wrong("there is no :")
	}
	label, one := strings.CutPrefix(about, sheds+".")
	if one {
		about = sheds
		for reason := guard.OK + 1; int(reason) < guard.Reasons; reason++ {
			if reason.Label() == label && !reason.Slows() {
				r.reason = reason
			}
		}
		if r.reason == guard.OK {
			return wrong("no such reason to shed")
		}
	}
	i := slices.IndexFunc(subjects, func(s subject) bool { return s.name == about })
	if i < 0 {
		return wrong("the subject is %s", oneOf())
	}
	r.subject = subjects[i]
	parts := strings.Split(limits, "/")
	if len(parts) < 2 || len(parts) > 3 {
		return wrong("there must be one / or two")
	}
	if r.threshold, err = parseNumber(parts[0], r.subject.percent()); err != nil {
		return wrong("%w", err)
	}
	if r.window, ok = parseSeconds(parts[1], maxWindow); !ok {
		return wrong("the window is 1s to 10m, in whole seconds")
	}
	if len(parts) == 3 {
		if r.coolDown, ok = parseSeconds(parts[2], maxCoolDown); !ok {
			return wrong("the cool-down is 1s to 24h, in whole seconds")
		}
	}
	return r, false, nil
}

// percent reports whether the threshold is a percentage.
func (s subject) percent() bool { return s.share && s.name != serversDown }

func parseNumber(text string, percent bool) (uint64, error) {
	digits, has := strings.CutSuffix(text, "%")
	most := uint64(maxNumber)
	if percent {
		most = 100
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	switch {
	case percent && !has:
		return 0, errors.New("the number is a percentage such as 90%")
	case err != nil || has != percent || n < 1 || n > most || strconv.FormatUint(n, 10) != digits:
		return 0, fmt.Errorf("the number is 1 to %d", most)
	}
	return n, nil
}

func parseSeconds(text string, most time.Duration) (time.Duration, bool) {
	d, err := time.ParseDuration(text)
	return d, err == nil && d >= time.Second && d <= most && d%time.Second == 0
}

func oneOf() string {
	var b strings.Builder
	for i, s := range subjects {
		switch {
		case i > 0 && i == len(subjects)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(s.name)
	}
	return b.String() + ", or shed.REASON for one reason"
}

// parseRules are the defaults with what list says of them changed, added and taken out.
func parseRules(list []string) ([]rule, error) {
	var all []rule
	given := map[string]bool{}
	for i, text := range slices.Concat(Defaults, list) {
		r, off, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("rule %q %w", text, err)
		}
		if i >= len(Defaults) {
			if given[r.name] {
				return nil, fmt.Errorf("the rule %s is given twice", r.name)
			}
			given[r.name] = true
		}
		at := slices.IndexFunc(all, func(o rule) bool { return o.name == r.name })
		switch {
		case off && at < 0:
			return nil, fmt.Errorf("there is no rule %s to turn off", r.name)
		case off:
			all = slices.Delete(all, at, at+1)
		case at >= 0:
			all[at] = r
		default:
			all = append(all, r)
		}
	}
	if len(all) > maxRules {
		return nil, fmt.Errorf("%d rules: at most %d", len(all), maxRules)
	}
	return all, nil
}

// CheckRules says what is wrong with several together.
func CheckRules(list []string) error {
	_, err := parseRules(list)
	return err
}
