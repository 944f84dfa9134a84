// Package events turns what the engine tells into log lines, and watches its counters for what an
// operator has to act on.
//
// Nothing here can stop a loop: a Recorder takes events over a bounded channel and counts what does
// not fit, and a Sink takes log lines in the same way, so that a log that is full, slow or blocked
// costs lines and nothing else. What was left out is told as soon as there is room.
//
// Text that came over the wire is escaped and cut before it is written: one event is one line, and
// no byte of it can forge another (see Clean).
package events
