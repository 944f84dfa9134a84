// Command peers measures weir beside other servers: nginx, HAProxy, Caddy, fasthttp, net/http, a bare gnet.Run and
// crypto/tls, where they are installed, each with its own limits on as its own documentation advises (folder conf and
// the small programs beside this one).
//
//	make bench-peers                                        all of it, and docs/performance.md
//	bin/peers -what hello,churn -peers weir,nginx -rounds 5
//	bin/peers -from bin/peers.json -write docs/performance.md -svg docs/images/siege.svg
//
// It measures in rounds: each round starts each server anew, one after the other, in another order each time, so that
// what the machine does meanwhile falls on all of them. What is compared is the CPU that a server's processes spend,
// as the kernel's scheduler counts it: on two cores the rates are bound by the client that shares them.
//
// Servers whose limits a single source would meet at once run "open": every limit on, at a value that nobody meets (weir:
// -profile bench). Under attack they run "guarded", with the limits that weir has by default (weir: without a flag).
//
// Files: the servers are in peer.go, how one is run in server.go; what is measured is in measures.go and, by kind, in
// cost.go, memory.go and assault.go; what was found in record.go, drawn by tables.go and picture.go and written by
// regions.go. Linux only; everything binds to 127.0.0.1, and every server is ended whichever way this ends.
package main
