package load

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"time"

	"weir/bench/latency"
	"weir/bench/pacer"
	"weir/bench/target"
	"weir/bench/tunnel"
	"weir/bench/wire"
)

// The bounds of a client. Each run is bounded in time and, by its rate or its connections, in count.
const (
	MaxDuration = 10 * time.Minute
	MaxConns    = 1 << 20 // in all processes together; what one holds is bounded by its descriptors
	MaxRate     = 1e7     // requests a second: more than a machine's loops can send
	MaxPipeline = 1024
)

// The places for newcomers when none are named: enough for all that can be under way within the timeout, so that none
// waits for another, up to a number that leaves descriptors to others.
const (
	minPlaces = 64
	maxPlaces = 8192
)

// Config says what a client does. Zero values mean the default where one is named, else they are errors.
type Config struct {
	Target   target.Target
	Sources  []netip.Addr    // connections are spread over them; none: the kernel chooses
	TLS      tunnel.Options  // of a target that speaks TLS
	Churn    bool            // newcomers: each request on a connection of its own, closed after the reply
	Conns    int             // persistent connections, 1 to MaxConns; default 10. Newcomers: how many at once; default rate times timeout, 64 to 8192
	Pipeline int             // requests under way on a connection at most, 1 to MaxPipeline; default 1. Newcomers have one
	Closed   bool            // a closed loop: each connection asks again when it has its reply. What a stall hides from it is in the package's comment
	Think    time.Duration   // closed loop only: from a reply to the next request, 0 to a minute
	Rate     float64         // open loop only: requests a second, above 0 to MaxRate; default 500
	Arrivals pacer.Arrivals  // open loop only: when they are due; default constant gaps
	Seed     uint64          // of exponential gaps
	Duration time.Duration   // during which requests are due, above 0 to MaxDuration; default 10 s
	Timeout  time.Duration   // of a request from when it was due, and of a connect with its handshake; default 2 s
	Size     int             // bytes of payload, see wire.NewRequest; 0 means wire.SizeOr's
	Phases   []latency.Phase // what to tell apart; default one called "run"
}

func (c *Config) complete() error {
	if !c.Closed {
		setDefault(&c.Rate, 500)
	}
	setDefault(&c.Duration, 10*time.Second)
	setDefault(&c.Timeout, 2*time.Second)
	setDefault(&c.Pipeline, 1)
	conns := 10
	if c.Churn && c.Rate > 0 {
		conns = int(min(max(math.Ceil(c.Rate*c.Timeout.Seconds()), minPlaces), maxPlaces))
	}
	setDefault(&c.Conns, conns)
	c.Size = wire.SizeOr(c.Target, c.Size)
	if err := c.check(); err != nil {
		return err
	}
	if len(c.Phases) == 0 {
		c.Phases = []latency.Phase{{Name: "run", To: c.Duration}}
	}
	if end := c.Phases[len(c.Phases)-1].To; end > MaxDuration {
		return fmt.Errorf("phases up to %v: must end by %v", end, MaxDuration)
	}
	if err := target.CheckSources(c.Sources); err != nil {
		return err
	}
	return c.Target.Check()
}

func (c *Config) check() error {
	switch {
	case c.Conns < 1 || c.Conns > MaxConns:
		return fmt.Errorf("conns %d: must be from 1 to %d", c.Conns, MaxConns)
	case c.Pipeline < 1 || c.Pipeline > MaxPipeline:
		return fmt.Errorf("pipeline %d: must be from 1 to %d", c.Pipeline, MaxPipeline)
	case c.Pipeline > 1 && c.Churn:
		return errors.New("pipeline: newcomers make one request each")
	case c.Closed && (c.Rate != 0 || c.Arrivals != pacer.Arrivals{}):
		return errors.New("closed: a closed loop has no rate and no arrivals: each connection asks when it has its reply")
	case !c.Closed && !(c.Rate > 0 && c.Rate <= MaxRate):
		return fmt.Errorf("rate %v: must be above 0 and at most %d requests a second", c.Rate, int(MaxRate))
	case c.Arrivals.From > MaxRate:
		return fmt.Errorf("arrivals: a ramp from %v: must be at most %d requests a second", c.Arrivals.From, int(MaxRate))
	case c.Arrivals.Every > MaxDuration || c.Rate*c.Arrivals.Every.Seconds() > maxWaiting:
		return fmt.Errorf("arrivals: a burst of %.0f requests every %v: at most %d, every %v or less", c.Rate*c.Arrivals.Every.Seconds(), c.Arrivals.Every, maxWaiting, MaxDuration)
	case c.Think != 0 && !c.Closed:
		return errors.New("think: is for a closed loop; in an open one the rate says when requests are due")
	case c.Think < 0 || c.Think > time.Minute:
		return fmt.Errorf("think %v: must be from 0 to 1m", c.Think)
	case c.Duration < 0 || c.Duration > MaxDuration:
		return fmt.Errorf("duration %v: must be above 0 and at most %v", c.Duration, MaxDuration)
	case c.Timeout < time.Millisecond || c.Timeout > time.Minute:
		return fmt.Errorf("timeout %v: must be from 1ms to 1m", c.Timeout)
	}
	return nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// share is one lane's part of a client: the part'th of so many.
type share struct{ Part, Of int }

// whole is the share of a lane that is alone.
var whole = share{Of: 1}

// conns is how many connections a lane has of all that its client has.
func (s share) conns(all int) int { return (all - s.Part + s.Of - 1) / s.Of }

// number returns which of all the client's the lane's i'th is.
func (s share) number(i int) int { return i*s.Of + s.Part }
