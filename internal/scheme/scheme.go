// Package scheme says what the schemes of -listen are and what each can do. It is one table: which flags are
// parameters of a listener, what -help and docs/operations.md say of them, what is served and relayed, and what the posture
// check looks at all come from it. It does nothing by itself; cmd/server says which service answers at which protocol.
// Any goroutine.
package scheme

import "slices"

// Ability is a set of what a scheme can do. Zero is nothing, which every scheme can.
type Ability uint32

const (
	// What is below. Plain is what others on the way can read, TLS what the server takes TLS off. TLS that is passed
	// on as it came is neither.
	Plain Ability = 1 << iota
	TLS

	// What comes in. HTTP has heads and bodies, Frames come with a length before them or inside of them, Lines with
	// an end: -max-header and -max-body, -max-frame, -max-line. Parsed is what the server understands and not only
	// moves, Counted what -source-frame-rate counts.
	HTTP
	Frames
	Lines
	Parsed
	Counted

	// What answers. Files are served and taken from clients, Relays may have a server behind (-to) and RelaysOnly must
	// have one; ByName chooses it by the name that a client asks for.
	Files
	Relays
	RelaysOnly
	ByName

	// Who may. Asks is -auth, Logins that there is one login before anything else, Signs that frames can be signed
	// after it.
	Asks
	Logins
	Signs
)

// Passthrough relays TLS without taking it off, by the name that a client asks for.
const Passthrough = "tls-passthrough"

// protocols is the table, in the order in which they are told of.
var protocols = []struct {
	name, tls string // the schemes without TLS, which is what the protocol is called, and with it, "" for none
	can       Ability
}{
	{"http", "https", HTTP | Parsed | Counted | Files | Relays | Asks},
	{"frames", "frames+tls", Frames | Parsed | Counted | Files | Relays | Asks | Logins | Signs},
	{"line", "line+tls", Lines | Parsed | Counted | Relays | Asks | Logins},
	{"tcp", "tcp+tls", Relays | RelaysOnly},
	{"resp", "resp+tls", Frames | Parsed | Counted | Relays | RelaysOnly},
	{"mqtt", "mqtt+tls", Frames | Parsed | Counted | Relays | RelaysOnly},
	{Passthrough, "", Parsed | Relays | RelaysOnly | ByName},
}

// Scheme is one word before "://" in -listen. Two are the same when they are equal; the zero Scheme is none.
type Scheme struct {
	Name     string // http, https, ...
	Protocol string // what is spoken, above TLS if that is taken off: http for both
	can      Ability
}

// All are the schemes.
var All = func() (all []Scheme) {
	for _, p := range protocols {
		if p.tls == "" {
			all = append(all, Scheme{p.name, p.name, p.can})
			continue
		}
		all = append(all, Scheme{p.name, p.name, p.can | Plain}, Scheme{p.tls, p.name, p.can | TLS})
	}
	return all
}()

// Named finds a scheme, false for none.
func Named(name string) (Scheme, bool) {
	i := slices.IndexFunc(All, func(s Scheme) bool { return s.Name == name })
	if i < 0 {
		return Scheme{}, false
	}
	return All[i], true
}

// Can reports whether a scheme can do all of what.
func (s Scheme) Can(what Ability) bool { return s.can&what == what }

// Names are the schemes that can do all of what and nothing of but, in the order of All.
func Names(what, but Ability) (names []string) {
	for _, s := range All {
		if s.Can(what) && s.can&but == 0 {
			names = append(names, s.Name)
		}
	}
	return names
}
