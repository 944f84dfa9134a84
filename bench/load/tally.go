package load

import (
	"cmp"
	"errors"
	"time"

	"weir/bench/latency"
	"weir/bench/tunnel"
)

// tally is all that a lane counted, nothing rounded, so that those of several lanes and processes can be added up.
type tally struct {
	Latency         *latency.Recorder
	Ran             time.Duration // how much of the duration it lasted
	Sent            int64
	Cuts            int64
	ConnectFailures int64
	ConnectError    string // the last one; empty: none
	Peak            int    // connections that stood at once; of several lanes their sum
	Lag             latency.Spread
	CPU             time.Duration
	RSSBytes        int64       // of the process, at most; 0 when it is not known to be the client's alone
	Shakes          *shakeTally // nil when there is no TLS
}

// shakeTally is what became of TLS handshakes.
type shakeTally struct {
	OK, Resumed, Failed int64
	Took                latency.Spread
	Latency             *latency.Recorder
}

// add adds o, which stays as it is. Both are of one client, so that their phases agree.
func (t *tally) add(o *tally) error {
	t.Ran = max(t.Ran, o.Ran)
	t.Sent += o.Sent
	t.Cuts += o.Cuts
	t.ConnectFailures += o.ConnectFailures
	t.ConnectError = cmp.Or(t.ConnectError, o.ConnectError)
	t.Peak += o.Peak
	t.CPU += o.CPU
	t.RSSBytes += o.RSSBytes
	t.Lag.Merge(&o.Lag)
	if err := t.Latency.Merge(o.Latency); err != nil {
		return err
	}
	if t.Shakes == nil || o.Shakes == nil {
		return nil
	}
	t.Shakes.OK += o.Shakes.OK
	t.Shakes.Resumed += o.Shakes.Resumed
	t.Shakes.Failed += o.Shakes.Failed
	t.Shakes.Took.Merge(&o.Shakes.Took)
	return t.Shakes.Latency.Merge(o.Shakes.Latency)
}

// together adds up those of a client's lanes or processes.
func together(c *Config, all []*tally) (*tally, error) {
	sum := &tally{}
	var err error
	if sum.Latency, err = latency.New(c.Phases); err != nil {
		return nil, err
	}
	if c.Target.TLS {
		sum.Shakes = &shakeTally{}
		if sum.Shakes.Latency, err = latency.New(c.Phases); err != nil {
			return nil, err
		}
	}
	for _, t := range all {
		if err := sum.add(t); err != nil {
			return nil, err
		}
	}
	return sum, nil
}

// Result is what a client did.
type Result struct {
	Target          string            `json:"target"`
	Setup           Setup             `json:"setup"`
	Phases          []latency.Summary `json:"phases"`
	Timeline        []latency.Summary `json:"timeline"`
	Sent            int64             `json:"sent"`
	Cuts            int64             `json:"connections_cut"`
	ConnectFailures int64             `json:"connect_failures"`
	ConnectError    string            `json:"connect_error,omitempty"` // what the kernel said the last time
	// Peak is how many connections stood at once, of several loops the sum of what each had.
	Peak int `json:"peak_connections"`
	// Lag is how late the client itself noticed that a request was due. When it is not far below the latencies,
	// those measure the client. Empty in a closed loop.
	Lag latency.Range `json:"client_lag"`
	CPU time.Duration `json:"client_cpu_ns"` // of its loops
	// RSSBytes is the most memory that the processes had resident since they were started: the client is all that
	// they did when there are several, or when it is the command's only task.
	RSSBytes int64       `json:"client_rss_bytes,omitempty"`
	TLS      *Handshakes `json:"tls,omitempty"` // nil when the target does not speak it
}

// Handshakes is what became of a client's TLS handshakes. Each counts from when its connection was begun, a newcomer's
// from when it was due, so that the accept queue and TCP's own handshake are in it: what a client waits before it may
// ask.
type Handshakes struct {
	tunnel.Options
	OK      int64         `json:"ok"`
	Resumed int64         `json:"resumed"` // of OK
	Failed  int64         `json:"failed"`
	Took    latency.Range `json:"took"` // of OK, those before the first request was due included
	// Phases tells those that count from an instant of the run apart; its failures are timeout, cut (by the server,
	// without a word) and handshake (an alert, or nonsense).
	Phases []latency.Summary `json:"phases"`
}

func (t *tally) result(c *Config, loops, processes int) Result {
	r := Result{
		Target: c.Target.String(), Setup: c.setup(loops, processes),
		Phases: latency.Until(t.Ran, t.Latency.Summary()), Timeline: latency.Until(t.Ran, t.Latency.Timeline()),
		Sent: t.Sent, Cuts: t.Cuts, ConnectFailures: t.ConnectFailures, ConnectError: t.ConnectError, Peak: t.Peak,
		Lag: t.Lag.Range(), CPU: t.CPU, RSSBytes: t.RSSBytes,
	}
	if s := t.Shakes; s != nil {
		r.TLS = &Handshakes{Options: c.TLS, OK: s.OK, Resumed: s.Resumed, Failed: s.Failed, Took: s.Took.Range(), Phases: latency.Until(t.Ran, s.Latency.Summary())}
	}
	return r
}

// fits reports what is wrong with a tally that another process wrote.
func (t *tally) fits(c *Config) error {
	if t.Latency == nil || c.Target.TLS && (t.Shakes == nil || t.Shakes.Latency == nil) {
		return errors.New("a result with parts missing")
	}
	return nil
}
