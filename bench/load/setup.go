package load

import (
	"time"

	"weir/bench/pacer"
)

// Setup is what a client was told to do, defaults filled in: with the target, all that is needed to do it again.
type Setup struct {
	Closed    bool           `json:"closed"`
	Think     time.Duration  `json:"think_ns,omitempty"`
	Rate      float64        `json:"rate"` // requests a second; 0 in a closed loop
	Arrivals  pacer.Arrivals `json:"arrivals"`
	Seed      uint64         `json:"seed"`
	Conns     int            `json:"conns"`
	Pipeline  int            `json:"pipeline"`
	Churn     bool           `json:"churn"`
	Duration  time.Duration  `json:"duration_ns"`
	Timeout   time.Duration  `json:"timeout_ns"`
	Size      int            `json:"size"`                   // bytes of payload
	Sources   int            `json:"sources"`                // addresses; 0: the kernel chose
	First     string         `json:"first_source,omitempty"` // of them
	Loops     int            `json:"loops"`                  // in each process
	Processes int            `json:"processes"`
}

func (c *Config) setup(loops, processes int) Setup {
	s := Setup{Closed: c.Closed, Think: c.Think, Rate: c.Rate, Arrivals: c.Arrivals, Seed: c.Seed, Conns: c.Conns,
		Pipeline: c.Pipeline, Churn: c.Churn, Duration: c.Duration, Timeout: c.Timeout, Size: c.Size,
		Sources: len(c.Sources), Loops: loops, Processes: processes}
	if len(c.Sources) > 0 {
		s.First = c.Sources[0].String()
	}
	return s
}
