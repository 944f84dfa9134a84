// Package mono is the guard's notion of time: nanoseconds on a monotonic clock that starts above
// zero, so that the zero Time can mean "never". Wall clock jumps do not move it.
//
// The pure structures of package guard take a Time as an argument and never read a clock.
package mono

import "time"

// Time is an instant: nanoseconds since an arbitrary start before the process's first reading.
// The zero Time is before every reading. Instants of one process compare with each other only.
type Time int64

// lead keeps the first reading well above zero, so that "an hour ago" is still a positive Time.
const lead = Time(2 * time.Hour)

var base = time.Now()

// Now reads the clock, about 25 ns. The hot path reads it once per wake of a loop and passes it
// on. Any goroutine.
func Now() Time { return lead + Time(time.Since(base)) }

// Add returns t + d. Any goroutine.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t − u. Any goroutine.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }
