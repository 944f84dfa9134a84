// Package alerts tells receivers over HTTP of what an operator should know at once.
//
//	counters, once a second ─┐
//	                         ├─▶ rules ──▶ alert ──▶ a queue for each receiver ──▶ POST
//	events about accounts ───┘  window,              bounded; what does not fit
//	                            threshold,           is dropped and counted
//	                            cool-down
//
// All of it is off the loops, and all memory is sized by the rules at start: a counter has a ring of
// one number a second, accounts a table that keeps the worst offenders. A receiver that is dead or
// slow has its own goroutine and its own queue, and costs the others nothing.
//
// What came over the wire is escaped before it is sent (events.Clean), and what could be a secret, all
// of a receiver's URL but its host, is never logged.
package alerts
