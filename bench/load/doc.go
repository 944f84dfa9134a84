// Package load is the good client: a load on persistent connections, or of newcomers.
//
// In an open loop, the usual case, requests are due at the instants a pacer fixed beforehand. One that is due while every
// connection is busy waits, and its latency counts from when it was due, as does its timeout; so a server that stalls for
// 200 ms shows latencies of up to 200 ms, however few requests were under way. In a closed loop ([Config.Closed]) each
// connection asks again when it has its reply, as wrk does: that measures how much a server can do and not how long
// anybody waits, since in a stall nobody asks and only the few requests under way show it (coordinated omission).
//
// A connection may have several requests under way ([Config.Pipeline]). One that is cut is opened again after a pause that
// grows while nothing good comes back: a good client does not hammer. With [Config.Churn] the clients are newcomers
// instead: each request is made on a connection of its own, which is closed after the reply, so that its latency is that of
// somebody who comes for the first time.
//
// Against a target that speaks TLS each connection is a tunnel.Conn, its handshake driven by the same loop; what a
// handshake costs this side is part of the latencies it belongs to.
//
// The way of a request, and the files it takes: it is due (takeDue in send.go; in a closed loop askAgain in closed.go),
// waits for a connection (dispatch, send.go), is put under way on one (ask, conn.go) and written (io.go); its reply is read
// and counted (io.go), and handled (answered, conn.go). conn.go opens, gives up and closes connections, shake.go makes
// their TLS handshakes. crew.go and fleet.go spread a client, tally.go adds up.
//
// A [Lane] runs on one goroutine with epoll; what it counts can be read meanwhile by any goroutine. A [Crew] is one client
// on several loops, a [Fleet] one in several processes, for more connections than one has descriptors. However it is
// spread, the server sees the same requests at the same instants, and the histograms are added up, not averaged.
package load
