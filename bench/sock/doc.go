// Package sock opens non-blocking TCP sockets to loopback addresses and waits for many of them at once.
//
// It is the thinnest layer over socket(2) and epoll(7) that a client with tens of thousands of connections needs: no
// goroutine a connection and no buffer either. What to send and what to make of a reply is the caller's. It refuses to
// connect anywhere but to a loopback address.
//
// [Dial], [Abort] and the other functions on descriptors: any goroutine. A [Poller]: not for concurrent use.
package sock
