// Package load is the good client: a steady open-loop load on persistent connections.
//
// Requests are due at the instants a pacer fixed beforehand. One that is due while every connection is busy waits, and
// its latency counts from when it was due, as does its timeout; so a server that stalls for 200 ms shows latencies of
// up to 200 ms, however few requests were under way. A connection that is cut is opened again after a pause that grows
// while nothing good comes back: a good client does not hammer.
//
// With [Config.Churn] its clients are newcomers instead: each request is made on a connection of its own, which is closed
// after the reply, so that its latency is that of somebody who comes for the first time.
//
// Against a target that speaks TLS each connection is a tunnel.Conn, its handshake driven by the same loop; what a
// handshake costs this side is part of the latencies it belongs to.
//
// A [Lane] runs on one goroutine with epoll; what it counts can be read meanwhile by any goroutine.
package load
