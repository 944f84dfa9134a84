// Package tlsio drives the standard crypto/tls from an event loop: no socket, no goroutine for each
// connection, nothing that blocks. Bytes that arrived go in, bytes to send come out.
//
// A [Handshake] runs crypto/tls's handshake as a coroutine that stops where it needs bytes that are
// not there yet, and goes on when [Handshake.Step] brings them. What comes of it is a [Conn], whose
// Open and Seal run on the loop.
//
// How it works. Under the tls.Conn lies a net.Conn in memory. During the handshake its Read switches
// back to who called Step (iter.Pull, 0.4 µs for creating and switching three times). Afterwards its
// Read answers, when it is out of bytes, with a net.Error whose Temporary is true: crypto/tls gives
// that back without remembering it (readRecordOrCCS in its conn.go), so that Read can be called
// again, and takes every other error for final. Its Write takes everything, because any error of
// Write is final; who seals bounds what is sealed.
//
// Records are handed to crypto/tls whole and one by one. A record that arrives in pieces costs it
// nothing until it is there, its buffer never holds more than one, and a record that brings no data
// (an update of keys, a warning, an empty one) shows.
//
// It does no cryptography, reads no clock and knows no limits. Not for concurrent use: one goroutine
// at a time may use a Handshake or a Conn. The goroutines that step a Handshake must not be locked
// to their threads: a coroutine that moves between a locked and an unlocked one ends the process.
package tlsio
