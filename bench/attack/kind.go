package attack

import (
	"fmt"
	"slices"
	"strings"

	"weir/bench/target"
)

// Kind is one attack. The list is closed; see [All].
type Kind struct {
	Name  string // as on the command line
	Help  string // one line: what it does and what it aims at
	Units string // what Live.Units counts: "connections", "frames", "drips", ...

	takes    []string // the options that it looks at, beside those that all do
	defaults Options
	total    int // without -total there may be that many connections for each one open at once
	// check refuses options that make no sense for this kind; nil when all do.
	check func(Options, target.Target) error
	// loop is the attack itself, run once on each loop's own thread with that loop's share of the options, until it is
	// done or the run's end.
	loop func(*run) error
}

// kinds is in the order in which help shows them.
var kinds = []Kind{
	connectionFlood, frameFlood, pipelineFlood, uploadFlood, slowloris, silent, slowBody, slowRead, zeroWindow,
	malformed, oversize, resetChurn, closeStorm, spray, authFlood,
	tlsHandshake, tlsHello, tlsDribble, proxySpoof,
}

// All returns the attacks there are, in the order for help texts.
func All() []Kind { return append([]Kind(nil), kinds...) }

// ByName returns the attack of that name, or an error that lists the names there are.
func ByName(name string) (Kind, error) {
	var names []string
	for _, k := range kinds {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, fmt.Errorf("no attack %q: there are %s", name, strings.Join(names, ", "))
}

// everybody are the options that all attacks take.
var everybody = []string{"conns", "total", "rate", "duration", "sources", "first", "per-net", "loops", "nice"}

// Takes reports whether an option of that name makes a difference to the attack.
func (k Kind) Takes(name string) bool {
	return slices.Contains(everybody, name) || slices.Contains(k.takes, name)
}

// Table returns the options that the attack takes, in the order for help texts.
func (k Kind) Table() (out []Option) {
	for _, p := range table {
		if k.Takes(p.Name) {
			out = append(out, p)
		}
	}
	return out
}

// Set reads one option by its name. One that would make no difference is refused: it is there by mistake. The error is one
// plain line.
func (k Kind) Set(o *Options, name, value string) error {
	var names []string
	for _, p := range k.Table() {
		names = append(names, p.Name)
		if p.Name != name {
			continue
		}
		if p.set(o, value) != nil {
			return fmt.Errorf("%s %q: want %s", name, value, p.Help)
		}
		return nil
	}
	return fmt.Errorf("no option %q: it has %s", name, strings.Join(names, ", "))
}

// Options returns the options an attack runs with when nothing else is said.
func (k Kind) Options() Options { return k.defaults }
