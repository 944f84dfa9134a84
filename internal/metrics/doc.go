// Package metrics shows the counters of an engine and its guard to Prometheus, through the official
// client.
//
// The counters are the loops' own: nothing here is on the way of a frame. They are summed when they
// are read. Every label comes from a list that is fixed before the first connection (listeners,
// loops, guard.Reason, codec.Fault, errno), so no attacker can make a series.
package metrics
