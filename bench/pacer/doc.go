// Package pacer says when requests are due, whatever the server does with the earlier ones.
//
// A load that waits for an answer before it asks again hides every stall: while the server stands still, so does
// the clock of the client. An open-loop load has its arrivals fixed beforehand, and counts latency from the
// instant a request was due. The schedule here is a pure function of the shape, the rate and the seed: no clock is read
// and nothing sleeps; the caller passes the time since the start. Several callers can share one schedule out among them
// without a word between them, see [Pacer.Share].
//
// A [Pacer] is not for concurrent use.
package pacer
