// Package clienthello reads the first message of a TLS client without speaking TLS: which host it
// asks for (SNI), which protocols it offers (ALPN) and that the message is whole. It holds no key,
// computes nothing and answers nothing, so it can stand in front of a handshake, to begin nothing
// expensive for a peer who has not sent a whole ClientHello, and in front of a relay, to choose a
// backend by name.
//
//	record     type 1 = 22 │ version 2 = 3.x │ length 2 = 1..16384 │ bytes of the message
//	           (RFC 8446 5.1; a message may be cut over records at any place)
//	message    type 1 = 1 │ length 3 │ legacy_version 2 │ random 32 │ session_id 0..255 │
//	           cipher_suites 0..2^16-2 │ compression 0..255 │ [ extensions 0..2^16-1 ]
//	           (RFC 8446 4.1.2, RFC 5246 7.4.1.2)
//	extension  type 2 │ data 0..2^16-1
//	    0      server_name: list of type 1 = 0 │ name 1..2^16-1                    (RFC 6066 3)
//	    16     ALPN: list of name 1..255                                          (RFC 7301 3.1)
//	    41     pre_shared_key, the last one                                    (RFC 8446 4.2.11)
//	    43     supported_versions: list of version 2                            (RFC 8446 4.2.1)
//
// and what Decode makes of it:
//
//	Frame   the records up to and including the one in which the message ends, all of them
//	Bad     NotTLS: the first byte is not 22, or the first record's version not 3.x
//	        BadClientHello: another handshake message, a record or a message that lies
//	        ClientHelloTooLarge: more bytes, or more records, than the limit
//
// # What is refused
//
// The first byte decides about HTTP, SSLv2 and garbage; five bytes about a record, before any of it
// is waited for; nine about the message. Its inside is read once, when it is whole: each length
// must fit what it stands in exactly, no extension may come twice (RFC 8446 4.2), pre_shared_key
// must be the last, and the three extensions that are read must be of the form above. The inside of
// other extensions is left to the TLS stack.
//
// What crypto/tls accepts from a client is accepted, with the same name and protocols, except: more
// than Max bytes or MaxRecords records; warning alerts before or inside the hello, which no client
// sends; records of version 0.x to 2.x and 4.x to 15.x.
//
// # Names
//
// ServerName is a host name or nothing. What is neither LDH nor underscore, an empty label, one of
// more than 63 bytes, more than 253 bytes in all, a label that begins with a hyphen or a last label
// of digits alone (an IPv4 literal, which RFC 6066 forbids and OpenSSL sends when told to) leaves it
// empty: the hello is good, and is served as one without a name. Such names are in RawServerName
// for whoever would rather refuse them. A trailing dot is BadClientHello, as in crypto/tls. A name
// is in lower case: one host has one form, in a routing table as in a counter.
//
// With ECH the name is that of the client-facing server, and no more is to be had here.
//
// # Memory
//
// The decoder keeps nothing but a few integers while bytes arrive. When the whole hello is in one
// record, as it nearly always is, everything in Hello is a view. A hello that came in several is put
// together in a buffer of its own, one allocation of its exact size, made when the last byte is
// there; one allocation too lowers a name that had capitals. Both are used again by the next hello.
//
// The package does not finish handshakes and does not know certificates, QUIC or DTLS. Anybody may
// import it.
package clienthello
