// Package tunnel is the client's end of TLS without a socket: bytes go in and come out when their caller says so, so
// that thousands of TLS connections run on one goroutine with epoll.
//
//	caller                            Conn                              crypto/tls
//	  | Step(nil) ---------------------> | coroutine: Handshake ------------> |
//	  | <-- ClientHello waits in Flush   | <-- out of bytes: parked --------- |
//	  | Step(bytes from the socket) ---> | resumed, and so on until done      |
//	  | Receive(bytes), Read, Read ...   | plaintext, until ErrMore           |
//	  | Write, Flush ------------------> | records, kept until they are sent  |
//
// A certificate is never verified: the bench connects to loopback addresses only, to servers whose certificates
// are made up for the day, and what it measures is the server and not who it is. It uses X25519 wherever the server has it, so that the
// client's own part of a handshake, which its latencies include, is small and the same everywhere; browsers offer a
// hybrid with ML-KEM first, which costs both sides more.
//
// A [Conn] is not for concurrent use; its handshake has a goroutine's affinity besides, see [Conn.Step].
package tunnel
