// Package report turns what a run came to into a JSON record from which the run can be judged and done again, and the
// record into tables and into a page with plots.
//
// It measures nothing. Tables and page hold nothing that the record does not. The page is one file without scripts that
// fetches nothing; a record may come from anybody. Any goroutine.
package report
