// Package codec says what the wire says: it holds the contract that every protocol's decoder
// keeps, and the closed list of what can be wrong with a peer's bytes.
//
// A decoder is a function of (state, bytes). It owns no buffer, reads no clock, logs nothing and
// allocates nothing per frame. The protocols are in the folders below, one each.
//
// It does not decide whether a frame may go on (package guard) and does not move bytes (package
// engine). Anybody may import it; it imports the standard library only.
package codec

// Kind is what a call of Decode found at the front of the bytes.
type Kind uint8

const (
	// More: nothing is complete. Unit.N bytes (often 0) are finished with all the same, for
	// example a chunk-size line; the rest must be presented again with what arrives next.
	More Kind = iota
	// Frame: one whole message, or the head of one whose body follows in Parts. Limits on
	// frames count exactly these.
	Frame
	// Part: some bytes of a body that is handed on as it arrives. Limits count its bytes only.
	Part
	// End: the body begun by the last Frame is complete. A Frame without a body is followed by
	// no End.
	End
	// Bad: the bytes are wrong in the way Unit.Fault names. The decoder must not be used again.
	Bad
)

// Unit is one step of decoding. It is a value: nothing is kept behind it but the view Data.
type Unit struct {
	Kind  Kind
	Fault Fault // why, when Kind is Bad; else OK
	// N is the number of bytes at the front of Decode's argument that the unit takes, framing
	// included. The caller drops them when it is done with Data, not before. 0 ≤ N ≤ len(b).
	N int
	// Data is the payload: a view into Decode's argument. It is valid until the caller reuses
	// those bytes; to keep it, copy it.
	Data []byte
}

// Decoder turns one direction of one connection into units. Not for concurrent use.
//
// The caller presents every byte it has received and not yet dropped, in order, b[0] being the
// first one that no earlier unit took. After a unit with N > 0 it calls again with b[N:]. After
// More it waits for bytes and then presents the old ones and the new ones together, at any
// address. A decoder remembers how far it has looked: however the input is split, its work is
// linear in the number of bytes, and the units are the same.
type Decoder interface {
	Decode(b []byte) Unit
	// Lacks is a lower bound of the bytes that must still arrive before Decode can return
	// something other than More; at least 1. It lets the engine sleep until they are there.
	Lacks() int
	// Partial reports whether a message has begun and is not complete. An end of the stream is
	// clean only when it is false.
	Partial() bool
}
