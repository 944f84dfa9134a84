package guard

import (
	"errors"
	"fmt"
	"math"
	"time"

	"weir/guard/bucket"
	"weir/guard/budget"
)

const (
	maxConns    = 1 << 24
	maxTimeout  = 24 * time.Hour
	maxLifetime = 365 * 24 * time.Hour
	maxGrace    = time.Hour
)

// minUnproven is the least default of Config.MaxUnproven: on a small server everybody may be new.
const minUnproven = 128

// checks collects one line for each value out of range.
type checks struct{ errs []error }

func (c *checks) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

func (c *checks) count(field string, v int, most int64, unit string) {
	if v < 0 || int64(v) > most {
		c.fail("%s %d: must be 0 (no limit) to %d%s", field, v, most, unit)
	}
}

func (c *checks) burst(field string, v int, most int64) {
	if v < 0 || int64(v) > most {
		c.fail("%s %d: must be 0 (one second's worth) to %d", field, v, most)
	}
}

func (c *checks) timeout(field string, v, most time.Duration) {
	if v < 0 || v > most {
		c.fail("%s %v: must be 0 (none) to %v", field, v, most)
	}
}

// Validate checks every field's range and returns all that are out of it, one line each, or nil.
func (l Limits) Validate() error {
	var c checks
	c.count("max-conns", l.MaxConns, maxConns, "")
	c.count("source-conns", l.SourceConns, maxConns, "")
	c.count("source-conn-rate", l.SourceConnRate, bucket.MaxRate, " per second")
	c.burst("source-conn-burst", l.SourceConnBurst, bucket.MaxBurst)
	c.count("source-unproven", l.SourceUnproven, maxConns, "")
	c.count("source-handshake-rate", l.SourceHandshakeRate, bucket.MaxRate, " per second")
	c.burst("source-handshake-burst", l.SourceHandshakeBurst, bucket.MaxBurst)
	c.count("source-frame-rate", l.SourceFrameRate, bucket.MaxRate, " per second")
	c.burst("source-frame-burst", l.SourceFrameBurst, bucket.MaxBurst)
	c.count("source-byte-rate", l.SourceByteRate, bucket.MaxByteRate, " per second")
	c.burst("source-byte-burst", l.SourceByteBurst, bucket.MaxByteBurst)
	c.count("conn-frame-rate", l.ConnFrameRate, bucket.MaxRate, " per second")
	c.burst("conn-frame-burst", l.ConnFrameBurst, bucket.MaxBurst)
	c.count("conn-byte-rate", l.ConnByteRate, bucket.MaxByteRate, " per second")
	c.burst("conn-byte-burst", l.ConnByteBurst, bucket.MaxByteBurst)
	c.timeout("proxy-timeout", l.ProxyTimeout, maxTimeout)
	c.timeout("handshake-timeout", l.HandshakeTimeout, maxTimeout)
	c.timeout("first-frame-timeout", l.FirstFrameTimeout, maxTimeout)
	c.timeout("auth-timeout", l.AuthTimeout, maxTimeout)
	c.timeout("frame-timeout", l.FrameTimeout, maxTimeout)
	c.timeout("idle-timeout", l.IdleTimeout, maxTimeout)
	c.timeout("half-close-timeout", l.HalfCloseTimeout, maxTimeout)
	c.timeout("write-timeout", l.WriteTimeout, maxTimeout)
	c.timeout("lifetime", l.Lifetime, maxLifetime)
	c.count("min-rate", l.MinRate, budget.MaxRate, " bytes per second")
	if l.MinRate > 0 && l.MinRateGrace == 0 {
		c.fail("min-rate-grace 0s: must be above 0 when min-rate is set, or nobody can begin")
	} else {
		c.timeout("min-rate-grace", l.MinRateGrace, maxGrace)
	}
	return errors.Join(c.errs...)
}

// Validate checks every field's range and returns all that are out of it, one line each, or nil.
// SourceTable, V4Prefix and V6Prefix may be 0 for their defaults; MaxConns may not.
func (cfg Config) Validate() error {
	var c checks
	f := cfg.filled()
	if cfg.MaxConns < 1 || cfg.MaxConns > maxConns {
		c.fail("max-conns %d: must be 1 to %d", cfg.MaxConns, maxConns)
	}
	if cfg.MaxUnproven < 0 || cfg.MaxUnproven > 2*maxConns {
		c.fail("max-unproven %d: must be 0 (half of max-conns) to %d", cfg.MaxUnproven, 2*maxConns)
	}
	c.count("conn-rate", cfg.ConnRate, bucket.MaxRate/2, " per second")
	if f.SourceTable < bucket.MinPlaces || f.SourceTable > bucket.MaxPlaces || f.SourceTable&(f.SourceTable-1) != 0 {
		c.fail("source-table %d: must be a power of two from %d to %d", cfg.SourceTable, bucket.MinPlaces, bucket.MaxPlaces)
	}
	if f.V4Prefix < 8 || f.V4Prefix > 32 {
		c.fail("v4-prefix %d: must be 8 to 32", cfg.V4Prefix)
	}
	if f.V6Prefix < 16 || f.V6Prefix > 64 {
		c.fail("v6-prefix %d: must be 16 to 64", cfg.V6Prefix)
	}
	for _, p := range cfg.Exempt {
		switch {
		case !p.IsValid():
			c.fail("exempt %v: not a prefix", p)
		case p.Addr().Is4In6() && p.Bits() < 96:
			c.fail("exempt %v: a prefix of IPv4-mapped addresses must be at least /96", p)
		}
	}
	return errors.Join(c.errs...)
}

// filled puts in the defaults for zeros.
func (cfg Config) filled() Config {
	d := DefaultConfig()
	if cfg.SourceTable == 0 {
		cfg.SourceTable = d.SourceTable
	}
	if cfg.V4Prefix == 0 {
		cfg.V4Prefix = d.V4Prefix
	}
	if cfg.V6Prefix == 0 {
		cfg.V6Prefix = d.V6Prefix
	}
	if cfg.MaxUnproven == 0 {
		cfg.MaxUnproven = max(cfg.MaxConns/2, minUnproven)
	}
	return cfg
}

const _ uint = math.MaxInt>>62 - 1 // does not compile unless int has 64 bits: byte rates pass 4 GiB
