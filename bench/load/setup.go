package load

import "time"

// Setup is what a lane was told to do, defaults filled in: with the target, all that is needed to do it again.
type Setup struct {
	Rate     float64       `json:"rate"` // requests a second
	Poisson  bool          `json:"poisson"`
	Seed     uint64        `json:"seed"`
	Conns    int           `json:"conns"`
	Churn    bool          `json:"churn"`
	Duration time.Duration `json:"duration_ns"`
	Timeout  time.Duration `json:"timeout_ns"`
	Size     int           `json:"size"`                   // bytes of payload
	Sources  int           `json:"sources"`                // addresses; 0: the kernel chose
	First    string        `json:"first_source,omitempty"` // of them
}

func (c *Config) setup() Setup {
	s := Setup{Rate: c.Rate, Poisson: c.Poisson, Seed: c.Seed, Conns: c.Conns, Churn: c.Churn,
		Duration: c.Duration, Timeout: c.Timeout, Size: c.Size, Sources: len(c.Sources)}
	if len(c.Sources) > 0 {
		s.First = c.Sources[0].String()
	}
	return s
}
