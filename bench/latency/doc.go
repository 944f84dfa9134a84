// Package latency keeps what requests took, by phase of a run and by slice of time.
//
// It counts and remembers; it does not time anything itself. Each outcome belongs to the phase and slice in which its
// request was due, not to the one in which the answer came: a request that was due under attack and was
// answered after it is a victim of the attack.
//
// A [Recorder] has one writer, and may be read by any goroutine through [Recorder.Summary] and its like.
package latency
