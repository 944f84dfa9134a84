package clienthello

import "iter"

// Hello is what a client says of itself. Its slices are views: see Decoder.Hello.
type Hello struct {
	// ServerName is the host name the client asks for, in lower case, without a trailing dot, 1 to
	// 253 bytes; empty when there is none or when it is no host name (see the package comment).
	ServerName []byte
	// RawServerName is the name as it was sent, any bytes but a "." at the end; empty when there
	// is none. Whoever prints it must escape it.
	RawServerName []byte
	// ALPN are the protocols the client offers, in its order; empty when it offers none.
	ALPN Protocols
	// Version is the highest version offered: 0x0304 for TLS 1.3, 0x0303 for 1.2. 0 when none of
	// those offered begins with 3. Without supported_versions it is at most 0x0303
	// (RFC 8446 4.2.1).
	Version uint16
	// ECH: there is an encrypted_client_hello extension, real or GREASE. ServerName is then the
	// client-facing server's and perhaps not what the client is after.
	ECH bool
	// Message is the whole ClientHello, its four bytes of header included, out of its records: for
	// those who want more of it, such as a fingerprint.
	Message []byte
	// Trailing is the number of bytes behind the hello in its last record. No client has anything
	// to say before the server's answer, and RFC 8446 5.1 wants a hello to end its record.
	Trailing int
}

// Protocols are the names of an ALPN extension: a byte of length, 1 to 255, and the name, one behind
// the other.
type Protocols []byte

// All yields the names in order, each a view. It allocates nothing.
func (p Protocols) All() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := cursor(p); len(rest) > 0; {
			name, ok := rest.vector8()
			if !ok || !yield(name) {
				return
			}
		}
	}
}

// Has reports whether name is among the protocols, byte for byte (RFC 7301 3.2). It takes time
// proportional to their number.
func (p Protocols) Has(name string) bool {
	for rest := cursor(p); len(rest) > 0; {
		have, ok := rest.vector8()
		if !ok {
			return false
		}
		if string(have) == name {
			return true
		}
	}
	return false
}
