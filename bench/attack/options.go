package attack

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"weir/bench/target"
	"weir/bench/wire"
)

// The bounds of every attack.
const (
	MaxDuration = 10 * time.Minute
	MaxConns    = 1 << 20
	MaxTotal    = 10_000_000
	MaxCount    = 1_000_000_000
	MaxLoops    = 64
	MaxPipeline = 1_000_000
	MaxAccounts = 1_000_000
)

// Options says how hard and how long. The zero value is not valid: begin with [Kind.Options].
type Options struct {
	Conns    int           `json:"conns"`       // connections open at once
	Total    int           `json:"total"`       // connections in all, reopened ones included; 0: the kind's multiple of Conns
	Count    int64         `json:"count"`       // most units sent: frames, drips; no meaning for attacks whose unit is a connection
	Rate     float64       `json:"rate"`        // units a second, all connections together; 0: as fast as it goes
	Size     int           `json:"size"`        // bytes: a frame's payload, a drip
	Frame    int           `json:"frame"`       // bytes: the frame or body that drips announce
	Interval time.Duration `json:"interval_ns"` // between two drips of a connection
	Hold     time.Duration `json:"hold_ns"`     // how long a connection is held open; 0: until the end, after a handshake not at all
	Churn    bool          `json:"churn"`       // close each connection as soon as it stands
	Duration time.Duration `json:"duration_ns"` // the attack ends then, whatever is left
	Sources  int           `json:"sources"`     // source addresses, one after the other
	First    string        `json:"first"`       // the first of them; empty: 127.0.1.1, or ::1
	PerNet   int           `json:"per_net"`     // sources in one /24; 0: as many as fit
	Loops    int           `json:"loops"`       // event loops, each with a thread
	Nice     int           `json:"nice"`        // 0 to 19: how far the attack's threads give way to others

	Pipeline int `json:"pipeline,omitempty"` // requests that a connection sends without waiting for answers
	Sip      int `json:"sip,omitempty"`      // bytes read at each interval

	Version string `json:"version,omitempty"`     // of TLS, 1.2 or 1.3, empty for the highest; of a PROXY header, 1 or 2
	Name    string `json:"server_name,omitempty"` // sent as SNI; empty: the target's host, if that is a name
	Finish  bool   `json:"finish,omitempty"`      // complete TLS handshakes
	Records bool   `json:"records,omitempty"`     // a TLS record for each byte
	Form    string `json:"form,omitempty"`        // of PROXY headers: good, cut, huge, bad
	Victim  string `json:"victim,omitempty"`      // the one address that PROXY headers claim; empty: another one each time

	Accounts int    `json:"accounts,omitempty"` // different names to log in by
	User     string `json:"user,omitempty"`     // the first of them; empty: made up like the others
}

// Option is one line of the table of options: its name on the command line and between a spec's ? and &.
type Option struct {
	Name string
	Help string // unit, meaning and range
	set  func(*Options, string) error
	get  func(Options) string
}

// Get returns the option's value in o as Set would take it.
func (p Option) Get(o Options) string { return p.get(o) }

// Set reads an option's value into o. The error names neither option nor attack.
func (p Option) Set(o *Options, value string) error { return p.set(o, value) }

// Table returns all options of all attacks, in the order for help texts; those of one are [Kind.Table].
func Table() []Option { return table }

var table = []Option{
	number("conns", "connections open at once, 1 to 1048576", func(o *Options) *int { return &o.Conns }),
	number("total", "connections in all, reopened ones included, up to 10000000; 0 the attack's own multiple of conns", func(o *Options) *int { return &o.Total }),
	{"count", "most frames, drips or logins sent, 1 to 1000000000",
		func(o *Options, v string) (err error) { o.Count, err = strconv.ParseInt(v, 10, 64); return err },
		func(o Options) string { return strconv.FormatInt(o.Count, 10) }},
	{"rate", "connections, frames or logins a second, 0 as fast as it goes; for those that drip connections a second while opening",
		func(o *Options, v string) (err error) { o.Rate, err = strconv.ParseFloat(v, 64); return err },
		func(o Options) string { return strconv.FormatFloat(o.Rate, 'f', -1, 64) }},
	number("size", "bytes in a frame's payload, in a drip, or most that oversize sends on a connection, up to 16777216; 0: 64 in a frame or line, and a GET without a body for HTTP", func(o *Options) *int { return &o.Size }),
	number("frame", "bytes that a dripped frame or body announces, 1 to 16777216", func(o *Options) *int { return &o.Frame }),
	number("pipeline", "requests that a connection sends without waiting for answers, up to 1000000; 0 none, where an attack can do without", func(o *Options) *int { return &o.Pipeline }),
	number("sip", "bytes that slow-read reads at each interval, 1 to 65536", func(o *Options) *int { return &o.Sip }),
	span("interval", "time between two drips or sips of a connection, 1ms to 10m", func(o *Options) *time.Duration { return &o.Interval }),
	span("hold", "how long a connection is held open, 0 until the end; for tls-handshake 0 not at all", func(o *Options) *time.Duration { return &o.Hold }),
	truth("churn", "close each connection as soon as it stands, true or false", func(o *Options) *bool { return &o.Churn }),
	span("duration", "the attack ends then, 1ms to 10m", func(o *Options) *time.Duration { return &o.Duration }),
	number("sources", "source addresses, 1 to 1048576", func(o *Options) *int { return &o.Sources }),
	word("first", "the first source address; none: 127.0.1.1, or ::1; many IPv6 ones begin in 2001:db8::/32, which must be routed to lo", func(o *Options) *string { return &o.First }),
	number("per-net", "sources in one /24, 1 to 254, or in one /64, 0 as many as fit", func(o *Options) *int { return &o.PerNet }),
	number("loops", "event loops, 1 to 64", func(o *Options) *int { return &o.Loops }),
	number("nice", "how far the attack's threads give way to the server and the good client, 0 to 19", func(o *Options) *int { return &o.Nice }),
	word("version", "of TLS, 1.2 or 1.3, none for the highest that both have; for proxy-spoof of the PROXY header, 1 or 2", func(o *Options) *string { return &o.Version }),
	word("sni", "server name in TLS handshakes; none: the target's host if it is a name", func(o *Options) *string { return &o.Name }),
	truth("finish", "complete TLS handshakes; for malformed, and break the protocol inside; or for tls-handshake with false go when the server has answered the ClientHello, true or false", func(o *Options) *bool { return &o.Finish }),
	truth("records", "put each byte of a dribbled ClientHello in a TLS record of its own, true or false", func(o *Options) *bool { return &o.Records }),
	word("form", "of PROXY headers: good, cut (then silence), huge (65535 bytes, or a line of 4 KB) or bad (malformed, each in another way)", func(o *Options) *string { return &o.Form }),
	number("accounts", "different names to log in by, 1 to 1000000", func(o *Options) *int { return &o.Accounts }),
	word("user", "the first of these names, one that exists; none: made up like the others", func(o *Options) *string { return &o.User }),
	word("victim", "the one address that all PROXY headers claim; none: another one each time, from 10.0.0.0/8 and 2001:db8::/32", func(o *Options) *string { return &o.Victim }),
}

func truth(name, help string, at func(*Options) *bool) Option {
	return Option{name, help,
		func(o *Options, v string) (err error) { *at(o), err = strconv.ParseBool(v); return err },
		func(o Options) string { return strconv.FormatBool(*at(&o)) }}
}

func word(name, help string, at func(*Options) *string) Option {
	return Option{name, help,
		func(o *Options, v string) error { *at(o) = v; return nil },
		func(o Options) string { return *at(&o) }}
}

func number(name, help string, at func(*Options) *int) Option {
	return Option{name, help,
		func(o *Options, v string) (err error) { *at(o), err = strconv.Atoi(v); return err },
		func(o Options) string { return strconv.Itoa(*at(&o)) }}
}

func span(name, help string, at func(*Options) *time.Duration) Option {
	return Option{name, help,
		func(o *Options, v string) (err error) { *at(o), err = time.ParseDuration(v); return err },
		func(o Options) string { return at(&o).String() }}
}

// ParseSpec reads an attack with its options as one word: slowloris?conns=5000&interval=500ms.
func ParseSpec(spec string) (Kind, Options, error) {
	name, query, _ := strings.Cut(spec, "?")
	k, err := ByName(name)
	if err != nil {
		return Kind{}, Options{}, err
	}
	o := k.Options()
	values, err := url.ParseQuery(query)
	if err != nil {
		return Kind{}, Options{}, fmt.Errorf("attack %q: options are written ?name=value&name=value", spec)
	}
	for key := range values {
		if err := k.Set(&o, key, values.Get(key)); err != nil {
			return Kind{}, Options{}, fmt.Errorf("attack %s: %w", name, err)
		}
	}
	return k, o, nil
}

// Check returns what makes o impossible for k against t, as one plain line, or nil. [Run] checks too.
func (k Kind) Check(o Options, t target.Target) error {
	_, err := k.complete(&o, t)
	return err
}

// complete checks o for k against t and returns the source addresses it names.
func (k Kind) complete(o *Options, t target.Target) ([]netip.Addr, error) {
	for _, r := range []struct {
		name           string
		value, low, up float64
	}{
		{"conns", float64(o.Conns), 1, MaxConns},
		{"total", float64(o.Total), 0, MaxTotal},
		{"count", float64(o.Count), 1, MaxCount},
		{"rate", o.Rate, 0, 1e9},
		{"size", float64(o.Size), 0, wire.MaxSize},
		{"frame", float64(o.Frame), 1, wire.MaxSize},
		{"pipeline", float64(o.Pipeline), 0, MaxPipeline},
		{"accounts", float64(o.Accounts), 1, MaxAccounts},
		{"loops", float64(o.Loops), 1, MaxLoops},
		{"nice", float64(o.Nice), 0, 19},
	} {
		if k.Takes(r.name) && !(r.value >= r.low && r.value <= r.up) {
			return nil, fmt.Errorf("attack %s: %s %v: must be from %.0f to %.0f", k.Name, r.name, r.value, r.low, r.up)
		}
	}
	for _, r := range []struct {
		name           string
		value, low, up time.Duration
	}{
		{"interval", o.Interval, time.Millisecond, MaxDuration},
		{"hold", o.Hold, 0, MaxDuration},
		{"duration", o.Duration, time.Millisecond, MaxDuration},
	} {
		if k.Takes(r.name) && (r.value < r.low || r.value > r.up) {
			return nil, fmt.Errorf("attack %s: %s %v: must be from %v to %v", k.Name, r.name, r.value, r.low, r.up)
		}
	}
	if o.Total == 0 {
		o.Total = min(o.Conns*max(k.total, 1), MaxTotal)
	}
	if k.check != nil {
		if err := k.check(*o, t); err != nil {
			return nil, fmt.Errorf("attack %s: %w", k.Name, err)
		}
	}
	if t.Addr.Addr().Is6() && o.First == "" {
		// One address only, whatever the default number says.
		o.First, o.Sources = "::1", 1
	}
	if o.First == "" {
		o.First = "127.0.1.1"
	}
	first, err := netip.ParseAddr(o.First)
	if err != nil {
		return nil, fmt.Errorf("attack %s: first %q is no address", k.Name, o.First)
	}
	if first.Is4() != t.Addr.Addr().Is4() {
		return nil, fmt.Errorf("attack %s: first %s and target %s are of different families", k.Name, first, t.Addr)
	}
	o.Loops = min(o.Loops, o.Conns)
	return target.Sources(first, o.Sources, o.PerNet)
}
