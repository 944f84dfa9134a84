package bench

import (
	"context"
	"fmt"

	"weir/bench/load"
)

// lanes makes the good client and, when there are any, the newcomers; nil when there are none.
func (s Siege) lanes() (good, newcomers *load.Lane, err error) {
	lane := func(cfg load.Config) (*load.Lane, error) {
		cfg.Duration, cfg.Phases = s.length(), s.plan()
		return load.New(cfg)
	}
	if good, err = lane(s.Good); err != nil {
		return nil, nil, fmt.Errorf("siege: good client: %w", err)
	}
	if s.Newcomers == nil {
		return good, nil, nil
	}
	cfg := *s.Newcomers
	cfg.Churn = true
	if newcomers, err = lane(cfg); err != nil {
		return nil, nil, fmt.Errorf("siege: newcomers: %w", err)
	}
	return good, newcomers, nil
}

// running is a lane under way; result and err are to be read after done is closed.
type running struct {
	done   chan struct{}
	result *load.Result // nil when there was no lane
	err    error
}

// begin runs a lane, nil for none.
func begin(ctx context.Context, l *load.Lane) *running {
	r := &running{done: make(chan struct{})}
	if l == nil {
		close(r.done)
		return r
	}
	go func() {
		defer close(r.done)
		var result load.Result
		result, r.err = l.Run(ctx)
		r.result = &result
	}()
	return r
}
