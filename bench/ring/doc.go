// Package ring is a first in, first out queue in one piece of memory: what a loop needs for deadlines that are all
// the same length, where the oldest is always the next one due.
//
// It locks nothing and bounds nothing: its user bounds what it pushes. Not for concurrent use.
package ring
