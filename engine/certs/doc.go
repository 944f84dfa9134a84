// Package certs holds a server's certificates and its TLS policy: it reads pairs of PEM files, reads
// them again when they change, picks one for each handshake by the name that the client asks for,
// and hands out the *tls.Config to do it with. It opens no socket, obtains no certificate and
// imports nothing of weir's, so that any server on crypto/tls can use it; for engine, a function
// that [Store.TLS] returns is an engine.Listener's TLS.
//
// # Which certificate
//
// The name in the ClientHello, in lower case, is looked up in this order: certificates with exactly
// this name; [Config.More], which is ACME's place; certificates with a wildcard for its first label.
// Names are those of the certificate's subject alternative names. Several certificates may have one
// name, an RSA one beside an ECDSA one: the client gets the first that it can check, the kinds that
// are cheap to sign with tried first, and one that is not expired before one that is. A name that
// nothing has, and no name at all, get the first pair, or nothing with [Config.StrictSNI].
//
// A client that gets nothing gets the alert unrecognized_name (112). crypto/tls sends it only when a
// configuration has no certificate at all; a GetCertificate or GetConfigForClient that fails becomes
// internal_error (80), which tells the client that the server is broken. So both of ours return no
// certificate and no error, and the server's side of the handshake ends with "tls: no certificates
// configured". A test holds the alert to the Go that we build with.
//
// # Reloading
//
// Files are looked at every 2 s, and by [Store.Reload], which a server calls on SIGHUP. What is
// compared is the time, size and number of the file behind the path, links followed, so a renamed
// file, a changed file and a link turned to another directory all count, and then the content. Each
// pair stands for itself: one that cannot be loaded keeps what it served before and is told of once,
// and again when it changes. Handshakes under way go on with what they have; nobody is dropped.
//
// # Tickets
//
// A client that comes back presents a session ticket and skips the expensive half of the handshake.
// What Go 1.26 does, and a test here holds it to: the keys of tickets belong to the *tls.Config, are
// made new each day and forgotten after seven; a ticket of an old key is taken, and answered with
// one of the newest. So a new certificate must not bring a new configuration, or all clients would
// begin anew: [Store.TLS] returns the same one for as long as the client CA is the same. A new
// client CA does bring a new one, because who was let in under the old CA must show a certificate
// that the new one has signed. (crypto/tls would check the chain in the ticket against the new pool,
// but only for roots; a new key for tickets does not rest on that.) A ticket is good at the listener
// that gave it only: each has its own configuration, so nobody carries a ticket from a listener that
// asks for no client certificate to one that does.
//
// Tickets do not depend on a certificate's private key, nor their keys on it. After a private key was
// stolen, replace and revoke the certificate: sessions that are resumed are with the server itself,
// whatever it showed when they began. After a memory image was stolen, restart too, so that the keys
// of tickets go.
//
// # Client certificates
//
// The Store verifies them itself, in VerifyConnection, which crypto/tls calls in resumed sessions too:
// whoever comes back with a ticket is checked against the clock and the client CA of now. crypto/tls
// would verify whatever a client shows, and crypto/x509 try up to 100 signatures to find a way through
// it; so a client that shows more than 5 certificates, its own included, is turned away first, and of
// several CAs with one name, which could have signed each other, only the first counts. The price is that ConnectionState.VerifiedChains stays empty: [VerifiedClient] tells whom a connection
// is with, and is an engine.Listener's VerifiedClient.
//
// # What is spoken
//
// TLS 1.2 with ECDHE and an AEAD, and TLS 1.3. The suites of TLS 1.2 are named one by one: Go's own
// list still has CBC with SHA-1, for old clients that lack everything else, and GODEBUG can bring back
// 3DES and the RSA key exchange. Key exchanges are restricted for another reason: the client picks
// one, and the server pays for it. Of what Go offers, P-384 costs 6 and P-521 19 times as much as
// X25519 (350 and 1,100 µs against 57 on one core of an EPYC, see BenchmarkExchange), so a flood would
// pick those; whoever has them has P-256 or X25519 too. The same machine signs 50,000 times a second with ECDSA P-256 and
// 1,500 times with RSA of 2,048 bits: prefer ECDSA.
package certs
