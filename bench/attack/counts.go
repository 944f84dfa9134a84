package attack

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"weir/bench/latency"
)

// Counts is what an attack counts while it runs. Any goroutine.
type Counts struct {
	attempts, established, refused, timedOut, local atomic.Int64
	resets, closes, answered                        atomic.Int64
	units, bytes, replies, bad, odd                 atomic.Int64
	handshakes, serverHellos, alerts                atomic.Int64
	open                                            atomic.Int64
	short                                           atomic.Bool // out of descriptors at least once
}

// Live is a reading of [Counts]. The connections that came to stand are those still open, those the server ended
// (Resets and Closes) and those this side ended.
type Live struct {
	Attempts    int64 `json:"attempts"`     // connections begun
	Established int64 `json:"established"`  // of these, handshakes that the server's kernel completed
	Refused     int64 `json:"refused"`      // of these, answered by a reset instead (ECONNREFUSED)
	TimedOut    int64 `json:"timed_out"`    // of these, never answered
	Local       int64 `json:"local_errors"` // failed on this side: no descriptor, no port
	Resets      int64 `json:"resets"`       // established, then reset by the server
	Closes      int64 `json:"closes"`       // established, then closed by the server in the orderly way
	Answered    int64 `json:"answered"`     // of Resets and Closes, those with bytes from the server before
	Open        int64 `json:"open"`         // established and open at this moment
	Units       int64 `json:"units"`        // what UnitName says; of frames, requests and drips those written whole
	Bytes       int64 `json:"bytes"`        // written
	Replies     int64 `json:"replies"`      // good replies read
	Bad         int64 `json:"bad_replies"`  // HTTP replies with a status outside 200 to 399, such as 429 or 503; logins answered ERR
	Odd         int64 `json:"odd_replies"`  // connections on which something came that answers nothing of what was sent
	TLS
}

// TLS is what became of TLS handshakes.
type TLS struct {
	Handshakes   int64 `json:"handshakes,omitempty"`    // complete
	ServerHellos int64 `json:"server_hellos,omitempty"` // not meant to be completed, and answered: the server paid for its signature
	Alerts       int64 `json:"alerts,omitempty"`        // refused with an alert
}

// Live returns the counts so far.
func (c *Counts) Live() Live {
	return Live{
		Attempts: c.attempts.Load(), Established: c.established.Load(), Refused: c.refused.Load(),
		TimedOut: c.timedOut.Load(), Local: c.local.Load(), Resets: c.resets.Load(), Closes: c.closes.Load(),
		Answered: c.answered.Load(), Open: c.open.Load(), Units: c.units.Load(), Bytes: c.bytes.Load(),
		Replies: c.replies.Load(), Bad: c.bad.Load(), Odd: c.odd.Load(),
		TLS: TLS{Handshakes: c.handshakes.Load(), ServerHellos: c.serverHellos.Load(), Alerts: c.alerts.Load()},
	}
}

// Ended returns how many connections the server refused or ended.
func (l Live) Ended() int64 { return l.Refused + l.Resets + l.Closes }

// Result is what an attack came to.
type Result struct {
	Name      string        `json:"name"`
	Target    string        `json:"target"`
	UnitName  string        `json:"unit_name"`
	Options   Options       `json:"options"`
	Live                    // the final counts; Open is what was open when it ended, all closed since
	Took      time.Duration `json:"took_ns"`
	CPU       time.Duration `json:"attacker_cpu_ns"`     // of the attack's own threads
	Connect   latency.Range `json:"connect"`             // from connect to the end of TCP's handshake
	Handshake latency.Range `json:"handshake"`           // from connect to the end of that of TLS, of those completed
	Age       latency.Range `json:"age"`                 // from connect to when the server ended the connection
	Shortened string        `json:"shortened,omitempty"` // what this machine's limits cut off the request; empty when nothing
}

// failed counts a connect that came to nothing.
func (c *Counts) failed(err error) {
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		c.refused.Add(1)
	case errors.Is(err, unix.ETIMEDOUT):
		c.timedOut.Add(1)
	default:
		c.local.Add(1)
	}
}
