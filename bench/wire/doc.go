// Package wire makes the bytes of a request and tells when its reply is complete, for HTTP/1.1, frames and lines.
//
// It is the client's side only, and a lenient one: it reads what servers answer, and judges no more than whether the
// answer is whole and good. It does no I/O: bytes are passed in as they come, however they are split, and the work is
// linear in their number.
package wire
