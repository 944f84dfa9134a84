package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/engine/auth/accounts"
	"weir/internal/admin"
)

// The posture check, -check: which of the practices that a server on the network should keep are on, off
// or weak with the settings in force. A practice is a row, R1 to R17, and each row is one function:
//
//	R1 R2 R5 R6      posture_input.go    what comes in
//	R3 R4 R7         posture_peers.go    from whom, how much of it and for how long
//	R8 R9 R11 R16    posture_auth.go     who may
//	R10 R12          posture_wire.go     what others on the way can do
//	R13 R14 R15 R17  posture_operate.go  what the operator sees, and what is left when one layer fails
//
// A flag that weakens one gets a rule there, and a configuration in posture_test.go, which asks for one. The table in
// docs/operations.md is generated from the rules, as flags and reasons are.
var practices = []func() practice{
	validation, buffers, deadlines, connections, sizes, roots, rates, passwords, tokens, encryption,
	replays, eavesdropping, telling, endurance, dependencies, authorisation, depth,
}

// practice is one row: it is on unless one of its rules holds.
type practice struct {
	row, name string

	// among are the listeners that it is about, nil for all; with none of them the row says none.
	among func(*listener) bool
	none  string

	on    func(*posture) string // what is on, in words
	rules []rule
}

// rule is one way of a practice to be weak or off.
type rule struct {
	state  string // weak or off
	when   string // for docs/operations.md
	change string // the flag that changes it, or what else does
	advice bool   // told, and no failure: a choice, or nothing that a peer can use

	// One of them: why it holds, "" when it does not.
	process  func(*posture) string
	listener func(*posture, *listener) string
}

// The states of a row, from the best to the worst. A row that does not apply has the first.
const (
	stateNone = "n/a"
	stateOn   = "on"
	stateWeak = "weak"
	stateOff  = "off"
)

// posture is what rows are judged by.
type posture struct {
	s     *settings
	certs []watched     // that are served, and the client CA
	users *accounts.Set // nil for none
	build build
	now   time.Time
}

// verdict is a row as judged. Its JSON is what -check-format json prints.
type verdict struct {
	Row      string    `json:"row"`
	Practice string    `json:"practice"`
	State    string    `json:"state"`
	Why      string    `json:"why,omitempty"` // what is on, or why the row does not apply
	Findings []finding `json:"findings"`
}

// finding is a rule that holds, for the process or for some listeners.
type finding struct {
	State     string   `json:"state"`
	Why       string   `json:"why"`
	Change    string   `json:"change"`
	Listeners []string `json:"listeners,omitempty"`
	Fails     bool     `json:"fails"` // makes the exit status 1
}

// judgeAll judges every row.
func (p *posture) judgeAll() (all []verdict) {
	for _, row := range practices {
		all = append(all, p.judge(row()))
	}
	return all
}

// judge judges one row. It is off when that is said of the process, or of all listeners that it is about; when
// it is off at some of them it is weak.
func (p *posture) judge(r practice) verdict {
	v := verdict{Row: r.row, Practice: r.name, State: stateOn, Findings: []finding{}}
	var about []*listener
	for i := range p.s.listeners {
		if l := &p.s.listeners[i]; r.among == nil || r.among(l) {
			about = append(about, l)
		}
	}
	if len(about) == 0 {
		v.State, v.Why = stateNone, r.none
		return v
	}
	accepted := func(at string) bool { return slices.Contains(p.s.checkAccept, at) }
	offAt := map[string]bool{}
	for _, rule := range r.rules {
		canFail := !rule.advice && !accepted(r.row)
		if rule.process != nil {
			if why := rule.process(p); why != "" {
				v.add(finding{State: rule.state, Why: why, Change: rule.change, Fails: canFail && p.isOutside()})
				if rule.state == stateOff {
					v.State = stateOff
				}
			}
			continue
		}
		at := map[string]int{} // findings of this rule by their reason: listeners with the same one are told together
		for _, l := range about {
			why := rule.listener(p, l)
			if why == "" {
				continue
			}
			if rule.state == stateOff {
				offAt[l.name] = true
			}
			i, seen := at[why]
			if !seen {
				i = len(v.Findings)
				at[why] = i
				v.add(finding{State: rule.state, Why: why, Change: rule.change})
			}
			f := &v.Findings[i]
			f.Listeners = append(f.Listeners, l.name)
			f.Fails = f.Fails || canFail && l.outside() && !accepted(r.row+"@"+l.name)
		}
	}
	if len(offAt) == len(about) {
		v.State = stateOff
	}
	if r.on != nil && v.State != stateOff {
		v.Why = r.on(p)
	}
	return v
}

func (v *verdict) add(f finding) {
	v.Findings = append(v.Findings, f)
	if v.State == stateOn {
		v.State = stateWeak
	}
}

// fails reports whether a row makes the exit status 1.
func (v verdict) fails() bool {
	return slices.ContainsFunc(v.Findings, func(f finding) bool { return f.Fails })
}

// isOutside reports whether others than this machine can reach the process, the admin page included.
func (p *posture) isOutside() bool {
	return p.isAdminOutside() || slices.ContainsFunc(p.s.listeners, func(l listener) bool { return l.outside() })
}

func (p *posture) isAdminOutside() bool { return p.s.admin != "off" && admin.Exposed(p.s.admin) }

// isLoopback reports whether HOST:PORT is on this machine for certain: a name could be anywhere.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// inForce is what flags are set to at the listeners that they matter for, as one would type it:
// "source-conns 256, idle-timeout 75s or 5s".
func (p *posture) inForce(names ...string) string {
	var all []string
	for _, name := range names {
		r := rowNamed(name)
		var values []string
		for i := range p.s.listeners {
			l := &p.s.listeners[i]
			if r.setting != nil || !r.fits(l.scheme) {
				continue
			}
			if v := r.inWords(r.limit(&l.limits)); !slices.Contains(values, v) {
				values = append(values, v)
			}
		}
		if r.setting != nil {
			values = []string{r.inWords(r.setting(p.s))}
		}
		if len(values) > 0 {
			all = append(all, name+" "+strings.Join(values, " or "))
		}
	}
	return strings.Join(all, ", ")
}

// lastRow is the number of rows. A test holds it: the table of flags, which practices look into, cannot look into them.
const lastRow = 17

// checkRow takes the name of a row, and ROW@LISTENER.
func checkRow(value string) error {
	row, listener, at := strings.Cut(value, "@")
	n, err := strconv.Atoi(strings.TrimPrefix(row, "R"))
	if err != nil || n < 1 || n > lastRow || row != fmt.Sprintf("R%d", n) || at && listener == "" {
		return fmt.Errorf("must be a row of -check, R1 to R%d, or a row at a listener such as R10@web", lastRow)
	}
	return nil
}

// look reads what the flags name; it makes nothing and asks nobody. Its error is one line for the operator.
func look(s *settings) (*posture, error) {
	p := &posture{s: s, build: thisBuild(), now: time.Now()}
	var err error
	if p.certs, err = lookAtIdentity(s); err != nil {
		return nil, err
	}
	if s.users != "" {
		if p.users, err = accounts.ReadFile(s.users); err != nil {
			return nil, fmt.Errorf("-users: %w", err)
		}
	}
	if _, err := s.alerts.config(); err != nil {
		return nil, err
	}
	return p, nil
}

// check is -check. Its exit code is 1 when something is weak that others can reach.
func check(s *settings, stdout, stderr io.Writer) int {
	p, err := look(s)
	if err != nil {
		return complain(stderr, err)
	}
	r := p.report()
	if s.checkFormat == "json" {
		r.printJSON(stdout)
	} else {
		r.print(stdout)
	}
	if r.Fails {
		return exitFailed
	}
	return exitOK
}
