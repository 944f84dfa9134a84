// Package load is the good client: a steady open-loop load on persistent connections.
//
// Requests are due at the instants a pacer fixed beforehand. One that is due while every connection is busy waits, and
// its latency counts from when it was due, as does its timeout; so a server that stalls for 200 ms shows latencies of
// up to 200 ms, however few requests were under way. A connection that is cut is opened again after a pause that grows
// while nothing good comes back: a good client does not hammer.
//
// A [Lane] runs on one goroutine with epoll; what it counts can be read meanwhile by any goroutine.
package load
