// Package sasl is the server's side of a login, as a state machine: messages go in and come out,
// and at the end there is an account or a failure. It does no I/O, starts nothing and waits for
// nothing: a step takes some ten microseconds, so it may run on a loop. SASL (RFC 4422) with
// SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, channel binding tls-exporter of RFC
// 9266), and TOKEN, which shows a bearer token.
//
// # The messages
//
// Text, the payload of one frame or one line each, in this order. BASE64 is that of RFC 4648 with
// padding. The data inside are RFC 5802's messages; of TOKEN, the token and then ",f=signed" or
// nothing.
//
//	client  AUTH
//	server  MECHANISMS SCRAM-SHA-256-PLUS SCRAM-SHA-256 TOKEN      (may be left out)
//	client  AUTH SCRAM-SHA-256 BASE64(client-first-message)
//	server  + BASE64(server-first-message)
//	client  + BASE64(client-final-message)
//	server  OK BASE64(server-final-message)       or  ERR why
//
//	client  AUTH TOKEN BASE64(token)
//	server  OK                                    or  ERR why
//
// The extension f=signed behind the nonce of the client-first-message asks for signed frames
// (package signed) after OK, in both directions. It is inside of what the proof covers: who strips
// it on the way makes the login fail.
//
// # What fails
//
// Everything that is not exactly the next message: one failure ends an exchange for good. Who is
// unknown is asked for a proof as who is known, against a decoy (accounts.Set.Verifier), and learns
// the end only. ERR says the same words for an unknown name, a wrong password, a disabled account,
// another binding and a token that is none.
//
// # The session's secret
//
// Both ends of a login get 32 bytes that who has heard all of it has not, for package signed. After
// SCRAM
//
//	HKDF-Extract(salt StoredKey, "weir session key v1" ‖ ClientKey ‖ AuthMessage)
//
// that is RFC 5802's session key for GSS-API (section 8) under a label of ours. The client has
// ClientKey and StoredKey from its password; the server has StoredKey and gets ClientKey out of the
// proof. A listener has AuthMessage, and the proof, which is ClientKey under a mask that only
// StoredKey gives. Both nonces are in AuthMessage, so each login has another secret, and with -PLUS
// the TLS connection is in it too. On a plain connection a listener can still try passwords against
// the proof, as with every SCRAM, at 600,000 iterations a try, and who finds the password later
// reads the secret out of what was recorded: there is no forward secrecy without TLS.
//
// After TOKEN it is TLS's: exporter (RFC 8446, 7.5) with the label "EXPORTER-weir-session-v1", the
// token's SHA-256 as context and 32 bytes.
//
// # What the library does
//
// The parsing of SCRAM's messages and the arithmetic of the proof are github.com/xdg-go/scram's, as
// are the checks of the binding and of the flag that shows a downgrade. It has no decoys, bounds
// nothing, takes a proof in sloppy base64, takes -PLUS's flag under the other name, and does not
// give out ClientKey: that is done here.
package sasl
