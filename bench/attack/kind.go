package attack

import (
	"fmt"
	"strings"

	"weir/bench/target"
)

// Kind is one attack. The list is closed; see [All].
type Kind struct {
	Name  string // as on the command line
	Help  string // one line: what it does and what it aims at
	Units string // what Live.Units counts: "connections", "frames", "drips", ...

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
	malformed, oversize, resetChurn, closeStorm, spray,
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

// Options returns the options an attack runs with when nothing else is said.
func (k Kind) Options() Options { return k.defaults }
