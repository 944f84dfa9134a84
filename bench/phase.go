package bench

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"weir/bench/attack"
	"weir/bench/latency"
	"weir/bench/target"
)

// The names of the usual three phases, in order.
const (
	Before = "before"
	During = "during"
	After  = "after"
)

// The bounds of a plan, beside [MaxSiege]. A phase costs about 180 KB for each lane, twice that inside TLS.
const (
	MaxPhases  = 64
	MaxStrikes = 256 // of all phases together
	// MaxPhaseName is in bytes: more would leave no room for anything else on a terminal's line.
	MaxPhaseName = 40
)

// Strike is one attack of a phase.
type Strike struct {
	Kind    attack.Kind
	Options attack.Options // Duration is replaced by that of the phase
	Target  target.Target
}

// NewStrike reads a strike on a target from an attack with its options in one word, see attack.ParseSpec. The option
// duration is refused: the phase says how long. Errors are one plain line.
func NewStrike(spec string, t target.Target) (Strike, error) {
	kind, options, err := attack.ParseSpec(spec)
	_, query, _ := strings.Cut(spec, "?")
	if values, _ := url.ParseQuery(query); err == nil && values.Has("duration") {
		err = fmt.Errorf("attack %s: no option \"duration\" in a siege: it lasts as long as its phase", kind.Name)
	}
	return Strike{Kind: kind, Options: options, Target: t}, err
}

// Phase is a stretch of a siege. Without strikes it is quiet; its strikes run all at once, and have ended before the next
// phase's begin.
type Phase struct {
	Name    string        // one of a siege's phases each; see [CheckName]
	For     time.Duration // 0 only without strikes: the phase is then left out of what is told
	Strikes []Strike
}

// Usual returns the three phases of a plain siege.
func Usual(before, during, after time.Duration, strikes []Strike) []Phase {
	return []Phase{{Name: Before, For: before}, {Name: During, For: during, Strikes: strikes}, {Name: After, For: after}}
}

// CheckName returns why a phase cannot have that name, or nil: names stand in tables, on terminals and in lines that
// programs read, so they are 1 to [MaxPhaseName] printable ASCII characters without quotes and backslashes.
func CheckName(name string) error {
	if name == "" || len(name) > MaxPhaseName || name[0] == ' ' || name[len(name)-1] == ' ' {
		return fmt.Errorf("phase name %q: must have 1 to %d characters and no blank at either end", name, MaxPhaseName)
	}
	for _, c := range []byte(name) {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return fmt.Errorf("phase name %q: must be of ASCII letters, digits, blanks and signs, without \" and \\", name)
		}
	}
	return nil
}

// Names returns the name that tells each strike of p from its others: that of its kind, with #2 and so on behind the
// second of a kind.
func (p Phase) Names() []string {
	seen := map[string]int{}
	var out []string
	for _, s := range p.Strikes {
		name := s.Kind.Name
		if seen[name]++; seen[name] > 1 {
			name = fmt.Sprintf("%s#%d", name, seen[name])
		}
		out = append(out, name)
	}
	return out
}

// Loops returns how many loops attack at once at most: with the lanes, the threads that the siege wants.
func (s Siege) Loops() int {
	most := 0
	for _, p := range s.Phases {
		n := 0
		for _, strike := range p.Strikes {
			n += strike.Options.Loops
		}
		most = max(most, n)
	}
	return most
}

// plan returns where each phase begins and ends.
func (s Siege) plan() (out []latency.Phase) {
	at := time.Duration(0)
	for _, p := range s.Phases {
		out = append(out, latency.Phase{Name: p.Name, From: at, To: at + p.For})
		at += p.For
	}
	return out
}

// length returns that of all phases together.
func (s Siege) length() (total time.Duration) {
	for _, p := range s.Phases {
		total += p.For
	}
	return total
}

func (s Siege) checkPhases() error {
	if len(s.Phases) == 0 || len(s.Phases) > MaxPhases {
		return fmt.Errorf("siege: %d phases: must be from 1 to %d", len(s.Phases), MaxPhases)
	}
	named := map[string]bool{}
	total, strikes := time.Duration(0), 0
	for _, p := range s.Phases {
		if err := CheckName(p.Name); err != nil {
			return fmt.Errorf("siege: %w", err)
		}
		if named[p.Name] {
			return fmt.Errorf("siege: two phases are called %q", p.Name)
		}
		named[p.Name] = true
		if p.For > MaxSiege {
			return fmt.Errorf("siege: phase %s lasts %v: at most %v in all", p.Name, p.For, MaxSiege)
		}
		if p.For < 0 || p.For == 0 && len(p.Strikes) > 0 {
			return fmt.Errorf("siege: phase %s lasts %v: must not be negative, and above 0 with attacks", p.Name, p.For)
		}
		total += p.For
		strikes += len(p.Strikes)
	}
	if total <= 0 || total > MaxSiege {
		return fmt.Errorf("siege: all phases together last %v: must be above 0 and at most %v", total, MaxSiege)
	}
	if strikes == 0 {
		return errors.New("siege: no attack named")
	}
	if strikes > MaxStrikes {
		return fmt.Errorf("siege: %d attacks: must be at most %d", strikes, MaxStrikes)
	}
	for _, p := range s.Phases {
		for _, strike := range p.Strikes {
			if err := strike.Check(p.For); err != nil {
				return fmt.Errorf("siege: phase %s: %w", p.Name, err)
			}
		}
	}
	return nil
}

// Check returns what makes the strike impossible in a phase of that length, as one plain line, or nil.
func (s Strike) Check(length time.Duration) error {
	s.Options.Duration = length
	return s.Kind.Check(s.Options, s.Target)
}
