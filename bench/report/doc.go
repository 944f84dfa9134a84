// Package report turns what a run came to into a table for people and a JSON record from which the run can be
// judged and done again.
//
// It measures nothing. The tables hold nothing that the record does not. Any goroutine.
package report
