package posture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Rows are the practices, R1 first.
var Rows = []Row{
	validation(), buffers(), deadlines(), connections(), sizes(), roots(), rates(), passwords(), tokens(), encryption(),
	replays(), eavesdropping(), telling(), endurance(), dependencies(), authorisation(), depth(),
}

// Row is one practice: it is on unless one of its rules holds.
type Row struct {
	Name, Practice string // R1, "input is validated"

	// among are the listeners that it is about, nil for all; with none of them the row says None.
	among func(*Listener) bool
	None  string

	on    func(*Server) string // what is on, in words
	Rules []Rule
}

// Rule is one way of a practice to be weak or off.
type Rule struct {
	State  string // Weak or Off
	When   string // for docs/operations.md; it is the rule's name, too
	Change string // the flag that changes it, or what else does
	Advice bool   // told, and no failure: a choice, or nothing that a peer can use

	// One of them: why it holds, "" when it does not.
	process  func(*Server) string
	listener func(*Server, *Listener) string
}

// The states of a row, from the best to the worst. A row that does not apply has the first.
const (
	None = "n/a"
	On   = "on"
	Weak = "weak"
	Off  = "off"
)

// Verdict is a row as judged. Its JSON is what -check-format json prints.
type Verdict struct {
	Row      string    `json:"row"`
	Practice string    `json:"practice"`
	State    string    `json:"state"`
	Why      string    `json:"why,omitempty"` // what is on, or why the row does not apply
	Findings []Finding `json:"findings"`
}

// Finding is a rule that holds, for the process or for some listeners.
type Finding struct {
	State     string   `json:"state"`
	Why       string   `json:"why"`
	Change    string   `json:"change"`
	Listeners []string `json:"listeners,omitempty"`
	Fails     bool     `json:"fails"` // makes the exit status 1

	When string `json:"-"` // the rule's
}

// judge judges one row. It is off when that is said of the process, or of all listeners that it is about; when
// it is off at some of them it is weak.
func (s *Server) judge(r Row) Verdict {
	v := Verdict{Row: r.Name, Practice: r.Practice, State: On, Findings: []Finding{}}
	var about []*Listener
	for i := range s.Listeners {
		if l := &s.Listeners[i]; r.among == nil || r.among(l) {
			about = append(about, l)
		}
	}
	if len(about) == 0 {
		v.State, v.Why = None, r.None
		return v
	}
	accepted := func(at string) bool { return slices.Contains(s.Accept, at) }
	offAt := map[string]bool{}
	for _, rule := range r.Rules {
		canFail := !rule.Advice && !accepted(r.Name)
		if rule.process != nil {
			if why := rule.process(s); why != "" {
				v.add(Finding{State: rule.State, Why: why, Change: rule.Change, When: rule.When, Fails: canFail && s.outside()})
				if rule.State == Off {
					v.State = Off
				}
			}
			continue
		}
		at := map[string]int{} // findings of this rule by their reason: listeners with the same one are told together
		for _, l := range about {
			why := rule.listener(s, l)
			if why == "" {
				continue
			}
			if rule.State == Off {
				offAt[l.Name] = true
			}
			i, seen := at[why]
			if !seen {
				i = len(v.Findings)
				at[why] = i
				v.add(Finding{State: rule.State, Why: why, Change: rule.Change, When: rule.When})
			}
			f := &v.Findings[i]
			f.Listeners = append(f.Listeners, l.Name)
			f.Fails = f.Fails || canFail && l.Outside && !accepted(r.Name+"@"+l.Name)
		}
	}
	if len(offAt) == len(about) {
		v.State = Off
	}
	if r.on != nil && v.State != Off {
		v.Why = r.on(s)
	}
	return v
}

func (v *Verdict) add(f Finding) {
	v.Findings = append(v.Findings, f)
	if v.State == On {
		v.State = Weak
	}
}

// Fails reports whether a row makes the exit status 1.
func (v Verdict) Fails() bool {
	return slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Fails })
}

// CheckRow takes the name of a row, and ROW@LISTENER.
func CheckRow(value string) error {
	row, listener, at := strings.Cut(value, "@")
	n, err := strconv.Atoi(strings.TrimPrefix(row, "R"))
	if err != nil || n < 1 || n > len(Rows) || row != Rows[n-1].Name || at && listener == "" {
		return fmt.Errorf("must be a row of -check, R1 to R%d, or a row at a listener such as R10@web", len(Rows))
	}
	return nil
}
