// Package watch reads what a server says of itself while it is under attack: the counters on its metrics page, and the
// CPU time and memory that the kernel accounts to its processes.
//
// It reads only, from loopback only, and a server that says nothing, or says it too late, costs a remark and not
// the run. Any goroutine.
package watch
